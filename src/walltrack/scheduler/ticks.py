"""What a look at the schedule leads to, and what starts the runs that are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from walltrack.data.supabase.client import Connection
from walltrack.discovery.models import DiscoveryRunParams, TriggerType


class RunTrigger(Protocol):
    """What starts runs."""

    async def create(
        self,
        connection: Connection,
        params: DiscoveryRunParams,
        trigger_type: TriggerType,
        triggered_by: str | None,
        *,
        started_at: datetime,
    ) -> UUID:
        """Insert the row of a run within the caller's transaction. Raises RunsBusyError, having changed nothing."""

    async def created(self, run_id: UUID) -> None:
        """Set the run to work, once its row is committed. Where this is lost, a sweep finds the row and does it."""


class TickKind(StrEnum):
    """What a look at the schedule led to."""

    OFF = "off"
    WAITING = "waiting"
    STARTED = "started"
    SKIPPED = "skipped"
    PASSED = "passed"
    """The due time was decided before, and comes again because a clock was set back."""


@dataclass(frozen=True, slots=True)
class TickOutcome:
    """What a look at the schedule led to, for which due time. `missed` counts earlier ones that it found and noted.

    `run_id` is the run that was started, or the one that was in the way.
    """

    kind: TickKind
    due_at: datetime | None = None
    run_id: UUID | None = None
    reason: str | None = None
    missed: int = 0
