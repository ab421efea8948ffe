"""What wallets did after a moment, beside a control group."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit import oracle
from tests.unit.history_oracle import DAY, NOW, at, history, money, of_mint, opened
from tests.unit.oracle import Event
from tests.unit.test_profile import rows_in_order
from walltrack.discovery.addresses import TIP_ACCOUNTS
from walltrack.discovery.outcome import GroupOutcome, control_of, other_buyers, outcome_figures
from walltrack.discovery.tape import Unmeasurable
from walltrack.discovery.wallet_history import WalletHistory

SINCE = -20 * DAY


def later(*rows: Event) -> GroupOutcome:
    return outcome_figures([history(rows)], at(SINCE), at(0))


@settings(max_examples=80, deadline=None)
@given(st.lists(rows_in_order, max_size=4), st.sampled_from((SINCE, -8 * DAY, -100)))
def test_every_figure_equals_the_plain_oracles(wallets: list[list[Event]], since: int) -> None:
    histories = [history(rows, from_time=-95 * DAY, to_time=5 * DAY) for rows in wallets]
    expected = [opened(rows, NOW + since, NOW) for rows in wallets]
    together = [token for tokens in expected for token in tokens]
    returns = [pct for tokens in expected if (pct := money(tokens)["return_on_cost_pct"]) is not None]
    found = asdict(outcome_figures(histories, at(since), at(0)))
    assert found == money(together) | {
        "wallets": len(wallets),
        "unmeasurable": {},
        "wallets_with_trades": sum(bool(tokens) for tokens in expected),
        "positions": len(together),
        "settled": sum(token.settled for token in together),
        "median_return_pct": _median(returns),
    }


def _median(values: Sequence[object]) -> Decimal | None:
    if not values:
        return None
    middle = statistics.median(Fraction(str(value)) for value in values)
    return Decimal(f"{round(middle * 10**12)}E-12")


@settings(max_examples=100, deadline=None)
@given(rows_in_order)
def test_nothing_after_the_end_changes_an_outcome(rows: list[Event]) -> None:
    whole = history(rows, from_time=-100 * DAY, to_time=5 * DAY)
    until = history([row for row in rows if row["block_time"] <= NOW], from_time=-100 * DAY)
    assert outcome_figures([whole], at(SINCE), at(0)) == outcome_figures([until], at(SINCE), at(0))


def test_only_what_was_opened_later_counts() -> None:
    before = SINCE - DAY
    found = later(
        of_mint("held", "buy", 100, 1, time=before),
        of_mint("sold", "buy", 100, 1, time=before),
        of_mint("given", "transfer_in", 50, time=before),
        of_mint("at once", "buy", 100, 1, time=SINCE),  # in the very second: known then
        of_mint("sold", "sell", 99, 8, time=SINCE + 10),
        of_mint("held", "buy", 100, 1, time=SINCE + 10),
        of_mint("held", "sell", 200, 9, time=SINCE + 20),
        of_mint("sold", "buy", 100, 1, time=SINCE + 20),
        of_mint("sold", "sell", 100, 3, time=SINCE + 30),
        of_mint("given", "buy", 50, 1, time=SINCE + 30),
        of_mint("given", "sell", 100, 4, time=SINCE + 40),
        of_mint("at once", "sell", 100, 7, time=SINCE + 50),
    )
    # "sold" gains 2; of what is sold of "given" half has a cost: 2 - 1.
    assert (found.positions, found.settled, found.wins) == (2, 2, 2)
    assert (found.realized_pnl_sol, found.return_on_cost_pct) == (Decimal(3), Decimal(150))


def test_a_token_sold_off_after_the_moment_and_bought_again_counts_from_then() -> None:
    found = later(
        of_mint("A", "buy", 100, 1, time=SINCE - 10),
        of_mint("A", "buy", 100, 1, time=SINCE + 10),
        of_mint("A", "sell", 200, 9, time=SINCE + 20),
        of_mint("A", "buy", 100, 2, time=SINCE + 30),
        of_mint("A", "sell", 100, 1, time=SINCE + 40),
    )
    assert (found.positions, found.wins, found.realized_pnl_sol) == (1, 0, Decimal(-1))


def test_wallets_without_trades_count_and_have_no_return() -> None:
    won = [of_mint("A", "buy", 100, 1, time=-50), of_mint("A", "sell", 100, 2, time=-40)]
    found = outcome_figures([history(won), history([]), history([])], at(SINCE), at(0))
    assert (found.wallets, found.measured, found.wallets_with_trades) == (3, 3, 1)
    assert found.median_return_pct == found.return_on_cost_pct == 100
    nobody = outcome_figures([], at(SINCE), at(0))
    assert (nobody.win_rate, nobody.return_on_cost_pct, nobody.median_return_pct) == (None, None, None)


def cut(history_: WalletHistory, reason: str) -> WalletHistory:
    return replace(history_, cut=reason)


def test_what_is_not_known_of_a_wallet_is_no_figure_and_counted_with_its_reason() -> None:
    late = [of_mint("A", "buy", 100, 1, time=SINCE + 5)]
    early = [of_mint("A", "buy", 100, 1, time=SINCE - 5)]
    found = outcome_figures(
        [
            cut(history(late), "budget: 7 of 7 credits are spent"),
            cut(history(early), "history_cut: the newest 1,000"),  # it reaches back far enough
            history(late, from_time=SINCE + 1),
            history(early, to_time=-DAY),
            Unmeasurable("budget: 8 of 9 credits are spent"),
            Unmeasurable("budget: 9 of 9 credits are spent"),
        ],
        at(SINCE),
        at(0),
    )
    assert (found.wallets, found.measured, found.positions) == (6, 1, 0)
    assert found.unmeasurable == {
        "budget": 2,
        "its history begins later": 1,
        "its history was last read more than a day before the end": 1,
        "not all since then was read (budget)": 1,
    }


def test_other_buyers_bought_up_to_the_moment_and_are_wallets_that_were_not_found() -> None:
    rows = [
        oracle.event(wallet, kind, 10, 1, block_time=NOW + time)
        for wallet, kind, time in (
            ("late seller", "sell", -90),
            ("found", "buy", -80),
            (min(TIP_ACCOUNTS), "buy", -70),
            ("b", "buy", -60),
            ("a", "buy", 0),
            ("b", "buy", 0),
            ("later", "buy", 1),
        )
    ]
    assert other_buyers(oracle.tape(rows), {"found"}, at(0)) == ["b", "a"]


@given(
    st.dictionaries(st.sampled_from("xyz"), st.lists(st.sampled_from("abcdefghij"), unique=True)),
    st.dictionaries(st.sampled_from("xyz"), st.integers(0, 4)),
    st.integers(0, 5),
)
def test_a_control_is_as_large_as_what_was_found_and_follows_from_its_seed(
    candidates: dict[str, list[str]], found: dict[str, int], seed: int
) -> None:
    drawn = control_of(candidates, found, str(seed))
    assert len(set(drawn)) == len(drawn) <= sum(found.values())
    assert set(drawn) <= {wallet for mint in found for wallet in candidates.get(mint, ())}
    shuffled = {mint: candidates[mint][::-1] for mint in sorted(candidates, reverse=True)}
    assert control_of(shuffled, dict(reversed(found.items())), str(seed)) == drawn


def test_a_control_takes_as_many_of_each_token_as_were_found_on_it() -> None:
    candidates = {"x": [f"x{n}" for n in range(50)], "y": [f"y{n}" for n in range(50)], "z": ["z1"]}
    drawn = control_of(candidates, {"x": 3, "y": 7, "z": 2, "w": 1}, "a run")
    assert sorted(wallet[0] for wallet in drawn) == ["x"] * 3 + ["y"] * 7 + ["z"]
    assert drawn != control_of(candidates, {"x": 3, "y": 7, "z": 2, "w": 1}, "another run")
