"""What processes over one database tell each other at once: the configuration was saved, a run was cancelled.

A notice may be lost, with the connection or behind a pooler that passes none on: whoever depends on one also looks for
himself from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import psycopg
import stamina
import structlog
from psycopg.rows import TupleRow

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import translated
from walltrack.discovery.at_once import stopped
from walltrack.discovery.errors import WallTrackError

log = structlog.get_logger()

CHANNEL: Final = "walltrack"

CONFIG: Final = "config"
"""The configuration or the schedule's state is another."""

LISTENING: Final = "listening"
"""Not from the database: from here on nothing is missed; what was said before may have been."""

_RUN: Final = "run:"
_SIGN_OF_LIFE_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0


async def notify(connection: Connection, payload: str) -> None:
    """Tell every process, once the caller's transaction is committed."""
    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))


def run_notice(run_id: UUID) -> str:
    """The notice that something was done to a run."""
    return f"{_RUN}{run_id}"


def run_of(payload: str) -> UUID | None:
    """The run of a notice; None where it is about something else."""
    if not payload.startswith(_RUN):
        return None
    try:
        return UUID(payload.removeprefix(_RUN))
    except ValueError:
        return None


class Notices:
    """One connection of its own on which a process listens, as an async context manager.

    Where the connection is lost, another is made for as long as it takes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[asyncio.Queue[str]] = set()
        self._is_listening = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._serve(), name="notices")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            await stopped(self._task)

    async def listen(self) -> AsyncIterator[str]:
        """Every notice from now on, without end. LISTENING comes first, and again after each lost connection."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        if self._is_listening:
            queue.put_nowait(LISTENING)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def _serve(self) -> None:
        while True:
            connection = await self._connect()
            try:
                await self._receive(connection)
            except (WallTrackError, psycopg.Error, OSError) as error:
                log.warning("notices_interrupted", error=str(error))
            finally:
                self._is_listening = False
                await connection.close()
            # A server that takes connections and drops them at once is not asked without a pause.
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _connect(self) -> psycopg.AsyncConnection[TupleRow]:
        async for attempt in stamina.retry_context(
            on=_is_fault,
            attempts=None,
            timeout=None,
            wait_initial=_PAUSE_SECONDS,
            wait_max=_LONGEST_PAUSE_SECONDS,
        ):
            with attempt, translated(self._database.where):
                connection = await psycopg.AsyncConnection.connect(
                    self._database.conninfo, autocommit=True, prepare_threshold=None
                )
                try:
                    await connection.execute(f"LISTEN {CHANNEL}")
                except BaseException:
                    await connection.close()
                    raise
                return connection
        raise AssertionError("stamina ends with a result or an error")

    async def _receive(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        self._is_listening = True
        self._pass_on(LISTENING)
        with translated(self._database.where):
            while True:
                async for notice in connection.notifies(timeout=_SIGN_OF_LIFE_SECONDS):
                    self._pass_on(notice.payload)
                # A connection that died without a word is noticed only when it is used.
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await connection.execute("SELECT 1")

    def _pass_on(self, payload: str) -> None:
        for queue in self._listeners:
            queue.put_nowait(payload)


def _is_fault(error: Exception) -> bool:
    if not isinstance(error, WallTrackError | psycopg.Error | OSError):
        return False
    log.warning("notices_not_connected", error=str(error))
    return True
