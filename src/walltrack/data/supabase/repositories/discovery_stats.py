"""Statistics over runs: a period's figures, by day and by week, and week over week by ISO weeks in UTC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from walltrack.data.supabase.client import Connection
from walltrack.data.supabase.repositories.run_figures import (
    DAY,
    LENGTHS,
    WEEK,
    Span,
    Sums,
    Unit,
    fetch_ends,
    fetch_sums,
    midnight,
    span_of_runs,
    week_of,
)
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DayFigures, DiscoveryStats, WeekFigures, WeekTrend

MOST_WEEKS: Final = 104
MOST_DAYS_IN_SERIES: Final = 400
MOST_WEEKS_IN_SERIES: Final = 1_100

_NOTHING: Final = Sums()

# All that is shown is of one moment.
_ONE_MOMENT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


async def fetch_stats(
    connection: Connection, start: datetime | None, end: datetime | None, *, now: datetime, weeks: int
) -> DiscoveryStats:
    """Figures over `start ≤ started_at < end`, and the trend at `now` over whole weeks before the running one.

    Wallets discovered are those that no run had found before; the average per run counts new and known ones. `now` is
    in UTC. The connection has not asked anything in its transaction yet. Raises BadInputError where `weeks` is out of
    bounds.
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise BadInputError(f"weeks: {weeks} is out of bounds, 1 to {MOST_WEEKS}")
    await connection.execute(_ONE_MOMENT)
    ends = await fetch_ends(connection)
    periods = {unit: _period(unit, start, end, ends, now) for unit in LENGTHS}
    by_day = _fits(periods["day"], DAY, MOST_DAYS_IN_SERIES)
    span = span_of_runs(ends, start, end)
    asked = [*_trend_spans(now, weeks)]
    if span is not None:
        asked.append((span, "day" if by_day else "week"))
    found = await fetch_sums(connection, asked)
    sums = {} if span is None else found.pop()
    total = Sums()
    for part in sums.values():
        total.add(part)
    return DiscoveryStats(
        total_runs=total.runs,
        successful_runs=total.completed,
        failed_runs=total.failed,
        cancelled_runs=total.cancelled,
        running_runs=total.running,
        success_rate=total.success_rate,
        total_wallets_discovered=total.new_wallets,
        total_wallets_updated=total.updated_wallets,
        avg_wallets_per_run=total.avg_wallets or 0.0,
        avg_duration_seconds=total.avg_seconds or 0.0,
        credits=total.credits,
        last_run_at=None if span is None else await _last_run(connection, span),
        trend=_trend(asked, found),
        daily=_daily(periods["day"], sums) if by_day else None,
        weekly=_weekly(periods["week"], _by_week(sums) if by_day else sums),
    )


_LAST: Final = (
    "SELECT max(started_at) AS last_run_at FROM discovery_runs WHERE started_at >= %s AND started_at < %s"
)


async def _last_run(connection: Connection, span: Span) -> datetime | None:
    row = await (await connection.execute(_LAST, (span.starts, span.ends))).fetchone()
    last = None if row is None else row["last_run_at"]
    return None if last is None else last.astimezone(span.starts.tzinfo)


def _period(
    unit: Unit,
    start: datetime | None,
    end: datetime | None,
    ends: tuple[datetime, datetime] | None,
    now: datetime,
) -> Span | None:
    """What a series goes over: what was asked for, and whole days or weeks where that is open. None: nothing, or a time
    that has no like in UTC.
    """
    if start is None and ends is None:
        return None
    try:
        first = _begin(unit, ends[0]) if start is None and ends else start
        if first is None:
            return None
        last = end
        if last is None:
            last = _begin(unit, max(now, ends[1]) if ends else now) + LENGTHS[unit]
        span = Span(first.astimezone(now.tzinfo), last.astimezone(now.tzinfo))
    except OverflowError:
        return None
    return span if span.starts < span.ends else None


def _begin(unit: Unit, moment: datetime) -> datetime:
    """When its day or ISO week began."""
    day = midnight(moment)
    return day if unit == "day" else week_of(day)


def _fits(period: Span | None, length: timedelta, most: int) -> bool:
    return period is None or (period.ends - period.starts) <= most * length


def _pieces(unit: Unit, period: Span | None) -> Iterator[tuple[datetime, Span]]:
    """When each day or week of a period begins, and as much of it as is in the period."""
    if period is None:
        return
    begins = _begin(unit, period.starts)
    while begins < period.ends:
        ends = begins + LENGTHS[unit]
        yield begins, Span(max(begins, period.starts), min(ends, period.ends))
        begins = ends


# Made of figures of our own, a thousand at once: they are not checked again.
def _daily(period: Span | None, sums: Mapping[datetime, Sums]) -> list[DayFigures]:
    return [
        DayFigures.model_construct(day=begins.date(), **_figures(part, sums.get(begins, _NOTHING)))
        for begins, part in _pieces("day", period)
    ]


def _weekly(period: Span | None, sums: Mapping[datetime, Sums]) -> list[WeekFigures] | None:
    if not _fits(period, WEEK, MOST_WEEKS_IN_SERIES):
        return None
    return [
        WeekFigures.model_construct(week=_week_name(begins), **_figures(part, sums.get(begins, _NOTHING)))
        for begins, part in _pieces("week", period)
    ]


def _by_week(sums: Mapping[datetime, Sums]) -> Mapping[datetime, Sums]:
    found: dict[datetime, Sums] = {}
    for day, part in sums.items():
        found.setdefault(_begin("week", day), Sums()).add(part)
    return found


def _trend_spans(now: datetime, weeks: int) -> Iterator[tuple[Span, Unit]]:
    """The whole weeks before the running one; the running one so far; the same part of the one before."""
    this_week = _begin("week", now)
    yield Span(this_week - weeks * WEEK, this_week), "week"
    yield Span(this_week, now), "week"
    yield Span(this_week - WEEK, now - WEEK), "week"


def _trend(asked: Sequence[tuple[Span, Unit]], found: Sequence[Mapping[datetime, Sums]]) -> WeekTrend:
    (before, _), (running, _), (same_part, _), *_ = asked
    current = _week_up_to(running, found[1])
    previous = _week_up_to(same_part, found[2])
    return WeekTrend(
        current=current,
        previous_same_part=previous,
        runs_change_pct=_change_pct(previous.total_runs, current.total_runs),
        wallets_change_pct=_change_pct(previous.wallets_discovered, current.wallets_discovered),
        weeks=_weekly(before, found[0]) or [],
    )


def _week_up_to(part: Span, sums: Mapping[datetime, Sums]) -> WeekFigures:
    return WeekFigures(week=_week_name(part.starts), **_figures(part, sums.get(part.starts, Sums())))


def _week_name(begins: datetime) -> str:
    year, week, _ = begins.isocalendar()
    return f"{year}-W{week:02d}"


def _figures(span: Span, sums: Sums) -> dict[str, Any]:
    return {
        "starts_at": span.starts,
        "ends_at": span.ends,
        "total_runs": sums.runs,
        "successful_runs": sums.completed,
        "failed_runs": sums.failed,
        "cancelled_runs": sums.cancelled,
        "wallets_discovered": sums.new_wallets,
        "wallets_updated": sums.updated_wallets,
        "success_rate": sums.success_rate,
        "avg_wallets_per_run": sums.avg_wallets,
        "credits": sums.credits,
    }


def _change_pct(before: int, after: int) -> float | None:
    return None if before == 0 else 100.0 * (after - before) / before
