"""How far to read, what it will cost, and what may be spent."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import solana
from walltrack.discovery.reading_plan import (
    DAY,
    CreditBudget,
    EarlyTrades,
    Extent,
    Forecast,
    MarketCounts,
    Tariff,
    accounts_cost,
    cheapest_extent,
    first_page,
    forecast,
    within_budget,
)
from walltrack.discovery.tape import TAPE_SCHEMA
from walltrack.discovery.tape_streams import Route

MINT = solana.wallet("mint")
HISTORY = Tariff(Route.HISTORY)
SIGNATURES = Tariff(Route.SIGNATURES)
WINDOW = 1_800


def rows(*trades: tuple[int, str, str]) -> pl.DataFrame:
    """Rows of (seconds, wallet, kind); ten seconds are a slot."""
    return pl.DataFrame(
        [
            {
                "slot": seconds // 10,
                "tx_index": number,
                "block_time": seconds,
                "wallet": wallet,
                "kind": kind,
                "token_raw": 1,
                "flags": 0,
            }
            for number, (seconds, wallet, kind) in enumerate(trades)
        ],
        schema=TAPE_SCHEMA,
    )


@pytest.mark.parametrize(
    ("tariff", "transactions", "credits", "requests"),
    [
        (HISTORY, 0, 10, 1),
        (HISTORY, 1, 10, 1),
        (HISTORY, 101, 20, 1),
        (HISTORY, 1_000, 100, 1),
        (HISTORY, 1_001, 110, 2),
        (SIGNATURES, 1, 2, 2),
        (SIGNATURES, 850, 851, 10),
        (SIGNATURES, 851, 853, 11),
        (Tariff(Route.SIGNATURES, historical=10), 1, 20, 2),
    ],
)
def test_reading_costs_what_the_provider_bills(
    tariff: Tariff, transactions: int, credits: int, requests: int
) -> None:
    assert tariff.reading(transactions) == credits
    assert tariff.requests(transactions) == requests


def test_counts_of_a_day_tell_the_size_of_a_young_tape_and_are_scaled_for_an_older_one() -> None:
    assert MarketCounts().transactions is None
    young, older, old = (MarketCounts(1_000, age) for age in (DAY, DAY + 3 * 3_600, 3 * DAY))
    assert [counts.transactions for counts in (young, older, old)] == [1_030, 1_957, 2_884]
    assert [counts.cover_all for counts in (young, older, old, MarketCounts(5))] == [
        True,
        False,
        False,
        False,
    ]


def test_a_forecast_is_the_cheaper_of_both_ways() -> None:
    small = forecast(MINT, MarketCounts(600, 40_000), HISTORY, window_seconds=WINDOW)
    assert small == Forecast(MINT, 1, 70, 618)
    huge = forecast(MINT, MarketCounts(500_000, 86_000), HISTORY, window_seconds=60)
    assert huge.credits < HISTORY.reading(500_000)
    assert huge.transactions < 500_000
    twice = forecast(MINT, MarketCounts(600, 40_000), HISTORY, window_seconds=WINDOW, addresses=2)
    assert (twice.requests, twice.credits) == (2, 80)
    assert forecast(MINT, MarketCounts(), HISTORY, window_seconds=WINDOW) == Forecast(MINT, 1, 10, 0)


@given(
    st.integers(0, 10**7),
    st.integers(0, 10**6),
    st.integers(300, 7_200),
    st.sampled_from([HISTORY, SIGNATURES]),
)
def test_a_forecast_never_exceeds_reading_everything(
    trades: int, age: int, window_seconds: int, tariff: Tariff
) -> None:
    counts = MarketCounts(trades, age)
    found = forecast(MINT, counts, tariff, window_seconds=window_seconds)
    assert 0 < found.credits <= tariff.reading(counts.transactions or 0)
    assert found.requests >= 1


def test_the_cheapest_tokens_come_first_and_the_rest_is_left_out() -> None:
    forecasts = [
        Forecast(mint, 1, credits, 1) for mint, credits in (("a", 50), ("b", 10), ("c", 30), ("d", 10))
    ]
    chosen, others = within_budget(forecasts, 60)
    assert [one.mint for one in chosen] == ["b", "d", "c"]
    assert [one.mint for one in others] == ["a"]
    assert within_budget(forecasts, None)[1] == []
    assert within_budget(forecasts, 0)[0] == []


@given(st.lists(st.integers(0, 1_000)), st.integers(0, 5_000))
def test_what_is_chosen_fits_the_budget_and_nothing_cheaper_is_left_out(
    costs: list[int], credits: int
) -> None:
    forecasts = [Forecast(str(number), 1, cost, 1) for number, cost in enumerate(costs)]
    chosen, others = within_budget(forecasts, credits)
    assert sum(one.credits for one in chosen) <= credits
    assert sorted(one.mint for one in [*chosen, *others]) == sorted(one.mint for one in forecasts)
    if chosen and others:
        assert chosen[-1].credits <= others[0].credits
    if others:
        assert sum(one.credits for one in chosen) + others[0].credits > credits


@given(st.integers(0, 500), st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1)), max_size=30))
def test_a_budget_is_never_exceeded(bound: int, calls: list[tuple[int, float]]) -> None:
    budget = CreditBudget(bound)
    open_calls: list[tuple[int, int]] = []
    for wanted, share in calls:
        if budget.reserve(wanted):
            open_calls.append((wanted, int(wanted * share)))
        elif open_calls:
            budget.settle(*open_calls.pop())
        assert budget.spent + budget.reserved <= bound
    for call in open_calls:
        budget.settle(*call)
    assert budget.reserved == 0
    assert budget.spent <= bound


def test_a_budget_counts_what_others_have_spent_and_may_be_open() -> None:
    budget = CreditBudget(100, spent=95)
    assert not budget.reserve(6)
    assert budget.reserve(5)
    assert (budget.available, str(budget)) == (0, "95 of max_credits 100")
    open_budget = CreditBudget()
    assert open_budget.reserve(10**12)
    assert open_budget.available is None
    with pytest.raises(ValueError, match="0 or more"):
        CreditBudget(-1)


def test_early_buyers_are_those_of_the_window_without_the_launch_slot_unless_asked_for() -> None:
    sniper, early, last, late, seller = (solana.wallet(name) for name in "abcde")
    pump = "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P"
    frames = [
        rows(
            (1_000, sniper, "transfer_in"),
            (1_010, sniper, "buy"),
            (1_020, early, "buy"),
            (1_030, early, "buy"),
        ),
        rows(
            (1_040, seller, "sell"), (1_050, pump, "buy"), (1_010 + WINDOW, last, "buy"), (2_811, late, "buy")
        ),
    ]
    found = EarlyTrades.of(MINT, frames, window_seconds=WINDOW)
    assert found == EarlyTrades(1_010, 101, {early: 2, last: 1})
    with_snipers = EarlyTrades.of(MINT, frames, window_seconds=WINDOW, include_launch_slot=True)
    assert with_snipers is not None
    assert list(with_snipers.buyers) == [sniper, early, last]
    assert EarlyTrades.of(MINT, [], window_seconds=WINDOW) is None
    assert EarlyTrades.of(MINT, [rows((1, early, "transfer_in"))], window_seconds=WINDOW) is None


def test_the_launch_is_the_first_trade_of_any_address() -> None:
    wallets = [solana.wallet(name) for name in "ab"]
    frames = [rows((5_000, wallets[0], "buy")), rows((1_000, wallets[1], "buy"))]
    found = EarlyTrades.of(MINT, frames, window_seconds=WINDOW)
    assert found == EarlyTrades(1_000, 100, {})


def test_the_way_that_costs_less_is_taken_and_says_why() -> None:
    few = cheapest_extent(tariff=HISTORY, early_buyers=5, rest_credits=600, accounts_credits=50)
    many = cheapest_extent(tariff=HISTORY, early_buyers=90, rest_credits=600, accounts_credits=900)
    same = cheapest_extent(tariff=HISTORY, early_buyers=60, rest_credits=600, accounts_credits=600)
    assert [plan.extent for plan in (few, many, same)] == [Extent.ACCOUNTS, Extent.WHOLE, Extent.WHOLE]
    assert json.loads(json.dumps(few.as_dict())) == {
        "extent": "the early buyers' accounts",
        "reason": "about 600 credits for the rest of the tape, 50 for the accounts of 5 early buyers",
        "route": "getTransactionsForAddress",
        "early_buyers": 5,
        "credits_of_rest": 600,
        "credits_of_accounts": 50,
    }
    assert str(few).startswith("the early buyers' accounts: about 600 credits")


def test_accounts_cost_at_least_a_page_each_and_more_for_who_traded_much() -> None:
    assert accounts_cost([1, 1, 1], HISTORY, rest=100, window=10) == 30
    assert accounts_cost([500, 1], HISTORY, rest=10_000, window=1_000) == 110
    assert accounts_cost([], HISTORY, rest=None, window=0, known=7) == 7
    assert accounts_cost([1], SIGNATURES, rest=0, window=1) == 2


def test_a_tape_that_fits_a_page_is_asked_for_at_once() -> None:
    assert [first_page(size) for size in (1, 1_000, 1_001, None)] == [1_000, 1_000, 100, 100]
