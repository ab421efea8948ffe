"""The rate that two processes reach together against one key's quota in the database, and how long a call waits.

Usage: python -m benchmarks.bench_quota [calls a second] [seconds]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate_async
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository

PROCESSES = 2
CALLERS = 8
KEY_HASH = b"benchmark".ljust(32)


async def call(data_dir: Path, rate: float, starts_at: float, seconds: float) -> list[tuple[float, float]]:
    """(when a call went, how long it waited) of callers that call again as soon as they may."""
    gone: list[tuple[float, float]] = []

    async def caller(quotas: ProviderRepository) -> None:
        while (asked := time.time()) < starts_at + seconds:
            wait = await quotas.reserve(KEY_HASH, rate=rate, burst=1, slots=1)
            await asyncio.sleep(wait)
            gone.append((time.time(), time.time() - asked))

    async with Database(Settings(data_dir=data_dir, database_url=None)) as database:
        quotas = ProviderRepository(database)
        await asyncio.sleep(max(0.0, starts_at - time.time()))
        await asyncio.gather(*(caller(quotas) for _ in range(CALLERS)))
    return gone


async def together(data_dir: Path, rate: float, seconds: float) -> list[tuple[float, float]]:
    settings = Settings(data_dir=data_dir, database_url=None)
    async with Database(settings):
        await migrate_async(settings, lambda _line: None)
        starts_at = time.time() + 3.0
        command = [sys.executable, "-m", "benchmarks.bench_quota", "--call"]
        arguments = [str(data_dir), str(rate), str(starts_at), str(seconds)]
        running = [
            await asyncio.create_subprocess_exec(*command, *arguments, stdout=subprocess.PIPE)
            for _ in range(PROCESSES)
        ]
        outputs = await asyncio.gather(*(process.communicate() for process in running))
        return sorted((went, waited) for out, _ in outputs for went, waited in json.loads(out))


def main() -> None:
    if sys.argv[1:2] == ["--call"]:
        numbers = map(float, sys.argv[3:])
        print(json.dumps(asyncio.run(call(Path(sys.argv[2]), *numbers))))
        return
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 50.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server's user must reach it where this runs as root
        gone = asyncio.run(together(Path(folder), rate, seconds))
    reached = (len(gone) - 1) / (gone[-1][0] - gone[0][0])
    waits = sorted(wait for _, wait in gone)
    late = max(b - a for (a, _), (b, _) in pairwise(gone))
    print(
        f"quota: {PROCESSES} processes of {CALLERS} callers at {rate:g}/s together: {reached:.1f}/s, wait p50 "
        f"{waits[len(waits) // 2]:.2f} s, p95 {waits[int(len(waits) * 0.95)]:.2f} s (target: at most the rate, p95 <= "
        f"0.4 s), longest gap {1000 * late:.0f} ms"
    )


if __name__ == "__main__":
    main()
