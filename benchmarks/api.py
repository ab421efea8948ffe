"""How fast the HTTP API answers over a long history, and whether it holds a load.

Loads 10,000 runs and then as many as asked for, serves each with `walltrack serve --roles api`, and asks for lists at
every depth, single rows, statistics over any range, and wallets by what is known of them: one client, one request after
the other. Then 200 requests a second of all kinds for a minute.

Usage: python -m benchmarks.api [--runs 1000000] [--requests 1000] [--seconds 60] [--folder FOLDER]

With a folder the histories stay there, and are not loaded again where they are.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
import psycopg
from psycopg.rows import dict_row

from benchmarks.api_load import load
from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.migrate import migrate
from walltrack.data.supabase.repositories.rows import cursor_after, score_cursor_after

FEW_RUNS: Final = 10_000
RATE: Final = 200
TARGET_RATIO: Final = 2.0
_SEED: Final = 7
_WALLTRACK: Final = str(Path(sys.executable).with_name("walltrack"))

Ask = Callable[[random.Random], tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Question:
    """A kind of request, and the milliseconds within which 95 of 100 are to be answered."""

    name: str
    target_ms: float
    ask: Ask


@dataclass(frozen=True)
class History:
    """What there is to ask for."""

    runs: list[dict[str, Any]]
    wallets: list[dict[str, Any]]
    first: datetime
    last: datetime


def questions(history: History) -> list[Question]:
    """Every kind of request."""

    def moment(rng: random.Random) -> datetime:
        return history.first + (history.last - history.first) * rng.random()

    def run(rng: random.Random) -> dict[str, Any]:
        return rng.choice(history.runs)

    def wallet(rng: random.Random) -> dict[str, Any]:
        return rng.choice(history.wallets)

    def deep_run(rng: random.Random) -> str:
        one = run(rng)
        return cursor_after(one["started_at"], str(one["id"]))

    def any_range(rng: random.Random) -> dict[str, Any]:
        start, end = sorted((moment(rng), moment(rng)))
        return {"start_date": start.isoformat(), "end_date": end.isoformat()}

    def ranked_after(rng: random.Random) -> str:
        one = wallet(rng)
        return score_cursor_after(one["score"], one["address"])

    runs, wallets = "/api/discovery/runs", "/api/wallets"
    return [
        Question("runs, first page", 25, lambda _: (runs, {})),
        Question("runs, by page to row 10,000", 25, lambda r: (runs, {"page": r.randint(1, 200)})),
        Question("runs, at any depth by cursor", 25, lambda r: (runs, {"cursor": deep_run(r)})),
        Question(
            "runs, of a status and a range",
            25,
            lambda r: (runs, any_range(r) | {"status": r.choice(["completed", "failed", "cancelled"])}),
        ),
        Question("one run", 25, lambda r: (f"{runs}/{run(r)['id']}", {})),
        Question("tokens of a run", 25, lambda r: (f"{runs}/{run(r)['id']}/tokens", {})),
        Question("wallets of a run", 25, lambda r: (f"{runs}/{run(r)['id']}/wallets", {})),
        Question("statistics, any range", 50, lambda r: ("/api/discovery/stats", any_range(r))),
        Question("statistics, everything", 50, lambda _: ("/api/discovery/stats", {})),
        Question("wallets, the ranking", 25, lambda _: (wallets, {})),
        Question("wallets, the ranking at any depth", 25, lambda r: (wallets, {"cursor": ranked_after(r)})),
        Question(
            "wallets, last found, at any depth",
            25,
            lambda r: (
                wallets,
                {
                    "sort": "first_seen",
                    "cursor": cursor_after((one := wallet(r))["first_seen_at"], one["address"]),
                },
            ),
        ),
        Question("one wallet", 25, lambda r: (f"{wallets}/{wallet(r)['address']}", {})),
        Question("findings of a wallet", 25, lambda r: (f"{wallets}/{wallet(r)['address']}/findings", {})),
        Question(
            "wallet search, by address",
            50,
            lambda r: (wallets, {"search": wallet(r)["address"][: r.randint(1, 8)]}),
        ),
        Question(
            "wallet search, by score and activity",
            50,
            lambda r: (
                wallets,
                {
                    "min_score": str(Decimal(r.randint(0, 99)) / 100),
                    "active_within_days": r.randint(1, 90),
                    "min_closed": r.randint(1, 50),
                },
            ),
        ),
        Question(
            "wallet search, by flags and status",
            50,
            lambda r: (
                wallets,
                {
                    "with_flag": r.choice(["insider", "wash", "sniper", "fast_trade"]),
                    "status": r.choice(["active", "dormant", "excluded"]),
                    "sort": r.choice(["score", "first_seen"]),
                },
            ),
        ),
        Question("configuration", 25, lambda _: ("/api/discovery/config", {})),
        Question("health, detailed", 25, lambda _: ("/health/detailed", {})),
    ]


def read_history(conninfo: str) -> History:
    """A sample of what is stored, from all over it."""
    with psycopg.connect(conninfo, row_factory=dict_row) as connection:
        ends = connection.execute(
            "SELECT min(started_at) AS first, max(started_at) AS last FROM discovery_runs"
        ).fetchone()
        runs = connection.execute(
            "SELECT id, started_at FROM discovery_runs TABLESAMPLE BERNOULLI (%s) REPEATABLE (1) LIMIT 5000",
            (_share(connection, "discovery_runs"),),
        ).fetchall()
        wallets = connection.execute(
            "SELECT address, score, first_seen_at FROM wallets TABLESAMPLE BERNOULLI (%s) REPEATABLE (1)"
            " WHERE score IS NOT NULL AND status IN ('active', 'dormant') LIMIT 5000",
            (_share(connection, "wallets"),),
        ).fetchall()
    assert ends is not None
    return History(runs, wallets, ends["first"].astimezone(UTC), ends["last"].astimezone(UTC))


def _share(connection: psycopg.Connection[dict[str, Any]], table: str) -> float:
    row = connection.execute(
        "SELECT greatest(reltuples, 1) AS n FROM pg_class WHERE relname = %s", (table,)
    ).fetchone()
    assert row is not None
    return float(min(100.0, 100 * 20_000 / row["n"]))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """`walltrack serve --roles api` on a free port; its address."""
    log = folder / "serve.log"
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("WALLTRACK_") and k != "DATABASE_URL"
    } | {
        "WALLTRACK_DATA_DIR": str(folder),
        "WALLTRACK_API_PORT": "8123",
        "DISCOVERY_SCHEDULER_ENABLED": "false",
        # Nothing is asked of it; a key keeps the sandbox from being made.
        "HELIUS_API_KEY": "00000000-0000-0000-0000-000000000000",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [_WALLTRACK, "serve", "--roles", "api"], env=environment, cwd=folder, stdout=output, stderr=output
        )
    base = "http://127.0.0.1:8123"
    try:
        for _ in range(600):
            assert process.poll() is None, log.read_text()
            try:
                if httpx.get(f"{base}/health").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.wait()


def measure(base: str, asked: list[Question], requests: int) -> dict[str, list[float]]:
    """Milliseconds of each answer, by question, one after the other."""
    rng = random.Random(_SEED)
    found: dict[str, list[float]] = {}
    with httpx.Client(base_url=base, timeout=60) as client:
        for question in asked:
            times = []
            for number in range(requests + 5):
                path, query = question.ask(rng)
                began = time.perf_counter()
                answer = client.get(path, params=query)
                taken = 1000 * (time.perf_counter() - began)
                assert answer.status_code in (200, 503 if path.startswith("/health") else 200), (
                    question.name,
                    answer.status_code,
                    answer.text[:300],
                )
                if number >= 5:  # the first ones warm the connection and the server's plans
                    times.append(taken)
            found[question.name] = times
    return found


def p95(times: list[float]) -> float:
    """The time within which 95 of 100 were answered."""
    return sorted(times)[int(0.95 * len(times))]


async def sustain(base: str, asked: list[Question], seconds: float) -> tuple[list[float], int]:
    """RATE requests a second of all kinds, each sent when it is due; milliseconds from then, and how many failed."""
    rng = random.Random(_SEED)
    times: list[float] = []
    failed = 0

    async def one(client: aiohttp.ClientSession, due: float, question: Question) -> None:
        nonlocal failed
        path, query = question.ask(rng)
        try:
            async with client.get(str(httpx.URL(f"{base}{path}", params=query))) as answer:
                await answer.read()
                failed += answer.status != 200 and not path.startswith("/health")
        except (aiohttp.ClientError, TimeoutError):
            failed += 1
        times.append(1000 * (time.perf_counter() - due))

    # A light client: one that takes more of the two cores than the API does measures itself.
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64), timeout=aiohttp.ClientTimeout(total=60)
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        began = time.perf_counter()
        for number, question in enumerate(itertools.islice(itertools.cycle(asked), int(RATE * seconds))):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(client, due, question))
    return times, failed


def of_history(folder: Path, conninfo: str, runs: int, requests: int, seconds: float) -> dict[str, float]:
    """Load, serve, measure, print. The medians by question."""
    began = time.perf_counter()
    if not _is_loaded(conninfo):
        load(conninfo, runs=runs)
        print(f"{runs:,} runs loaded in {time.perf_counter() - began:.0f} s", flush=True)
    asked = questions(read_history(conninfo))
    with serving(folder) as base:
        found = measure(base, asked, requests)
        for question in asked:
            times = found[question.name]
            late = p95(times)
            mark = "" if late <= question.target_ms else "  MISSED"
            print(
                f"{runs:>9,} runs  {question.name:<38} p50 {statistics.median(times):6.1f} ms  p95 {late:6.1f} ms"
                f"  (target {question.target_ms:.0f}){mark}",
                flush=True,
            )
        if seconds:
            began = time.perf_counter()
            times, failed = asyncio.run(sustain(base, asked, seconds))
            took = time.perf_counter() - began
            print(
                f"{runs:>9,} runs  {RATE} requests a second for {seconds:.0f} s: {len(times):,} answered within"
                f" {took:.0f} s, {failed} failed, p50 {statistics.median(times):.1f} ms, p95 {p95(times):.1f} ms",
                flush=True,
            )
    return {name: statistics.median(times) for name, times in found.items()}


def _is_loaded(conninfo: str) -> bool:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT FROM discovery_runs LIMIT 1").fetchone()
    return row is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as name:
        folder = options.folder or Path(name)
        folder.chmod(0o755)
        medians = []
        for runs, seconds in ((FEW_RUNS, 0.0), (options.runs, options.seconds)):
            place = folder / str(runs)
            place.mkdir(mode=0o755, exist_ok=True)
            with embedded.serving(place) as server:
                migrate(Settings(data_dir=place, database_url=None), lambda _line: None)
                medians.append(of_history(place, server.conninfo, runs, options.requests, seconds))
        few, many = medians
        worst = max(many, key=lambda question: many[question] / few[question])
        print(
            f"medians at {options.runs:,} over those at {FEW_RUNS:,} runs: largest {many[worst] / few[worst]:.2f}"
            f" ({worst}), target {TARGET_RATIO}"
        )


if __name__ == "__main__":
    main()
