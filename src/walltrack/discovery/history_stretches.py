"""Where the reading of a wallet's history stands, and what was stored of it as one history.

A history is read newest first, page by page, in stretches: each is whole from its newest to its oldest transaction. A
later reading begins a stretch of its own above, down to the one before; once it is there, both are one. As long as it
is not, there is a gap, and what lies below is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.swaps import NO_ESCROWS, ORDER_PROGRAMS, decode
from walltrack.discovery.tape_streams import HistoryQuery
from walltrack.discovery.transactions import Transaction, from_rpc
from walltrack.discovery.wallet_history import (
    HISTORY_SCHEMA,
    TIMES_SCHEMA,
    WalletHistory,
    history_rows,
    unix_seconds,
)

DAY: Final = 86_400


class HistoryBusyError(WallTrackError):
    """Somebody else reads this history just now. What it stores is there for everybody: wait, then look again."""

    def __init__(self, wallet: str, claimed_by: str | None) -> None:
        super().__init__(f"history of {wallet}: is being read by {claimed_by or 'another process'}")
        self.wallet = wallet


class StaleHistoryError(WallTrackError):
    """The claim on a history was lost to somebody else; the late page was not stored."""

    def __init__(self, wallet: str, attempt: int) -> None:
        super().__init__(
            f"history of {wallet}: attempt {attempt} no longer holds it; its page was not stored"
        )
        self.wallet = wallet
        self.attempt = attempt


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a history that is whole between its newest and its oldest transaction.

    `first` and `last` number the readings it is made of. It goes down to the stretch below, whose newest slot is
    `after_slot`, or where that is None to the Unix second `from_time`; `done`: it is there. `query` and `token`, or the
    oldest signature, say how the next page is asked for; with `to_time` only what is older than the stretch is left.
    `edge` are the signatures of its oldest slot, the oldest last. `transactions` were read, failed ones included;
    `refused` came without a transaction's shape, `missing` were listed and never delivered.
    """

    first: int
    last: int
    after_slot: int | None = None
    from_time: int | None = None
    to_time: int | None = None
    query: HistoryQuery | None = None
    token: str | None = None
    done: bool = False
    newest_slot: int | None = None
    newest_time: int | None = None
    oldest_slot: int | None = None
    oldest_time: int | None = None
    edge: tuple[str, ...] = ()
    transactions: int = 0
    refused: int = 0
    missing: int = 0

    def with_read(
        self,
        places: Sequence[tuple[str, int, int | None]],
        *,
        transactions: int,
        refused: int = 0,
        missing: int = 0,
    ) -> Stretch:
        """The stretch after a page that named these transactions, given as (signature, slot, time), oldest first."""
        counted = replace(
            self,
            transactions=self.transactions + transactions,
            refused=self.refused + refused,
            missing=self.missing + missing,
        )
        if not places:
            return counted
        times = [time for _, _, time in places if time is not None]
        oldest_slot, newest_slot = places[0][1], places[-1][1]
        edge = [signature for signature, slot, _ in places if slot == oldest_slot][::-1]
        if self.oldest_slot == oldest_slot:
            edge = [*self.edge, *edge]
        return replace(
            counted,
            newest_slot=newest_slot if self.newest_slot is None else self.newest_slot,
            newest_time=max(times, default=None) if self.newest_time is None else self.newest_time,
            oldest_slot=oldest_slot,
            oldest_time=min(times, default=self.oldest_time),
            edge=tuple(edge),
        )

    def joined_to(self, below: Stretch) -> Stretch:
        """Both as one, where this one came down to the other."""
        return replace(
            below,
            last=self.last,
            newest_slot=below.newest_slot if self.newest_slot is None else self.newest_slot,
            newest_time=below.newest_time if self.newest_time is None else self.newest_time,
            transactions=below.transactions + self.transactions,
            refused=below.refused + self.refused,
            missing=below.missing + self.missing,
        )

    def covers(self, earliest: int) -> bool:
        """Whether nothing that happened since this Unix second, before its newest transaction, is missing."""
        if self.oldest_time is not None and self.oldest_time < earliest:
            return True
        return (
            self.done
            and self.after_slot is None
            and self.from_time is not None
            and self.from_time <= earliest
        )


@dataclass(frozen=True, slots=True)
class HistoryState:
    """Where a wallet's history stands, the newest stretch last. All up to `checked_at` is in it, as far down as the
    newest stretch goes. `stopped` says why the last reading ended before it was done, None where it did not.
    """

    stretches: tuple[Stretch, ...] = ()
    escrow_owners: Mapping[str, str] = field(default_factory=dict)
    checked_at: datetime | None = None
    lookback_days: int = 0
    stopped: str | None = None

    @property
    def earliest(self) -> int:
        """The Unix second at which the lookback begins. Raises ValueError where nothing was ever read."""
        if self.checked_at is None:
            raise ValueError("a history of which nothing was read has no beginning")
        return unix_seconds(self.checked_at) - self.lookback_days * DAY

    @property
    def newest(self) -> Stretch | None:
        return self.stretches[-1] if self.stretches else None

    def with_newest(self, stretch: Stretch) -> HistoryState:
        """The state with the newest stretch replaced; joined with the one below where it came down to it."""
        below = self.stretches[:-1]
        if stretch.done and stretch.after_slot is not None and below:
            return replace(self, stretches=(*below[:-1], stretch.joined_to(below[-1])))
        return replace(self, stretches=(*below, stretch))

    def begun_anew(self, now: datetime) -> HistoryState:
        """The state with a new stretch above all others, down to the one below; to the beginning of the lookback where
        there is none, or it is older.
        """
        state = replace(self, checked_at=now)
        kept = tuple(one for one in self.stretches if one.newest_slot is not None)
        number = max((one.last for one in self.stretches), default=-1) + 1
        top = kept[-1] if kept else None
        if top is not None and (top.newest_time is None or top.newest_time >= state.earliest):
            return replace(state, stretches=(*kept, Stretch(number, number, after_slot=top.newest_slot)))
        return replace(state, stretches=(*kept, Stretch(number, number, from_time=state.earliest)))


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What one page brought: rows (HISTORY_SCHEMA) and times (TIMES_SCHEMA). `stretch` is the number of the reading:
    each is read from its newest page to its oldest, and one of a higher number is newer.

    `undecided` are transactions of the page, as JSON of `getTransaction`, that fill an order of which an older
    transaction may tell whose it is: their rows are made when all that is stored is put together.
    """

    stretch: int
    frame: pl.DataFrame
    times: pl.DataFrame
    undecided: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryClaim:
    """A history held by one reader. `attempt` is the fence: only its holder stores. `pages` are stored."""

    wallet: str
    attempt: int
    state: HistoryState
    pages: int


def is_undecided(wallet: str, transaction: Transaction, escrow_owners: Mapping[str, str]) -> bool:
    """Whether a transaction touches somebody's order and does not tell whose: not the wallet's own doing."""
    if transaction.failed or ORDER_PROGRAMS.isdisjoint(transaction.keys):
        return False
    if wallet in (transaction.signers or ()):
        return False
    return not decode(transaction, escrow_owners).escrow_owners


def assembled(wallet: str, state: HistoryState, pages: Iterable[HistoryPage]) -> WalletHistory:
    """One history of what is stored, from the lookback before the state's last check up to it.

    `pages` are those of the newest stretch, oldest first. Raises ValueError where nothing was ever read.
    """
    stretch, from_time = state.newest, state.earliest
    if stretch is None:
        raise ValueError(f"history of {wallet}: nothing was read")
    frames, times = [pl.DataFrame(schema=HISTORY_SCHEMA)], [pl.DataFrame(schema=TIMES_SCHEMA)]
    undecided: list[bytes] = []
    for page in pages:
        frames.append(page.frame)
        times.append(page.times)
        undecided += page.undecided
    if undecided:
        frames.append(_decided(wallet, undecided, state.escrow_owners))
    parts = [one.with_columns(pl.lit(n, dtype=pl.UInt32).alias("part")) for n, one in enumerate(frames)]
    frame = (
        pl.concat(parts)
        .filter(pl.col("block_time") >= from_time)
        .filter(pl.col("part") == pl.col("part").min().over("signature"))
        .drop("part")
        .sort("slot", "tx_index", maintain_order=True)
    )
    within = (
        pl.concat(times).filter(pl.col("block_time") >= from_time).sort("block_time", maintain_order=True)
    )
    return WalletHistory(
        wallet=wallet,
        frame=frame,
        times=within,
        from_time=from_time,
        to_time=from_time + state.lookback_days * DAY,
        lookback_days=state.lookback_days,
        cut=_cut(state, stretch, from_time, within.height),
    )


def stretches_as_json(state: HistoryState) -> list[dict[str, Any]]:
    """The stretches for JSON."""
    return [{**asdict(one), "edge": list(one.edge)} for one in state.stretches]


def stretches_from_json(stored: Iterable[Mapping[str, Any]]) -> tuple[Stretch, ...]:
    """The stretches that `stretches_as_json` gave."""
    return tuple(
        Stretch(
            **{
                **one,
                "query": None if one["query"] is None else HistoryQuery(**one["query"]),
                "edge": tuple(one["edge"]),
            }
        )
        for one in stored
    )


def _cut(state: HistoryState, stretch: Stretch, from_time: int, read: int) -> str | None:
    reasons = []
    if state.stopped is not None:
        reasons.append(state.stopped)
    elif not stretch.covers(from_time):
        reasons.append(
            f"history_cut: only its newest {read:,} transactions of the last {state.lookback_days} days were read"
        )
    lost = stretch.refused + stretch.missing
    if lost:
        reasons.append(f"history_cut: {lost:,} transactions could not be had from the provider")
    return "; ".join(reasons) or None


def _decided(wallet: str, undecided: Iterable[bytes], owners: Mapping[str, str]) -> pl.DataFrame:
    transactions = sorted((from_rpc(raw) for raw in undecided), key=lambda tx: (tx.slot, tx.tx_index or 0))
    return history_rows(wallet, transactions, owners or NO_ESCROWS).frame
