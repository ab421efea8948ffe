"""Stablecoin trades valued in SOL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.solana import USDC, WSOL, wallet
from walltrack.discovery.positions import exact_position
from walltrack.discovery.tape import TAPE_SCHEMA, Tape, TapeFlag
from walltrack.discovery.valuation import hours_to_value, in_sol

TRADER = wallet("trader")
HOUR = datetime(2026, 10, 1, 12, tzinfo=UTC)
NEXT = datetime(2026, 10, 1, 13, tzinfo=UTC)
START = int(HOUR.timestamp())


def tape(*rows: tuple[int, str, str, int]) -> Tape:
    """Of (seconds after the hour, kind, quote mint, quote raw); a thousand tokens each."""
    events = [
        {
            "slot": number,
            "tx_index": 0,
            "block_time": START + seconds,
            "wallet": TRADER,
            "kind": kind,
            "token_raw": 1_000,
            "quote_mint": quote,
            "quote_raw": raw,
            "fee_lamports": 0,
            "flags": 0,
        }
        for number, (seconds, kind, quote, raw) in enumerate(rows)
    ]
    return Tape(wallet("mint"), 6, START, 0, pl.DataFrame(events, schema=TAPE_SCHEMA))


def test_a_stablecoin_trade_counts_at_its_hours_price() -> None:
    bought = tape((10, "buy", USDC, 160_000_000), (3_700, "sell", USDC, 400_000_000))
    assert hours_to_value(bought) == [HOUR, NEXT]
    valued = in_sol(bought, {HOUR: Decimal(160), NEXT: Decimal(200)})
    position = exact_position(valued, TRADER)
    assert (position.cost_sol, position.proceeds_sol) == (Decimal(1), Decimal(2))
    assert position.completeness == "complete"
    assert valued.events["flags"].to_list() == [int(TapeFlag.VALUED)] * 2


def test_a_sponsors_deposit_lowers_a_cost_to_nothing_at_most() -> None:
    bought = tape((10, "buy", USDC, 160))
    gift = bought.events.with_columns(pl.lit(-5_000, dtype=pl.Int64).alias("fee_lamports"))
    position = exact_position(in_sol(replace(bought, events=gift), {HOUR: Decimal(160)}), TRADER)
    assert position.cost_sol == Decimal(0)


def test_an_hour_without_a_price_stays_unpriced() -> None:
    valued = in_sol(tape((10, "buy", USDC, 160_000_000), (20, "sell", WSOL, 5)), {NEXT: Decimal(200)})
    position = exact_position(valued, TRADER)
    assert position.realized_pct is None
    assert "unpriced" in position.completeness


def test_trades_in_sol_are_left_alone() -> None:
    plain = tape((10, "buy", WSOL, 7), (20, "sell", WSOL, 9))
    assert hours_to_value(plain) == []
    assert in_sol(plain, {HOUR: Decimal(160)}) is plain


@given(raw=st.integers(0, 10**12), price=st.decimals("1", "100000", places=4))
def test_the_value_is_exact_and_floored(raw: int, price: Decimal) -> None:
    valued = in_sol(tape((10, "buy", USDC, raw)), {HOUR: price})
    exact = Fraction(raw, 10**6) / Fraction(price) * 10**9
    assert valued.events["quote_raw"][0] == exact.__floor__()
