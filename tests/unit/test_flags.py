"""Who was in the rush of a launch, how often, and what an address is; and that flags do not depend on the question."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from tests.shared_data import shared_data
from tests.unit.flag_tapes import LAUNCH, SOL, at, base58, flagged, flags, signature, tape
from tests.unit.oracle import Event, event
from tests.unit.oracle import tape as tape_without_slots
from walltrack.discovery.addresses import TIP_ACCOUNTS
from walltrack.discovery.early_buyers import LAUNCH_SLOT, early_buyers
from walltrack.discovery.flag_launch import at_least
from walltrack.discovery.flags import account_flags, launch_rush, rush_flags, tape_flags
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.tape import Tape, TapeFlag
from walltrack.discovery.wallet_models import Flag, FlagEvidence, RushBuy, RushCount
from walltrack.services.files import read_tapes


def test_the_first_buy_decides_who_was_in_the_rush() -> None:
    made = tape(
        at(0, 9, "beside", "buy", 5, SOL),
        at(1, 3, "sniper", "buy", 5, SOL),
        at(2, 3, "beside", "buy", 5, SOL),
        at(3, 3, "slow sniper", "buy", 5, SOL),
        at(4, 3, "human", "buy", 5, SOL),
    )
    assert flagged(made, Flag.LAUNCH_SLOT) == {"first", "beside"}
    assert flagged(made, Flag.SNIPER) == {"sniper", "slow sniper"}
    assert flags(made, "slow sniper")[Flag.SNIPER] == FlagEvidence(
        Flag.SNIPER, "mint", 1, "first buy 3 slots after the launch", signatures=(base58(30_003),)
    )
    assert launch_rush(made) == [
        RushBuy("first", 0, 0, base58(7)),
        RushBuy("beside", 0, 0, base58(9)),
        RushBuy("sniper", 1, 0, base58(10_003)),
        RushBuy("slow sniper", 3, 1, base58(30_003)),
    ]


def test_without_slots_the_launch_second_and_the_next_count() -> None:
    made = tape_without_slots(
        [event(name, "buy", 5, SOL, block_time=time) for name, time in (("a", 0), ("b", 1), ("c", 2))]
    )
    assert launch_rush(made) == [RushBuy("a", None, 0, None), RushBuy("b", None, 1, None)]
    assert (flagged(made, Flag.LAUNCH_SLOT), flagged(made, Flag.SNIPER)) == ({"a"}, {"b"})


@settings(deadline=None)
@given(slots=st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_buyers_of_the_launch_slot_are_those_whom_a_run_leaves_out(slots: list[int]) -> None:
    made = tape(*(at(slot, 9, f"w{slot}", "buy", 5, SOL) for slot in sorted(slots)))
    sold = [at(90, 9, f"w{slot}", "sell", 5, 9 * SOL) for slot in dict.fromkeys(slots)]
    whole = tape_without_slots([*made.events.to_dicts(), *sold], launch_slot=LAUNCH)
    run = early_buyers(whole, DiscoveryRunParams(include_launch_slot=True))
    left_out = {wallet.wallet_address for wallet in run.wallets if LAUNCH_SLOT in wallet.flags}
    assert flagged(whole, Flag.LAUNCH_SLOT) - {"first"} == left_out
    assert Flag.LAUNCH_SLOT.value == LAUNCH_SLOT


def test_a_buy_before_what_a_file_calls_the_launch_is_in_no_rush() -> None:
    made = tape_without_slots(
        [event("a", "buy", 5, SOL), event("a", "buy", 5, SOL, block_time=9)], launch_time=9
    )
    assert launch_rush(made) == []


def test_pools_and_takers_of_fees_are_in_no_rush() -> None:
    made = tape(at(1, 3, min(TIP_ACCOUNTS), "buy", 5, SOL))
    assert [buy.wallet for buy in launch_rush(made)] == ["first"]
    assert min(TIP_ACCOUNTS) not in tape_flags(made)


def test_how_often_a_wallet_sniped_stands_beside_how_many_launches_there_were() -> None:
    (found,) = rush_flags("w", RushCount(launch_slot=0, sniped=3, launches=67, rushers=400, appearances=500))
    assert (found.flag, found.count, found.of, found.detail) == (
        Flag.SNIPER,
        3,
        67,
        "sniped 3 of 67 launches",
    )


@pytest.mark.parametrize(
    ("counts", "improbable"),
    [
        (RushCount(0, 12, 67, 300, 450), True),
        (RushCount(12, 0, 67, 300, 450), True),
        (RushCount(0, 4, 4, 300, 450), False),  # always there, but there were only four
        (RushCount(2, 2, 67, 300, 450), False),
        (RushCount(0, 30, 67, 40, 1_200), False),  # everybody is there half of the time
        (RushCount(0, 40, 1_000, 100_000, 120_000), False),  # improbable, but a small share
    ],
)
def test_infrastructure_is_where_chance_would_not_put_anybody(counts: RushCount, improbable: bool) -> None:
    found = [evidence for evidence in rush_flags("w", counts) if evidence.flag is Flag.INFRASTRUCTURE]
    assert bool(found) == improbable
    assert all((e.count, e.of) == (counts.launch_slot + counts.sniped, counts.launches) for e in found)


@given(
    trials=st.integers(1, 60),
    successes=st.integers(0, 61),
    chance=st.fractions(0, 1, max_denominator=500),
)
def test_the_tail_of_the_binomial_distribution_is_exact(
    trials: int, successes: int, chance: Fraction
) -> None:
    exact = sum(
        comb(trials, hits) * chance**hits * (1 - chance) ** (trials - hits)
        for hits in range(successes, trials + 1)
    )
    assert at_least(successes, trials, float(chance)) == pytest.approx(float(exact), rel=1e-9)


def test_addresses_that_trade_for_nobody_are_named() -> None:
    (tip,) = account_flags(min(TIP_ACCOUNTS), {})
    assert (tip.flag, tip.detail, tip.mint) == (Flag.NO_TRADER, "a tip account", None)
    derived, _ = Pubkey.find_program_address([b"vault"], Pubkey.default())
    (vault,) = account_flags(str(derived), {})
    assert (vault.flag, vault.detail) == (
        Flag.NO_TRADER,
        "an account of a program: no key can sign for it",
    )
    assert account_flags("no address at all", {}) == ()


def test_exchanges_are_those_of_the_list() -> None:
    (found,) = account_flags("an address", {"an address": "Northgate"})
    assert (found.flag, found.detail) == (Flag.EXCHANGE, "on the list of exchanges: Northgate")
    assert account_flags("another", {"an address": "Northgate"}) == ()


def test_an_empty_tape_says_nothing() -> None:
    assert tape_flags(tape_without_slots([])) == {}
    assert launch_rush(tape_without_slots([])) == []


_KINDS = ("buy", "buy", "buy", "sell", "sell", "transfer_in", "transfer_out", "escrow_in")


@st.composite
def _tapes(draw: st.DrawFn) -> Tape:
    """Few wallets, slots and amounts, so that everything happens to somebody."""
    events: list[Event] = []
    number = 0
    for slot in sorted(draw(st.lists(st.integers(0, 12), min_size=1, max_size=40))):
        number += draw(st.sampled_from((0, 1, 1, 1, 5)))
        kind = draw(st.sampled_from(_KINDS))
        is_trade = kind in ("buy", "sell")
        events.append(
            event(
                draw(st.sampled_from("abcde")),
                kind,
                draw(st.sampled_from((1, 100, 100, 101, 5_000))),
                draw(st.sampled_from((SOL, SOL, SOL // 2, -5))) if is_trade else 0,
                slot=LAUNCH + slot,
                tx_index=100 + number,
                block_time=slot // 2,
                signature=signature(number),
                counterparty=None if is_trade else draw(st.sampled_from(("a", "b", None))),
                flags=draw(st.sampled_from((0, 0, 0, int(TapeFlag.ROUND_TRIP)))) if is_trade else 0,
            )
        )
    return tape_without_slots(events, launch_slot=LAUNCH)


@settings(max_examples=60, deadline=None)
@given(made=_tapes())
def test_what_is_said_of_a_wallet_does_not_depend_on_who_is_asked_for(made: Tape) -> None:
    everybody = tape_flags(made)
    for wallet in "abcde":
        alone = tape_flags(made, {wallet})
        assert alone == ({wallet: everybody[wallet]} if wallet in everybody else {})
    assert tape_flags(made, ["e", "c", "a", "c"]) == tape_flags(made, ["a", "c", "e"])
    assert tape_flags(made, []) == {}


@settings(max_examples=30, deadline=None)
@given(made=_tapes())
def test_wallets_by_any_other_name_have_the_same_flags(made: Tape) -> None:
    names = dict(zip("abcde", "zyxwv", strict=True))
    renamed = made.events.with_columns(pl.col("wallet", "counterparty").replace(names))
    found = tape_flags(Tape(made.mint, made.decimals, 0, LAUNCH, renamed))
    counts = {w: [(e.flag, e.count, e.of) for e in its] for w, its in tape_flags(made).items()}
    assert {names[w]: its for w, its in counts.items()} == {
        w: [(e.flag, e.count, e.of) for e in its] for w, its in found.items()
    }


def test_nothing_that_needs_slots_is_said_of_real_tapes_without_them() -> None:
    tapes = read_tapes(shared_data() / "market").tapes
    seen: dict[Flag, int] = {}
    for made in tapes.values():
        assert made.launch_slot is None
        for buy in launch_rush(made):
            assert buy.slots_after_launch is None
        for its in tape_flags(made).values():
            for evidence in its:
                seen[evidence.flag] = seen.get(evidence.flag, 0) + 1
                assert "slot" not in evidence.detail
    assert seen.keys() <= {Flag.LAUNCH_SLOT, Flag.SNIPER, Flag.FAST_TRADE, Flag.ROUND_TRIP}
    assert seen[Flag.FAST_TRADE] > 1_000
    assert seen.get(Flag.ROUND_TRIP, 0) <= 1
