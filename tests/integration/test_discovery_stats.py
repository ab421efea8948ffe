"""Statistics and the trend, against a plain calculation over the same runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from tests.integration.databases import Server, settings_for
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryStats, WeekFigures

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Stored:
    """What the statistics look at in one run."""

    started_at: datetime
    status: str
    new: int
    known: int
    seconds: float | None


def monday(moment: datetime) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.isoweekday() - 1)


def rate(runs: Sequence[Stored]) -> float | None:
    ended = [run for run in runs if run.status in ("completed", "failed")]
    return sum(run.status == "completed" for run in ended) / len(ended) if ended else None


def expected_week(runs: Sequence[Stored], starts: datetime, ends: datetime) -> WeekFigures:
    inside = [run for run in runs if starts <= run.started_at < ends]
    completed = [run for run in inside if run.status == "completed"]
    year, week, _ = starts.isocalendar()
    return WeekFigures(
        week=f"{year}-W{week:02d}",
        starts_at=starts,
        ends_at=ends,
        total_runs=len(inside),
        successful_runs=len(completed),
        failed_runs=sum(run.status == "failed" for run in inside),
        wallets_discovered=sum(run.new for run in inside),
        success_rate=rate(inside),
        avg_wallets_per_run=(
            sum(run.new + run.known for run in completed) / len(completed) if completed else None
        ),
    )


def check(found: DiscoveryStats, runs: Sequence[Stored], now: datetime, weeks: int) -> None:
    completed = [run for run in runs if run.status == "completed"]
    timed = [run.seconds for run in completed if run.seconds is not None]
    assert found.total_runs == len(runs)
    assert found.successful_runs == len(completed)
    assert found.failed_runs == sum(run.status == "failed" for run in runs)
    assert found.success_rate == pytest.approx(rate(runs))
    assert found.total_wallets_discovered == sum(run.new for run in runs)
    assert found.total_wallets_updated == sum(run.known for run in runs)
    average = sum(run.new + run.known for run in completed) / len(completed) if completed else 0
    assert found.avg_wallets_per_run == pytest.approx(average)
    assert found.avg_duration_seconds == pytest.approx(sum(timed) / len(timed) if timed else 0)
    assert found.last_run_at == max((run.started_at for run in runs), default=None)

    trend = found.trend
    assert trend is not None
    this_week = monday(now)
    close = {"success_rate": None, "avg_wallets_per_run": None}
    expected = [
        expected_week(runs, this_week, now),
        expected_week(runs, this_week - WEEK, now - WEEK),
        *(
            expected_week(runs, this_week - back * WEEK, this_week - (back - 1) * WEEK)
            for back in range(weeks, 0, -1)
        ),
    ]
    for week, want in zip([trend.current, trend.previous_same_part, *trend.weeks], expected, strict=True):
        assert week.model_copy(update=close) == want.model_copy(update=close)
        assert week.success_rate == pytest.approx(want.success_rate)
        assert week.avg_wallets_per_run == pytest.approx(want.avg_wallets_per_run)
    before, after = trend.previous_same_part, trend.current
    for change, was, is_now in (
        (trend.runs_change_pct, before.total_runs, after.total_runs),
        (trend.wallets_change_pct, before.wallets_discovered, after.wallets_discovered),
    ):
        assert change == (pytest.approx(100 * (is_now - was) / was) if was else None)


def store(url: str, runs: Sequence[Stored]) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE discovery_runs CASCADE")
        connection.cursor().executemany(
            "INSERT INTO discovery_runs "
            "(started_at, status, trigger_type, new_wallets, updated_wallets, duration_seconds) "
            "VALUES (%s, %s, 'api', %s, %s, %s)",
            [(run.started_at, run.status, run.new, run.known, run.seconds) for run in runs],
        )


def stats_at(url: str, now: datetime, weeks: int) -> DiscoveryStats:
    async def fetch() -> DiscoveryStats:
        async with Database(settings_for(url)) as database:
            return await DiscoveryRepository(database).get_stats(now=now, weeks=weeks)

    return asyncio.run(fetch())


# Years of 52 and 53 weeks, a 29th of February, the weeks in which European and American summer time begin and end.
moments = st.integers(0, 7 * 366 * 86400 * 10**6).map(
    lambda off: datetime(2019, 12, 20, tzinfo=UTC) + timedelta(microseconds=off)
)
edges = st.builds(
    lambda moment, off: monday(moment) + timedelta(microseconds=off), moments, st.sampled_from([-1, 0, 1])
)
stored_runs = st.builds(
    lambda now_part, status, new, known, seconds: (now_part, status, new, known, seconds),
    st.one_of(
        st.integers(0, 5 * 7 * 86400 * 10**6).map(lambda off: timedelta(microseconds=-off)),
        st.sampled_from(
            [timedelta(0), -WEEK, WEEK, timedelta(microseconds=-1), -WEEK - timedelta(microseconds=1)]
        ),
    ),
    st.sampled_from(["running", "completed", "failed", "cancelled"]),
    st.integers(0, 500),
    st.integers(0, 500),
    st.none() | st.floats(0, 1e5),
)


@example_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(now=st.one_of(moments, edges), raw=st.lists(stored_runs, max_size=25), weeks=st.integers(1, 5))
@example(now=datetime(2021, 1, 3, 23, 59, 59, 999999, tzinfo=UTC), raw=[], weeks=2)  # the end of 2020-W53
@example(now=datetime(2026, 3, 30, tzinfo=UTC), raw=[(timedelta(0), "completed", 1, 1, 1.0)], weeks=1)
def test_statistics_and_trend_equal_a_plain_calculation(
    migrated_url: str, now: datetime, raw: list[tuple[timedelta, str, int, int, float | None]], weeks: int
) -> None:
    runs = [Stored(now + part, status, new, known, seconds) for part, status, new, known, seconds in raw]
    store(migrated_url, runs)
    check(stats_at(migrated_url, now, weeks), runs, now, weeks)


def test_statistics_keep_to_their_dates_and_say_nothing_of_nothing(migrated_url: str) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    runs = [Stored(start + timedelta(days=day), "completed", 10 * day, 1, 2.0) for day in range(4)]
    store(migrated_url, runs)

    async def scenario() -> None:
        async with Database(settings_for(migrated_url)) as database:
            repo = DiscoveryRepository(database)
            days = await repo.get_stats(start + timedelta(days=1), start + timedelta(days=3), now=start)
            assert (days.total_runs, days.total_wallets_discovered) == (2, 30)
            none = await repo.get_stats(start + timedelta(days=9), now=start)
            assert (none.total_runs, none.success_rate, none.avg_wallets_per_run) == (0, None, 0.0)
            assert none.last_run_at is None
            for weeks in (0, 105):
                with pytest.raises(BadInputError, match=f"weeks: {weeks} is out of bounds, 1 to 104"):
                    await repo.get_stats(now=start, weeks=weeks)

    asyncio.run(scenario())


def test_weeks_are_those_of_utc_whatever_the_zone_of_the_server(server: Server) -> None:
    with server.migrated_database() as name:
        with server.connect() as admin:
            admin.execute(f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
        now = datetime(2026, 3, 9, 1, tzinfo=UTC)  # still Sunday there, and the day after its clocks changed
        runs = [Stored(now - timedelta(minutes=minutes), "completed", 1, 0, 1.0) for minutes in (30, 90)]
        store(server.url(name), runs)
        found = stats_at(server.url(name), now, 2)
        check(found, runs, now, 2)
        assert found.last_run_at is not None
        assert found.last_run_at.tzinfo is UTC
