"""Times of a cron expression in a time zone, each exactly once also on days when the clocks change."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterError, croniter  # type: ignore[import-untyped]

CRON_BOUND: Final = (
    "five fields (minute hour day month weekday), like 30 6 * * 1-5, that come round at some time"
)
ZONE_BOUND: Final = "a name of the IANA time zone database, like Europe/Berlin or UTC"

_LONGEST_CRON: Final = 100
_NAMES: Final = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT"
# Leaves out what croniter also takes: seconds, years, and fields that it draws at random.
_FIELD: Final = re.compile(rf"(?:[0-9*/,\-?#L]|{_NAMES})+")
_SECOND: Final = timedelta(seconds=1)


def checked_cron(text: str) -> str:
    """The expression with single spaces, in capitals. Raises ValueError where it is none, or never comes."""
    fields = text.upper().split()
    if (
        len(text) > _LONGEST_CRON
        or len(fields) != 5
        or not all(_FIELD.fullmatch(each) for each in fields)
        or _next(" ".join(fields), datetime(2026, 1, 1)) is None  # noqa: DTZ001 - a wall clock's time
    ):
        raise ValueError(f"must be {CRON_BOUND}")
    return " ".join(fields)


def checked_zone(name: str) -> str:
    """The name. Raises ValueError where there is no such time zone."""
    if name not in available_timezones():
        raise ValueError(f"must be {ZONE_BOUND}")
    return name


def cron_after(cron: str, zone: str, after: datetime) -> datetime:
    """The first time of the expression after a moment, in UTC.

    A local time that is skipped when clocks go forward comes at the moment when they do, together with others of the
    skipped part; one that is repeated when they go back comes the first time only.
    """
    place = ZoneInfo(zone)
    wall = after.astimezone(place).replace(tzinfo=None, fold=0, microsecond=0)
    while True:
        found = _next(cron, wall)
        if found is None:
            raise ValueError(f"{cron}: never comes after {after.isoformat()}")
        wall = found
        moment = _moment(wall, place)
        if moment > after:
            return moment


def cron_until(cron: str, zone: str, until: datetime) -> datetime:
    """The last time of the expression that is not after a moment, in UTC; of skipped and repeated times as above."""
    place = ZoneInfo(zone)
    local = until.astimezone(place)
    wall = local.replace(tzinfo=None, fold=0, microsecond=0) + _SECOND
    if local.fold:
        # All of what is repeated came the first time.
        wall += _offset(local.replace(fold=0)) - _offset(local)
    walk = croniter(cron, wall)
    while True:
        moment = _moment(walk.get_prev(datetime), place)
        if moment <= until:
            return moment


def _next(cron: str, wall: datetime) -> datetime | None:
    try:
        found = croniter(cron, wall).get_next(datetime)
    except CroniterError:
        return None
    return found if isinstance(found, datetime) else None


def _moment(wall: datetime, place: ZoneInfo) -> datetime:
    """When a clock of the place shows this time for the first time, or goes past it (PEP 495)."""
    before = _offset(wall.replace(tzinfo=place, fold=0))
    skipped = _offset(wall.replace(tzinfo=place, fold=1)) - before
    moment = (wall - before).replace(tzinfo=UTC)
    if skipped <= timedelta():
        return moment
    early = moment - skipped
    while moment - early > _SECOND:
        middle = early + (moment - early) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle.astimezone(place)) == before:
            early = middle
        else:
            moment = middle
    return moment


def _offset(time: datetime) -> timedelta:
    return time.utcoffset() or timedelta()
