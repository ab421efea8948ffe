"""Connections to the database: the one that DATABASE_URL names, or the embedded one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Self

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.errors import check_server_version, describe, translated

Connection = AsyncConnection[DictRow]

RECONNECT_SECONDS: Final = 5.0
"""How long a pool tries for a lost connection by itself, ever more rarely. After that each call tries anew, so that
work goes on soon after a long outage has ended."""

_KEEP_ALIVE: Final = {
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class Database:
    """A bounded pool of connections, as an async context manager.

    Entering raises DatabaseUnreachableError, DatabaseRightsError or DatabaseTooOldError, each naming host and
    database. It starts the embedded server where DATABASE_URL is not set; leaving stops it, for the last user.

    `at_most` connections are held, where the settings do not allow fewer: a process that also has others of its own
    stays within its bound by this.
    """

    def __init__(self, settings: Settings, *, at_most: int | None = None) -> None:
        self._settings = settings
        allowed = settings.database_pool_max_size
        self._pool_size = allowed if at_most is None else min(allowed, at_most)
        self._stack = AsyncExitStack()
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._where = "database"
        self._conninfo: str | None = None

    @property
    def is_embedded(self) -> bool:
        return self._settings.database_url is None

    @property
    def where(self) -> str:
        """Database, host and user, for messages. Never the password."""
        return self._where

    @property
    def conninfo(self) -> str:
        """What libpq connects with, password included: never to be shown."""
        if self._conninfo is None:
            raise RuntimeError("the database is not open: use it with `async with`")
        return self._conninfo

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            url = self._settings.database_url
            if url is None:
                server = await self._hold_embedded()
                stack.push_async_callback(asyncio.to_thread, server.release)
                base = server.conninfo
            else:
                base = url.get_secret_value()
            self._conninfo = connection_string(base, self._settings.database_connect_timeout_seconds)
            self._where = describe(dict(conninfo_to_dict(self._conninfo)))
            await self._probe()
            self._pool = await stack.enter_async_context(self._new_pool())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool = None
        await self._stack.aclose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One connection, one transaction: committed at the end of the block, rolled back when it raises.

        Raises the errors of `walltrack.data.supabase.errors` in place of the driver's.
        """
        with translated(self._where):
            async with self._opened().connection() as connection:
                yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Connection]:
        """One connection on which each statement is a transaction of its own: where there is one statement, or where
        several only read and need not see the same moment. Beginning and ending a transaction are two round trips more.

        Raises as `transaction`.
        """
        with translated(self._where):
            async with self._opened().connection() as connection:
                await connection.set_autocommit(True)
                try:
                    yield connection
                finally:
                    # One that is not idle was interrupted: the pool throws it away.
                    if connection.info.transaction_status is TransactionStatus.IDLE:
                        await connection.set_autocommit(False)

    def _opened(self) -> AsyncConnectionPool[Connection]:
        if self._pool is None:
            raise RuntimeError("the database is not open: use it with `async with`")
        return self._pool

    async def _hold_embedded(self) -> embedded.EmbeddedServer:
        """Hold the embedded server. A start that is interrupted is given back, not left running."""
        start = asyncio.ensure_future(asyncio.to_thread(embedded.acquire, self._settings.data_dir))
        try:
            return await asyncio.shield(start)
        except asyncio.CancelledError:
            await asyncio.to_thread((await start).release)
            raise

    async def _probe(self) -> None:
        """Say why there is no connection. The pool only says that there was none in time."""
        with translated(self._where):
            connection = await AsyncConnection.connect(self.conninfo)
            async with connection:
                check_server_version(connection.info.server_version, self._where)

    def _new_pool(self) -> AsyncConnectionPool[Connection]:
        # prepare_threshold: prepared statements do not survive a pooler in transaction mode, such as Supabase's.
        return AsyncConnectionPool(
            self.conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "prepare_threshold": None},
            min_size=1,
            max_size=self._pool_size,
            timeout=self._settings.database_connect_timeout_seconds,
            reconnect_timeout=RECONNECT_SECONDS,
            configure=self._configure,
            check=_check_open,
            open=False,
            name="walltrack",
        )

    async def _configure(self, connection: Connection) -> None:
        seconds = self._settings.database_statement_timeout_seconds
        await connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{seconds}s",))
        await connection.commit()


async def _check_open(connection: Connection) -> None:
    """Raise psycopg.OperationalError where the server has closed a connection while it was not used.

    It looks at the socket and asks the server nothing: a question would be one of the four round trips that most
    transactions take.
    """
    for _ in range(2):  # the first may bring the server's farewell, and only the second finds the end
        connection.pgconn.consume_input()


def connection_string(base: str, connect_timeout_seconds: int) -> str:
    """What libpq connects with: the given string, the time to wait, and our name for the server's own lists.

    A connection whose other end is gone without a word is given up after about half a minute, not a quarter of an hour.
    """
    given = conninfo_to_dict(base)
    given.setdefault("connect_timeout", str(connect_timeout_seconds))
    given.setdefault("application_name", "walltrack")
    for name, value in _KEEP_ALIVE.items():
        given.setdefault(name, value)
    return make_conninfo("", **{name: str(value) for name, value in given.items() if value is not None})
