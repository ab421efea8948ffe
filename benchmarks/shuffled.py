"""Tapes whose wallets know nothing of each other: what a rule finds there, it finds by chance.

Three nulls, as a rule may lean on who, on how much or on when:
- `shuffled`: the wallets of the buys change places, and so do the amounts of the buys. Slots, places, signatures,
  sales and transfers stay. Nobody in particular is first, beside another or in one transaction with another.
- `shuffled_amounts`: only the amounts change places. Who buys beside whom stays.
- `interleaved`: every wallet keeps its own trades, their order and amounts, and makes them when others made theirs.
  Whoever trades a lot still does; nobody answers anybody.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from walltrack.discovery.tape import Tape

_AMOUNTS = ("token_raw", "quote_mint", "quote_raw", "fee_lamports", "flags")


def shuffled(tape: Tape, seed: int) -> Tape:
    """The tape with the wallets of its buys permuted among them, and, on their own, the amounts."""
    buys = _rows(tape, ["buy"])
    moved = _permuted(tape.events, ("wallet",), buys, seed)
    return replace(tape, events=_permuted(moved, _AMOUNTS, buys, seed + 1))


def shuffled_amounts(tape: Tape, seed: int) -> Tape:
    """The tape with the amounts of its buys permuted among them."""
    return replace(tape, events=_permuted(tape.events, _AMOUNTS, _rows(tape, ["buy"]), seed))


def interleaved(tape: Tape, seed: int) -> Tape:
    """The tape with the places of its trades dealt anew: as many to each wallet, its own trades in their order."""
    trades = _rows(tape, ["buy", "sell"])
    number = pl.int_range(pl.len()).over("wallet")
    theirs = tape.events[trades].select("wallet", "kind", *_AMOUNTS).with_columns(number=number)
    places = theirs.select(pl.col("wallet").shuffle(seed)).with_columns(number=number)
    dealt = places.join(theirs, on=["wallet", "number"], maintain_order="left").drop("number")
    return replace(tape, events=_with(tape.events, dealt, trades))


def _rows(tape: Tape, kinds: list[str]) -> pl.Series:
    return tape.events["kind"].is_in(kinds).arg_true()


def _permuted(events: pl.DataFrame, columns: tuple[str, ...], rows: pl.Series, seed: int) -> pl.DataFrame:
    return _with(events, events.select(columns)[rows.shuffle(seed)], rows)


def _with(events: pl.DataFrame, changed: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """The events with some columns of some rows replaced."""
    others = (~pl.int_range(events.height, dtype=pl.UInt32, eager=True).is_in(rows.implode())).arg_true()
    order = pl.concat([rows.cast(pl.UInt32), others.cast(pl.UInt32)]).arg_sort()
    columns = changed.columns
    replaced = pl.concat([changed, events.select(columns)[others]])[order]
    return events.with_columns(replaced[name] for name in columns)
