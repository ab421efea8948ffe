"""Statistics, series and the trend, against a plain calculation over the same runs after the same writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from tests.integration.databases import Server, settings_for
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.discovery_stats import fetch_stats
from walltrack.data.supabase.repositories.run_figures import count_runs
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DayFigures, DiscoveryStats, RunFigures, WeekFigures

DAY, WEEK = timedelta(days=1), timedelta(days=7)
TICK = timedelta(microseconds=1)
STATUSES = ("running", "completed", "failed", "cancelled")
TRIGGERS = ("manual", "scheduled", "api")
CLOSE = {"success_rate": None, "avg_wallets_per_run": None}


@dataclass(frozen=True)
class Stored:
    """What the statistics look at in one run. `None`: an earlier version left it out."""

    started_at: datetime
    status: str
    new: int | None
    known: int | None
    seconds: float | None
    trigger: str = "api"
    credits: tuple[int, ...] = ()
    id: UUID = field(default_factory=uuid4)


def midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def monday(moment: datetime) -> datetime:
    return midnight(moment) - timedelta(days=moment.isoweekday() - 1)


def rate(runs: Sequence[Stored]) -> float | None:
    ended = [run for run in runs if run.status in ("completed", "failed")]
    return sum(run.status == "completed" for run in ended) / len(ended) if ended else None


def found_by(runs: Sequence[Stored]) -> float | None:
    """New and known wallets a completed run of which both are known."""
    both = [
        run.new + run.known
        for run in runs
        if run.status == "completed" and run.new is not None and run.known is not None
    ]
    return sum(both) / len(both) if both else None


def spent(runs: Sequence[Stored]) -> int:
    return sum(sum(run.credits) for run in runs)


def figures(runs: Sequence[Stored], starts: datetime, ends: datetime) -> RunFigures:
    inside = [run for run in runs if starts <= run.started_at < ends]
    return RunFigures(
        starts_at=starts,
        ends_at=ends,
        total_runs=len(inside),
        successful_runs=sum(run.status == "completed" for run in inside),
        failed_runs=sum(run.status == "failed" for run in inside),
        cancelled_runs=sum(run.status == "cancelled" for run in inside),
        wallets_discovered=sum(run.new or 0 for run in inside),
        wallets_updated=sum(run.known or 0 for run in inside),
        success_rate=rate(inside),
        avg_wallets_per_run=found_by(inside),
        credits=spent(inside),
    )


def week_of(runs: Sequence[Stored], starts: datetime, ends: datetime) -> WeekFigures:
    year, week, _ = starts.isocalendar()
    return WeekFigures(week=f"{year}-W{week:02d}", **figures(runs, starts, ends).model_dump())


def day_of(runs: Sequence[Stored], starts: datetime, ends: datetime) -> DayFigures:
    return DayFigures(day=starts.date(), **figures(runs, starts, ends).model_dump())


def cut(
    begins: datetime, length: timedelta, starts: datetime, ends: datetime
) -> Iterator[tuple[datetime, ...]]:
    while starts < ends and begins < ends:
        yield max(begins, starts), min(begins + length, ends)
        begins += length


def same(found: RunFigures, want: RunFigures) -> None:
    assert found.model_copy(update=CLOSE) == want.model_copy(update=CLOSE)
    assert found.success_rate == pytest.approx(want.success_rate)
    assert found.avg_wallets_per_run == pytest.approx(want.avg_wallets_per_run)


def check(
    found: DiscoveryStats,
    history: Sequence[Stored],
    now: datetime,
    weeks: int,
    start: datetime | None = None,
    end: datetime | None = None,
) -> None:
    runs = [
        run
        for run in history
        if (start is None or run.started_at >= start) and (end is None or run.started_at < end)
    ]
    completed = [run for run in runs if run.status == "completed"]
    timed = [run.seconds for run in completed if run.seconds is not None]
    assert found.total_runs == len(runs)
    assert found.successful_runs == len(completed)
    assert found.failed_runs == sum(run.status == "failed" for run in runs)
    assert found.cancelled_runs == sum(run.status == "cancelled" for run in runs)
    assert found.running_runs == sum(run.status == "running" for run in runs)
    assert found.success_rate == pytest.approx(rate(runs))
    assert found.total_wallets_discovered == sum(run.new or 0 for run in runs)
    assert found.total_wallets_updated == sum(run.known or 0 for run in runs)
    assert found.avg_wallets_per_run == pytest.approx(found_by(runs) or 0)
    assert found.avg_duration_seconds == pytest.approx(sum(timed) / len(timed) if timed else 0)
    assert found.credits == spent(runs)
    assert found.last_run_at == max((run.started_at for run in runs), default=None)
    check_series(found, history, now, start, end)

    trend = found.trend
    assert trend is not None
    this_week = monday(now)
    expected = [
        week_of(history, this_week, now),
        week_of(history, this_week - WEEK, now - WEEK),
        *(
            week_of(history, this_week - back * WEEK, this_week - (back - 1) * WEEK)
            for back in range(weeks, 0, -1)
        ),
    ]
    for week, want in zip([trend.current, trend.previous_same_part, *trend.weeks], expected, strict=True):
        same(week, want)
    before, after = trend.previous_same_part, trend.current
    for change, was, is_now in (
        (trend.runs_change_pct, before.total_runs, after.total_runs),
        (trend.wallets_change_pct, before.wallets_discovered, after.wallets_discovered),
    ):
        assert change == (pytest.approx(100 * (is_now - was) / was) if was else None)


def check_series(
    found: DiscoveryStats,
    history: Sequence[Stored],
    now: datetime,
    start: datetime | None,
    end: datetime | None,
) -> None:
    first = min((run.started_at for run in history), default=None)
    last = max([now, *(run.started_at for run in history)])
    days: list[DayFigures] = []
    weeks: list[WeekFigures] = []
    if start is not None or first is not None:
        begin, stop = start or midnight(first or now), end or midnight(last) + DAY
        days = [day_of(history, *part) for part in cut(midnight(begin), DAY, begin, stop)]
        begin, stop = start or monday(first or now), end or monday(last) + WEEK
        weeks = [
            week_of(history, *part).model_copy(update={"week": week_of((), part[0], part[0]).week})
            for part in cut(monday(begin), WEEK, begin, stop)
        ]
    if len(days) <= 400:
        assert found.daily is not None
        for day, want in zip(found.daily, days, strict=True):
            same(day, want)
    elif len(days) > 401:
        assert found.daily is None
    assert found.weekly is not None
    for week, expected in zip(found.weekly, weeks, strict=True):
        same(week, expected)


def connected(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url)


def store(connection: psycopg.Connection[tuple[object, ...]], runs: Sequence[Stored]) -> None:
    connection.execute("TRUNCATE discovery_runs CASCADE")
    connection.cursor().executemany(
        "INSERT INTO discovery_runs "
        "(id, started_at, status, trigger_type, new_wallets, updated_wallets, duration_seconds) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [(run.id, run.started_at, run.status, run.trigger, run.new, run.known, run.seconds) for run in runs],
    )
    for run in runs:
        for place, credits in enumerate(run.credits):
            spend(connection, run, place, credits)


def spend(connection: psycopg.Connection[tuple[object, ...]], run: Stored, place: int, credits: int) -> None:
    connection.execute(
        "INSERT INTO provider_usage AS used (run_id, provider, month, requests, credits) "
        "VALUES (%s, %s, '2026-01-01', 1, %s) "
        "ON CONFLICT ON CONSTRAINT provider_usage_once DO UPDATE SET credits = used.credits + excluded.credits",
        (run.id, f"provider {place}", credits),
    )


@dataclass(frozen=True)
class Write:
    """A later write to one of the runs, by its place."""

    place: int
    kind: str
    run: Stored


def write(connection: psycopg.Connection[tuple[object, ...]], runs: list[Stored], one: Write) -> list[Stored]:
    """Do it to the rows and to the plain copies."""
    if not runs:
        return runs
    place = one.place % len(runs)
    run = runs[place]
    if one.kind == "delete":
        connection.execute("DELETE FROM discovery_runs WHERE id = %s", (run.id,))
        return runs[:place] + runs[place + 1 :]
    if one.kind == "spend":
        spend(connection, run, 0, 7)
        credits = (run.credits[0] + 7, *run.credits[1:]) if run.credits else (7,)
        changed = replace(run, credits=credits)
    elif one.kind == "forget usage":
        connection.execute("DELETE FROM provider_usage WHERE run_id = %s", (run.id,))
        changed = replace(run, credits=())
    else:
        at = one.run.started_at if one.kind == "move" else run.started_at
        changed = replace(one.run, id=run.id, credits=run.credits, started_at=at)
        connection.execute(
            "UPDATE discovery_runs SET started_at = %s, status = %s, trigger_type = %s, new_wallets = %s, "
            "updated_wallets = %s, duration_seconds = %s WHERE id = %s",
            (at, changed.status, changed.trigger, changed.new, changed.known, changed.seconds, run.id),
        )
    return [*runs[:place], changed, *runs[place + 1 :]]


ROLLUPS = """
    SELECT day, status, trigger_type, runs, new_wallets, updated_wallets, counted_runs, counted_wallets, timed_runs,
        duration_seconds
    FROM run_rollups WHERE runs <> 0 OR duration_seconds <> 0 ORDER BY 1, 2, 3
"""


def rollups_of(connection: psycopg.Connection[tuple[object, ...]]) -> list[list[tuple[object, ...]]]:
    credits = "SELECT day, credits FROM credit_rollups WHERE credits <> 0 ORDER BY 1"
    weeks = "SELECT * FROM week_rollups WHERE completed + failed + cancelled + running <> 0 ORDER BY week"
    return [connection.execute(query).fetchall() for query in (ROLLUPS, credits, weeks)]


def check_rollups(connection: psycopg.Connection[tuple[object, ...]], runs: Sequence[Stored]) -> None:
    kept = rollups_of(connection)
    connection.execute("SELECT rebuild_run_rollups()")
    assert kept == rollups_of(connection)
    counts: dict[tuple[date, str, str], int] = {}
    for run in runs:
        key = (run.started_at.date(), run.status, run.trigger)
        counts[key] = counts.get(key, 0) + 1
    assert {row[:3]: row[3] for row in kept[0]} == counts


def stats_at(
    url: str, now: datetime, weeks: int, start: datetime | None = None, end: datetime | None = None
) -> DiscoveryStats:
    async def fetch() -> DiscoveryStats:
        connection = await psycopg.AsyncConnection.connect(url, row_factory=psycopg.rows.dict_row)
        async with connection:
            return await fetch_stats(connection, start, end, now=now, weeks=weeks)

    return asyncio.run(fetch())


def counted(url: str, start: datetime | None, end: datetime | None, *kind: str) -> int:
    async def fetch() -> int:
        connection = await psycopg.AsyncConnection.connect(url, row_factory=psycopg.rows.dict_row)
        async with connection:
            statuses = [name for name in kind if name in STATUSES]
            triggers = [name for name in kind if name in TRIGGERS]
            return await count_runs(connection, start, end, statuses=statuses, triggers=triggers)

    return asyncio.run(fetch())


# Years of 52 and 53 weeks, a 29th of February, the weeks in which European and American summer time begin and end.
moments = st.integers(0, 7 * 366 * 86400 * 10**6).map(
    lambda off: datetime(2019, 12, 20, tzinfo=UTC) + timedelta(microseconds=off)
)
borders = st.one_of(
    st.builds(monday, moments),
    st.builds(midnight, moments),
    st.builds(lambda moment: midnight(moment).replace(day=1), moments),
    st.sampled_from(
        [
            datetime(2020, 12, 28, tzinfo=UTC),
            datetime(2021, 1, 1, tzinfo=UTC),
            datetime(2020, 2, 29, tzinfo=UTC),
            datetime(2026, 3, 29, tzinfo=UTC),  # summer time begins in Berlin
            datetime(2026, 3, 28, 23, tzinfo=UTC),  # midnight there
            datetime(2026, 10, 25, 1, tzinfo=UTC),  # it ends
            datetime(2026, 10, 24, 22, tzinfo=UTC),
        ]
    ),
)
edges = st.builds(lambda border, ticks: border + ticks * TICK, borders, st.sampled_from([-1, 0, 1]))
offsets = st.one_of(
    st.integers(0, 5 * 7 * 86400 * 10**6).map(lambda off: timedelta(microseconds=-off)),
    st.integers(-40, 3).map(lambda days: days * DAY),
    st.sampled_from([timedelta(0), -WEEK, WEEK, -TICK, -WEEK - TICK, -400 * DAY, -401 * DAY, -900 * DAY]),
)
numbers = st.none() | st.integers(0, 500)
runs_from = st.builds(
    lambda off, status, new, known, seconds, trigger, credits: (
        off,
        Stored(datetime(2026, 1, 1, tzinfo=UTC), status, new, known, seconds, trigger, tuple(credits)),
    ),
    offsets,
    st.sampled_from(STATUSES),
    numbers,
    numbers,
    st.none() | st.floats(0, 1e5) | st.sampled_from([0.1, 1e300, float("inf"), float("nan")]),
    st.sampled_from(TRIGGERS),
    st.lists(st.integers(0, 1000), max_size=2),
)
kinds_of_write = st.sampled_from(["delete", "end", "end", "spend", "forget usage", "move"])
writes = st.lists(st.tuples(st.integers(0, 99), kinds_of_write, runs_from), max_size=8)
Raw = tuple[timedelta, Stored]


def finite(runs: Sequence[Stored]) -> list[Stored]:
    """As the statistics see them: a duration that is no finite number is not known."""
    return [
        run if run.seconds is None or run.seconds < float("inf") else replace(run, seconds=None)
        for run in runs
    ]


@example_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    now=st.one_of(moments, edges),
    raw=st.lists(runs_from, max_size=20),
    later=writes,
    weeks=st.integers(1, 5),
    bounds=st.tuples(st.none() | offsets, st.none() | offsets),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
)
@example(
    datetime(2021, 1, 3, 23, 59, 59, 999999, tzinfo=UTC), [], [], 2, (None, None), "UTC"
)  # 2020-W53 ends
@example(datetime(2026, 3, 30, tzinfo=UTC), [], [], 1, (-3 * DAY, timedelta(0)), "Europe/Berlin")
def test_statistics_equal_a_slow_recount_whatever_was_written(
    migrated_url: str,
    now: datetime,
    raw: list[Raw],
    later: list[tuple[int, str, Raw]],
    weeks: int,
    bounds: tuple[timedelta | None, timedelta | None],
    zone: str,
) -> None:
    def placed(one: Raw) -> Stored:
        return replace(one[1], started_at=now + one[0], id=uuid4())

    url = f"{migrated_url}&options=-c%20timezone%3D{zone}"
    runs = [placed(one) for one in raw]
    with connected(url) as connection:
        store(connection, runs)
        for place, kind, one in later:
            runs = write(connection, runs, Write(place, kind, placed(one)))
        check_rollups(connection, runs)
    runs = finite(runs)
    start, end = (None if off is None else now + off for off in bounds)
    check(stats_at(url, now, weeks, start, end), runs, now, weeks, start, end)
    kinds: tuple[tuple[str, ...], ...] = (
        (),
        ("completed",),
        ("failed", "running"),
        ("completed", "api", "manual"),
    )
    for asked in kinds:
        assert counted(url, start, end, *asked) == sum(
            (start is None or run.started_at >= start)
            and (end is None or run.started_at < end)
            and (not set(asked) & set(STATUSES) or run.status in asked)
            and (not set(asked) & set(TRIGGERS) or run.trigger in asked)
            for run in runs
        )


def test_statistics_keep_to_their_dates_and_say_nothing_of_nothing(migrated_url: str) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    runs = [Stored(start + timedelta(days=day), "completed", 10 * day, 1, 2.0) for day in range(4)]
    with connected(migrated_url) as connection:
        store(connection, runs)

    async def scenario() -> None:
        async with Database(settings_for(migrated_url)) as database:
            repo = DiscoveryRepository(database)
            days = await repo.get_stats(start + DAY, start + 3 * DAY, now=start)
            assert (days.total_runs, days.total_wallets_discovered) == (2, 30)
            assert days.daily is not None
            assert [(one.day.day, one.total_runs) for one in days.daily] == [(6, 1), (7, 1)]
            none = await repo.get_stats(start + 9 * DAY, now=start)
            assert (none.total_runs, none.success_rate, none.avg_wallets_per_run) == (0, None, 0.0)
            assert (none.last_run_at, none.daily, none.weekly) == (None, [], [])
            for weeks in (0, 105):
                with pytest.raises(BadInputError, match=f"weeks: {weeks} is out of bounds, 1 to 104"):
                    await repo.get_stats(now=start, weeks=weeks)
            far = datetime.max.replace(tzinfo=UTC)
            ever = await repo.get_stats(datetime.min.replace(tzinfo=UTC), far, now=start)
            assert (ever.total_runs, ever.daily, ever.weekly) == (4, None, None)

    asyncio.run(scenario())


def test_weeks_are_those_of_utc_whatever_the_zone_of_the_server(server: Server) -> None:
    with server.migrated_database() as name:
        with server.connect() as admin:
            admin.execute(f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
        now = datetime(2026, 3, 9, 1, tzinfo=UTC)  # still Sunday there, and the day after its clocks changed
        runs = [Stored(now - timedelta(minutes=minutes), "completed", 1, 0, 1.0) for minutes in (30, 90)]
        with connected(server.url(name)) as connection:
            store(connection, runs)
        found = stats_at(server.url(name), now, 2)
        check(found, runs, now, 2)
        assert found.last_run_at is not None
        assert found.last_run_at.tzinfo is UTC


def test_runs_that_two_write_at_once_are_all_counted(migrated_url: str) -> None:
    """The second waits for the first's row of the same day, and adds to what the first made of it."""
    run = Stored(datetime(2026, 1, 5, tzinfo=UTC), "running", 0, 0, None)
    with connected(migrated_url) as first, connected(migrated_url) as second:
        store(first, [run, other := replace(run, id=uuid4())])
        first.commit()
        first.execute("UPDATE discovery_runs SET status = 'failed' WHERE id = %s", (run.id,))
        second.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("UPDATE discovery_runs SET status = 'failed' WHERE id = %s", (other.id,))
        second.rollback()
        first.commit()
        second.execute("UPDATE discovery_runs SET status = 'failed' WHERE id = %s", (other.id,))
        second.commit()
        check_rollups(first, [replace(one, status="failed") for one in (run, other)])
