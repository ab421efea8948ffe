"""What listeners to a run's events cost the process that serves them.

Usage: python -m benchmarks.bench_events [listeners]
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx

from walltrack.data.supabase import embedded

TARGET_MB = 100.0
LISTENERS = 200

_WALLTRACK = str(Path(sys.executable).with_name("walltrack"))


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, str]]:
    """A process that answers the API and does nothing else: its id and address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WALLTRACK_")}
    environment |= {"WALLTRACK_DATA_DIR": str(folder), "WALLTRACK_API_PORT": "0"}
    process = subprocess.Popen(
        [_WALLTRACK, "serve", "--roles", "api"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"API at (http://[0-9.:]+)", line)
            if found is not None:
                yield process.pid, found[1].rstrip(":")
                break
        else:
            raise RuntimeError("the server said no address")
    finally:
        process.terminate()
        process.communicate()


def resident_mb(pid: int) -> float:
    """Memory that a process holds, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1000  # type: ignore[index]


async def measure(pid: int, url: str, listeners: int) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        run_id = UUID((await client.post("/api/discovery/run")).json()["run_id"])
        path = f"/api/discovery/runs/{run_id}/events"
        # What the first of its kind takes is not the listeners'.
        await client.get(f"/api/discovery/runs/{run_id}")
        before = resident_mb(pid)
        streams = [client.stream("GET", path) for _ in range(listeners)]
        lines = [(await stream.__aenter__()).aiter_lines() for stream in streams]
        await asyncio.gather(*(_until(one, "event: progress") for one in lines))
        held = resident_mb(pid) - before
        told = time.perf_counter()
        await client.post(f"/api/discovery/runs/{run_id}/cancel")
        await asyncio.gather(*(_until(one, "event: end") for one in lines))
        seconds = time.perf_counter() - told
        for stream in streams:
            await stream.__aexit__(None, None, None)
    print(f"{listeners} idle listeners: {held:.1f} MB more (target: below {TARGET_MB:.0f} MB)")
    print(f"the end of their run reaches all of them in {seconds:.2f} s")


async def _until(lines: object, wanted: str) -> None:
    async for line in lines:  # type: ignore[attr-defined]
        if line == wanted:
            return


def main() -> None:
    listeners = int(sys.argv[1]) if len(sys.argv) > 1 else LISTENERS
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the database's user must reach it where this runs as root
        with embedded.serving(folder), serving(folder) as (pid, url):
            asyncio.run(measure(pid, url, listeners))


if __name__ == "__main__":
    main()
