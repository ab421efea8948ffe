"""Work for an engine that a test watches and holds up, and an engine that runs for a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.scheduler.engine import SERVING_POOL_SIZE, Engine

SOON = 25
"""Seconds within which what is waited for must come. No test waits so long unless it fails."""

RUN = uuid4()
MINTS = [f"mint{number}" for number in range(6)]
Token = tuple[UUID, str]


class WatchedWork:
    """Notes every call. A token may be held up until it is let go, or be replaced by a function of the test's."""

    def __init__(self) -> None:
        self.runs: list[UUID] = []
        self.started: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.sweeps = 0
        self.at_once = 0
        self.most_at_once = 0
        self.hold: set[str] = set()
        self.let_go = asyncio.Event()
        self.token: Callable[[UUID, str], Awaitable[None]] | None = None
        self.sweeping: Callable[[], Awaitable[None]] | None = None
        self._changed = asyncio.Condition()

    async def advance_run(self, run_id: UUID) -> None:
        self.runs.append(run_id)
        await self._tell()

    async def do_token(self, run_id: UUID, mint: str) -> None:
        self.started.append(mint)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await self._tell()
        try:
            if mint in self.hold:
                await self.let_go.wait()
            if self.token is not None:
                await self.token(run_id, mint)
            self.ended.append(mint)
        except asyncio.CancelledError:
            self.cancelled.append(mint)
            raise
        finally:
            self.at_once -= 1
            await self._tell()

    async def sweep(self) -> None:
        self.sweeps += 1
        await self._tell()
        if self.sweeping is not None:
            await self.sweeping()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds after some call."""
        async with asyncio.timeout(SOON), self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Running:
    """An engine at work, and how to stop it."""

    def __init__(self, engine: Engine, task: asyncio.Task[None], stop: asyncio.Event) -> None:
        self.engine = engine
        self.task = task
        self._stop = stop

    async def stop(self) -> None:
        self._stop.set()
        async with asyncio.timeout(10):
            await asyncio.shield(self.task)


@asynccontextmanager
async def working(
    settings: Settings,
    database: Database,
    work: WatchedWork,
    *,
    slots: int = 4,
    grace: timedelta = timedelta(seconds=8),
    sweep_every: timedelta = timedelta(hours=1),
) -> AsyncIterator[Running]:
    stop = asyncio.Event()
    engine = Engine(settings, database, work, sweep_every=sweep_every)
    running = Running(engine, asyncio.create_task(engine.work(stop, slots=slots, grace=grace)), stop)
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def worked_on(
    settings: Settings, work: WatchedWork, *, slots: int = 4, grace: timedelta = timedelta(seconds=8)
) -> AsyncIterator[tuple[Running, Database]]:
    async with (
        Database(settings, at_most=SERVING_POOL_SIZE) as database,
        working(settings, database, work, slots=slots, grace=grace) as running,
    ):
        yield running, database


async def jobs_in(database: Database) -> list[str]:
    """The jobs of the queue, as "status lock"."""
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT status || ' ' || queueing_lock AS job FROM walltrack_jobs.procrastinate_jobs ORDER BY id"
        )
        return [row["job"] for row in await cursor.fetchall()]


async def until_empty(database: Database) -> None:
    """Wait until no job is in the queue: an end is written after the work has ended."""

    async def is_empty() -> bool:
        return await jobs_in(database) == []

    await until(is_empty)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look until a condition holds of which nobody tells."""
    async with asyncio.timeout(SOON):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def until_logged(logs: list[MutableMapping[str, Any]], event: str) -> None:
    """Wait until something was logged."""

    async def is_logged() -> bool:
        return any(entry["event"] == event for entry in logs)

    await until(is_logged)
