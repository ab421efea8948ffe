"""What became of due times, and who changed what of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class TickStatus(StrEnum):
    """What became of a due time."""

    STARTED = "started"
    SKIPPED = "skipped"


class SkipCause(StrEnum):
    """Why a due time got no run: another run was in the way, nothing was there to start it, the schedule changed."""

    OVERLAP = "overlap"
    MISSED = "missed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Tick:
    """What became of a due time. `run_id` is its run, or the one that was in the way, while it is kept.

    With `due_until` it stands for all due times from `due_at` up to that.
    """

    due_at: datetime
    status: TickStatus
    decided_at: datetime
    skipped_because: SkipCause | None = None
    reason: str | None = None
    run_id: UUID | None = None
    due_until: datetime | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class TickPage:
    """One page of due times, newest first. `next_cursor` is opaque, None on the last page."""

    ticks: list[Tick]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One field of the configuration that was changed. `version` is the configuration's after it."""

    version: int
    changed_at: datetime
    changed_by: str
    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class ConfigChangePage:
    """One page of changes, newest first. `next_cursor` is opaque, None on the last page."""

    changes: list[ConfigChange]
    next_cursor: str | None = None
