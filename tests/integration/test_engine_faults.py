"""The engine through faults of the database: a restart, connections that are cut, a pool with none to spare."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from tests.integration.databases import settings_for
from tests.integration.engine_work import (
    MINTS,
    RUN,
    SOON,
    WatchedWork,
    jobs_in,
    until,
    until_empty,
    until_logged,
    worked_on,
    working,
)
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.embedded import EmbeddedServer, acquire, server_pid
from walltrack.data.supabase.errors import DatabaseUnreachableError, SchemaOutdatedError
from walltrack.data.supabase.migrate import migrate
from walltrack.data.supabase.repositories.job_queue_repo import JobQueueRepository
from walltrack.scheduler.engine import Engine

CUT = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'walltrack'
"""


class OwnServer:
    """A server of the test's own, with a migrated database, that may be stopped and started."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._held: EmbeddedServer | None = None
        self.start()
        assert self._held is not None
        conninfo = psycopg.conninfo.conninfo_to_dict(self._held.conninfo)
        self.settings: Settings = settings_for(
            f"postgresql://{conninfo['user']}@/{conninfo['dbname']}?host={conninfo['host']}&port=5432",
            database_connect_timeout_seconds=2,
        )
        migrate(self.settings, lambda _line: None)

    def start(self) -> None:
        self._held = acquire(self._data_dir)

    def stop(self) -> None:
        """Stop it as an operator does who restarts it: every connection is cut."""
        held, self._held = self._held, None
        assert held is not None
        pid = server_pid(held.folder)
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        held.release()
        assert server_pid(held.folder) is None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        if self._held is not None:
            self._held.release()


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with tempfile.TemporaryDirectory(prefix="walltrack-test-") as folder:
        Path(folder).chmod(0o755)  # the server's user must reach it
        running = OwnServer(Path(folder) / "data")
        yield running
        running.close()


@pytest.fixture
def settings(server: OwnServer) -> Settings:
    assert server.settings.database_url is not None
    with psycopg.connect(server.settings.database_url.get_secret_value()) as connection:
        connection.execute("DELETE FROM walltrack_jobs.procrastinate_jobs")
        connection.execute("DELETE FROM walltrack_jobs.procrastinate_workers")
        connection.execute("UPDATE walltrack_jobs.sweeps SET swept_at = 'epoch'")
    return server.settings


def cut_connections(settings: Settings) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        row = connection.execute(CUT).fetchone()
    assert row is not None
    assert row[0] >= 2  # the worker's own and its listener


async def deferred(database: Database, mints: list[str]) -> None:
    """Defer, however long the pool takes to come to a connection again."""

    async def is_deferred() -> bool:
        try:
            await JobQueueRepository(database).defer_tokens(RUN, mints)
        except DatabaseUnreachableError:
            return False
        return True

    await until(is_deferred)


def test_a_restart_of_the_server_neither_interrupts_work_nor_ends_the_worker(
    server: OwnServer, settings: Settings
) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"during"}
        async with worked_on(settings, work, slots=2) as (running, database):
            await running.engine.defer_tokens(RUN, ["during"])
            await work.until(lambda: work.started == ["during"])
            for _ in range(2):
                await asyncio.to_thread(server.restart)
            await deferred(database, MINTS)
            await work.until(lambda: sorted(work.ended) == MINTS)
            work.let_go.set()
            await work.until(lambda: "during" in work.ended)
            await until_empty(database)
        assert work.cancelled == []
        assert len(work.started) == 1 + len(MINTS)

    asyncio.run(scenario())


def test_connections_that_are_cut_lose_no_job(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"during"}
        async with worked_on(settings, work, slots=2) as (running, database):
            await running.engine.defer_tokens(RUN, ["during"])
            await work.until(lambda: work.started == ["during"])
            for mint in MINTS:
                await asyncio.to_thread(cut_connections, settings)
                await deferred(database, [mint])
                await work.until(lambda mint=mint: mint in work.ended)  # type: ignore[misc]
            work.let_go.set()
            await work.until(lambda: "during" in work.ended)
            await until_empty(database)
        assert len(work.started) == 1 + len(MINTS)

    asyncio.run(scenario())


def test_an_end_that_could_not_be_written_is_made_up_for(server: OwnServer, settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"a"}
        async with worked_on(settings, work) as (running, database):
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.started == ["a"])
            await asyncio.to_thread(server.stop)
            work.let_go.set()
            await work.until(lambda: work.ended == ["a"])
            await asyncio.to_thread(server.start)
            await deferred(database, ["b"])
            await work.until(lambda: work.ended == ["a", "b"])
            await until_empty(database)
        assert work.started == ["a", "b"]

    asyncio.run(scenario())


def test_a_worker_that_was_silent_so_long_that_it_was_forgotten_is_known_again(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"a"}
        async with worked_on(settings, work, slots=2) as (running, database):
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.started == ["a"])
            assert await JobQueueRepository(database).remove_stalled(timedelta(days=-1)) == 1
            work.let_go.set()
            await running.engine.defer_tokens(RUN, ["b"])
            await work.until(lambda: sorted(work.ended) == ["a", "b"])
            await until_empty(database)
            async with database.transaction() as connection:
                cursor = await connection.execute("SELECT id FROM walltrack_jobs.procrastinate_workers")
                assert len(await cursor.fetchall()) == 1
        assert sorted(work.started) == ["a", "b"]

    asyncio.run(scenario())


def test_work_goes_on_and_sweeps_are_put_off_while_the_pool_has_no_connection(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        async with (
            Database(settings, at_most=1) as database,
            Database(settings) as other,
            working(settings, database, work, sweep_every=timedelta(milliseconds=1)),
        ):
            await work.until(lambda: work.sweeps > 0)
            async with AsyncExitStack() as held:
                await held.enter_async_context(database.transaction())
                await deferred(other, MINTS)
                await work.until(lambda: len(work.ended) == len(MINTS))
                await until_logged(logs, "sweep_put_off")
            before = work.sweeps
            await work.until(lambda: work.sweeps > before)

    with capture_logs() as logs:
        asyncio.run(scenario())


def test_a_stop_while_the_server_is_down_comes_to_its_end(server: OwnServer, settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"a"}
        async with worked_on(settings, work, grace=timedelta(0)) as (running, _):
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.started == ["a"])
            await asyncio.to_thread(server.stop)
            try:
                await running.stop()
            finally:
                await asyncio.to_thread(server.start)
        assert work.cancelled == ["a"]

    asyncio.run(scenario())


def test_a_worker_that_starts_while_the_server_is_down_begins_when_it_is_up(
    server: OwnServer, settings: Settings
) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        async with Database(settings) as database:
            await JobQueueRepository(database).defer_tokens(RUN, ["a"])
            await asyncio.to_thread(server.stop)
            with capture_logs() as logs:
                async with working(settings, database, work):
                    await until_logged(logs, "worker_restarts")
                    await asyncio.to_thread(server.start)
                    await work.until(lambda: work.ended == ["a"])

    asyncio.run(scenario())


def test_a_queue_that_was_never_made_ends_the_worker_with_the_remedy(
    server: OwnServer, settings: Settings
) -> None:
    async def scenario() -> None:
        async with Database(settings) as database:
            async with database.transaction() as connection:
                await connection.execute("ALTER SCHEMA walltrack_jobs RENAME TO put_away")
            try:
                async with asyncio.timeout(SOON):
                    with pytest.raises(SchemaOutdatedError, match="walltrack migrate"):
                        await Engine(settings, database, WatchedWork()).work(asyncio.Event(), slots=1)
            finally:
                async with database.transaction() as connection:
                    await connection.execute("ALTER SCHEMA put_away RENAME TO walltrack_jobs")
            assert await jobs_in(database) == []

    asyncio.run(scenario())
