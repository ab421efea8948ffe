"""What is kept for how long, and what a pass that removes the rest found and did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class RetentionBounds:
    """For how long tapes and wallets' histories are kept after their last use, and the rows of a run by token after its
    end; and how many bytes tapes and histories may come to.
    """

    tapes: timedelta
    run_tokens: timedelta
    tapes_bytes: int


class ReadingKind(StrEnum):
    """What was read of the chain and stored: one address of a token, or a wallet's own history."""

    STREAM = "stream"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A stream of a tape, or a history. `key` is the stream's id or the wallet; `size` in bytes, as it is stored."""

    kind: ReadingKind
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What is beyond the bounds at `made_at`, by the database's clock: readings, the longest unused first, and so many
    runs whose rows by token go.

    `in_use` readings are beyond them too and stay. `stored_bytes` is what all readings come to.
    """

    made_at: datetime
    readings: tuple[StoredReading, ...]
    in_use: int
    stored_bytes: int
    runs: int


@dataclass(frozen=True, slots=True)
class RemovedRows:
    """Rows of ended runs that were removed."""

    runs: int = 0
    tokens: int = 0
    refusals: int = 0
    events: int = 0

    def __add__(self, other: RemovedRows) -> RemovedRows:
        return RemovedRows(
            self.runs + other.runs,
            self.tokens + other.tokens,
            self.refusals + other.refusals,
            self.events + other.events,
        )


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What a pass removed; in a dry run, what it would have. `rows` are counted by runs only then.

    `in_use` streams and histories are beyond the bounds and were left. `tapes_bytes` are freed, `kept_bytes` are left.
    `is_whole` says whether it came to its end, or was told to stop before.
    """

    dry_run: bool
    streams: int
    histories: int
    tapes_bytes: int
    kept_bytes: int
    in_use: int
    rows: RemovedRows
    is_whole: bool = True
