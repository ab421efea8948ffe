"""Bundles and rings: wallets of one hand, and wallets that only look like it."""

from __future__ import annotations

import random

import pytest
from benchmarks.shuffled import interleaved, shuffled, shuffled_amounts

from tests.unit.flag_tapes import SOL, at, base58, flagged, flags, signature, tape
from tests.unit.oracle import Event, event
from tests.unit.oracle import tape as tape_without_slots
from walltrack.discovery.flags import tape_flags
from walltrack.discovery.tape import Tape, TapeFlag
from walltrack.discovery.wallet_models import Flag, FlagEvidence


def test_wallets_that_buy_in_one_transaction_are_a_bundle() -> None:
    together = [at(9, 40, name, "buy", 5 + len(name), len(name) * SOL) for name in ("a", "bb", "ccc")]
    made = tape(*together, at(9, 41, "d", "buy", 50, 9 * SOL))
    assert flagged(made, Flag.BUNDLE) == {"a", "bb", "ccc"}
    assert flags(made, "bb")[Flag.BUNDLE] == FlagEvidence(
        Flag.BUNDLE,
        "mint",
        1,
        "bought in one transaction with 2 other wallets",
        signatures=(base58(90_040),),
        wallets=("a", "ccc"),
    )


@pytest.mark.parametrize("flag", [TapeFlag.KEEPER_FILL, TapeFlag.UNSIGNED])
def test_what_a_keeper_or_a_delegate_did_for_several_is_no_bundle(flag: TapeFlag) -> None:
    made = tape(*(at(9, 40, name, "buy", 5, SOL, flags=int(flag)) for name in "ab"))
    assert flagged(made, Flag.BUNDLE) == set()


def test_a_wallet_that_buys_twice_in_one_transaction_is_no_bundle() -> None:
    assert flagged(tape(*(at(9, 40, "a", "buy", 5, SOL) for _ in range(2))), Flag.BUNDLE) == set()


def _row_of_buys(*quotes: int, slot: int = 9, gap: int = 1, first: int = 40) -> list[Event]:
    return [
        at(slot, first + gap * number, chr(ord("a") + number), "buy", 1_000 - number, quote)
        for number, quote in enumerate(quotes)
    ]


@pytest.mark.parametrize("slot", [0, 9])
def test_the_same_amount_at_consecutive_places_is_a_bundle(slot: int) -> None:
    made = tape(*_row_of_buys(SOL, SOL + SOL // 250, SOL + SOL // 300, slot=slot))
    found = flags(made, "a")[Flag.BUNDLE]
    assert (found.count, found.wallets, len(found.signatures)) == (1, ("b", "c"), 3)
    assert flagged(made, Flag.BUNDLE) == {"a", "b", "c"}


def test_two_in_a_row_must_be_nearer_than_three() -> None:
    assert flagged(tape(*_row_of_buys(SOL, SOL + SOL // 1_001)), Flag.BUNDLE) == {"a", "b"}
    assert flagged(tape(*_row_of_buys(SOL, SOL + SOL // 900)), Flag.BUNDLE) == set()


def test_exactly_as_many_tokens_are_the_same_amount() -> None:
    made = tape(at(9, 40, "a", "buy", 777, SOL), at(9, 41, "b", "buy", 777, SOL + SOL // 50))
    assert flagged(made, Flag.BUNDLE) == {"a", "b"}


@pytest.mark.parametrize(
    "rows",
    [
        _row_of_buys(SOL, 2 * SOL, 3 * SOL),  # side by side, as everybody is behind a launch
        _row_of_buys(SOL, SOL, SOL, gap=2),  # others' transactions between them
        [*_row_of_buys(SOL), at(10, 41, "b", "buy", 9, SOL)],  # another slot
        [at(9, 40, "a", "buy", 9, SOL), at(9, 41, "a", "buy", 8, SOL)],  # one wallet
    ],
)
def test_neighbours_and_equals_alone_are_no_bundle(rows: list[Event]) -> None:
    assert flagged(tape(*rows), Flag.BUNDLE) == set()


def test_places_that_the_source_counts_itself_say_nothing() -> None:
    rows = [
        event(name, "buy", 5, SOL, slot=1_000 + slot, tx_index=place, signature=signature(slot * 10 + place))
        for slot in range(4)
        for place, name in enumerate("ab")
    ]
    assert flagged(tape_without_slots(rows, launch_slot=1_000), Flag.BUNDLE) == set()


def _turns(names: list[str], rng: random.Random, number: int = 120) -> list[Event]:
    """A ring that takes turns: who holds sells all, another buys."""
    rows: list[Event] = []
    held: dict[str, int] = {}
    for turn in range(number):
        if len(held) > len(names) // 2:
            name = rng.choice(sorted(held))
            tokens = held.pop(name)
            kind = "sell"
        else:
            name, kind = rng.choice([one for one in names if one not in held]), "buy"
            tokens = held[name] = rng.randrange(700, 1_300) * 1_000
        rows.append(at(100 + 40 * turn, 50, name, kind, tokens, tokens * 1_000))
    for name, tokens in held.items():
        rows.append(at(90_000, 50 + len(rows), name, "sell", tokens, tokens * 1_000))
    return rows


def _traders(names: list[str], rng: random.Random, trips: int) -> list[Event]:
    """Busy traders that know nothing of each other: in and out, all of it, at a price that stays."""
    rows = []
    for name in names:
        for slot in sorted(rng.sample(range(100, 5_000), trips)):
            tokens = rng.randrange(300, 3_000) * 1_000
            rows += [
                at(2 * slot, rng.randrange(10, 900), name, "buy", tokens, tokens * 1_000),
                at(2 * slot + 1, rng.randrange(10, 900), name, "sell", tokens, tokens * 1_000),
            ]
    return sorted(rows, key=lambda row: (row["slot"], row["tx_index"]))


def test_a_ring_that_takes_turns_is_found_among_busy_traders() -> None:
    rng, ring = random.Random(1), [f"ring {number}" for number in range(6)]
    rows = _turns(ring, rng) + _traders([f"trader {number}" for number in range(3)], rng, 9)
    made = tape(*sorted(rows, key=lambda row: (row["slot"], row["tx_index"])))
    assert flagged(made, Flag.WASH) == set(ring)
    found = flags(made, "ring 0")[Flag.WASH]
    assert (len(found.wallets), found.of is not None and found.count >= 0.8 * found.of) == (5, True)
    assert flagged(interleaved(made, 1), Flag.WASH) == set()


@pytest.mark.parametrize("seed", range(5))
def test_busy_traders_that_come_out_even_are_no_ring(seed: int) -> None:
    rng = random.Random(seed)
    made = tape(*_traders([f"trader {number}" for number in range(4 + 6 * seed)], rng, 12))
    assert flagged(made, Flag.WASH) == set()


@pytest.mark.parametrize("seed", range(5))
def test_bots_with_one_usual_size_are_no_ring(seed: int) -> None:
    rng, rows = random.Random(seed), []
    names = [f"bot {number}" for number in range(4 + 4 * seed)]
    for name in names:
        for slot in sorted(rng.sample(range(200), 8)):
            rows += [
                at(20 * slot, rng.randrange(10, 900), name, "buy", 1_000_000, SOL),
                at(20 * slot + rng.randrange(1, 19), rng.randrange(10, 900), name, "sell", 1_000_000, SOL),
            ]
    made = tape(*sorted(rows, key=lambda row: (row["slot"], row["tx_index"])))
    assert flagged(made, Flag.WASH) == set()


def _hand_overs(number: int, between: int = 0) -> list[Event]:
    """Two wallets hand one bag to each other, at a price that rises; who has it in the end gains."""
    rows = [at(10, 50, "a", "buy", 1_000_000, SOL)]
    for turn in range(number):
        giver, taker = "ab" if turn % 2 == 0 else "ba"
        slot = 100 + 100 * turn
        rows.append(at(slot, 50, giver, "sell", 1_000_000, SOL + turn * SOL // 10))
        rows += [
            at(slot, 60 + one, f"stranger {turn} {one}", "buy", 1_000, SOL // 999) for one in range(between)
        ]
        rows.append(at(slot + 2, 9, taker, "buy", 1_004_000, SOL + turn * SOL // 10 + SOL // 40))
    rows.append(at(9_000, 50, "a", "sell", 1_000_000, 9 * SOL))
    return rows


def test_a_bag_that_two_wallets_hand_to_each_other_makes_them_a_ring() -> None:
    made = tape(*_hand_overs(8))
    assert flagged(made, Flag.WASH) == {"a", "b"}
    found = flags(made, "b")[Flag.WASH]
    assert (found.count, found.of, found.wallets) == (8, 8, ("a",))


@pytest.mark.parametrize("rows", [_hand_overs(4), _hand_overs(8, between=4)])
def test_few_hand_overs_or_others_in_between_are_no_ring(rows: list[Event]) -> None:
    assert flagged(tape(*rows), Flag.WASH) == set()


def _crowd(rng: random.Random) -> Tape:
    """A tape of people: everybody for himself, many in one slot, amounts often round."""
    rows: list[Event] = []
    for slot in range(200):
        for place in sorted(rng.sample(range(10, 60), 6)):
            name, quote = (
                f"human {rng.randrange(300)}",
                rng.choice((SOL, SOL // 2, rng.randrange(10**8, 10**10))),
            )
            rows.append(
                at(slot, place, name, rng.choice(("buy", "buy", "sell")), rng.randrange(10**6, 10**9), quote)
            )
    return tape(*rows)


def test_groups_are_as_rare_in_a_crowd_as_in_its_shuffled_tape() -> None:
    made = _crowd(random.Random(3))
    for one in (made, shuffled(made, 1), shuffled_amounts(made, 1), interleaved(made, 1)):
        assert one.events.height == made.events.height
        assert sorted(one.events["wallet"]) == sorted(made.events["wallet"])
        found = [evidence.flag for its in tape_flags(one).values() for evidence in its]
        assert found.count(Flag.WASH) == found.count(Flag.ROUND_TRIP) == 0
        assert found.count(Flag.BUNDLE) < 0.15 * 300  # six trades in fifty places, a third of them for 1 SOL
