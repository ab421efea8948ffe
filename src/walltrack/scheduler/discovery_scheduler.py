"""Starts runs when they are due. Any number of processes may do so over one database: each due time is decided once."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import stamina
import structlog

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import ConfigChangedError, RunsBusyError
from walltrack.data.supabase.notices import CONFIG, LISTENING, Notices
from walltrack.data.supabase.repositories.schedule_repo import HeldSchedule, ScheduleRepository
from walltrack.discovery.at_once import stopped
from walltrack.discovery.clock import Clock
from walltrack.discovery.models import DiscoveryRunParams, RunStatus, TriggerType
from walltrack.discovery.schedule import (
    Change,
    Due,
    Off,
    Schedule,
    SchedulePreview,
    SchedulerConfig,
    Waiting,
    checked_config,
    preview_of,
    starts_at,
    what_changes,
    what_is_due,
)
from walltrack.discovery.schedule_records import SkipCause
from walltrack.scheduler.ticks import RunTrigger, TickKind, TickOutcome

log = structlog.get_logger()

POLL_SECONDS: Final = 30.0
"""Longest wait before the database is looked at again: a safety net for lost notices and clocks that jump."""

TRIGGERED_BY: Final = "scheduler"
FROM_ENVIRONMENT: Final = "environment"

_MISSED: Final = "missed while nothing was running to start it"
_CHANGED: Final = "the schedule was changed before it started"
_LONGEST_RETRY_SECONDS: Final = 5.0


Wait = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits until the event is set, or so many seconds at most."""


class DiscoveryScheduler:
    """The schedule of runs: reads and saves it, and with `claims` starts a run when one is due.

    The properties are of the last look at the database, at most POLL_SECONDS old while started; every decision is
    made on the row itself, whatever they say.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: Settings,
        clock: Clock,
        trigger: RunTrigger,
        notices: Notices | None = None,
        claims: bool = True,
        wait: Wait | None = None,
    ) -> None:
        self._repository = ScheduleRepository(database)
        self._settings = settings
        self._clock = clock
        self._trigger = trigger
        self._notices = notices
        self._claims = claims
        self._wait = wait or _wait
        self._name = f"process {os.getpid()} on {platform.node()}"
        self._config = SchedulerConfig(Schedule(), DiscoveryRunParams())
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def config(self) -> SchedulerConfig:
        return self._config

    @property
    def enabled(self) -> bool:
        return self._config.schedule.enabled

    @property
    def schedule_hours(self) -> int:
        return self._config.schedule.hours

    @property
    def params(self) -> DiscoveryRunParams:
        return self._config.params

    @property
    def next_run(self) -> datetime | None:
        """When the next run starts, jitter included; None while disabled."""
        due_at = self._config.next_run_at
        return None if due_at is None else starts_at(self._config.schedule, due_at)

    @property
    def last_run(self) -> datetime | None:
        """When the schedule last started a run."""
        return self._config.last_run_at

    @property
    def last_result(self) -> RunStatus | None:
        """The status of that run; None where there was none, or it is no longer kept."""
        return self._config.last_result

    async def load_config(self) -> SchedulerConfig:
        """Read the configuration. As long as nobody has saved one, what the environment says is stored first."""
        config = await self._repository.get_config()
        seeded = self._seeded(config)
        if seeded is not None:
            async with self._repository.held(now=self._clock.now(), by=self._name) as held:
                seeded = self._seeded(held.config)
                if seeded is not None:
                    await self._replace(
                        held, seeded, held.config.params, held.config.note, changed_by=FROM_ENVIRONMENT
                    )
                config = await held.read()
        self._config = config
        return config

    async def save_config(
        self,
        enabled: bool | None = None,
        schedule_hours: int | None = None,
        params: DiscoveryRunParams | None = None,
        updated_by: str | None = None,
        *,
        schedule_cron: str | None = None,
        schedule_timezone: str | None = None,
        paused_note: str | None = None,
        jitter_seconds: int | None = None,
        expected_version: int | None = None,
    ) -> SchedulerConfig:
        """Change what is given, and leave what is None; in force in every process at once.

        An empty `schedule_cron` or `paused_note` takes it away; `schedule_hours` without an expression takes the
        expression away. Raises InvalidConfigError with every field that is out of bounds, ConfigChangedError where the
        configuration is no longer at `expected_version`; nothing is changed then.
        """
        now = self._clock.now()
        async with self._repository.held(now=now, by=self._name) as held:
            config = held.config
            if expected_version is not None and expected_version != config.version:
                raise ConfigChangedError(expected_version, config.version)
            schedule, new_params, note = checked_config(
                config,
                now=now,
                enabled=enabled,
                schedule_hours=schedule_hours,
                params=params,
                schedule_cron=schedule_cron,
                schedule_timezone=schedule_timezone,
                paused_note=paused_note,
                jitter_seconds=jitter_seconds,
            )
            by = updated_by or "unnamed"
            await self._replace(held, schedule, new_params, note, updated_by=by, changed_by=by)
            config = await held.read()
        self._config = config
        self._wake.set()
        log.info("schedule_saved", by=by, version=config.version, next_run=_text(self.next_run))
        return config

    async def preview(
        self,
        enabled: bool | None = None,
        schedule_hours: int | None = None,
        *,
        schedule_cron: str | None = None,
        schedule_timezone: str | None = None,
        jitter_seconds: int | None = None,
        count: int = 5,
    ) -> SchedulePreview:
        """What saving this would do, and when the next runs would start. Saves nothing; raises InvalidConfigError."""
        now = self._clock.now()
        config = await self._repository.get_config()
        schedule, _, _ = checked_config(
            config,
            now=now,
            enabled=enabled,
            schedule_hours=schedule_hours,
            schedule_cron=schedule_cron,
            schedule_timezone=schedule_timezone,
            jitter_seconds=jitter_seconds,
        )
        return preview_of(schedule, what_changes(config, schedule, now), count)

    async def start(self) -> None:
        """Read the configuration and go on by it until `stop`. Started already, it does nothing."""
        if self._tasks:
            return
        await self.load_config()
        self._tasks = [asyncio.create_task(self._run_loop(), name="schedule")]
        if self._notices is not None:
            self._tasks.append(asyncio.create_task(self._follow(self._notices), name="schedule notices"))
        log.info(
            "scheduler_started", enabled=self.enabled, next_run=_text(self.next_run), claims=self._claims
        )

    async def stop(self) -> None:
        """Start no run from now on. A due time is decided wholly or not at all."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await stopped(task)
        if tasks:
            log.info("scheduler_stopped")

    def wake(self) -> None:
        """Look at the schedule now, not only after the wait."""
        self._wake.set()

    async def tick(self, now: datetime) -> TickOutcome:
        """Look at the schedule, and where a run is due, decide that due time: start its run, or note why there is none.

        Of several processes that do so at the same time, one decides, and its run is created in the same transaction.
        """
        self._config = await self._repository.get_config()
        due = what_is_due(self._config, now)
        if isinstance(due, Off):
            return TickOutcome(TickKind.OFF)
        if isinstance(due, Waiting) and not due.is_new:
            return TickOutcome(TickKind.WAITING)
        async with self._repository.held(now=now, by=self._name) as held:
            outcome = await self._decide(held, now)
            config = await held.read()
        self._config = config
        if outcome.kind is TickKind.STARTED and outcome.run_id is not None:
            await self._trigger.created(outcome.run_id)
        return outcome

    async def _decide(self, held: HeldSchedule, now: datetime) -> TickOutcome:
        due = what_is_due(held.config, now)
        if isinstance(due, Off):
            return TickOutcome(TickKind.OFF)
        if isinstance(due, Waiting):
            if due.is_new:
                await held.move_to(due.next_run_at)
                log.info("schedule_set", next_run_at=_text(due.next_run_at))
            return TickOutcome(TickKind.WAITING)
        times = due.times
        await held.store_skipped(times.earlier, SkipCause.MISSED, _MISSED, until=times.earlier_until)
        outcome = await self._start(held, due, now)
        await held.move_to(due.next_run_at)
        log.info(
            "schedule_decided",
            outcome=outcome.kind.value,
            due_at=_text(times.latest),
            run_id=str(outcome.run_id),
            reason=outcome.reason,
            missed=outcome.missed,
        )
        return outcome

    async def _start(self, held: HeldSchedule, due: Due, now: datetime) -> TickOutcome:
        due_at, missed = due.times.latest, len(due.times.earlier)
        if await held.is_decided(due_at):
            return TickOutcome(TickKind.PASSED, due_at, missed=missed)
        try:
            run_id = await self._trigger.create(
                held.connection, held.config.params, TriggerType.SCHEDULED, TRIGGERED_BY, started_at=now
            )
        except RunsBusyError as error:
            reason = f"run {error.run_id} was still running"
            await held.store_overlap(due_at, error.run_id, reason)
            return TickOutcome(TickKind.SKIPPED, due_at, error.run_id, reason, missed)
        await held.store_started(due_at, run_id)
        return TickOutcome(TickKind.STARTED, due_at, run_id, missed=missed)

    async def _replace(
        self,
        held: HeldSchedule,
        schedule: Schedule,
        params: DiscoveryRunParams,
        note: str | None,
        *,
        changed_by: str,
        updated_by: str | None = None,
    ) -> None:
        change = what_changes(held.config, schedule, self._clock.now())
        await _note_dropped(held, change)
        await held.save(
            schedule, params, note, change.next_run_at, updated_by=updated_by, changed_by=changed_by
        )

    def _seeded(self, config: SchedulerConfig) -> Schedule | None:
        """The schedule by the environment, where it says something else and nobody has saved one."""
        if config.updated_by is not None:
            return None
        given, old = self._settings.model_fields_set, config.schedule
        seeded = Schedule(
            enabled=(
                self._settings.discovery_scheduler_enabled
                if "discovery_scheduler_enabled" in given
                else old.enabled
            ),
            hours=self._settings.discovery_schedule_hours
            if "discovery_schedule_hours" in given
            else old.hours,
            cron=old.cron,
            timezone=old.timezone,
            jitter_seconds=old.jitter_seconds,
        )
        return None if seeded == old else seeded

    async def _run_loop(self) -> None:
        while True:
            self._wake.clear()
            async for attempt in stamina.retry_context(
                on=_said, attempts=None, timeout=None, wait_max=_LONGEST_RETRY_SECONDS
            ):
                with attempt:
                    if self._claims:
                        await self.tick(self._clock.now())
                    else:
                        self._config = await self._repository.get_config()
            await self._wait(self._wake, self._seconds_to_wait())

    def _seconds_to_wait(self) -> float:
        next_run = self.next_run
        if next_run is None or not self._claims:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, (next_run - self._clock.now()).total_seconds()))

    async def _follow(self, notices: Notices) -> None:
        async for payload in notices.listen():
            if payload in (CONFIG, LISTENING):
                self._wake.set()


async def get_discovery_scheduler() -> DiscoveryScheduler:
    """The scheduler of this process. Raises RuntimeError before `set_discovery_scheduler`."""
    if _scheduler is None:
        raise RuntimeError("this process has no scheduler yet: call set_discovery_scheduler first")
    return _scheduler


def set_discovery_scheduler(scheduler: DiscoveryScheduler | None) -> None:
    """Make this the scheduler of the process; None: it has none any more."""
    global _scheduler  # noqa: PLW0603 - one per process is what the name promises
    _scheduler = scheduler


_scheduler: DiscoveryScheduler | None = None


async def _note_dropped(held: HeldSchedule, change: Change) -> None:
    """Note the due times that had come, and of which the change takes the run away."""
    if change.dropped is None:
        return
    times = change.dropped
    await held.store_skipped(times.earlier, SkipCause.MISSED, _MISSED, until=times.earlier_until)
    if times.latest != change.next_run_at:
        await held.store_skipped([times.latest], SkipCause.CHANGED, _CHANGED)


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return


def _said(error: Exception) -> bool:
    """Whatever fails is said and tried again: the schedule goes on when the database does."""
    log.error("schedule_not_kept", error=str(error), kind=type(error).__name__)
    return True


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
