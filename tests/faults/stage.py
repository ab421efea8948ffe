"""What the fault scenarios play on: a database server of its own, a sandbox market, and processes that serve."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from pydantic import SecretStr

from walltrack.cli_market import sandbox_environment
from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import Faults, SandboxServer, serve
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName, Trigger

LEASE_SECONDS: Final = 2
SLOTS: Final = 3
LATENCY_MS: Final = 40.0
"""Of each of the sandbox's answers: a run takes some seconds then, and has moments to be hit at."""
PAGE_ROWS: Final = 1000

T = TypeVar("T")

_WALLTRACK: Final = str(Path(sys.executable).with_name("walltrack"))
_UNLIMITED: Final = {
    "WALLTRACK_HELIUS_REQUESTS_PER_SECOND": "1000",
    "WALLTRACK_HELIUS_REST_REQUESTS_PER_SECOND": "1000",
    "WALLTRACK_SOLANA_RPC_REQUESTS_PER_SECOND": "1000",
    "WALLTRACK_DEXSCREENER_FEED_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_DEXSCREENER_PAIR_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_GECKOTERMINAL_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_JUPITER_REQUESTS_PER_MINUTE": "60000",
}
_FORGOTTEN: Final = (
    "discovery_runs", "wallets", "wallet_profiles", "wallet_histories", "measured_launches", "tape_streams",
    "provider_methods", "sol_prices", "schedule_ticks",
)  # fmt: skip
PATIENCE_SECONDS: Final = 150.0
"""After which a run counts as stuck."""


@dataclass
class Process:
    """One `walltrack serve`, and what it says."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """As the kernel does where memory runs out."""
        self.popen.kill()
        self.popen.wait()

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def end(self) -> None:
        if self.popen.poll() is None:
            with suppress(ProcessLookupError):
                self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
            try:
                self.popen.wait(timeout=12)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class Stage:
    """One database, one market, and any number of serving processes."""

    folder: Path
    server: embedded.EmbeddedServer
    sandbox: SandboxServer
    settings: Settings
    options: Mapping[str, str]
    processes: list[Process] = field(default_factory=list)
    _started: int = 0

    def sql(self) -> psycopg.Connection[dict[str, Any]]:
        assert self.settings.database_url is not None
        url = self.settings.database_url.get_secret_value()
        return psycopg.connect(url, autocommit=True, row_factory=dict_row, application_name="fault tests")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """What a query answers, asked again while the database cannot be reached."""
        return patiently(lambda: self._rows(query, values))

    def _rows(self, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        with self.sql() as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def forget(self) -> None:
        """An empty database again, and no request on record."""
        for table in _FORGOTTEN:  # not TRUNCATE: the row of the configuration refers to a run
            self.rows(f"DELETE FROM {table}")
        self.rows("DELETE FROM walltrack_jobs.procrastinate_jobs WHERE status <> 'doing'")
        self.sandbox.clear_requests()

    def start(self, *, roles: str = "worker,scheduler", slots: int = SLOTS, wait: bool = True) -> Process:
        """One more process that serves."""
        self._started += 1
        log = self.folder / f"serve-{self._started}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [_WALLTRACK, "serve", "--roles", roles, "--slots", str(slots)],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        process = Process(popen, log)
        self.processes.append(process)
        if wait:
            self.await_serving(process)
        return process

    def await_serving(self, process: Process) -> None:
        """Until the process says that it serves."""

        def serves() -> bool:
            assert process.popen.poll() is None, f"it ended: {process.said()}"
            return "serving:" in process.said()

        until(serves, "it serves", lambda: process.said()[-2000:])

    def replace(self, process: Process) -> Process:
        """A new process in the place of one that has ended. It comes up by itself, nobody waits."""
        self.processes.remove(process)
        return self.start(wait=False)

    @property
    def environment(self) -> dict[str, str]:
        assert self.settings.database_url is not None
        kept = {k: v for k, v in os.environ.items() if not k.startswith("WALLTRACK_")}
        return (
            kept
            | sandbox_environment(self.sandbox.urls)
            | _UNLIMITED
            | {
                "DATABASE_URL": self.settings.database_url.get_secret_value(),
                "WALLTRACK_DATA_DIR": str(self.folder / "data"),
                "WALLTRACK_LEASE_SECONDS": str(LEASE_SECONDS),
                "DISCOVERY_SCHEDULER_ENABLED": "false",
            }
            | dict(self.options)
        )

    def trigger(self, params: DiscoveryRunParams | None = None) -> UUID:
        """Start a run, as any process may."""

        async def start(database: Database) -> UUID:
            trigger = Trigger(database, MarketName("sandbox", demo=True), at_most=1, clock=SystemClock())
            return (await trigger.start(params or DiscoveryRunParams(), triggered_by="fault tests")).id

        return self.in_database(start)

    def cancel(self, run_id: UUID) -> None:
        """Cancel a run, as any process may."""
        clock = SystemClock()
        self.in_database(
            lambda database: DiscoveryRepository(database).cancel_run(run_id, completed_at=clock.now())
        )

    def in_database(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Await work over the database."""

        async def whole() -> T:
            async with Database(self.settings) as database:
                return await work(database)

        return asyncio.run(whole())

    def status(self, run_id: UUID) -> dict[str, Any]:
        """The run's row, and how many of its tokens are `ended`, `underway` and `listed`."""
        return self.rows(
            "SELECT run.*, count(*) FILTER (WHERE token.status NOT IN ('pending', 'running')) AS ended,"
            " count(*) FILTER (WHERE token.status = 'running') AS underway, count(token.mint) AS listed,"
            " coalesce(max(token.deaths), 0) AS most_deaths"
            " FROM discovery_runs run LEFT JOIN discovery_run_tokens token ON token.run_id = run.id"
            " WHERE run.id = %s GROUP BY run.id",
            run_id,
        )[0]

    def runs(self, run_id: UUID) -> bool:
        return bool(self.status(run_id)["status"] == "running")

    def await_end(self, run_id: UUID) -> dict[str, Any]:
        """Until the run has ended. Raises AssertionError where it is stuck."""
        until(lambda: not self.runs(run_id), f"run {run_id} ends", lambda: self._stuck(run_id))
        return self.status(run_id)

    def _stuck(self, run_id: UUID) -> str:
        tokens = self.rows(
            "SELECT mint, status, attempt, deaths, claimed_by, lease_expires_at FROM discovery_run_tokens"
            " WHERE run_id = %s AND status IN ('pending', 'running')",
            run_id,
        )
        jobs = self.rows("SELECT task_name, status, args FROM walltrack_jobs.procrastinate_jobs")
        logs = [f"{each.pid}: {each.said()[-1500:]}" for each in self.processes]
        return f"{self.status(run_id)}\n{tokens}\n{jobs}\n" + "\n".join(logs)

    def restart_database(self) -> None:
        """As after a crash of its machine, and up again."""
        pid = embedded.server_pid(self.server.folder)
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        until(lambda: embedded.server_pid(self.server.folder) is None, "the database has stopped")
        before, self.server = self.server, embedded.acquire(self.folder / "data")
        before.release()


def until(met: Callable[[], bool], what: str, about: Callable[[], str] = str) -> None:
    """Look again and again until it is so. Raises AssertionError after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not met():
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:.0f} s: {what}\n{about()}"
        time.sleep(0.02)


def patiently(ask: Callable[[], T]) -> T:
    """Ask again while the database cannot be reached."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def staged(
    folder: Path,
    *,
    market_seed: int = 7,
    size: int = 8_000,
    latency_ms: float = LATENCY_MS,
    page_rows: int = PAGE_ROWS,
    **options: str,
) -> Iterator[Stage]:
    """A stage in an empty folder that the server's user can reach; no process serves yet.

    The market ends now, since serving processes go by the machine's clock. Tapes and histories come in pages of
    `page_rows`. `options` are environment variables.
    """
    market = generate(market_seed, now=int(time.time()), size=size)
    faults = Faults(latency_ms=latency_ms)
    with serve(market, rate_factor=1000.0, faults=faults, page_rows=page_rows) as sandbox:
        server = embedded.acquire(folder / "data")
        stage = None
        try:
            where = conninfo_to_dict(server.conninfo)
            host = quote(str(where["host"]), safe="")
            url = SecretStr(f"postgresql://{where['user']}@/{where['dbname']}?host={host}")
            settings = Settings(database_url=url, data_dir=folder / "data")
            migrate(settings, lambda _line: None)
            stage = Stage(folder, server, sandbox, settings, options)
            yield stage
        finally:
            for process in stage.processes if stage else ():
                process.signal(signal.SIGKILL) if process.popen.poll() is None else None
            for process in stage.processes if stage else ():
                process.popen.wait()
            (stage.server if stage else server).release()
