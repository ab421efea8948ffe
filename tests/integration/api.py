"""The HTTP API as tests call it: the real application, served on a loopback port by a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx
import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from walltrack.api.app import serve_api
from walltrack.api.context import ApiContext
from walltrack.api.keys import hmac_of, new_key, prefix_of
from walltrack.config.settings import Settings
from walltrack.contract import Scope
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.notices import Notices
from walltrack.data.supabase.repositories.api_key_repo import ApiKeyRepository
from walltrack.discovery.clock import Clock
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler
from walltrack.scheduler.market_view import MarketView, ServedMarket
from walltrack.scheduler.run_control import RunControl
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName, Trigger

T = TypeVar("T")

SECRET_KEY: Final = "planted-secret-key-of-the-tests-5f0c9a1e"
DEMO: Final = MarketName("sandbox, seed 7 (demo data)", demo=True)
RUNS: Final = "/api/discovery/runs"
RUN: Final = "/api/discovery/run"
CONFIG: Final = "/api/discovery/config"
RATES: Final = (
    "dexscreener_feed_requests_per_minute",
    "dexscreener_pair_requests_per_minute",
    "geckoterminal_requests_per_minute",
    "jupiter_requests_per_minute",
)
"""Not to wait for."""

NOBODY: Final = "http://127.0.0.1:9"
"""Where nothing listens."""

_START_SECONDS: Final = 60.0
_FORGOTTEN: Final = (
    "discovery_config", "schedule_ticks", "discovery_runs", "wallets", "wallet_profiles", "wallet_histories",
    "address_lists", "run_requests", "api_keys", "config_audit", "provider_usage",
    "walltrack_jobs.procrastinate_events", "walltrack_jobs.procrastinate_jobs", "walltrack_jobs.procrastinate_workers",
)  # fmt: skip


class Way(httpx.AsyncBaseTransport):
    """The real way to the server."""

    def __init__(self) -> None:
        self.real = httpx.AsyncHTTPTransport()

    async def aclose(self) -> None:
        await self.real.aclose()


@dataclass
class ApiServer:
    """A server that answers, with what it works on."""

    port: int
    context: ApiContext
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    thread: threading.Thread
    _keys: dict[Scope, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Settings:
        return self.context.settings

    def key(self, scope: Scope) -> str:
        """A key that holds, the same one for the time of a test."""
        if scope not in self._keys:
            self._keys[scope] = self.new_key(scope)
        return self._keys[scope]

    def new_key(self, scope: Scope, name: str | None = None) -> str:
        key = new_key()
        prefix = prefix_of(key)
        assert prefix is not None
        keys = ApiKeyRepository(self.context.database)
        digest = hmac_of(key, SECRET_KEY)
        self.do(keys.add(prefix, digest, name=name or f"{scope}er", scope=scope.value))
        return key

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """A client with a key, which is that of somebody who may operate where none is given."""
        if key is None and self.settings.asks_for_keys:
            key = self.key(Scope.OPERATE)
        given = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=given | headers, timeout=60)

    def do(self, work: Awaitable[T]) -> T:
        """What something of the server's own loop comes to."""

        async def done() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result()

    def sql(self) -> psycopg.Connection[dict[str, Any]]:
        assert self.settings.database_url is not None
        url = self.settings.database_url.get_secret_value()
        return psycopg.connect(url, autocommit=True, row_factory=dict_row, application_name="api tests")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with self.sql() as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        """Forget everything that was stored, keys too."""
        with self.sql() as connection:
            # Of few rows, this is far quicker than TRUNCATE.
            forget = "; ".join(f"DELETE FROM {table}" for table in _FORGOTTEN)
            connection.execute(f"BEGIN; {forget}; INSERT INTO discovery_config (id) VALUES (1); COMMIT")
        self._keys.clear()

    def start_run(self, client: httpx.Client, body: Mapping[str, object] | None = None) -> UUID:
        started = client.post(RUN, json=dict(body or {}))
        assert started.status_code == 202, started.text
        return UUID(started.json()["run_id"])

    def end(self) -> None:
        """Stop serving, as the process does that is told to."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()


def api_settings(settings: Settings, **changes: Any) -> Settings:
    """Settings by which the API asks for keys, on a free port of this machine. No market answers."""
    asked = {"api_authentication": True, "secret_key": SecretStr(SECRET_KEY), "api_port": 0, "http_tries": 1}
    markets = dict.fromkeys(("dexscreener_url", "geckoterminal_url", "jupiter_url", "helius_rpc_url"), NOBODY)
    rates = dict.fromkeys(RATES, 60_000)
    return settings.model_copy(update=asked | markets | rates | changes)


@contextmanager
def serving(
    settings: Settings, *, market: MarketName = DEMO, clock: Clock | None = None
) -> Iterator[ApiServer]:
    """Serve the API over an open, migrated database. Nobody works there, and nobody starts what is due."""
    begun = threading.Event()
    place: list[ApiServer] = []
    failed: list[BaseException] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with Database(settings, at_most=5) as database, Notices(database) as notices:
            context = _context(settings, database, notices, market, clock or SystemClock())

            def listening(port: int) -> None:
                loop = asyncio.get_running_loop()
                place.append(ApiServer(port, context, loop, stop, threading.current_thread()))
                begun.set()

            await serve_api(context, stop, listening=listening)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - it is raised where the thread was started
            failed.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run, name="api", daemon=True)
    thread.start()
    assert begun.wait(_START_SECONDS)
    try:
        if failed:
            raise failed[0]
        yield place[0]
    finally:
        if place:
            place[0].end()
        thread.join()
    if failed:
        raise failed[0]


def _context(
    settings: Settings, database: Database, notices: Notices, market: MarketName, clock: Clock
) -> ApiContext:
    at_most = settings.max_concurrent_runs
    trigger = Trigger(database, market, at_most=at_most, clock=clock)
    return ApiContext(
        settings=settings,
        database=database,
        notices=notices,
        scheduler=DiscoveryScheduler(
            database, settings=settings, clock=clock, trigger=trigger, notices=notices, claims=False
        ),
        runs=RunControl(database, market, at_most=at_most, clock=clock),
        pumps=MarketView(database, ServedMarket(settings, clock, market)),
        market=market,
        clock=clock,
    )


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer, which must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document
