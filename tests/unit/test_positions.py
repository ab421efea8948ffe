from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.unit import oracle
from tests.unit.oracle import USDC, Event, event, tape
from walltrack.discovery import positions as subject
from walltrack.discovery.average_cost import WalletEvents, exact_sums, profit_at_least, quick_sums, rounded
from walltrack.discovery.positions import POSITIONS_SCHEMA, Position, exact_position, positions
from walltrack.discovery.tape import Tape

SOL = 10**9

token_amounts = st.one_of(
    st.integers(1, 5),
    st.integers(1, 10**15),
    st.just(10**15),
    st.just(10**15 - 1),
    st.integers(2**62, 2**64 - 1),
)
lamports = st.one_of(st.just(0), st.integers(1, 10), st.integers(1, 10**13))


@st.composite
def any_event(draw: st.DrawFn) -> Event:
    kind = draw(
        st.sampled_from(
            ("buy", "buy", "sell", "sell", "transfer_in", "transfer_out", "escrow_in", "escrow_out")
        )
    )
    quote = 0
    if kind == "buy":
        quote = draw(lamports)
    elif kind == "sell":
        quote = draw(st.one_of(lamports, st.integers(-(10**7), -1)))
    row = event(
        draw(st.sampled_from("abc")),
        kind,
        draw(token_amounts),
        quote,
        fee_lamports=draw(st.sampled_from((0, 5000))),
    )
    if kind in ("buy", "sell") and draw(st.integers(0, 9)) == 0:
        row["quote_mint"] = USDC
    return row


def the(kind: str, tokens: int, sol: float = 0, **other: object) -> Event:
    return event("w", kind, tokens, round(sol * SOL), **other)


def position(*events: Event) -> Position:
    return exact_position(tape(events), "w")


def events_of(tape_: Tape, wallet: str) -> WalletEvents:
    rows = subject.wallet_rows(tape_)
    (events,) = subject.wallet_events(tape_, rows.filter(wallet=wallet))
    return events


def assert_exact(found: Position, expected: oracle.Account) -> None:
    pct = expected.realized_pct
    assert found.cost_sol == oracle.in_sol(expected.cost)
    assert found.proceeds_sol == oracle.in_sol(expected.proceeds)
    assert found.cost_of_sold_sol == oracle.in_sol(expected.cost_of_sold)
    assert found.matched_proceeds_sol == oracle.in_sol(expected.matched_proceeds)
    assert found.realized_pnl_sol == oracle.in_sol(expected.realized)
    assert found.realized_pct == (None if pct is None else Decimal(f"{round(pct * 10**12)}E-12"))
    assert found.matched_raw == Decimal(f"{round(expected.matched * 10**12)}E-12")
    assert found.held_raw == expected.held
    assert found.held_cost_sol == oracle.in_sol(expected.basis)
    assert (found.buys, found.sells) == (expected.buys, expected.sells)


def assert_close(found: float, expected: Fraction | int, scale: Fraction | int) -> None:
    """Equal within 1e-9 of the scale, or 1e-18 SOL."""
    assert abs(Fraction(found) - expected) <= Fraction(scale) / 10**9 + Fraction(1, 10**18)


def assert_floats(found: dict[str, float | None], expected: oracle.Account) -> None:
    assert_close(found["cost_sol"] or 0, Fraction(expected.cost, SOL), Fraction(abs(expected.cost), SOL))
    assert_close(found["cost_of_sold_sol"] or 0, expected.cost_of_sold / SOL, expected.cost_of_sold / SOL)
    assert_close(found["matched_proceeds_sol"] or 0, expected.matched_proceeds / SOL, expected.gross / SOL)
    assert_close(found["held_cost_sol"] or 0, expected.basis / SOL, expected.basis / SOL)
    assert_close(found["held_raw"] or 0, expected.held, expected.held)
    assert_close(found["matched_raw"] or 0, expected.matched, expected.matched)
    if expected.realized_pct is None:
        assert found["realized_pct"] is None
    else:
        assert found["realized_pct"] is not None
        scale = 100 * (1 + expected.gross / expected.cost_of_sold)
        assert_close(found["realized_pct"], expected.realized_pct, scale)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_event(), max_size=40), st.booleans(), st.sampled_from((None, "budget")))
def test_positions_equal_the_plain_oracle(rows: list[Event], starts_late: bool, cut: str | None) -> None:
    made = tape(rows, starts_late=starts_late, cut=cut)
    expected = oracle.accounts(rows)
    found = positions(made)
    assert found.schema == POSITIONS_SCHEMA
    assert found["wallet"].to_list() == list(expected)
    for floats in found.iter_rows(named=True):
        account = expected[floats["wallet"]]
        exact = exact_position(made, floats["wallet"])
        assert_exact(exact, account)
        assert_floats(floats, account)
        assert exact.completeness == floats["completeness"] == oracle.completeness(account, made)
        first = next(
            (at for at, r in enumerate(rows) if (r["wallet"], r["kind"]) == (exact.wallet, "buy")), None
        )
        assert exact.first_buy_row == floats["first_buy_row"] == first


@settings(max_examples=200, deadline=None)
@given(st.lists(any_event(), min_size=1, max_size=25), st.sampled_from((0, 1, 33.3, 50, 100, 500)))
def test_the_quick_and_the_rational_way_agree(rows: list[Event], bound: float) -> None:
    made = tape(rows)
    for wallet, account in oracle.accounts(rows).items():
        events = events_of(made, wallet)
        quick, exact = rounded(quick_sums(events)), rounded(exact_sums(events))
        assert exact is not None
        assert quick in (None, exact)
        pct = account.realized_pct
        assert profit_at_least(events, Decimal(str(bound))) == (
            pct is not None and pct >= Fraction(str(bound))
        )


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 10**9), st.sampled_from((1, 10**6)), st.integers(20, 400))
def test_a_wallet_that_sells_all_but_dust_again_and_again(tokens: int, dust: int, rounds: int) -> None:
    rows = [
        row
        for at in range(rounds)
        for row in (the("buy", tokens * 10**6 + dust + at, 1 + at % 7), the("sell", tokens * 10**6 + at, 2))
    ]
    account = oracle.accounts(rows)["w"]
    made = tape(rows)
    assert_exact(exact_position(made, "w"), account)
    assert_floats(positions(made).row(0, named=True), account)


def test_floats_survive_a_holding_halved_two_thousand_times() -> None:
    rows = [row for _ in range(2000) for row in (the("buy", 10**12, 1), the("sell", 10**12 // 2, 0.7))]
    account = oracle.accounts(rows)["w"]
    assert_floats(positions(tape(rows)).row(0, named=True), account)


def test_wallets_worked_on_in_pieces_give_the_same_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        event(f"w{at % 17}", "sell" if at % 3 == 2 else "buy", 1 + at % 11, 1000 + at) for at in range(400)
    ]
    whole = positions(tape(rows))
    monkeypatch.setattr(subject, "_ROWS_AT_ONCE", 50)
    assert_frame_equal(positions(tape(rows)), whole, rel_tol=1e-12)


def test_cost_and_proceeds_include_the_network_fee() -> None:
    found = position(the("buy", 10, 1, fee_lamports=5000), the("sell", 10, 2, fee_lamports=7000))
    assert found.cost_sol == found.cost_of_sold_sol == Decimal("1.000005")
    assert found.proceeds_sol == found.matched_proceeds_sol == Decimal("1.999993")
    assert found.realized_pnl_sol == Decimal("0.999988")
    assert found.completeness == "complete"


def test_the_average_cost_moves_with_each_buy_and_stays_with_each_sell() -> None:
    found = position(the("buy", 10, 1), the("buy", 10, 3), the("sell", 5, 2), the("sell", 5, 2))
    assert found.cost_of_sold_sol == 2
    assert found.realized_pct == 100
    assert found.held_raw == 10
    assert found.held_cost_sol == 2


def test_a_sell_beyond_what_is_held_is_matched_up_to_it() -> None:
    found = position(the("buy", 10, 1), the("sell", 40, 8))
    assert found.matched_raw == 10
    assert found.matched_proceeds_sol == 2
    assert found.proceeds_sol == 8
    assert found.realized_pnl_sol == 1
    assert found.held_raw == 0
    assert found.completeness == "unbased_sells"


def test_what_came_by_transfer_has_no_basis_and_leaves_pro_rata() -> None:
    found = position(the("buy", 10, 1), the("transfer_in", 30), the("sell", 20, 8))
    assert found.matched_raw == 5
    assert found.cost_of_sold_sol == Decimal("0.5")
    assert found.matched_proceeds_sol == 2
    assert found.realized_pct == 300
    assert (found.held_raw, found.held_cost_sol) == (20, Decimal("0.5"))
    assert found.completeness == "unbased_sells+tokens_by_transfer"


def test_a_transfer_out_takes_tokens_and_their_cost_without_profit() -> None:
    found = position(the("buy", 10, 1), the("transfer_out", 5), the("sell", 5, 1), the("transfer_out", 99))
    assert found.cost_of_sold_sol == Decimal("0.5")
    assert found.realized_pct == 100
    assert (found.held_raw, found.held_cost_sol) == (0, Decimal(0))
    assert found.completeness == "complete"


def test_escrow_keeps_quantity_and_basis() -> None:
    found = position(the("buy", 10, 1), the("escrow_out", 10), the("sell", 4, 1), the("escrow_in", 6))
    assert found.cost_of_sold_sol == Decimal("0.4")
    assert (found.held_raw, found.held_cost_sol) == (6, Decimal("0.6"))
    assert found.completeness == "complete"


def test_an_unpriced_buy_adds_tokens_without_basis() -> None:
    found = position(the("buy", 10, 1), the("buy", 10, 9, quote_mint=USDC), the("sell", 20, 4))
    assert found.cost_sol == 1
    assert found.matched_proceeds_sol == 2
    assert found.realized_pct == 100
    assert found.completeness == "unbased_sells+unpriced"


def test_an_unpriced_sell_takes_tokens_and_their_cost_without_profit() -> None:
    found = position(the("buy", 10, 1), the("sell", 5, 9, quote_mint=USDC), the("sell", 5, 1))
    assert found.proceeds_sol == 1
    assert found.cost_of_sold_sol == Decimal("0.5")
    assert found.realized_pct == 100
    assert found.completeness == "unpriced"


@pytest.mark.parametrize(
    "events",
    [
        [the("buy", 10, 1)],
        [the("sell", 10, 1)],
        [the("buy", 10, 0), the("sell", 10, 1)],
        [the("transfer_in", 10), the("sell", 10, 1)],
        [the("sell", 10, 1), the("buy", 10, 1)],
        [the("transfer_in", 10), the("transfer_in", 3), the("sell", 13, 1), the("buy", 1, 1)],
    ],
    ids=[
        "only buys",
        "only sells",
        "cost of nothing",
        "only by transfer",
        "sells before",
        "unbased, then a buy",
    ],
)
def test_profit_without_a_cost_is_undefined_not_zero(events: Sequence[Event]) -> None:
    assert position(*events).realized_pct is None
    assert positions(tape(events))["realized_pct"].to_list() == [None]
    assert not profit_at_least(events_of(tape(events), "w"), Decimal(0))


def test_negative_proceeds_are_a_loss_of_more_than_everything() -> None:
    found = position(the("buy", 10, 1), the("sell", 10, -0.5))
    assert found.realized_pnl_sol == Decimal("-1.5")
    assert found.realized_pct == -150


def test_a_rounded_figure_is_rounded_half_to_even() -> None:
    # 1 lamport over 2^k units: the cost of one unit ends exactly on half of the last decimal.
    found = position(event("w", "buy", 2 * 10**9, 1), event("w", "sell", 1, 0))
    assert found.cost_of_sold_sol == Decimal(0)
    found = position(event("w", "buy", 2 * 10**9, 3), event("w", "sell", 1, 0))
    assert found.cost_of_sold_sol == Decimal("2E-18")


def test_all_reasons_come_in_a_stable_order() -> None:
    rows = [the("transfer_in", 1), the("buy", 1, 1, quote_mint=USDC), the("sell", 2, 1)]
    made = tape(rows, starts_late=True, cut="budget")
    whole = "tape_starts_late+tape_cut+unbased_sells+tokens_by_transfer+unpriced"
    assert exact_position(made, "w").completeness == whole
    assert positions(made)["completeness"].to_list() == [whole]


def test_a_tape_without_events_has_no_positions() -> None:
    found = positions(tape([]))
    assert found.is_empty()
    assert found.schema == POSITIONS_SCHEMA


def test_a_wallet_that_is_not_on_the_tape_has_no_position() -> None:
    with pytest.raises(LookupError, match="nobody is not on the tape of mint"):
        exact_position(tape([the("buy", 1, 1)]), "nobody")
