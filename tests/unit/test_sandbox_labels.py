"""The flags of a market's truth, checked against its transactions and positions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.made_market import default_market
from walltrack.sandbox.types import SandboxTransaction

WSOL = "So11111111111111111111111111111111111111112"

Pair = tuple[str, str]


def flagged(flag: str) -> set[tuple[str, str | None]]:
    """(wallet, mint) pairs."""
    return {(f["wallet"], f["mint"]) for f in default_market().truth["flags"] if f["flag"] == flag}


def positions() -> Iterator[tuple[Pair, dict[str, Any]]]:
    for position in default_market().truth["positions"]:
        yield (position["wallet"], position["mint"]), position


def launches() -> dict[str, dict[str, Any]]:
    return {token["mint"]: token["launch"] for token in default_market().truth["tokens"]}


def of_kind(*kinds: str) -> set[str]:
    return {w["address"] for w in default_market().truth["wallets"] if w["kind"] in kinds}


def by_signature() -> dict[str, SandboxTransaction]:
    return {tx.signature: tx for tx in default_market().transactions}


@pytest.mark.parametrize(
    "flag",
    [
        "launch_slot",
        "sniper",
        "bundle",
        "passes_on",
        "tokens_in",
        "wash",
        "round_trip",
        "fast_trade",
        "no_trader",
    ],
)
def test_there_are_enough_wallets_with_each_flag(flag: str) -> None:
    assert len({wallet for wallet, _ in flagged(flag)}) >= 20


def test_flags_over_all_tokens_name_no_mint_and_others_do() -> None:
    for flag in default_market().truth["flags"]:
        assert (flag["mint"] is None) == (flag["flag"] in {"infrastructure", "no_trader", "exchange"})


def test_who_bought_in_the_rush_is_flagged_by_the_slot_of_the_first_buy() -> None:
    slots: dict[int, set[Pair]] = defaultdict(set)
    for pair, position in positions():
        if position["first_buy"]:
            slots[position["first_buy"]["slot"] - launches()[pair[1]]["slot"]].add(pair)
    assert slots[0] == flagged("launch_slot")
    assert slots[1] | slots[2] | slots[3] == flagged("sniper")


def test_a_bundle_buys_in_one_transaction_or_in_adjacent_ones_for_one_amount() -> None:
    truth, chain = default_market().truth, by_signature()
    held = dict(positions())
    shapes: Counter[str] = Counter()
    members: set[tuple[str, str | None]] = set()
    for mint, groups in truth["labels"].items():
        for bundle in groups["bundles"]:
            members |= {(wallet, mint) for wallet in bundle}
            buys = [held[wallet, mint]["first_buy"] for wallet in bundle]
            costs = [held[wallet, mint]["cost_lamports"] for wallet in bundle]
            if all(held[wallet, mint]["unpriced"] is False for wallet in bundle):
                assert max(costs) - min(costs) < 6_000_000
            assert len({buy["slot"] for buy in buys}) == 1
            places = sorted({buy["index"] for buy in buys})
            assert places == list(range(places[0], places[0] + len(places)))
            shapes["one" if len(places) == 1 else "adjacent" if len(places) == len(bundle) else "both"] += 1
            for buy in buys:
                assert chain[buy["signature"]].err is None
    assert members == flagged("bundle")
    assert min(shapes["one"], shapes["adjacent"]) >= 8


def test_late_bundles_rings_and_others_no_one_should_follow_qualify_too() -> None:
    found = {one["wallet"] for one in default_market().truth["qualified"]}
    for kind in ("late_bundler", "ring", "fast_trader", "slot_sniper", "infrastructure"):
        assert found & of_kind(kind), kind


def test_strangers_in_one_slot_with_one_amount_or_with_one_funder_are_no_bundle() -> None:
    slots: dict[tuple[str, int], list[Pair]] = defaultdict(list)
    for pair, position in positions():
        if position["first_buy"]:
            slots[pair[1], position["first_buy"]["slot"]].append(pair)
    strangers = of_kind("random", "loser", "holder", "late_buyer")
    shared = [pairs for pairs in slots.values() if sum(wallet in strangers for wallet, _ in pairs) > 1]
    assert len(shared) >= 10
    innocent = strangers | of_kind("funded", "skilled", "lucky")
    assert not {wallet for wallet, _ in flagged("bundle")} & innocent
    assert len(of_kind("funded")) >= 20


def test_the_wallets_of_a_ring_buy_and_sell_again_and_again() -> None:
    truth = default_market().truth
    held = dict(positions())
    for mint, groups in truth["labels"].items():
        for ring in groups["rings"]:
            for wallet in ring:
                position = held[wallet, mint]
                assert position["buys"] >= 3
                assert position["sells"] >= 3
                assert 0.5 * position["bought_raw"] <= position["sold_raw"] <= position["bought_raw"]


def test_services_are_there_at_an_improbable_share_of_all_launches() -> None:
    services = {wallet for wallet, _ in flagged("infrastructure")}
    assert len(services) >= 3
    rushes = Counter(wallet for wallet, _ in flagged("launch_slot") | flagged("sniper"))
    for wallet, times in rushes.most_common():
        assert (times / len(launches()) > 0.2) == (wallet in services)


def test_tokens_that_changed_hands_before_a_sale_are_flagged_on_both_sides() -> None:
    given, taken = flagged("passes_on"), flagged("tokens_in")
    held = dict(positions())
    assert all(held[pair]["transfers_out_raw"] and held[pair]["buys"] for pair in given)  # type: ignore[index]
    assert all(held[pair]["transfers_in_raw"] for pair in taken)  # type: ignore[index]
    assert {wallet for wallet, _ in taken} >= of_kind("own_wallet", "bundle_receiver") & {w for w, _ in held}
    assert {wallet for wallet, _ in given} >= of_kind("bundler") & {
        w for (w, _), p in held.items() if p["transfers_out_raw"]
    }


def test_insiders_had_their_tokens_of_those_who_were_in_first() -> None:
    insiders = flagged("insider")
    assert insiders <= flagged("tokens_in")
    assert {wallet for wallet, _ in insiders} >= of_kind("bundle_receiver") & {
        w for w, _ in flagged("tokens_in")
    }
    assert {wallet for wallet, _ in insiders}.isdisjoint(of_kind("skilled", "lucky"))


def test_a_fast_trade_is_one_that_was_over_within_a_minute() -> None:
    fast, held = flagged("fast_trade"), dict(positions())
    assert all(held[pair]["buys"] and held[pair]["sells"] for pair in fast)  # type: ignore[index]
    traders = {wallet for wallet, _ in fast} & of_kind("fast_trader")
    assert len(traders) >= 20
    assert any((position["realized_pct"] or 0) > 0 for pair, position in held.items() if pair in fast)


def test_round_trips_leave_next_to_nothing_or_stand_around_anothers_purchase() -> None:
    held, trips = dict(positions()), flagged("round_trip")
    assert {wallet for wallet, _ in trips} <= of_kind("mev")
    visible = [position for pair, position in held.items() if pair in trips]
    assert sum(position["sells"] == 0 for position in visible) >= 20
    assert sum(position["sells"] == 1 and position["held_raw"] == 0 for position in visible) >= 10


def test_exchanges_are_named_and_those_who_are_no_traders_are_no_wallets() -> None:
    truth = default_market().truth
    assert truth["exchanges"].keys() == of_kind("exchange") == {wallet for wallet, _ in flagged("exchange")}
    owners = {b.owner for tx in default_market().transactions for b in tx.token_balances}
    wallets = {wallet["address"] for wallet in truth["wallets"]}
    assert {wallet for wallet, _ in flagged("no_trader")} == owners - wallets
    assert any(wallet in truth["exchanges"] for wallet, _ in flagged("tokens_in"))
