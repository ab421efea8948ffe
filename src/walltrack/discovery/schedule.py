"""When runs are due: the next times, what is due at a moment, and what a change of the schedule does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, TypeVar
from uuid import UUID

from pydantic import ValidationError

from walltrack.discovery.cron import checked_cron, checked_zone, cron_after, cron_until
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRunParams, RunStatus

T = TypeVar("T")

SHORTEST_HOURS: Final = 1
LONGEST_HOURS: Final = 168
LONGEST_NOTE: Final = 500

ON_TIME: Final = timedelta(minutes=5)
"""A run that starts this late keeps the rhythm of its schedule; after a later one the interval starts anew."""

CLOCK_SKEW: Final = timedelta(minutes=10)
"""How far the clocks of two processes may be apart before one counts as set back."""

MOST_LISTED: Final = 1000
"""Most missed due times that are listed one by one."""

_GAPS_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One value that was refused: the field, what was given, and the bound that it breaks."""

    field: str
    given: str
    bound: str

    def __str__(self) -> str:
        return f"{self.field}: {self.given} is refused, {self.bound}"


class InvalidConfigError(BadInputError):
    """Values of a configuration are out of bounds. Nothing was changed."""

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Schedule:
    """When runs are due: every `hours`, or where there is one, at the times of `cron` in `timezone`.

    Each starts up to `jitter_seconds` after its due time, always the same for one due time.
    """

    enabled: bool = True
    hours: int = 6
    cron: str | None = None
    timezone: str = "UTC"
    jitter_seconds: int = 0

    def frequency(self) -> tuple[object, ...]:
        """What the due times depend on."""
        return (self.cron, self.timezone) if self.cron else (self.hours,)


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """The one configuration, and where the schedule stands.

    `next_run_at` is the next due time, without its jitter: None while disabled, and before the first scheduler came
    by. `last_run_at` and `last_run_id` are of the last run that the schedule started, `last_result` is its status.
    `version` counts the changes.
    """

    schedule: Schedule
    params: DiscoveryRunParams
    note: str | None = None
    next_run_at: datetime | None = None
    last_run_at: datetime | None = None
    last_run_id: UUID | None = None
    last_result: RunStatus | None = None
    updated_at: datetime | None = None
    updated_by: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Off:
    """The schedule is disabled."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is due. `next_run_at` is the next due time, which is to be stored where `is_new`."""

    next_run_at: datetime
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class DueTimes:
    """Due times that have come: the latest, and those before it, oldest first.

    Where there are more than can be listed, the last of `earlier` stands for all from it up to `earlier_until`.
    """

    latest: datetime
    earlier: tuple[datetime, ...] = ()
    earlier_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A run is due for the latest of these times; the earlier ones were missed. Then `next_run_at` is next."""

    times: DueTimes
    next_run_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of the schedule does: the next due time (None: none), and due times that had come and are dropped.

    `at_once`: the next run is due right now.
    """

    next_run_at: datetime | None
    at_once: bool = False
    dropped: DueTimes | None = None


@dataclass(frozen=True, slots=True)
class SchedulePreview:
    """What saving a change would do: whether a run starts at once, and when the next ones start."""

    at_once: bool
    times: tuple[datetime, ...] = field(default=())


def due_after(schedule: Schedule, due_at: datetime) -> datetime:
    """The due time that follows one."""
    if schedule.cron:
        return cron_after(schedule.cron, schedule.timezone, due_at)
    return due_at + timedelta(hours=schedule.hours)


def jitter_of(schedule: Schedule, due_at: datetime) -> timedelta:
    """How long after its due time a run starts: from a hash of it, below half of what is left to the next."""
    if schedule.jitter_seconds == 0:
        return timedelta()
    half = (due_after(schedule, due_at) - due_at) / 2
    most = min(timedelta(seconds=schedule.jitter_seconds), half - timedelta(seconds=1))
    digest = hashlib.sha256(due_at.astimezone(UTC).isoformat().encode()).digest()
    return most * (int.from_bytes(digest[:4], "big") / 2**32)


def starts_at(schedule: Schedule, due_at: datetime) -> datetime:
    """When the run of a due time starts."""
    return due_at + jitter_of(schedule, due_at)


def what_is_due(config: SchedulerConfig, now: datetime) -> Off | Waiting | Due:
    """What is to be done now. Where the clock was set back, the next due time comes back with it."""
    schedule, next_run_at = config.schedule, config.next_run_at
    if not schedule.enabled:
        return Off()
    if next_run_at is None:
        return Waiting(_first(schedule, config.last_run_at, now), is_new=True)
    if next_run_at > due_after(schedule, now + CLOCK_SKEW):
        return Waiting(due_after(schedule, now), is_new=True)
    if next_run_at > now:
        return Waiting(next_run_at)
    times = _come(schedule, next_run_at, now)
    if not times.earlier and starts_at(schedule, next_run_at) > now:
        return Waiting(next_run_at)
    is_late = now - starts_at(schedule, times.latest) > ON_TIME
    keeps_its_rhythm = schedule.cron is not None or not is_late
    return Due(times, due_after(schedule, times.latest if keeps_its_rhythm else now))


def what_changes(config: SchedulerConfig, new: Schedule, now: datetime) -> Change:
    """What becomes of the next due time when the schedule of this configuration is replaced.

    Enabling and another frequency make it the last start + interval, or now + interval where there was no start; at
    once if that is past. A cron expression's is its next time after now.
    """
    old, next_run_at = config.schedule, config.next_run_at
    is_same = old.enabled and new.enabled and old.frequency() == new.frequency()
    if is_same and next_run_at is not None:
        return Change(next_run_at, at_once=starts_at(new, next_run_at) <= now)
    dropped = None
    if old.enabled and next_run_at is not None and next_run_at <= now:
        dropped = _come(old, next_run_at, now)
    if not new.enabled:
        return Change(None, dropped=dropped)
    first = _first(new, config.last_run_at, now)
    return Change(first, at_once=first <= now, dropped=dropped)


def preview_of(schedule: Schedule, change: Change, count: int = 5) -> SchedulePreview:
    """When the next runs would start after a change."""
    times: list[datetime] = []
    due_at = change.next_run_at
    while due_at is not None and len(times) < count:
        times.append(starts_at(schedule, due_at))
        due_at = due_after(schedule, due_at)
    return SchedulePreview(change.at_once, tuple(times))


def checked_config(
    config: SchedulerConfig,
    *,
    now: datetime,
    enabled: bool | None = None,
    schedule_hours: int | None = None,
    params: DiscoveryRunParams | None = None,
    schedule_cron: str | None = None,
    schedule_timezone: str | None = None,
    paused_note: str | None = None,
    jitter_seconds: int | None = None,
) -> tuple[Schedule, DiscoveryRunParams, str | None]:
    """Schedule, parameters and note with what is given in place of what there was; None leaves a value as it is.

    An empty expression or note takes it away; hours without an expression take the expression away, since they would
    do nothing beside it. Raises InvalidConfigError with every value that is out of bounds.
    """
    problems: list[FieldProblem] = []
    old = config.schedule

    def checked(name: str, given: T | None, otherwise: T, check: Callable[[T], T]) -> T:
        if given is None:
            return otherwise
        try:
            return check(given)
        except ValueError as error:
            problems.append(FieldProblem(name, repr(given), str(error)))
            return otherwise

    cron: str | None = old.cron
    if schedule_cron is not None:
        cron = checked("schedule_cron", schedule_cron, "", _cron_or_none) or None
    elif schedule_hours is not None:
        cron = None
    schedule = Schedule(
        enabled=checked("enabled", enabled, old.enabled, _switch),
        hours=checked("schedule_hours", schedule_hours, old.hours, _hours),
        cron=cron,
        timezone=checked("schedule_timezone", schedule_timezone, old.timezone, checked_zone),
        jitter_seconds=checked("jitter_seconds", jitter_seconds, old.jitter_seconds, _seconds),
    )
    note = checked("paused_note", paused_note, config.note or "", _note) or None
    if params is not None:
        try:
            # The object may have been made without validation.
            params = DiscoveryRunParams.model_validate(params.model_dump(warnings=False))
        except ValidationError as error:
            problems += [
                FieldProblem(".".join(map(str, each["loc"])), repr(each["input"]), _lower(each["msg"]))
                for each in error.errors(include_url=False)
            ]
    if not problems:
        most = _most_jitter(schedule, now)
        if schedule.jitter_seconds > most:
            bound = f"must be 0 to {most}, less than half of the time between two runs"
            problems.append(FieldProblem("jitter_seconds", repr(schedule.jitter_seconds), bound))
    if problems:
        raise InvalidConfigError(tuple(problems))
    return schedule, params or config.params, note


def _first(schedule: Schedule, last_start: datetime | None, now: datetime) -> datetime:
    if schedule.cron:
        return cron_after(schedule.cron, schedule.timezone, now)
    # A start in the future is of a clock that was set back since.
    return max(now, due_after(schedule, min(last_start or now, now)))


def _come(schedule: Schedule, first: datetime, now: datetime) -> DueTimes:
    """The due times from the first, which has come, up to now."""
    if schedule.cron:
        latest = max(first, cron_until(schedule.cron, schedule.timezone, now))
    else:
        interval = timedelta(hours=schedule.hours)
        latest = first + (now - first) // interval * interval
    earlier: list[datetime] = []
    due_at = first
    while due_at < latest and len(earlier) < MOST_LISTED:
        earlier.append(due_at)
        due_at = due_after(schedule, due_at)
    until = None
    if due_at < latest:
        moment_before = latest - timedelta(microseconds=1)
        until = (
            cron_until(schedule.cron, schedule.timezone, moment_before)
            if schedule.cron
            else latest - timedelta(hours=schedule.hours)
        )
    return DueTimes(latest, tuple(earlier), until)


def _most_jitter(schedule: Schedule, now: datetime) -> int:
    """The largest whole number of seconds below half of the time between two of the next due times."""
    shortest = timedelta(hours=schedule.hours)
    if schedule.cron:
        times = [cron_after(schedule.cron, schedule.timezone, now)]
        for _ in range(_GAPS_LOOKED_AT):
            times.append(due_after(schedule, times[-1]))
        shortest = min(after - before for before, after in pairwise(times))
    return (int(shortest.total_seconds()) - 1) // 2


def _cron_or_none(text: str) -> str:
    return checked_cron(text) if text.strip() else ""


def _switch(value: bool) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _hours(value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not SHORTEST_HOURS <= value <= LONGEST_HOURS:
        raise ValueError(f"must be a whole number, {SHORTEST_HOURS} to {LONGEST_HOURS}")
    return value


def _seconds(value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("must be a whole number of seconds, 0 or more")
    return value


def _note(text: str) -> str:
    if len(text) > LONGEST_NOTE:
        raise ValueError(f"must be at most {LONGEST_NOTE} characters")
    return text.strip()


def _lower(message: str) -> str:
    return f"must be: {message[:1].lower()}{message[1:]}"
