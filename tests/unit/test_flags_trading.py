"""Tokens that were given or passed on, round trips, and holdings of less than a minute."""

from __future__ import annotations

import pytest
from solders.pubkey import Pubkey

from tests.unit.flag_tapes import SOL, at, base58, flagged, flags, tape
from tests.unit.oracle import Event
from walltrack.discovery.tape import TapeFlag
from walltrack.discovery.wallet_models import Flag, FlagEvidence

POOL = str(Pubkey.find_program_address([b"pool"], Pubkey.default())[0])


def gift(slot: int, giver: str, taker: str, tokens: int) -> list[Event]:
    """Both halves of a transfer."""
    return [
        at(slot, 60, giver, "transfer_out", tokens, counterparty=taker),
        at(slot, 60, taker, "transfer_in", tokens, counterparty=giver),
    ]


def test_a_gift_before_any_sale_is_told_of_giver_and_taker() -> None:
    made = tape(at(50, 5, "giver", "buy", 900, SOL), *gift(60, "giver", "taker", 900))
    assert flags(made, "giver")[Flag.PASSES_ON] == FlagEvidence(
        Flag.PASSES_ON,
        "mint",
        1,
        "sent tokens to 1 wallet before it sold any",
        signatures=(base58(600_060),),
        wallets=("taker",),
    )
    taker = flags(made, "taker")
    assert taker.keys() == {Flag.TOKENS_IN}
    assert taker[Flag.TOKENS_IN].wallets == ("giver",)


def test_gifts_after_the_first_sale_are_nothing() -> None:
    made = tape(
        at(50, 5, "giver", "buy", 900, SOL),
        at(51, 5, "giver", "sell", 100, SOL),
        at(52, 5, "taker", "buy", 900, SOL),
        at(53, 5, "taker", "sell", 900, SOL),
        *gift(60, "giver", "taker", 800),
    )
    assert not flagged(made, Flag.PASSES_ON) | flagged(made, Flag.TOKENS_IN)


def test_who_never_bought_passes_nothing_on() -> None:
    made = tape(*gift(50, "vesting", "somebody", 900), *gift(60, "somebody", "else", 900))
    assert flagged(made, Flag.PASSES_ON) == set()
    assert flagged(made, Flag.TOKENS_IN) == {"somebody", "else"}


def test_deposits_burns_mints_and_orders_are_no_gifts() -> None:
    buys = [at(50, place, name, "buy", 900, SOL) for place, name in enumerate(("lp", "burner", "orderer"), 5)]
    made = tape(
        *buys,
        at(60, 1, "lp", "transfer_out", 900, counterparty=POOL),
        at(60, 2, "burner", "transfer_out", 900),
        at(60, 3, "orderer", "escrow_out", 900, counterparty=POOL),
        at(60, 4, "withdrawer", "transfer_in", 900, counterparty=POOL),
        at(60, 5, "minter", "transfer_in", 900),
        at(60, 6, POOL, "transfer_in", 900, counterparty="lp"),
    )
    assert not flagged(made, Flag.PASSES_ON) | flagged(made, Flag.TOKENS_IN)


def test_all_takers_of_one_transaction_are_named() -> None:
    made = tape(
        at(50, 5, "giver", "buy", 900, SOL),
        at(60, 1, "giver", "transfer_out", 900),
        *(at(60, 1, name, "transfer_in", 300, counterparty="giver") for name in "xyz"),
    )
    assert flags(made, "giver")[Flag.PASSES_ON].wallets == ("x", "y", "z")


def test_dust_is_no_gift() -> None:
    made = tape(
        at(50, 5, "trader", "buy", 100_000, SOL),
        *gift(60, "somebody", "trader", 999),
        *gift(61, "trader", "somebody", 999),
    )
    assert Flag.TOKENS_IN not in flags(made, "trader")
    assert Flag.PASSES_ON not in flags(made, "trader")


def _bundle() -> list[Event]:
    return [at(50, 5, name, "buy", 900, SOL) for name in ("hand 1", "hand 2")]


@pytest.mark.parametrize(
    ("rows", "giver", "who"),
    [
        ([], "first", "the token's first holder"),
        ([at(0, 9, "early", "buy", 900, SOL)], "early", "a buyer of the launch slot"),
        (_bundle(), "hand 2", "a member of a bundle"),
    ],
)
def test_gifts_of_insiders_make_insiders(rows: list[Event], giver: str, who: str) -> None:
    made = tape(*rows, *gift(60, giver, "taker", 90), *gift(61, "stranger", "friend", 90))
    assert flagged(made, Flag.INSIDER) == {"taker"}
    found = flags(made, "taker")
    assert found[Flag.INSIDER].detail == f"was given tokens by {who} before it sold any"
    assert (found[Flag.INSIDER].wallets, found[Flag.INSIDER].signatures) == ((giver,), (base58(600_060),))
    assert Flag.TOKENS_IN in found


def test_an_insider_cannot_be_made_of_a_rival_for_little() -> None:
    made = tape(at(50, 5, "rival", "buy", 100_000, SOL), *gift(60, "first", "rival", 9_000))
    assert flags(made, "rival").keys() == {Flag.TOKENS_IN}


def test_of_a_tape_that_starts_late_nobody_knows_the_first_holder() -> None:
    made = tape(*gift(60, "owner", "taker", 90), launch_slot=None, launch_time=-9, starts_late=True)
    assert flagged(made, Flag.INSIDER) == set()


def test_a_trade_that_the_decoder_marked_is_a_round_trip() -> None:
    made = tape(at(9, 5, "bot", "buy", 5, 30_000, flags=int(TapeFlag.ROUND_TRIP)))
    assert flagged(made, Flag.ROUND_TRIP) == {"bot"}


def test_dust_at_an_absurd_price_is_what_a_round_trip_left() -> None:
    usual = [at(slot, 5, f"human {slot}", "buy", 1_000_000, SOL) for slot in range(10, 20)]
    micro = at(21, 5, "micro", "buy", 2_000, 4_000_000)  # twice its price, for a deposit
    made = tape(*usual, at(20, 5, "bot", "buy", 5, SOL // 10), micro, *usual)
    assert flagged(made, Flag.ROUND_TRIP) == {"bot"}


def test_a_price_that_rises_ten_thousandfold_is_no_dust() -> None:
    made = tape(*(at(s, 5, f"human {s}", "buy", 10**12 // 2**s + 1, SOL) for s in range(1, 30)))
    assert flagged(made, Flag.ROUND_TRIP) == set()


def _sandwich(victim: str = "victim", sold: int = 900, sale_slot: int = 50, place: int = 6) -> list[Event]:
    return [
        at(50, 5, "attacker", "buy", 900, SOL),
        at(50, place, victim, "buy", 400, SOL),
        at(sale_slot, 7, "attacker", "sell", sold, SOL),
    ]


def test_buying_before_and_selling_after_others_in_one_slot_is_a_sandwich() -> None:
    made = tape(*_sandwich())
    found = flags(made, "attacker")[Flag.ROUND_TRIP]
    assert (found.count, found.wallets, found.signatures) == (
        1,
        ("victim",),
        (base58(500_005), base58(500_007)),
    )
    assert flagged(made, Flag.ROUND_TRIP) == {"attacker"}


@pytest.mark.parametrize(
    "rows",
    [_sandwich("attacker"), _sandwich(sold=400), _sandwich(sale_slot=51), _sandwich(place=5)],
)
def test_other_sales_soon_after_a_buy_are_no_sandwich(rows: list[Event]) -> None:
    assert flagged(tape(*rows), Flag.ROUND_TRIP) == set()


def test_a_listed_buy_and_sale_in_one_transaction_are_a_round_trip() -> None:
    made = tape(at(50, 5, "bot", "buy", 900, SOL), at(50, 5, "bot", "sell", 100, SOL))
    assert flags(made, "bot")[Flag.ROUND_TRIP].signatures == (base58(500_005),)


def test_a_holding_sold_within_a_minute_is_a_fast_trade() -> None:
    made = tape(
        at(100, 5, "fast", "buy", 500, SOL),
        at(150, 5, "fast", "buy", 500, SOL),
        at(218, 5, "fast", "sell", 980, SOL),  # 59 s; 2 % are left
        at(400, 5, "fast", "buy", 1_000, SOL),
        at(600, 5, "fast", "sell", 1_020, SOL),  # 100 s
    )
    found = flags(made, "fast")[Flag.FAST_TRADE]
    assert (found.count, found.of, found.detail) == (1, 2, "sold 1 of 2 holdings within a minute")
    assert found.signatures == (base58(1_000_005), base58(2_180_005))


@pytest.mark.parametrize(
    "rows",
    [
        [at(100, 5, "w", "buy", 1_000, SOL), at(220, 5, "w", "sell", 1_000, SOL)],  # a minute
        [at(100, 5, "w", "buy", 1_000, SOL), at(110, 5, "w", "sell", 970, SOL)],  # 3 % are left
        [*gift(100, "x", "w", 1_000), at(110, 5, "w", "sell", 1_000, SOL)],  # never bought
        [*gift(1, "x", "w", 900), at(200, 5, "w", "buy", 9, SOL), at(201, 5, "w", "sell", 909, SOL)],
        [at(100, 5, "w", "buy", 1_000, SOL), *gift(110, "w", "x", 1_000)],  # never sold
        [at(100, 5, "w", "sell", 1_000, SOL), at(110, 5, "w", "sell", 1_000, SOL)],  # bought before the tape
    ],
)
def test_slower_or_other_ways_out_are_no_fast_trades(rows: list[Event]) -> None:
    assert flagged(tape(*rows), Flag.FAST_TRADE) == set()


def test_what_is_in_an_order_is_still_held() -> None:
    made = tape(
        at(100, 5, "w", "buy", 1_000, SOL),
        at(101, 5, "w", "escrow_out", 1_000, counterparty=POOL),
        at(190, 5, "w", "sell", 1_000, SOL, flags=int(TapeFlag.KEEPER_FILL)),
    )
    assert flagged(made, Flag.FAST_TRADE) == {"w"}
