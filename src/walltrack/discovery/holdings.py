"""What became of a wallet's position in one mint: when it was held, whether it is over, what it gained.

A holding begins with what comes in while nothing is held, or at most 2 % of the largest quantity of the holding before
(dust that was left over). It ends where at most 2 % of its own largest quantity is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from walltrack.discovery.average_cost import (
    BUY,
    SELL,
    TRANSFER_IN,
    TRANSFER_OUT,
    Sums,
    WalletEvents,
    quick_sums,
)
from walltrack.discovery.positions import wallet_events, wallet_rows
from walltrack.discovery.wallet_history import mint_tape

DUST_PARTS: Final = 50
"""A holding is over where at most one of so many parts of its largest quantity is left: 2 %."""

ABANDONED_AFTER_SECONDS: Final = 7 * 86_400
"""A position of which more is left is given up where the wallet did nothing with the token for so long."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A part of a position's events, `start` to `stop` (exclusive). `peak_raw` is the most that was held.

    `first_buy` and `end` index events: the first purchase, and what left at most 2 % of the peak; None where there is
    none.
    """

    start: int
    stop: int
    peak_raw: int
    first_buy: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class MintEvents:
    """A wallet's events in one mint, oldest first, and the time (Unix seconds) of each."""

    mint: str
    events: WalletEvents
    times: Sequence[int]

    def of(self, parts: Sequence[Holding]) -> MintEvents:
        """Only the events of these holdings."""
        chosen = [at for part in parts for at in range(part.start, part.stop)]
        events = self.events
        return MintEvents(
            self.mint,
            WalletEvents(
                events.wallet,
                [events.rows[at] for at in chosen],
                [events.kinds[at] for at in chosen],
                [events.raws[at] for at in chosen],
                [events.values[at] for at in chosen],
            ),
            [self.times[at] for at in chosen],
        )


@dataclass(frozen=True, slots=True)
class MintPosition:
    """A wallet's position in one mint at a moment. The terms are those of `WalletProfile`.

    `cost_lamports` is what all priced purchases cost. `hold_seconds`, of a closed position, is the longest of its
    holdings, from its first purchase to its end; None where it is not closed, or no holding that ended had a purchase.
    """

    events: WalletEvents
    sums: Sums
    trades: int
    unpriced: bool
    cost_lamports: int
    based: bool
    closed: bool
    abandoned: bool
    hold_seconds: int | None

    @property
    def settled(self) -> bool:
        return self.closed or self.abandoned


def events_by_mint(frame: pl.DataFrame) -> Iterator[MintEvents]:
    """The events of every mint of a history's rows (HISTORY_SCHEMA), mints in the order of their first event."""
    tape = mint_tape(frame)
    times = frame["block_time"].to_list()
    for events in wallet_events(tape, wallet_rows(tape)):
        yield MintEvents(events.wallet, events, [times[row] for row in events.rows])


def holdings(events: WalletEvents) -> list[Holding]:
    """The holdings of a position, oldest first. Every event belongs to one; sales before anything came in make up a
    first one, with a peak of 0.
    """
    found: list[Holding] = []
    start = held = peak = 0
    first_buy: int | None = None
    end: int | None = None
    for at, (kind, raw) in enumerate(zip(events.kinds, events.raws, strict=True)):
        if kind in (BUY, TRANSFER_IN):
            if at and (end is not None or not peak):
                found.append(Holding(start, at, peak, first_buy, end))
                start, peak, first_buy, end = at, 0, None, None
            held += raw
            peak = max(peak, held)
            if kind == BUY and first_buy is None:
                first_buy = at
        elif kind in (SELL, TRANSFER_OUT):
            held -= min(raw, held)
            if end is None and peak and DUST_PARTS * held <= peak:
                end = at
    found.append(Holding(start, len(events.kinds), peak, first_buy, end))
    return found


def position_at(mint: MintEvents, as_of: int) -> MintPosition:
    """The position that events up to `as_of` (Unix seconds) make."""
    events, times = mint.events, mint.times
    sums = quick_sums(events)
    parts = holdings(events)
    traded = [value for kind, value in zip(events.kinds, events.values, strict=True) if kind in (BUY, SELL)]
    costs = [
        value
        for kind, value in zip(events.kinds, events.values, strict=True)
        if kind == BUY and value is not None
    ]
    based = bool(costs)
    over = DUST_PARTS * sums.held_raw <= max(part.peak_raw for part in parts)
    own_times = [time for kind, time in zip(events.kinds, times, strict=True) if kind != TRANSFER_IN]
    still = bool(own_times) and as_of - own_times[-1] >= ABANDONED_AFTER_SECONDS
    holds = [
        times[part.end] - times[part.first_buy]
        for part in parts
        if part.end is not None and part.first_buy is not None
    ]
    return MintPosition(
        events=events,
        sums=sums,
        trades=len(traded),
        unpriced=None in traded,
        cost_lamports=sum(costs),
        based=based,
        closed=based and over,
        abandoned=based and not over and still,
        hold_seconds=max(holds) if based and over and holds else None,
    )
