"""What the engine costs: from deferring a job to its start, jobs a second, and the time that one job takes beside its
work.

Usage: python -m benchmarks.bench_engine [jobs]
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate_async
from walltrack.scheduler.engine import SERVING_POOL_SIZE, Engine

TARGET_OVERHEAD_MS = 30.0


class Stopwatch:
    """Work that only notes when each of its jobs began, and when the last one did."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.wanted = 0
        self.done = asyncio.Event()

    def expect(self, jobs: int) -> None:
        self.began.clear()
        self.wanted = jobs
        self.done.clear()

    async def advance_run(self, run_id: UUID) -> None:
        await self.do_token(run_id, "")

    async def do_token(self, run_id: UUID, mint: str) -> None:
        self.began.append(time.perf_counter())
        if len(self.began) == self.wanted:
            self.done.set()

    async def sweep(self) -> None:
        pass


@asynccontextmanager
async def working(settings: Settings, slots: int) -> AsyncIterator[tuple[Engine, Stopwatch]]:
    stop = asyncio.Event()
    work = Stopwatch()
    async with Database(settings, at_most=SERVING_POOL_SIZE) as database:
        engine = Engine(settings, database, work)
        task = asyncio.create_task(engine.work(stop, slots=slots))
        try:
            yield engine, work
        finally:
            stop.set()
            await task


async def waits(settings: Settings, jobs: int) -> list[float]:
    """Milliseconds from the call that defers to the start of the work, one job at a time, on an idle worker."""
    found = []
    async with working(settings, slots=1) as (engine, work):
        for _ in range(jobs):
            work.expect(1)
            asked = time.perf_counter()
            await engine.defer_run(uuid4())
            await work.done.wait()
            found.append(1000 * (work.began[0] - asked))
    return found[1:]  # the first one waited for the worker to come up


async def jobs_a_second(settings: Settings, slots: int, jobs: int) -> float:
    async with working(settings, slots) as (engine, work):
        work.expect(jobs)
        await engine.defer_tokens(uuid4(), [f"mint{number}" for number in range(jobs)])
        await work.done.wait()
        return (jobs - 1) / (work.began[-1] - work.began[0])


async def measure(settings: Settings, jobs: int) -> None:
    async with Database(settings):
        await migrate_async(settings, lambda _line: None)
        found = sorted(await waits(settings, min(jobs, 200)))
        p50, p95 = statistics.median(found), found[int(0.95 * len(found))]
        print(f"from deferring a job to its start: p50 {p50:.1f} ms, p95 {p95:.1f} ms ({len(found)} jobs)")
        for slots in (1, 4):
            rate = await jobs_a_second(settings, slots, jobs)
            line = f"{slots} slot(s): {rate:.0f} jobs a second"
            if slots == 1:
                line += f", {1000 / rate:.1f} ms a job beside its work (target {TARGET_OVERHEAD_MS:.0f} ms)"
            print(line)


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server's user must reach it where this runs as root
        asyncio.run(measure(Settings(data_dir=Path(folder) / "data", database_url=None), jobs))


if __name__ == "__main__":
    main()
