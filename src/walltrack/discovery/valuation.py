"""Trades against stablecoins, valued in SOL by the hour's price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import polars as pl

from walltrack.discovery.addresses import QUOTE_MINTS, STABLECOINS
from walltrack.discovery.models import LAMPORTS_PER_SOL
from walltrack.discovery.tape import WSOL, Tape, TapeFlag

HOUR: Final = 3600

MOST_LAMPORTS: Final = 2**63 - 1
"""More than a tape's column holds, and many times all the SOL there is, is no value."""


def hours_to_value(tape: Tape) -> list[datetime]:
    """The hours, by their beginning, in which something was traded against a stablecoin."""
    times = _stable(tape)["block_time"]
    return [datetime.fromtimestamp(hour * HOUR, UTC) for hour in (times // HOUR).unique().sort()]


def in_sol(tape: Tape, usd_per_sol: Mapping[datetime, Decimal]) -> Tape:
    """The tape with its stablecoin quotes as lamports, floored, and flagged VALUED.

    A stablecoin counts as one US dollar. Trades of an hour without a price stay as they are: positions know them as
    unpriced. `usd_per_sol` is by the beginning of the hour.
    """
    rows = _stable(tape)
    valued = {
        row: lamports
        for row, time, mint, raw in rows.rows()
        if (lamports := _lamports(raw, mint, usd_per_sol.get(_hour(time)))) is not None
    }
    if not valued:
        return tape
    values = pl.DataFrame(
        {"row": list(valued), "lamports": list(valued.values())},
        schema={"row": pl.UInt32, "lamports": pl.Int64},
    )
    is_valued = pl.col("lamports").is_not_null()
    events = (
        tape.events.with_row_index("row")
        .join(values, on="row", how="left", maintain_order="left")
        .with_columns(
            quote_mint=pl.when(is_valued).then(pl.lit(WSOL)).otherwise("quote_mint"),
            quote_raw=pl.when(is_valued).then("lamports").otherwise("quote_raw"),
            # What came with a purchase can make it free, not cheaper than that.
            fee_lamports=pl.when(is_valued & (pl.col("kind") == "buy"))
            .then(pl.max_horizontal("fee_lamports", -pl.col("lamports")))
            .otherwise("fee_lamports"),
            flags=pl.when(is_valued).then(pl.col("flags") | int(TapeFlag.VALUED)).otherwise("flags"),
        )
        .select(tape.events.columns)
    )
    return replace(tape, events=events)


def _stable(tape: Tape) -> pl.DataFrame:
    return (
        tape.events.with_row_index("row")
        .filter(pl.col("quote_mint").is_in(list(STABLECOINS)), pl.col("quote_raw").is_not_null())
        .select("row", "block_time", "quote_mint", "quote_raw")
    )


def _hour(time: int) -> datetime:
    return datetime.fromtimestamp(time - time % HOUR, UTC)


def _lamports(raw: int, mint: str, price: Decimal | None) -> int | None:
    if price is None:
        return None
    numerator, denominator = price.as_integer_ratio()
    unit: int = 10 ** QUOTE_MINTS[mint]
    lamports = raw * LAMPORTS_PER_SOL * denominator // (unit * numerator)
    return lamports if lamports <= MOST_LAMPORTS else None
