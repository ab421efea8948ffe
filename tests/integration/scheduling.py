"""What tests of the schedule share: a clock that is set, and a trigger that only creates rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.integration.databases import NOW
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_starts import NewRun, start_run
from walltrack.data.supabase.repositories.schedule_repo import ScheduleRepository
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, TriggerType
from walltrack.discovery.schedule_records import Tick
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler

HOUR = timedelta(hours=1)


@dataclass
class SetClock:
    """A clock that is set."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time


@dataclass
class RowTrigger:
    """Creates the rows of runs, up to a number at once, and notes which are to be set to work."""

    at_most: int = 1
    set_to_work: list[UUID] = field(default_factory=list)

    async def create(
        self,
        connection: Connection,
        params: DiscoveryRunParams,
        trigger_type: TriggerType,
        triggered_by: str | None,
        *,
        started_at: datetime,
    ) -> UUID:
        new = NewRun(params, trigger_type, started_at, triggered_by, stage="listing")
        return (await start_run(connection, new, at_most=self.at_most)).id

    async def created(self, run_id: UUID) -> None:
        self.set_to_work.append(run_id)


class Setting:
    """One clock, one trigger, one database, and processes over them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.clock = SetClock()
        self.trigger = RowTrigger()
        self.runs = DiscoveryRepository(database)

    def process(self, **given: Any) -> DiscoveryScheduler:
        values: dict[str, Any] = {"settings": self.settings, "clock": self.clock, "trigger": self.trigger}
        return DiscoveryScheduler(self.database, **(values | given))

    async def ticks(self) -> list[Tick]:
        """What became of due times, oldest first."""
        page = await ScheduleRepository(self.database).get_ticks(limit=500)
        return page.ticks[::-1]

    async def manual_run(self) -> DiscoveryRun:
        async with self.database.transaction() as connection:
            new = NewRun(DiscoveryRunParams(), TriggerType.MANUAL, self.clock.time, stage="listing")
            return await start_run(connection, new, at_most=self.trigger.at_most)

    async def end_runs(self, *, fail: bool = False) -> None:
        for run in (await self.runs.get_runs()).runs:
            if run.completed_at is not None:
                continue
            if fail:
                await self.runs.fail_run(run.id, "the market was closed", completed_at=self.clock.time)
            else:
                await self.runs.complete_run(run.id, completed_at=self.clock.time)
