"""What a run finds on sandbox markets against their truth, and what it costs: `make bench-sandbox`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from walltrack.cli_market import SANDBOX_NOW, FixedClock, sandbox_settings
from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, DiscoveryRunWallet, RunToken
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import Faults, SandboxServer, serve
from walltrack.sandbox.types import Market
from walltrack.scheduler.live_source import LiveMarket
from walltrack.scheduler.tasks.discovery_task import run_discovery_task

TROUBLE = Faults(too_many=0.10, server_error=0.05, reset=0.03, truncated=0.02, duplicate_rows=0.02)
"""What the figures with faults are measured under."""

CALM = Faults()

Found = set[tuple[str, str]]


@cache
def market_of(seed: int) -> Market:
    """One market for all scenarios."""
    return generate(seed, now=int(SANDBOX_NOW.timestamp()))


@dataclass
class Tally:
    """Sums over seeds."""

    seeds: int = 0
    found: int = 0
    true: int = 0
    both: int = 0
    off_by_more_than_a_lamport: int = 0
    compared: int = 0
    credits: int = 0
    cheapest: int = 0
    forecast: int = 0
    second_run: int = 0
    forecast_errors: list[float] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        precision = self.both / self.found if self.found else math.nan
        recall = self.both / self.true if self.true else math.nan
        return (
            f"{name}: precision {precision:.4f} recall {recall:.4f} over {self.seeds} seeds ({self.true} true);"
            f" {self.off_by_more_than_a_lamport} of {self.compared} realized amounts off by more than 1 lamport"
        )


def settings_of(server: SandboxServer, conninfo: str) -> Settings:
    """Settings that know no rate: what is measured here is not speed."""
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    host = parts.pop("host")
    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={host}&port={parts['port']}"
    fast = {
        "database_url": SecretStr(url),
        "helius_requests_per_second": 1000.0,
        "dexscreener_feed_requests_per_minute": 60_000.0,
        "dexscreener_pair_requests_per_minute": 60_000.0,
        "geckoterminal_requests_per_minute": 60_000.0,
        "jupiter_requests_per_minute": 60_000.0,
    }
    return sandbox_settings(Settings(), server.urls).model_copy(update=fast)


def run_once(
    server: SandboxServer, conninfo: str, params: DiscoveryRunParams, *, most_histories: int = 0
) -> tuple[DiscoveryRun, list[RunToken], list[DiscoveryRunWallet]]:
    settings = settings_of(server, conninfo)

    async def whole() -> tuple[DiscoveryRun, list[RunToken], list[DiscoveryRunWallet]]:
        async with Database(settings) as database:
            source = LiveMarket(
                settings, database, FixedClock(SANDBOX_NOW), description="benchmark", demo=True
            )
            run = await run_discovery_task(
                params,
                source=source,
                database=database,
                clock=FixedClock(SANDBOX_NOW),
                most_histories=most_histories,
            )
            tokens = await RunTokenRepository(database).get_run_tokens(run.id)
            return run, tokens, await DiscoveryRepository(database).get_run_wallets(run.id)

    return asyncio.run(whole())


def measure(tally: Tally, seed: int, conninfo: str, *, faults: Faults, plan: str, again: bool) -> None:
    market = market_of(seed)
    params = DiscoveryRunParams(max_tokens=100, profile_immediately=False)
    with serve(market, faults=faults, plan=plan, rate_factor=1000.0) as server:
        run, tokens, wallets = run_once(server, conninfo, params)
        spent = server.credits_used()
        if again:
            run_once(server, conninfo, params)
            tally.second_run += server.credits_used() - spent
    truth = market.truth
    true: Found = {(one["mint"], one["wallet"]) for one in truth["qualified"]}
    found: Found = {(w.source_token, w.wallet_address) for w in wallets}
    positions = {(p["mint"], p["wallet"]): p for p in truth["positions"]}
    tally.seeds += 1
    tally.found += len(found)
    tally.true += len(true)
    tally.both += len(found & true)
    tally.differences += [f"seed {seed}: run {run.status.value} {run.errors}"] if run.errors else []
    tally.differences += [f"seed {seed}: not true {pair}" for pair in sorted(found - true)]
    tally.differences += [f"seed {seed}: missed {pair}" for pair in sorted(true - found)]
    for wallet in wallets:
        position = positions.get((wallet.source_token, wallet.wallet_address))
        if wallet.found is None or position is None or wallet.found.completeness != "complete":
            continue
        tally.compared += 1
        realized = Fraction(wallet.found.realized_pnl_sol) * 10**9
        if abs(realized - Fraction(position["realized"])) > 1:
            tally.off_by_more_than_a_lamport += 1
            tally.differences.append(
                f"seed {seed}: {wallet.source_token} {wallet.wallet_address}: realized {float(realized):.1f},"
                f" true {float(Fraction(position['realized'])):.1f}"
            )
    cost = sum(token.cost.credits for token in tokens if token.cost)
    forecast = run.forecast.credits if run.forecast else 0
    tally.credits += spent
    tally.forecast += forecast
    tally.forecast_errors.append(forecast / cost - 1 if cost else 0.0)
    tally.cheapest += cheapest_credits(truth, {token.mint for token in tokens})


def cheapest_credits(truth: dict[str, Any], mints: set[str]) -> int:
    """10 credits for every 100 transactions, per call and token, of the cheaper plan for each token."""
    return sum(_cheapest(token) for token in truth["tokens"] if token["mint"] in mints)


def _cheapest(token: dict[str, Any]) -> int:
    counts = token["transactions"]
    pools = [pool for pool in counts["pools"] if pool["naming_pool_but_not_mint"]]
    whole = _credits(counts["naming_mint"]) + sum(_credits(pool["naming_pool"]) for pool in pools)
    window = _credits(counts["naming_mint_in_early_window"]) + sum(
        _credits(pool["naming_pool_in_early_window"]) for pool in pools
    )
    return min(whole, window + 10 * int(counts["early_buyer_accounts"]))


def _credits(transactions: int) -> int:
    return 10 * max(1, math.ceil(transactions / 100))


def fresh_database(server_conninfo: str) -> str:
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(server_conninfo, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    conninfo = make_conninfo(server_conninfo, dbname=name)
    parts = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    url = f"postgresql://{parts['user']}@/{name}?host={parts['host']}&port={parts['port']}"
    migrate(Settings(database_url=SecretStr(url)), lambda line: None)
    return conninfo


def scenario(
    name: str,
    seeds: Iterable[int],
    server: str,
    *,
    faults: Faults = CALM,
    plan: str = "developer",
    again: bool = False,
) -> Tally:
    tally = Tally()
    for seed in seeds:
        measure(tally, seed, fresh_database(server), faults=faults, plan=plan, again=again)
    print(tally.line(name), flush=True)
    for difference in tally.differences[:20]:
        print(f"  {difference}", flush=True)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    seeds = range(options.first, options.first + options.seeds)
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as folder:
        Path(folder).chmod(0o755)
        with embedded.serving(Path(folder) / "data") as server:
            plain = scenario("plain", seeds, server.conninfo, again=True)
            print(
                f"cost: {plain.credits} credits, {plain.credits / plain.cheapest:.3f} of the cheapest plan's"
                f" {plain.cheapest}; second run {plain.second_run} credits; forecast {plain.forecast}, per run"
                f" {100 * min(plain.forecast_errors):+.0f} % to {100 * max(plain.forecast_errors):+.0f} %",
                flush=True,
            )
            scenario("with faults", seeds, server.conninfo, faults=TROUBLE)
            scenario(
                "without getTransactionsForAddress", seeds, server.conninfo, plan="developer-without-history"
            )


if __name__ == "__main__":
    main()
