"""Tape -> each wallet's position in the token: what it paid, took out, gained, and still holds.

One rule (docs/how-it-counts.md: moving weighted-average cost, in tape order), computed in two ways: `positions` in
floats for every wallet at once, to choose from and to describe; `exact_position` in rational arithmetic, rounded once,
for what is stored. The rule itself stands in `average_cost`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from walltrack.discovery.average_cost import (
    BUY,
    PCT_DECIMALS,
    SELL,
    SOL_DECIMALS,
    TRANSFER_IN,
    TRANSFER_OUT,
    WalletEvents,
    as_decimal,
    as_sol,
    exact_sums,
    quick_sums,
    rounded,
)
from walltrack.discovery.models import LAMPORTS_PER_SOL
from walltrack.discovery.tape import WSOL, Tape

COMPLETE: Final = "complete"
REASONS: Final = ("tape_starts_late", "tape_cut", "unbased_sells", "tokens_by_transfer", "unpriced")
"""Why a position's figures may not be whole, in the order in which `completeness` joins them by "+"."""

POSITIONS_SCHEMA: Final = pl.Schema(
    {
        "wallet": pl.String,
        "first_buy_row": pl.UInt32,  # row of the tape; null where the wallet never bought, as are the next two
        "first_buy_time": pl.Int64,  # Unix seconds
        "first_buy_slot": pl.UInt64,
        "buys": pl.UInt32,
        "sells": pl.UInt32,
        "cost_sol": pl.Float64,
        "proceeds_sol": pl.Float64,
        "cost_of_sold_sol": pl.Float64,
        "matched_proceeds_sol": pl.Float64,
        "matched_gross_sol": pl.Float64,  # matched proceeds without their signs: the scale of their rounding error
        "realized_pnl_sol": pl.Float64,
        "realized_pct": pl.Float64,  # null where it is undefined
        "matched_raw": pl.Float64,
        "held_raw": pl.Float64,
        "held_cost_sol": pl.Float64,
        "completeness": pl.String,
    }
)
"""Columns of `positions`. Their meanings are those of `Position`."""


@dataclass(frozen=True, slots=True)
class Position:
    """One wallet's position in one token, exact and rounded once, half to even.

    SOL amounts have 18 decimals, `realized_pct` 12. `cost_sol` and `proceeds_sol` are totals over all priced buys and
    sells; `realized_pnl_sol` is `matched_proceeds_sol` - `cost_of_sold_sol`, and `realized_pct` 100 times that over
    `cost_of_sold_sol`: None where nothing with a basis was sold, or its cost was 0. Quantities are in base units;
    `matched_raw` (12 decimals) is what was sold at a price and had a basis. `first_buy_row` is a row of the tape.
    """

    wallet: str
    first_buy_row: int | None
    buys: int
    sells: int
    bought_raw: int
    sold_raw: int
    cost_sol: Decimal
    proceeds_sol: Decimal
    cost_of_sold_sol: Decimal
    matched_proceeds_sol: Decimal
    realized_pnl_sol: Decimal
    realized_pct: Decimal | None
    matched_raw: Decimal
    held_raw: int
    held_cost_sol: Decimal
    completeness: str


# Rows whose columns are worked on at once: bounds the memory of the float pass, some 300 bytes a row.
_ROWS_AT_ONCE: Final = 1 << 17

# Least product of the kept shares of a holding that is still divided by. Amounts stay below 1e20, sums below 1e300.
_LEAST_KEPT: Final = 1e-200


def positions(tape: Tape) -> pl.DataFrame:
    """Every wallet's position, in floats (`POSITIONS_SCHEMA`), wallets in the order of their first event.

    Within 1e-9 of the exact figures, relative to the sums that each is made of, or 1e-18 SOL. An empty tape gives no
    rows.
    """
    return positions_of(tape, wallet_rows(tape))


def exact_position(tape: Tape, wallet: str) -> Position:
    """The wallet's position, computed exactly and rounded once. LookupError where the tape does not have the wallet."""
    rows = tape.events["wallet"].eq(wallet).arg_true()
    if rows.is_empty():
        raise LookupError(f"{wallet} is not on the tape of {tape.mint}")
    (events,) = wallet_events(tape, pl.DataFrame({"wallet": [wallet], "rows": [rows]}))
    return position_of(tape, events)


def wallet_rows(tape: Tape) -> pl.DataFrame:
    """`wallet` and `rows` (list of its rows of the tape, in tape order), in the order of the wallets' first events."""
    return (
        tape.events.select("wallet")
        .with_row_index("rows")
        .group_by("wallet", maintain_order=True)
        .agg(pl.col("rows").cast(pl.UInt32))
    )


def wallet_events(tape: Tape, wallets: pl.DataFrame) -> Iterator[WalletEvents]:
    """The events of some wallets (rows of `wallet_rows`), wallet by wallet."""
    rows = wallets.explode("rows")["rows"]
    columns = ("kind", "token_raw", "quote_mint", "quote_raw", "fee_lamports")
    picked = tape.events.select(columns)[rows].with_columns(_is_priced(), pl.col("kind").to_physical())
    kinds, raws = picked["kind"].to_list(), picked["token_raw"].to_list()
    quotes = zip(
        kinds,
        picked["priced"].to_list(),
        picked["quote_raw"].to_list(),
        picked["fee_lamports"].to_list(),
        strict=True,
    )
    values = [
        (quote + fee if kind == BUY else quote - fee) if priced else None
        for kind, priced, quote, fee in quotes
    ]
    start = 0
    for wallet, of_wallet in wallets.select("wallet", "rows").iter_rows():
        part = slice(start, start + len(of_wallet))
        yield WalletEvents(wallet, of_wallet, kinds[part], raws[part], values[part])
        start = part.stop


def position_of(tape: Tape, events: WalletEvents) -> Position:
    """The position that follows from one wallet's events, exact and rounded once."""
    sums = quick_sums(events)
    figures = rounded(sums) or rounded(exact_sums(events))
    assert figures is not None  # exact sums leave nothing undecided
    cost_of_sold, matched_proceeds, realized, held_cost, matched, pct = figures
    counts, raws, lamports = [0, 0], [0, 0], [0, 0]
    unpriced = False
    for kind, raw, value in zip(events.kinds, events.raws, events.values, strict=True):
        if kind in (BUY, SELL):
            counts[kind] += 1
            raws[kind] += raw
            lamports[kind] += value or 0
            unpriced = unpriced or value is None
    return Position(
        wallet=events.wallet,
        first_buy_row=events.rows[events.kinds.index(BUY)] if counts[BUY] else None,
        buys=counts[BUY],
        sells=counts[SELL],
        bought_raw=raws[BUY],
        sold_raw=raws[SELL],
        cost_sol=as_sol(lamports[BUY]),
        proceeds_sol=as_sol(lamports[SELL]),
        cost_of_sold_sol=as_decimal(cost_of_sold, SOL_DECIMALS),
        matched_proceeds_sol=as_decimal(matched_proceeds, SOL_DECIMALS),
        realized_pnl_sol=as_decimal(realized, SOL_DECIMALS),
        realized_pct=None if pct is None else as_decimal(pct, PCT_DECIMALS),
        matched_raw=as_decimal(matched, PCT_DECIMALS),
        held_raw=sums.held_raw,
        held_cost_sol=as_decimal(held_cost, SOL_DECIMALS),
        completeness=completeness(
            tape,
            unbased_sells=sums.unbased_sells,
            tokens_by_transfer=TRANSFER_IN in events.kinds,
            unpriced=unpriced,
        ),
    )


def completeness(tape: Tape, *, unbased_sells: bool, tokens_by_transfer: bool, unpriced: bool) -> str:
    """ "complete", or the reasons (`REASONS`) why not, joined by "+"."""
    holds = (tape.starts_late, tape.cut is not None, unbased_sells, tokens_by_transfer, unpriced)
    return "+".join(reason for reason, held in zip(REASONS, holds, strict=True) if held) or COMPLETE


def positions_of(tape: Tape, wallets: pl.DataFrame) -> pl.DataFrame:
    """`positions` of some wallets only (rows of `wallet_rows`)."""
    # Whole wallets at once, as many as have `_ROWS_AT_ONCE` rows together, unless one wallet alone has more.
    piece = (wallets["rows"].list.len().cum_sum() // _ROWS_AT_ONCE).rle().struct.field("len")
    found, start = [POSITIONS_SCHEMA.to_frame()], 0
    for length in piece:
        found.append(_positions_of_piece(tape, wallets.slice(start, length)).select(POSITIONS_SCHEMA.names()))
        start += length
    return pl.concat(found, rechunk=False)


def _positions_of_piece(tape: Tape, wallets: pl.DataFrame) -> pl.DataFrame:
    rows = wallets.with_row_index("group").select("group", "rows").explode("rows")
    columns = ("kind", "token_raw", "quote_mint", "quote_raw", "fee_lamports")
    events = tape.events.select(columns)[rows["rows"]].select(
        pl.col("kind").to_physical(),
        pl.col("token_raw").cast(pl.Int128).alias("raw"),
        _is_priced(),
        pl.col("quote_raw").cast(pl.Int128).alias("quote"),
        pl.col("fee_lamports").cast(pl.Int128).alias("fee"),
        rows["rows"].alias("row"),
        rows["group"],
    )
    found = _by_wallet(tape, _with_costs(_with_quantities(events))).with_columns(wallets["wallet"])
    # A product of kept shares near the end of the floats' range makes what is divided by it worthless. That takes a
    # wallet that sells all but dust dozens of times, or half of it hundreds of times, without ever selling all.
    lost = found["least_kept"] < _LEAST_KEPT
    if lost.any():
        exact = [_floats(position_of(tape, events)) for events in wallet_events(tape, wallets.filter(lost))]
        found = found.update(pl.DataFrame(exact), on="wallet", maintain_order="left")
    first_buys = tape.events.select("block_time", "slot")[found["first_buy_row"].fill_null(0)]
    bought, of_sold = pl.col("first_buy_row").is_not_null(), pl.col("cost_of_sold_sol")
    realized = pl.col("matched_proceeds_sol") - of_sold
    return found.with_columns(
        first_buy_time=pl.when(bought).then(first_buys["block_time"]),
        first_buy_slot=pl.when(bought).then(first_buys["slot"]),
        realized_pnl_sol=realized,
        realized_pct=pl.when(of_sold > 0).then(100 * realized / of_sold),
    )


def _with_quantities(events: pl.DataFrame) -> pl.DataFrame:
    """Adds `before` and `after`, the quantity held around each event, exact until it becomes a float.

    What is held is the running sum S of what comes and goes, lifted wherever it would fall below 0: S - min(0, lowest
    S so far). Both run over all wallets at once: lowering each wallet by 2^92, more than any sum can be, makes the
    lowest so far begin anew at its first event.
    """
    step, coming = pl.lit(2**92, dtype=pl.Int128), pl.col("kind").is_in((BUY, TRANSFER_IN))
    going = pl.col("kind").is_in((SELL, TRANSFER_OUT))
    nothing = pl.lit(0, dtype=pl.Int128)
    return (
        events.with_columns(
            change=pl.when(coming).then("raw").when(going).then(nothing - pl.col("raw")).otherwise(nothing),
            offset=pl.col("group").cast(pl.Int128) * step,
            coming=coming,
            going=going,
        )
        .with_columns(sum=pl.col("change").cum_sum())
        .with_columns(
            lowest=(pl.min_horizontal("sum", pl.col("sum") - pl.col("change")) - pl.col("offset")).cum_min()
            + pl.col("offset")
        )
        .with_columns(after=pl.col("sum") - pl.col("lowest"))
        .with_columns(
            before=pl.when(pl.col("group") == pl.col("group").shift(1))
            .then(pl.col("after").shift(1))
            .otherwise(nothing)
        )
        .drop("change", "offset", "sum", "lowest")
    )


def _with_costs(events: pl.DataFrame) -> pl.DataFrame:
    """Adds what each event moves, in lamports and base units: `paid`, `received`, for a priced sell `cost_out`,
    `matched` and `proceeds`, and for a wallet's last event `held` and `held_cost`. Changes the order of the rows.
    """
    is_sell = pl.col("kind") == SELL
    based = (pl.col("kind") == BUY) & pl.col("priced")
    begins = ((pl.col("before") == 0) | (pl.col("group") != pl.col("group").shift(1))).fill_null(True)
    nothing = pl.lit(0, dtype=pl.Int128)
    steps = (
        events.with_columns(
            begins=begins,
            holding=begins.cum_sum().set_sorted(),  # from empty to empty
            last=(pl.col("group") != pl.col("group").shift(-1)).fill_null(True),
            based_in=pl.when(based).then("raw").otherwise(nothing),
            paid=pl.when(based).then(pl.col("quote") + pl.col("fee")).otherwise(nothing),
            received=pl.when(is_sell & pl.col("priced"))
            .then(pl.col("quote") - pl.col("fee"))
            .otherwise(nothing),
            gone=pl.when("going").then(pl.col("before") - pl.col("after")).otherwise(nothing),
            beyond=is_sell & (pl.col("before") < pl.col("raw")),
        )
        .with_columns(
            in_sum=_in_holding(pl.when("coming").then("raw").otherwise(nothing)),
            based_sum=_in_holding(pl.col("based_in")),
            paid_sum=_in_holding(pl.col("paid")),
            refilled=pl.col("coming") & (_in_holding(pl.col("gone")) > 0),
        )
        .with_columns(
            pl.col("refilled").max().over("holding"),
            pl.col("raw", "before", "after", "paid", "received", "gone").cast(pl.Float64),
            mixed=pl.col("based_sum") < pl.col("in_sum"),
        )
    )
    # Where all that comes comes before anything goes, what goes has the average of all that came.
    average = pl.col("in_sum").cast(pl.Float64)
    filled_once = steps.filter(~pl.col("refilled")).with_columns(
        k=pl.col("paid_sum").cast(pl.Float64) / average,
        r=pl.col("based_sum").cast(pl.Float64) / average,
        kept=pl.lit(1.0),
    )
    refilled = _averages_of_refilled(steps.filter("refilled"))
    matters = is_sell & pl.col("priced") & (pl.col("gone") > 0)
    share_based = pl.when("mixed").then("r").otherwise(1.0)
    return pl.concat([filled_once, refilled]).with_columns(
        cost_out=pl.when(matters).then(pl.col("k") * pl.col("gone")).otherwise(0.0),
        matched=pl.when(matters).then(share_based * pl.col("gone")).otherwise(0.0),
        proceeds=pl.when(matters)
        .then(pl.col("received") * share_based * (pl.col("gone") / pl.col("raw")))
        .otherwise(0.0),
        held=pl.when("last").then("after").otherwise(0.0),
        held_cost=pl.when(pl.col("last") & (pl.col("after") > 0))
        .then(pl.col("k") * pl.col("after"))
        .otherwise(0.0),
        unbased_out=pl.col("beyond") | (is_sell & pl.col("mixed") & (pl.col("gone") > 0)),
    )


def _in_holding(amount: pl.Expr) -> pl.Expr:
    """The exact sum of an integer over the holding so far."""
    total = amount.cum_sum()
    return total - pl.when("begins").then(total - amount).forward_fill()


def _averages_of_refilled(steps: pl.DataFrame) -> pl.DataFrame:
    """Adds `k` and `r` (see `average_cost`), before what goes and after what comes, and `kept`.

    In one holding the cost held follows c' = a c + x, where a is the share that an outgoing event leaves and x the
    cost of an incoming one. So c = A sum(x / A), where A (`kept`) is the running product of a: no term is negative,
    so nothing cancels. The quantity that has a basis follows the same rule.
    """
    # The event that empties a holding ends it: nothing comes after its own share of 0.
    share = (
        pl.when(pl.col("going") & (pl.col("after") > 0))
        .then(pl.col("after") / pl.col("before"))
        .otherwise(1.0)
    )
    steps = steps.with_columns(share=share).with_columns(kept=pl.col("share").cum_prod().over("holding"))
    # One step before an outgoing event, at an incoming one: its share is 1.
    scale = pl.col("kept") / pl.col("share") / pl.max_horizontal("before", "after")
    sums = {"k": (pl.col("paid") / pl.col("kept")).cum_sum().over("holding") * scale}
    if steps["mixed"].any():
        sums["r"] = (pl.col("based_in").cast(pl.Float64) / pl.col("kept")).cum_sum().over("holding") * scale
    else:
        sums["r"] = pl.lit(1.0)
    return (
        steps.with_columns(**sums)
        .drop("share")
        .select(*steps.drop("share", "kept").columns, "k", "r", "kept")
    )


def _by_wallet(tape: Tape, steps: pl.DataFrame) -> pl.DataFrame:
    is_buy, is_sell = pl.col("kind") == BUY, pl.col("kind") == SELL
    found = steps.group_by("group").agg(
        first_buy_row=pl.when(is_buy).then("row").min(),
        buys=is_buy.sum(),
        sells=is_sell.sum(),
        cost_sol=pl.col("paid").sum() / LAMPORTS_PER_SOL,
        proceeds_sol=pl.col("received").sum() / LAMPORTS_PER_SOL,
        cost_of_sold_sol=pl.col("cost_out").sum() / LAMPORTS_PER_SOL,
        matched_proceeds_sol=pl.col("proceeds").sum() / LAMPORTS_PER_SOL,
        matched_gross_sol=pl.col("proceeds").abs().sum() / LAMPORTS_PER_SOL,
        matched_raw=pl.col("matched").sum(),
        held_raw=pl.col("held").sum(),
        held_cost_sol=pl.col("held_cost").sum() / LAMPORTS_PER_SOL,
        least_kept=pl.col("kept").min(),
        unbased_sells=pl.col("unbased_out").any(),
        tokens_by_transfer=(pl.col("kind") == TRANSFER_IN).any(),
        unpriced=((is_buy | is_sell) & ~pl.col("priced")).any(),
    )
    holds = (pl.lit(tape.starts_late), pl.lit(tape.cut is not None), *(pl.col(name) for name in REASONS[2:]))
    reasons = pl.concat_str(
        (pl.when(held).then(pl.lit(reason)) for reason, held in zip(REASONS, holds, strict=True)),
        separator="+",
        ignore_nulls=True,
    )
    return found.sort("group").with_columns(completeness=reasons.replace("", COMPLETE))


def _floats(position: Position) -> dict[str, str | float]:
    """What an exact position puts in the place of figures that the float pass lost."""
    return {
        "wallet": position.wallet,
        "cost_of_sold_sol": float(position.cost_of_sold_sol),
        "matched_proceeds_sol": float(position.matched_proceeds_sol),
        "matched_raw": float(position.matched_raw),
        "held_cost_sol": float(position.held_cost_sol),
        "completeness": position.completeness,
    }


def _is_priced() -> pl.Expr:
    return pl.col("quote_mint").eq_missing(WSOL).alias("priced")
