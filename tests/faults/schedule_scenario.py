"""Four schedulers over one database through years of an injected clock, with everything between that can go wrong.

What is expected is worked out anew here, from the configuration's row as it stood and plain arithmetic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.faults.counts import Counts
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.repositories.run_starts import NewRun, start_run
from walltrack.discovery.models import DiscoveryRunParams, TriggerType
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler

START = datetime(2026, 1, 1, tzinfo=UTC)
PROCESSES = 4
SKEW = timedelta(minutes=10)
# Clocks that go forward by an hour, by half an hour, at midnight, in the south, and not at all.
ZONES = ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "UTC"]
NIGHT = [(0, 0), (0, 30), (1, 30), (2, 0), (2, 15), (3, 0)]
WALL_TIMES = [*NIGHT, (12, 15), (23, 45)]


class Died(BaseException):
    """The process is gone: nothing after this point happens."""


@dataclass
class Now:
    """A clock that is set."""

    time: datetime

    def now(self) -> datetime:
        return self.time


@dataclass
class Trigger:
    """Creates runs as the real one does, and dies where it is told to."""

    dies: str | None = None
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
        run = await start_run(connection, new, at_most=1)
        if self.dies == "before the commit":
            raise Died
        return run.id

    async def created(self, run_id: UUID) -> None:
        if self.dies == "after the commit":
            raise Died
        self.set_to_work.append(run_id)


def schedule_scenario(settings: Settings, seed: int, due_times: int) -> Counts:
    """Let at least so many due times come. Needs a migrated database of its own. The same seed does the same.

    A due time survives that has exactly one outcome, a run or a noted reason why there was none. Lost has none;
    duplicated has two runs, or came to be without being due.
    """
    return asyncio.run(_Years(settings, seed).live(due_times))


class _Years:
    def __init__(self, settings: Settings, seed: int) -> None:
        self.settings = settings
        self.random = Random(seed)
        self.clock = Now(START)
        self.trigger = Trigger()
        self.came: set[datetime] = set()
        self.may_have_come: set[datetime] = set()

    async def live(self, due_times: int) -> Counts:
        url = self.settings.database_url
        assert url is not None
        async with await psycopg.AsyncConnection.connect(
            url.get_secret_value(), autocommit=True, row_factory=dict_row
        ) as self.sql:
            # It is shown who decides, not what a disk keeps.
            await self.sql.execute(
                sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(
                    sql.Identifier(self.sql.info.dbname)
                )
            )
            return await self._live(due_times)

    async def _live(self, due_times: int) -> Counts:
        async with Database(self.settings) as self.database:
            self.schedulers = [self._process() for _ in range(PROCESSES)]
            await self._look()
            while len(self.came) < due_times:
                await self._something_happens()
            return await self._count()

    def _process(self) -> DiscoveryScheduler:
        return DiscoveryScheduler(
            self.database, settings=self.settings, clock=self.clock, trigger=self.trigger
        )

    async def _something_happens(self) -> None:
        row = await self._row()
        random = self.random
        chance = random.random() if row["enabled"] else random.uniform(0.5, 1)
        if chance < 0.80:
            if row["enabled"]:
                late = timedelta(seconds=row["jitter_seconds"] + random.choice([0, 0, 1, 20, 400]))
                self.clock.time = max(self.clock.time, row["next_run_at"] + late)
            else:
                self.clock.time += timedelta(hours=random.randint(1, 100))
        elif chance < 0.83:
            self.clock.time += timedelta(hours=random.choice([5, 50, 500]) * random.random())
        elif chance < 0.87:
            self.clock.time = max(START, self.clock.time - timedelta(hours=200 * random.random() ** 3))
        elif chance < 0.90:
            self.schedulers = [self._process() for _ in range(PROCESSES)]
        elif chance < 0.93:
            await self._come_to_a_change_of_clocks()
        else:
            await self._save(row)
            return
        if random.random() < 0.9:
            await self._end_runs()
        await self._look()

    async def _come_to_a_change_of_clocks(self) -> None:
        """Run by the wall clocks of a place on the day on which they change."""
        zone = self.random.choice(ZONES[:4])
        cron: dict[str, Any] = {
            "schedule_cron": self._cron(NIGHT),
            "schedule_timezone": zone,
            "jitter_seconds": 0,
        }
        self.came.update(_come(await self._row(), self.clock.time))
        await self.schedulers[0].save_config(enabled=False, updated_by="operator")
        day = self.clock.time + timedelta(days=1)
        while (
            day.astimezone(ZoneInfo(zone)).dst() == (day - timedelta(days=1)).astimezone(ZoneInfo(zone)).dst()
        ):
            day += timedelta(days=1)
        self.clock.time = day - timedelta(days=2)
        await self.schedulers[0].save_config(enabled=True, **cron, updated_by="operator")
        for _ in range(12):
            await self._end_runs()
            self.clock.time = max(self.clock.time, (await self._row())["next_run_at"])
            await self._look()

    async def _save(self, row: dict[str, Any]) -> None:
        """Somebody saves another schedule, perhaps while a due time waits for the next look."""
        random = self.random
        if random.random() < 0.3:
            self.clock.time += timedelta(hours=random.randint(1, 48))
        values: dict[str, Any] = random.choice(
            [
                {"enabled": not row["enabled"]},
                {"enabled": True, "schedule_hours": random.choice([1, 2, 6, 12, 24, 168])},
                {"schedule_cron": self._cron(), "schedule_timezone": random.choice(ZONES)},
                {"jitter_seconds": random.choice([0, 60, 449])},
                {"paused_note": f"note {random.random()}"},
            ]
        )
        if "schedule_cron" in values:
            values["jitter_seconds"] = 0
        come = _come(row, self.clock.time)
        await random.choice(self.schedulers).save_config(**values, updated_by="operator")
        if (await self._row())["next_run_at"] != row["next_run_at"]:
            self.came.update(come)
        await self._look()

    def _cron(self, wall_times: Sequence[tuple[int, int]] = WALL_TIMES) -> str:
        times = self.random.sample(wall_times, k=self.random.choice([1, 1, 2, 4]))
        minutes = sorted({minute for _, minute in times})
        hours = sorted({hour for hour, _ in times})
        return f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"

    async def _look(self) -> None:
        """Some of the processes look at the same time; now and then the one that decides dies of it."""
        row, now, random = await self._row(), self.clock.time, self.random
        come = _come(row, now)
        self.may_have_come.update(come)
        if len(come) > 1 or (come and come[0] + timedelta(seconds=row["jitter_seconds"]) <= now):
            self.came.update(come)
        self.trigger.dies = random.choices([None, "before the commit", "after the commit"], [94, 3, 3])[0]
        looking = random.sample(self.schedulers, k=random.randint(1, PROCESSES))
        done = await asyncio.gather(*(each.tick(now) for each in looking), return_exceptions=True)
        for fault in done:
            if isinstance(fault, BaseException) and not isinstance(fault, Died):
                raise fault
        self.trigger.dies = None
        # Those that are left look again, as they do after every notice.
        await random.choice(self.schedulers).tick(now)
        _check_next(await self._row(), now)

    async def _end_runs(self) -> None:
        await self.sql.execute(
            "UPDATE discovery_runs SET status = %s, completed_at = started_at WHERE status = 'running'",
            (self.random.choice(["completed", "failed", "cancelled"]),),
        )

    async def _row(self) -> dict[str, Any]:
        row = await (await self.sql.execute("SELECT * FROM discovery_config")).fetchone()
        assert row is not None
        return row

    async def _count(self) -> Counts:
        ticks = await (await self.sql.execute("SELECT * FROM schedule_ticks")).fetchall()
        runs = await (await self.sql.execute("SELECT id FROM discovery_runs")).fetchall()
        decided = {row["due_at"].astimezone(UTC) for row in ticks}
        started = [row["run_id"] for row in ticks if row["status"] == "started"]
        assert len(started) == len(set(started))
        assert all(row["reason"] for row in ticks if row["status"] == "skipped")
        without_tick = {row["id"] for row in runs} - set(started)
        lost, invented = self.came - decided, decided - self.came - self.may_have_come
        return Counts(
            tried=len(self.came),
            survived=len(self.came & decided),
            lost=len(lost),
            duplicated=len(without_tick) + len(invented),
        )


def _check_next(row: dict[str, Any], now: datetime) -> None:
    """Disabled, there is no next run; else there is one, not past, and no further than its schedule can be."""
    next_run_at = row["next_run_at"]
    if not row["enabled"]:
        assert next_run_at is None
        return
    assert next_run_at + timedelta(seconds=row["jitter_seconds"]) > now
    if not row["schedule_cron"]:
        assert next_run_at <= now + timedelta(hours=row["schedule_hours"]) + SKEW
    elif next_run_at > now:
        until = now + timedelta(days=3)
        times = _cron_times(row["schedule_cron"], row["schedule_timezone"], now, until)
        assert next_run_at in times
        assert next_run_at <= min(each for each in times if each > now + SKEW)


def _come(row: dict[str, Any], now: datetime) -> list[datetime]:
    """The due times that have come by now, by the row of the configuration, oldest first."""
    if not row["enabled"] or row["next_run_at"] is None or row["next_run_at"] > now:
        return []
    first = row["next_run_at"].astimezone(UTC)
    if row["schedule_cron"]:
        return sorted({first, *_cron_times(row["schedule_cron"], row["schedule_timezone"], first, now)})
    interval = timedelta(hours=row["schedule_hours"])
    return [first + number * interval for number in range((now - first) // interval + 1)]


def _cron_times(cron: str, zone: str, after: datetime, until: datetime) -> set[datetime]:
    minutes, hours = ([int(number) for number in part.split(",")] for part in cron.split()[:2])
    days = [
        after.date() + timedelta(days=number) for number in range(-2, (until.date() - after.date()).days + 3)
    ]
    times = {
        _first_shown(datetime.combine(day, time(hour, minute)), ZoneInfo(zone))
        for day in days
        for hour in hours
        for minute in minutes
    }
    return {each for each in times if after < each <= until}


def _first_shown(wall: datetime, place: ZoneInfo) -> datetime:
    """When clocks show this time, or the next that they show where they never do. Transitions are at whole minutes."""
    while True:
        moment = wall.replace(tzinfo=place).astimezone(UTC)
        if moment.astimezone(place).replace(tzinfo=None) == wall:
            return moment
        wall += timedelta(minutes=1)
