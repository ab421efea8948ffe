"""What the product reads out of the sandbox's transactions, against what the sandbox knows."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import msgspec
import pytest

from tests.sandbox_tapes import tape_of, tapes_of
from walltrack.discovery.early_buyers import early_buyers
from walltrack.discovery.models import LAMPORTS_PER_SOL, DiscoveryRunParams
from walltrack.discovery.positions import Position, position_of, wallet_events, wallet_rows
from walltrack.discovery.tape import Tape
from walltrack.discovery.transactions import from_enhanced, from_rpc
from walltrack.sandbox.market import generate
from walltrack.sandbox.types import Market

NOW = 1_795_300_000
SEEDS = (101, 102, 103)

encode = msgspec.json.encode


@cache
def market(seed: int) -> Market:
    """Some thirty tokens, those of every kind among them."""
    return generate(seed, now=NOW, size=12_000)


@cache
def tapes(seed: int) -> dict[str, Tape]:
    return tapes_of(market(seed))


def tokens(seed: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = market(seed).truth["tokens"]
    return found


def positions_by_mint(seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for position in market(seed).truth["positions"]:
        found[position["mint"]][position["wallet"]] = position
    return found


def lamports(sol: Decimal) -> Fraction:
    return Fraction(sol) * LAMPORTS_PER_SOL


def assert_same(found: Position, true: dict[str, Any]) -> None:
    counts = (found.buys, found.sells, found.bought_raw, found.sold_raw, found.held_raw)
    assert counts == tuple(true[k] for k in ("buys", "sells", "bought_raw", "sold_raw", "held_raw")), true
    assert lamports(found.cost_sol) == true["cost_lamports"], true
    assert lamports(found.proceeds_sol) == true["proceeds_lamports"], true
    assert abs(lamports(found.realized_pnl_sol) - Fraction(true["realized"])) < Fraction(1, 1_000), true
    assert abs(lamports(found.held_cost_sol) - Fraction(true["held_cost"])) < Fraction(1, 1_000), true
    if found.realized_pct is None:
        assert true["realized_pct"] is None
    else:
        assert float(found.realized_pct) == pytest.approx(true["realized_pct"], rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_qualified_wallets_are_exactly_the_true_ones(seed: int) -> None:
    found = {
        (token["mint"], wallet.wallet_address)
        for token in tokens(seed)
        if token["pumped"]
        for wallet in early_buyers(tapes(seed)[token["mint"]], DiscoveryRunParams()).wallets
    }
    assert found == {(one["mint"], one["wallet"]) for one in market(seed).truth["qualified"]}
    assert len(found) > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_every_position_is_exactly_the_true_one(seed: int) -> None:
    true, compared = positions_by_mint(seed), 0
    for token in tokens(seed):
        mint, tape = token["mint"], tapes(seed)[token["mint"]]
        wallets = wallet_rows(tape)
        found = {events.wallet: position_of(tape, events) for events in wallet_events(tape, wallets)}
        for wallet, position in true[mint].items():
            assert_same(found.pop(wallet), position)
            compared += 1
        # What is left owns tokens and is nobody: pools, escrows, takers of fees.
        assert found.keys().isdisjoint(wallet["address"] for wallet in market(seed).truth["wallets"])
    assert compared > 2_000


@pytest.mark.parametrize("seed", SEEDS)
def test_the_launch_is_the_true_one(seed: int) -> None:
    for token in tokens(seed):
        tape = tapes(seed)[token["mint"]]
        assert (tape.launch_time, tape.launch_slot) == (token["launch"]["time"], token["launch"]["slot"])


def test_a_venue_that_does_not_name_the_mint_is_lost_without_its_pool() -> None:
    made = market(SEEDS[0])
    (token,) = (t for t in tokens(SEEDS[0]) if "raydium_v4" in t["kinds"])
    named = [
        from_rpc(encode(tx.rpc("json") | {"transactionIndex": tx.index}))
        for tx in made.transactions
        if token["mint"] in tx.accounts
    ]
    whole = tapes(SEEDS[0])[token["mint"]]
    assert tape_of(made, token["mint"], named).events.height < 0.8 * whole.events.height


def test_the_enhanced_form_tells_of_the_same_changes() -> None:
    # Of accounts that came or went empty it does not tell the owner, so their deposits stay with them.
    for tx in market(SEEDS[0]).transactions[::7]:
        rpc = from_rpc(encode(tx.rpc("json")))
        enhanced = from_enhanced(encode(tx.enhanced()))
        assert enhanced.tokens == rpc.tokens, tx.signature
        assert sum(enhanced.lamports.values()) == sum(rpc.lamports.values()) == 0
        assert (enhanced.fee_payer, enhanced.failed) == (rpc.fee_payer, rpc.failed)
