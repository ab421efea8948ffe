"""How close reading comes to the allowed rate, and how much memory a long tape takes.

Wall time against (requests / allowed rate) at two rates: for full pages of 1,000 transactions, several tokens at once,
and for the small answers of token accounts. The server runs in a process of its own and has everything rendered
beforehand; the database is an embedded one. Memory is the peak of the reading process, for one tape.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.discovery.reading_plan import MarketCounts
from walltrack.discovery.tape import Tape
from walltrack.services.chain import Bounds, ChainReader
from walltrack.services.helius import HeliusHistory
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.quota import Quota
from walltrack.services.solana_rpc import SolanaRpc

TARGET = 1.15
TARGET_MB = 700
LONG = 200_000
WINDOW = 1_800


@contextmanager
def served(tokens: int, transactions: int, kind: str) -> Iterator[tuple[str, list[str]]]:
    """(URL of Helius, mints) of a market that is served while the block runs."""
    command = [sys.executable, "-m", "benchmarks.serve_chain", str(tokens), str(transactions), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            said = json.loads(server.stdout.readline())
            yield said["url"], said["mints"]
        finally:
            server.stdin.close()
            server.wait()


@contextmanager
def database() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as folder:
        Path(folder).chmod(0o755)
        with embedded.serving(Path(folder) / "db") as running:
            where = conninfo_to_dict(running.conninfo)
            host = quote(str(where["host"]), safe="")
            url = f"postgresql://{where['user']}@/{where['dbname']}?host={host}"
            settings = Settings(database_url=SecretStr(url))
            migrate(settings, lambda _line: None)
            yield settings


async def read(
    settings: Settings, url: str, mints: list[str], rate: float, trades: int
) -> tuple[float, int, int]:
    """(seconds, requests, rows) of reading these tapes, all at once."""
    helius = Provider("helius", url, {"default": Quota(rate)}, SecretStr("sandbox"), "api-key")
    async with Database(settings) as opened, Http() as http:
        store = TapeRepository(opened)
        history = HeliusHistory(http, helius)
        await store.remember_method(history.key_hash, "getTransactionsForAddress", available=True)
        bounds = Bounds(fresh_for=timedelta(0), accounts_at_once=64)
        reader = ChainReader(SolanaRpc(http, helius), store, history=history, bounds=bounds)
        counts = MarketCounts(trades, 86_000)
        started = time.perf_counter()
        reads = await asyncio.gather(
            *(reader.read(mint, window_seconds=WINDOW, counts=counts) for mint in mints)
        )
        seconds = time.perf_counter() - started
        rows = 0
        for one in reads:
            assert isinstance(one.tape, Tape), one.tape
            assert one.tape.cut is None, one.tape.cut
            rows += one.tape.events.height
        return seconds, http.meter.used["helius"].requests, rows


def speed(name: str, tokens: int, transactions: int, kind: str, trades: int) -> None:
    with served(tokens, transactions, kind) as (url, mints):
        for rate in (10, 50):
            with database() as settings:
                seconds, requests, rows = asyncio.run(read(settings, url, mints, rate, trades))
            allowed = requests / rate
            print(
                f"reading {name}: {seconds:.1f} s for {requests:,} requests ({rows:,} rows) at {rate}/s, "
                f"{seconds / allowed:.2f} x the allowed {allowed:.1f} s (target {TARGET})",
                flush=True,
            )


def memory() -> None:
    with served(1, LONG, "rush") as (url, mints), database() as settings:
        seconds, requests, rows = asyncio.run(read(settings, url, mints, 1_000, LONG))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"reading memory: {peak:,.0f} MB at the peak for a tape of {LONG:,} transactions ({rows:,} rows, {requests:,} "
        f"requests, {LONG / seconds:,.0f} transactions/s; target {TARGET_MB} MB)",
        flush=True,
    )


def main() -> None:
    if sys.argv[1:] == ["memory"]:
        memory()
        return
    speed("token accounts", 2, 4_000, "pumped", 400_000)
    speed("full pages", 8, 5_000, "crowd", 5_000)
    subprocess.run([sys.executable, "-m", "benchmarks.bench_reading", "memory"], check=True)


if __name__ == "__main__":
    main()
