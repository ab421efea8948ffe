"""What a generated market holds, and what its truth says of it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

import walltrack.sandbox
from tests.unit.made_market import NOW, default_market, small_market
from walltrack.sandbox.books import Books, Entry, Kind, usdc_in_lamports
from walltrack.sandbox.market import generate
from walltrack.sandbox.types import Market

WSOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

DIGEST_IN_ANOTHER_PROCESS = """
from tests.unit.test_sandbox_market import digest
from walltrack.sandbox.market import generate
print(digest(generate(3, now=1_795_300_000, size=1_000)))
"""


def digest(market: Market) -> str:
    """Everything of a market that anybody can see."""
    found = hashlib.sha256(json.dumps(market.truth).encode())
    for tx in market.transactions:
        found.update(json.dumps([tx.index, tx.rpc("json"), tx.enhanced()]).encode())
    for token in market.tokens:
        found.update(repr(token).encode())
    found.update(repr([market.sol_usd(NOW - hour * 3600) for hour in range(1_000)]).encode())
    return found.hexdigest()


def tokens_of(kind: str) -> list[dict[str, Any]]:
    return [token for token in default_market().truth["tokens"] if kind in token["kinds"]]


def test_a_seed_makes_the_same_market_in_every_process() -> None:
    here = digest(generate(3, now=NOW, size=1_000))
    environment = os.environ | {"PYTHONHASHSEED": "42"}
    run = [sys.executable, "-c", DIGEST_IN_ANOTHER_PROCESS]
    there = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here
    assert digest(generate(4, now=NOW, size=1_000)) != here


def test_the_default_market_is_large_enough_and_not_too_large() -> None:
    market = default_market()
    assert 20_000 <= len(market.transactions) <= 60_000
    assert len(market.tokens) >= 60
    assert len(market.truth["wallets"]) >= 3_000
    assert 15 <= sum(token["pumped"] for token in market.truth["tokens"]) <= 25
    assert len(market.truth["qualified"]) >= 200


def test_the_size_is_about_the_number_of_transactions() -> None:
    assert 1_000 <= len(small_market().transactions) <= 4_500
    assert sum("past" not in token["kinds"] for token in small_market().truth["tokens"]) == 8


@pytest.mark.parametrize(("now", "size"), [(0, None), (NOW, 0), (NOW, 10**9)])
def test_a_moment_or_size_out_of_bounds_is_refused(now: int, size: int | None) -> None:
    with pytest.raises(ValueError, match=r"earliest moment|it must be"):
        generate(1, now=now, size=size)


def test_tokens_of_every_kind_are_there() -> None:
    kinds = Counter(kind for token in default_market().truth["tokens"] for kind in token["kinds"])
    wanted = {
        "pumped", "flat", "dead", "rugged", "migrated", "never_migrated", "usdc", "token_2022", "transfer_fee",
        "reversed", "washed", "raydium", "raydium_v4", "quiet", "old_mint", "late_migration", "second_pool",
    }  # fmt: skip
    assert wanted <= kinds.keys()
    ages = [token["age_hours"] for token in default_market().truth["tokens"]]
    assert min(ages) < 2
    assert max(ages) > 7 * 24


def test_wallets_of_every_kind_are_there_and_each_once() -> None:
    wallets = default_market().truth["wallets"]
    assert len({wallet["address"] for wallet in wallets}) == len(wallets)
    wanted = {
        "skilled", "lucky", "random", "late_buyer", "holder", "loser", "sniper", "bundler", "bundle_receiver",
        "developer", "mev", "wash", "keeper", "order_owner", "own_wallet", "airdrop_receiver", "delegate", "sponsor",
    }  # fmt: skip
    assert wanted <= {wallet["kind"] for wallet in wallets}
    assert all(Pubkey.from_string(wallet["address"]).is_on_curve() for wallet in wallets)
    skills = {wallet["kind"] for wallet in wallets if wallet["skill"] is not None}
    assert skills == {"skilled", "lucky", "order_owner", "near_bound", "funded", "dormant"}
    assert all(0 <= wallet["skill"] <= 1 for wallet in wallets if wallet["skill"] is not None)


@pytest.mark.parametrize("criterion", ["price", "volume", "age", "liquidity", "washed"])
def test_some_token_fails_this_criterion_alone(criterion: str) -> None:
    assert [criterion] in [token["fails"] for token in default_market().truth["tokens"]]


def test_pumped_tokens_are_clearly_within_the_bounds() -> None:
    pumped = [token for token in default_market().truth["tokens"] if token["pumped"]]
    for token in pumped:
        assert max(token["price_change_24h_pct"], token["rise_to_peak_pct"]) > 150
        assert token["volume_24h_usd"] > 60_000
        assert token["deepest_pool_volume_24h_usd"] > 60_000
        assert token["liquidity_usd"] > 12_000
        assert token["age_hours"] < 71
        assert token["volume_24h_usd"] < 40 * token["liquidity_usd"]
        assert token["traders_24h"] >= 40
    for token in tokens_of("washed"):
        assert token["volume_24h_usd"] > 150 * token["liquidity_usd"]


def test_a_launch_is_the_first_public_trade_whatever_the_mints_age() -> None:
    (token,) = tokens_of("old_mint")
    assert token["launch"]["time"] - token["created_at"] > 8 * 86_400
    (token,) = tokens_of("late_migration")
    assert token["age_hours"] > 72
    assert default_market().now - token["pools"][-1]["created_at"] < 72 * 3600


def test_pools_stand_on_every_venue_the_right_way_round() -> None:
    market = default_market()
    pools = [(token, pool) for token in market.tokens for pool in token.pools]
    assert {pool.dex for _, pool in pools} == {"pumpfun", "pumpswap", "raydium"}
    assert all(not Pubkey.from_string(pool.address).is_on_curve() for _, pool in pools)
    assert {pool.quote_mint for token, pool in pools if pool.base_mint == token.mint} == {WSOL, USDC}
    (reversed_token,) = tokens_of("reversed")
    (pool,) = (pool for token, pool in pools if token.mint == reversed_token["mint"])
    assert (pool.base_mint, pool.quote_mint) == (WSOL, reversed_token["mint"])
    for token, pool in pools:
        assert (pool.liquidity_usd is None) == (pool.dex == "pumpfun")
        assert pool.reported_volume_factor == 1 or "washed" in next(
            t["fails"] for t in market.truth["tokens"] if t["mint"] == token.mint
        )
        times = [trade.block_time for trade in pool.trades]
        assert times == sorted(times)
        assert all(trade.price_usd > 0 and trade.volume_usd >= 0 for trade in pool.trades)


def test_some_wallets_are_close_to_the_bounds_and_none_too_close() -> None:
    truth = default_market().truth
    qualified = {(one["mint"], one["wallet"]) for one in truth["qualified"]}
    launches = {token["mint"]: token["launch"] for token in truth["tokens"] if token["pumped"]}
    near, seconds = Counter[bool](), []
    for position in truth["positions"]:
        launch, first, pct = launches.get(position["mint"]), position["first_buy"], position["realized_pct"]
        if launch is None or first is None:
            continue
        late = first["time"] - launch["time"]
        seconds.append(late)
        is_qualified = (position["mint"], position["wallet"]) in qualified
        if pct is not None and late <= 1_800 and first["slot"] != launch["slot"]:
            assert is_qualified == (pct >= 50)
            assert abs(pct - 50) > 0.05
            near[is_qualified] += abs(pct - 50) < 10
    assert near[True] >= 5
    assert near[False] >= 5
    assert not any(1_792 < late < 1_808 for late in seconds)
    assert any(1_740 < late <= 1_800 for late in seconds)
    assert any(1_800 < late < 1_860 for late in seconds)


def test_insiders_profit_and_do_not_qualify() -> None:
    truth = default_market().truth
    kinds = {wallet["address"]: wallet["kind"] for wallet in truth["wallets"]}
    found = {kinds[one["wallet"]] for one in truth["qualified"]}
    assert found.isdisjoint(
        {"sniper", "bundler", "developer", "wash", "bundle_receiver", "keeper", "delegate"}
    )
    profits = [
        p for p in truth["positions"] if kinds[p["wallet"]] == "sniper" and (p["realized_pct"] or 0) > 50
    ]
    assert profits


def test_orders_and_delegates_are_among_what_qualifies() -> None:
    truth = default_market().truth
    notes = {(p["mint"], p["wallet"]): p["notes"] for p in truth["positions"]}
    counts = Counter(note for one in truth["qualified"] for note in notes[one["mint"], one["wallet"]])
    assert counts["limit order"] >= 5
    assert counts["DCA"] >= 5


def test_what_wallets_hold_in_the_books_is_what_their_accounts_hold() -> None:
    market = default_market()
    held: dict[str, tuple[str, str, int]] = {}
    for tx in market.transactions:
        for balance in tx.token_balances:
            held[tx.accounts[balance.account_index]] = (balance.mint, balance.owner, balance.after or 0)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for mint, owner, amount in held.values():
        sums[mint, owner] += amount
    compared, kinds = 0, {wallet["address"]: wallet["kind"] for wallet in market.truth["wallets"]}
    for position in market.truth["positions"]:
        if kinds[position["wallet"]] != "order_owner":
            compared += 1
            assert sums[position["mint"], position["wallet"]] == position["held_raw"]
    assert compared > 5_000


def test_truth_counts_what_each_way_of_reading_returns() -> None:
    market = default_market()
    (token,) = tokens_of("raydium_v4")
    mint, (pool,) = token["mint"], token["pools"]
    succeeded = [tx for tx in market.transactions if tx.err is None]
    assert token["transactions"]["naming_mint"] == sum(mint in tx.accounts for tx in succeeded)
    assert not pool["names_mint"]
    (counted,) = token["transactions"]["pools"]
    silent = [tx for tx in succeeded if pool["address"] in tx.accounts and mint not in tx.accounts]
    assert counted["naming_pool_but_not_mint"] == len(silent) > 100
    for other in market.truth["tokens"]:
        for place in other["transactions"]["pools"]:
            if other["mint"] != mint:
                assert place["naming_pool_but_not_mint"] == 0


def test_the_sandbox_knows_nothing_of_what_it_is_to_prove_wrong() -> None:
    folder = Path(walltrack.sandbox.__file__).parent
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                assert not name.startswith("walltrack.") or name.startswith("walltrack.sandbox"), (file, name)


@pytest.mark.parametrize(
    ("events", "realized", "held", "pct"),
    [
        ([("buy", 100, 1_000), ("sell", 50, 900)], 400, 50, 80),
        ([("buy", 100, 1_000), ("buy", 100, 3_000), ("sell", 100, 1_000)], -1_000, 100, -50),
        ([("buy", 100, 1_000), ("transfer_in", 100, 0), ("sell", 100, 1_000)], 0, 100, 0),
        ([("buy", 100, 1_000), ("transfer_out", 40, 0), ("sell", 60, 900)], 300, 0, 50),
        ([("buy", 100, 1_000), ("sell", 200, 4_000)], 1_000, 0, 100),
        ([("transfer_in", 10, 0), ("sell", 10, 500)], 0, 0, None),
        ([("buy", 3, 100), ("sell", 1, 100)], Fraction(200, 3), 2, 200),
    ],
)
def test_the_books_follow_the_convention(
    events: list[tuple[Kind, int, int]], realized: Fraction, held: int, pct: int | None
) -> None:
    books = Books(lambda _: 160.0)
    for at, (kind, raw, lamports) in enumerate(events):
        quote = WSOL if kind in ("buy", "sell") else None
        books.write("mint", "wallet", Entry(f"{at}", at, 0, at, kind, raw, quote, lamports))
    position = books.position("mint", "wallet")
    assert (position.realized(), position.held, position.realized_pct()) == (realized, held, pct)


def test_usdc_is_valued_by_the_written_price_and_floored() -> None:
    assert usdc_in_lamports(1_000_000, 160.0) == 6_250_000
    assert usdc_in_lamports(1, 163.27) == 6
