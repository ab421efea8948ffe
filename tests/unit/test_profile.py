"""What a wallet's history says of it at a moment."""

from __future__ import annotations

from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.history_oracle import DAY, NOW, at, history, of_mint, profile
from tests.unit.oracle import SOL, USDC, Event
from walltrack.discovery.gains import gains_of
from walltrack.discovery.holdings import events_by_mint, position_at
from walltrack.discovery.profile import wallet_profile
from walltrack.discovery.wallet_models import WalletProfile

amounts = st.one_of(st.integers(1, 60), st.integers(1, 10**15), st.sampled_from((10**6, 98 * 10**4, 10**15)))
moments = st.one_of(
    st.integers(-95 * DAY, 5 * DAY),
    st.sampled_from((-90 * DAY - 1, -90 * DAY, -7 * DAY - 1, -7 * DAY, 0, 1)),
    st.integers(-200, 200),
)
KINDS = (
    "buy",
    "buy",
    "buy",
    "sell",
    "sell",
    "sell",
    "transfer_in",
    "transfer_out",
    "escrow_in",
    "escrow_out",
)


@st.composite
def any_row(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(KINDS))
    row = of_mint(draw(st.sampled_from("ABCDE")), kind, draw(amounts), time=draw(moments))
    if kind in ("buy", "sell"):
        row["quote_raw"] = draw(st.one_of(st.sampled_from((0, 10**9, 2 * 10**9)), st.integers(1, 10**13)))
        row["quote_mint"] = draw(st.sampled_from((SOL, SOL, SOL, SOL, USDC)))
        row["fee_lamports"] = draw(st.sampled_from((0, 5_000)))
    return row


rows_in_order = st.lists(any_row(), max_size=40).map(lambda rows: sorted(rows, key=lambda r: r["block_time"]))
other_transactions = st.lists(st.tuples(moments, st.booleans(), st.booleans()), max_size=6)


def figures(found: WalletProfile) -> dict[str, Any]:
    shown = asdict(found)
    for name in ("wallet_address", "as_of", "lookback_days"):
        del shown[name]
    return shown


@settings(max_examples=300, deadline=None)
@given(rows_in_order, other_transactions, st.sampled_from((7, 90)))
def test_every_figure_equals_the_plain_oracles(
    rows: list[Event], others: list[tuple[int, bool, bool]], lookback_days: int
) -> None:
    made = history(rows, others, from_time=-95 * DAY, to_time=5 * DAY, lookback_days=lookback_days)
    assert figures(wallet_profile(made, at(0))) == profile(rows, others, NOW, lookback_days)


@settings(max_examples=150, deadline=None)
@given(rows_in_order, other_transactions, st.integers(-3 * DAY, 0))
def test_nothing_after_its_moment_and_nothing_before_its_lookback_changes_a_profile(
    rows: list[Event], others: list[tuple[int, bool, bool]], moment: int
) -> None:
    whole = history(rows, others, from_time=-100 * DAY, to_time=5 * DAY)
    start = moment - 90 * DAY
    inside = history(
        [row for row in rows if NOW + start <= row["block_time"] <= NOW + moment],
        [other for other in others if start <= other[0] <= moment],
        from_time=start,
        to_time=moment,
    )
    assert wallet_profile(whole, at(moment)) == wallet_profile(inside, at(moment))


def test_wins_losses_and_what_lies_abandoned_are_told_apart() -> None:
    found = wallet_profile(
        history(
            [
                of_mint("A", "buy", 100, 1, time=-40 * DAY),
                of_mint("A", "sell", 99, 4, time=-40 * DAY + 30),  # 1 % is left
                of_mint("B", "buy", 100, 2, time=-30 * DAY),
                of_mint("B", "sell", 100, 1, time=-29 * DAY),
                of_mint("C", "buy", 100, 2, time=-20 * DAY),
                of_mint("C", "sell", 50, 1.5, time=-20 * DAY),
                of_mint("C", "transfer_in", 5, time=-DAY),  # sent by another: nothing it did itself
                of_mint("D", "buy", 100, 3, time=-6 * DAY),
            ]
        ),
        at(0),
    )
    assert (found.positions, found.closed_positions, found.abandoned_positions, found.wins) == (4, 2, 1, 1)
    assert found.realized_pnl_sol == Decimal("2.51")  # 4 - 0.99, 1 - 2, 1.5 - 1
    assert found.lost_in_abandoned_sol == 1
    assert found.win_rate == Decimal("0.333333333333")
    assert found.profit_factor == Decimal("2.006666666667")  # 3.01 / (1 + 0.5)
    assert found.return_on_cost_pct == Decimal("30.260521042084")  # 1.51 / (3.99 + 1)
    assert (found.fast_trades, found.median_hold_seconds) == (1, 30)
    assert found.largest_win_share == 1
    assert found.median_cost_sol == 2
    assert (found.outcome, found.completeness) == ("measured", "complete")


def test_a_position_bought_again_is_as_long_as_its_longest_holding_and_open_while_it_is_held() -> None:
    rows = [
        of_mint("A", "buy", 100, 1, time=-50_000),
        of_mint("A", "sell", 100, 2, time=-40_000),
        of_mint("A", "buy", 50, 1, time=-30),
        of_mint("A", "sell", 50, 2, time=-10),
    ]
    found = wallet_profile(history(rows), at(0))
    assert (found.closed_positions, found.fast_trades, found.median_hold_seconds) == (1, 0, 10_000)
    held = wallet_profile(history(rows[:3]), at(0))
    assert (held.closed_positions, held.median_hold_seconds) == (0, None)


def test_a_position_given_away_is_closed_and_no_win() -> None:
    rows = [of_mint("A", "buy", 100, 1, time=-100), of_mint("A", "transfer_out", 100, time=-50)]
    found = wallet_profile(history(rows), at(0))
    assert (found.closed_positions, found.wins, found.profit_factor) == (1, 0, None)
    assert found.win_rate == found.realized_pnl_sol == 0


def test_what_comes_out_even_is_no_win_even_where_its_average_cost_is_no_whole_number() -> None:
    rows = [
        of_mint("A", "buy", 3, 1, time=-9),
        of_mint("A", "sell", 1, 0, time=-8),
        of_mint("A", "sell", 2, 1, time=-7),
    ]
    assert wallet_profile(history(rows), at(0)).wins == 0
    rows[-1]["quote_raw"] += 1
    assert wallet_profile(history(rows), at(0)).wins == 1


IN = [of_mint("A", "transfer_in", 100, time=-100)]
UNKNOWN = [of_mint("A", "buy", 100, 1, time=-100, quote_mint="other"), of_mint("A", "sell", 50, 1, time=-50)]


@pytest.mark.parametrize(
    ("rows", "others", "outcome", "completeness"),
    [
        ([], [], "no transactions", "complete"),
        ([], [(-5, True, True), (-4, True, True)], "only failed transactions", "complete"),
        (IN, [(-5, True, True)], "only transfers in", "complete"),
        ([], [(-5, False, True)], "no trades", "complete"),
        ([*IN, of_mint("A", "transfer_out", 10, time=-10)], [], "no trades", "complete"),
        ([*IN, of_mint("A", "sell", 10, 1, time=-10)], [], "nothing based", "unbased_sells"),
        (UNKNOWN, [], "nothing based", "unpriced+unbased_sells"),
    ],
)
def test_where_there_are_no_figures_the_outcome_says_why(
    rows: list[Event], others: list[tuple[int, bool, bool]], outcome: str, completeness: str
) -> None:
    found = wallet_profile(history(rows, others), at(0))
    assert (found.outcome, found.completeness) == (outcome, completeness)
    assert (found.win_rate, found.return_on_cost_pct, found.profit_factor, found.largest_win_share) == (
        None,
    ) * 4
    assert (found.median_hold_seconds, found.median_cost_sol) == (None, None)


def test_what_others_send_makes_no_wallet_active() -> None:
    rows = [of_mint("A", "buy", 100, 1, time=-40 * DAY), *IN]
    assert wallet_profile(history(rows), at(0)).last_active_at == at(-40 * DAY)
    assert wallet_profile(history(rows, [(-DAY, True, True)]), at(0)).last_active_at == at(-DAY)
    assert wallet_profile(history(IN), at(0)).last_active_at is None


def test_a_trade_that_a_keeper_made_for_the_wallet_is_its_activity() -> None:
    made = history([of_mint("A", "buy", 100, 1, time=-DAY)])
    unsigned = replace(made, times=made.times.with_columns(signed=False))
    found = wallet_profile(unsigned, at(0))
    assert (found.last_active_at, found.failed_share) == (at(-DAY), None)


@pytest.mark.parametrize(
    ("cut", "completeness"),
    [
        ("budget: 100 of 100 credits are spent", "budget"),
        ("history_cut: only its newest 3 transactions were read", "history_cut"),
        ("page cap: 9 pages", "history_cut"),
        ("budget: spent; history_cut: 2 transactions could not be had", "budget+history_cut"),
    ],
)
def test_a_history_that_was_cut_says_so_and_counts_days_from_where_it_begins(
    cut: str, completeness: str
) -> None:
    rows = [of_mint("A", "buy", 100, 1, time=-3 * DAY + n) for n in range(3)]
    found = wallet_profile(history(rows, cut=cut), at(0))
    assert (found.completeness, found.trades_per_day) == (completeness, Decimal(1))


def test_a_cut_before_the_lookback_takes_nothing_from_it() -> None:
    rows = [of_mint("A", "buy", 100, 1, time=time) for time in (-91 * DAY, -3)]
    found = wallet_profile(history(rows, from_time=-99 * DAY, cut="history_cut: 2 of more"), at(0))
    assert (found.completeness, found.trades) == ("complete", 1)


def test_a_moment_before_what_was_read_is_not_read() -> None:
    rows = [of_mint("A", "buy", 100, 1, time=-DAY)]
    for made in (
        history(rows, cut="budget: spent"),
        history([], cut="budget: spent"),
        history(rows, from_time=-2),
    ):
        found = wallet_profile(made, at(-2 * DAY))
        assert (found.outcome, found.trades_per_day) == ("not read", None)
        assert found.completeness in ("budget", "history_cut")


def test_a_moment_after_the_reading_is_not_complete() -> None:
    made = history([of_mint("A", "buy", 100, 1, time=-DAY)])
    assert wallet_profile(made, at(DAY - 1)).completeness == "complete"
    assert wallet_profile(made, at(DAY)).completeness == "history_cut"


def test_ten_thousand_positions_are_measured_exactly() -> None:
    rows = []
    for n in range(10_000):
        rows += [
            of_mint(f"m{n}", "buy", 3_000_000 + n % 20, 1, time=-9_000_000 + 60 * n),
            of_mint(f"m{n}", "sell", 1_000_000 + n % 7, 0.5 + n % 3 / 4, time=-8_000_000 + 60 * n),
        ]
    rows.sort(key=lambda row: row["block_time"])
    found = wallet_profile(history(rows, from_time=-110 * DAY, lookback_days=110), at(0))
    assert figures(found) == profile(rows, [], NOW, 110)
    assert (found.based_positions, found.outcome) == (10_000, "measured")


def test_fractions_decide_what_intervals_leave_open() -> None:
    # 1 lamport / 2^k to 18 decimals of SOL: half a unit of the last place, which only exact arithmetic can see.
    rows = [of_mint("A", "buy", 2**10, time=-20, quote_raw=1), of_mint("A", "sell", 1, time=-10, quote_raw=0)]
    (mint,) = events_by_mint(history(rows).frame)
    gains = gains_of([position_at(mint, NOW)])
    assert gains.cost_of_sold_sol == Decimal("976562E-18")  # 1/1024 lamport is 976562.5 units: half to even
