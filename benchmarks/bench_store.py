"""How long it takes to store a run that found 10,000 wallets, in bulk and wallet by wallet, on the embedded server.

Usage: python benchmarks/bench_store.py [wallets]
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.integration.databases import listed

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate_async
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.models import DiscoveryRunParams, QualifiedWallet, TokenSummary, TriggerType

TOKENS = 20
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SUMMARY = TokenSummary(
    launch_at=NOW,
    launch_slot=300_000_000,
    first_event_at=NOW,
    last_event_at=NOW,
    events=250_000,
    wallets_seen=40_000,
    wallets_early=9_000,
)


def base58(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(ALPHABET, k=length))


def wallet(rng: random.Random, mint: str, rank: int) -> QualifiedWallet:
    return QualifiedWallet(
        wallet_address=base58(rng, 44),
        source_token=mint,
        entry_rank=rank,
        seconds_after_launch=rank % 1800,
        first_buy_at=NOW,
        first_buy_slot=300_000_000 + rank,
        buys=2,
        sells=3,
        cost_sol=Decimal(rng.randrange(10**20)).scaleb(-18),
        proceeds_sol=Decimal(rng.randrange(10**20)).scaleb(-18),
        cost_of_sold_sol=Decimal(rng.randrange(10**20)).scaleb(-18),
        realized_pnl_sol=Decimal(rng.randrange(10**20)).scaleb(-18),
        realized_pct=Decimal(rng.randrange(10**20)).scaleb(-16),
        held_tokens=Decimal(rng.randrange(10**12)).scaleb(-6),
        held_cost_sol=Decimal(rng.randrange(10**18)).scaleb(-18),
        completeness="complete",
        flags=("bundled",),
        signatures=tuple(base58(rng, 88) for _ in range(5)),
    )


async def measure(database: Database, found: dict[str, list[QualifiedWallet]], *, in_bulk: bool) -> float:
    runs, tokens = DiscoveryRepository(database), RunTokenRepository(database)
    lease = NOW + timedelta(minutes=5)
    start = time.perf_counter()
    run = await runs.create_run(
        TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=lease
    )
    await listed(database, run.id, list(found))
    for mint, wallets in found.items():
        attempt = await tokens.start_token(run.id, mint, now=NOW, lease_expires_at=lease)
        assert attempt is not None
        if not in_bulk:
            for one in wallets:
                await runs.add_wallet_to_run(run.id, one, seen_at=NOW)
        await tokens.finish_token(
            run.id, mint, attempt, completed_at=NOW, summary=SUMMARY, wallets=wallets if in_bulk else []
        )
    run = await runs.complete_run(run.id, completed_at=NOW)
    seconds = time.perf_counter() - start
    assert run.new_wallets + run.updated_wallets == sum(map(len, found.values()))
    return seconds


async def compare(data_dir: Path, count: int) -> None:
    rng = random.Random(9)
    settings = Settings(data_dir=data_dir, database_url=None)
    async with Database(settings) as database:
        await migrate_async(settings, lambda _line: None)
        found = []
        for _ in range(2):
            mints = [base58(rng, 44) for _ in range(TOKENS)]
            found.append({mint: [wallet(rng, mint, n) for n in range(count // TOKENS)] for mint in mints})
        bulk = await measure(database, found[0], in_bulk=True)
        plain = await measure(database, found[1], in_bulk=False)
        again = await measure(database, found[0], in_bulk=True)
    print(
        f"store a run: {count:,} wallets on {TOKENS} tokens in {bulk:.2f} s (target <= 1.0 s), where all are known "
        f"already {again:.2f} s; wallet by wallet {plain:.2f} s"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the server's user must reach it where this runs as root
        asyncio.run(compare(Path(folder), count))


if __name__ == "__main__":
    main()
