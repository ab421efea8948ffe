"""When runs are due, also on days when clocks change, and what a change of the schedule does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from walltrack.discovery.cron import checked_cron, cron_after, cron_until
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.schedule import (
    MOST_LISTED,
    Change,
    Due,
    InvalidConfigError,
    Off,
    Schedule,
    SchedulerConfig,
    Waiting,
    checked_config,
    due_after,
    jitter_of,
    preview_of,
    starts_at,
    what_changes,
    what_is_due,
)

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Each with the days on which its clocks change: by an hour, by half an hour, at midnight, by a whole day, never.
CHANGES = [
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("Africa/Cairo", date(2026, 10, 30)),
    ("America/Santiago", date(2026, 9, 6)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("UTC", date(2026, 3, 8)),
]
WHOLE_TIMES = st.integers(0, 10**6).map(lambda minutes: NOW + timedelta(minutes=minutes))


def config_of(schedule: Schedule, **values: Any) -> SchedulerConfig:
    return SchedulerConfig(schedule, DiscoveryRunParams(), **values)


def shown_on_clocks(
    hours: set[int], minutes: set[int], zone: str, start: datetime, end: datetime
) -> list[datetime]:
    """By watching a clock minute by minute: the first time it shows, or has gone past, each wall time."""
    place = ZoneInfo(zone)
    found = []
    furthest = start.astimezone(place).replace(tzinfo=None)
    moment = start
    while moment < end:
        moment += timedelta(minutes=1)
        wall = moment.astimezone(place).replace(tzinfo=None)
        passed_now = False
        while furthest < wall:
            furthest += timedelta(minutes=1)
            passed_now |= furthest.hour in hours and furthest.minute in minutes
        if passed_now:
            found.append(moment)
    return found


@settings(deadline=None, max_examples=60)
@given(
    change=st.sampled_from(CHANGES),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=6),
    minutes=st.sets(st.sampled_from([0, 1, 15, 30, 59]), min_size=1),
)
@example(change=CHANGES[0], hours={2}, minutes={30})
@example(change=CHANGES[1], hours={1}, minutes={30})
def test_on_a_day_when_clocks_change_each_wall_time_comes_once(
    change: tuple[str, date], hours: set[int], minutes: set[int]
) -> None:
    zone, day = change
    start = datetime.combine(day, time(), UTC) - timedelta(days=1)
    end = start + timedelta(days=3)
    cron = f"{','.join(map(str, sorted(minutes)))} {','.join(map(str, sorted(hours)))} * * *"
    expected = shown_on_clocks(hours, minutes, zone, start, end)
    found = []
    moment = cron_after(cron, zone, start)
    while moment <= end:
        found.append(moment)
        moment = cron_after(cron, zone, moment)
    assert found == expected
    for each, following in zip(found, [*found[1:], end], strict=True):
        assert cron_until(cron, zone, each) == each
        if each < following:
            assert cron_until(cron, zone, following - timedelta(microseconds=1)) == each


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "0 0 30 2 *",
        "@daily",
        "R * * * *",
        "H * * * *",
        "0 6 * * MOO",
    ],
)
def test_what_is_no_expression_or_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="five fields"):
        checked_cron(text)


def test_names_of_days_and_months_are_understood() -> None:
    cron = checked_cron(" 30 6  * jan-dec mon ")
    assert cron == "30 6 * JAN-DEC MON"
    assert cron_after(cron, "Europe/Berlin", NOW) == datetime(2026, 3, 9, 5, 30, tzinfo=UTC)


@given(
    due_at=WHOLE_TIMES,
    schedule=st.one_of(
        st.builds(Schedule, hours=st.integers(1, 168), jitter_seconds=st.integers(0, 10**6)),
        st.builds(
            Schedule,
            cron=st.sampled_from(["0 * * * *", "*/7 * * * *", "0 6 * * 1", "0,1 0 * * *"]),
            jitter_seconds=st.integers(0, 10**6),
        ),
    ),
)
def test_jitter_is_the_same_for_a_due_time_and_below_half_of_the_interval(
    due_at: datetime, schedule: Schedule
) -> None:
    jitter = jitter_of(schedule, due_at)
    assert timedelta() <= jitter < (due_after(schedule, due_at) - due_at) / 2
    assert jitter <= timedelta(seconds=schedule.jitter_seconds)
    assert jitter == jitter_of(schedule, due_at.astimezone(ZoneInfo("Asia/Tokyo")))


def test_jitter_spreads_due_times() -> None:
    schedule = Schedule(hours=6, jitter_seconds=600)
    found = {jitter_of(schedule, NOW + number * HOUR) for number in range(100)}
    assert len(found) == 100
    assert max(found) > timedelta(seconds=500)
    assert min(found) < timedelta(seconds=100)


@given(
    hours=st.integers(1, 168),
    late=st.timedeltas(timedelta(), timedelta(days=60)),
)
def test_overdue_runs_once_and_every_due_time_before_is_missed(hours: int, late: timedelta) -> None:
    schedule, interval = Schedule(hours=hours), timedelta(hours=hours)
    now = NOW + late
    due = what_is_due(config_of(schedule, next_run_at=NOW), now)
    assert isinstance(due, Due)
    listed = [*due.times.earlier, due.times.latest]
    if due.times.earlier_until is None:
        assert listed == [NOW + number * interval for number in range(len(listed))]
    else:
        assert len(due.times.earlier) == MOST_LISTED
        assert due.times.earlier_until == due.times.latest - interval
    assert due.times.latest <= now < due.times.latest + interval
    assert now < due.next_run_at <= now + interval


def test_a_run_that_starts_in_time_keeps_the_rhythm_and_a_late_one_starts_it_anew() -> None:
    config = config_of(Schedule(hours=6), next_run_at=NOW)
    in_time = what_is_due(config, NOW + timedelta(minutes=4))
    late = what_is_due(config, NOW + timedelta(minutes=50))
    assert isinstance(in_time, Due)
    assert isinstance(late, Due)
    assert in_time.next_run_at == NOW + 6 * HOUR
    assert late.next_run_at == NOW + timedelta(minutes=50) + 6 * HOUR


def test_more_missed_times_than_can_be_listed_are_noted_as_a_stretch() -> None:
    config = config_of(Schedule(cron="* * * * *"), next_run_at=NOW)
    due = what_is_due(config, NOW + timedelta(days=2))
    assert isinstance(due, Due)
    assert len(due.times.earlier) == MOST_LISTED
    assert due.times.earlier_until == NOW + timedelta(days=2, minutes=-1)
    assert due.times.latest == NOW + timedelta(days=2)
    assert due.next_run_at == NOW + timedelta(days=2, minutes=1)


def test_a_run_waits_for_its_jitter_but_not_when_it_is_overdue() -> None:
    schedule = Schedule(hours=2, jitter_seconds=1000)
    config = config_of(schedule, next_run_at=NOW)
    starts = starts_at(schedule, NOW)
    assert what_is_due(config, starts - timedelta(microseconds=1)) == Waiting(NOW)
    assert isinstance(what_is_due(config, starts), Due)
    overdue = what_is_due(config, NOW + 2 * HOUR)
    assert isinstance(overdue, Due)
    assert overdue.times.latest == NOW + 2 * HOUR


def test_when_the_clock_is_set_back_the_next_run_comes_back_with_it() -> None:
    schedule = Schedule(hours=6)
    config = config_of(schedule, next_run_at=NOW + 6 * HOUR)
    assert what_is_due(config, NOW - timedelta(minutes=9)) == Waiting(NOW + 6 * HOUR)
    back = NOW - timedelta(days=365)
    assert what_is_due(config, back) == Waiting(back + 6 * HOUR, is_new=True)


def test_disabled_has_no_next_run_and_nothing_is_due() -> None:
    config = config_of(Schedule(enabled=False))
    assert what_is_due(config, NOW) == Off()
    assert what_changes(config, config.schedule, NOW) == Change(None)


@given(hours=st.integers(1, 168), since=st.none() | st.timedeltas(timedelta(-1), timedelta(days=20)))
def test_enabling_is_due_an_interval_after_the_last_start_or_at_once(
    hours: int, since: timedelta | None
) -> None:
    last = None if since is None else NOW - since
    config = config_of(Schedule(enabled=False), last_run_at=last)
    change = what_changes(config, Schedule(hours=hours), NOW)
    interval = timedelta(hours=hours)
    if last is None or last > NOW:
        assert change == Change(NOW + interval)
    elif last + interval > NOW:
        assert change == Change(last + interval)
    else:
        assert change == Change(NOW, at_once=True)


def test_another_frequency_counts_from_the_last_start() -> None:
    config = config_of(Schedule(hours=24), next_run_at=NOW + 20 * HOUR, last_run_at=NOW - 4 * HOUR)
    assert what_changes(config, Schedule(hours=6), NOW) == Change(NOW + 2 * HOUR)
    assert what_changes(config, Schedule(hours=3), NOW) == Change(NOW, at_once=True)
    at_eight = Schedule(cron="0 8 * * *", timezone="Asia/Tokyo")
    assert what_changes(config, at_eight, NOW) == Change(datetime(2026, 3, 4, 23, tzinfo=UTC))


def test_what_does_not_touch_the_frequency_leaves_the_next_run() -> None:
    config = config_of(Schedule(hours=6), next_run_at=NOW + HOUR, last_run_at=NOW - 5 * HOUR)
    for schedule in (
        config.schedule,
        Schedule(hours=6, jitter_seconds=60),
        Schedule(hours=6, timezone="Asia/Tokyo"),
    ):
        assert what_changes(config, schedule, NOW).next_run_at == NOW + HOUR


def test_due_times_that_a_change_takes_away_are_named() -> None:
    config = config_of(Schedule(hours=1), next_run_at=NOW - 2 * HOUR, last_run_at=NOW - 3 * HOUR)
    change = what_changes(config, replace(config.schedule, enabled=False), NOW)
    assert change.next_run_at is None
    assert change.dropped is not None
    assert (*change.dropped.earlier, change.dropped.latest) == (NOW - 2 * HOUR, NOW - HOUR, NOW)


def test_the_preview_says_at_once_and_the_next_five() -> None:
    config = config_of(Schedule(enabled=False), last_run_at=NOW - 7 * HOUR)
    schedule = Schedule(hours=6)
    preview = preview_of(schedule, what_changes(config, schedule, NOW))
    assert preview.at_once
    assert preview.times == tuple(NOW + number * 6 * HOUR for number in range(5))
    assert preview_of(config.schedule, Change(None)).times == ()


def test_invalid_values_are_refused_field_by_field() -> None:
    config = config_of(Schedule())
    with pytest.raises(InvalidConfigError) as raised:
        checked_config(
            config,
            now=NOW,
            enabled="yes",  # type: ignore[arg-type]
            schedule_hours=169,
            schedule_cron="every day",
            schedule_timezone="Mars/Olympus",
            jitter_seconds=-1,
            paused_note="x" * 501,
            params=DiscoveryRunParams.model_construct(max_tokens=0, min_profit_pct=50.0),
        )
    problems = {problem.field: problem for problem in raised.value.problems}
    assert list(problems) == [
        "schedule_cron",
        "enabled",
        "schedule_hours",
        "schedule_timezone",
        "jitter_seconds",
        "paused_note",
        "max_tokens",
    ]
    assert problems["schedule_hours"].bound == "must be a whole number, 1 to 168"
    assert problems["max_tokens"].bound == "must be: input should be greater than or equal to 1"


@pytest.mark.parametrize("hours", [0, -1, 169, 1.5, True])
def test_hours_are_whole_numbers_from_1_to_168(hours: Any) -> None:
    with pytest.raises(
        InvalidConfigError, match=r"schedule_hours: .* is refused, must be a whole number, 1 to 168"
    ):
        checked_config(config_of(Schedule()), now=NOW, schedule_hours=hours)


def test_jitter_of_half_the_interval_is_refused() -> None:
    config = config_of(Schedule(hours=1))
    with pytest.raises(InvalidConfigError, match="must be 0 to 1799, less than half"):
        checked_config(config, now=NOW, jitter_seconds=1800)
    with pytest.raises(InvalidConfigError, match="must be 0 to 449, less than half"):
        checked_config(config, now=NOW, schedule_cron="*/15 * * * *", jitter_seconds=450)


def test_hours_take_the_place_of_an_expression_and_an_empty_one_takes_it_away() -> None:
    config = config_of(Schedule(cron="0 6 * * *"))
    assert checked_config(config, now=NOW, schedule_hours=8)[0] == Schedule(hours=8)
    assert checked_config(config, now=NOW, schedule_cron="")[0] == Schedule()
    assert checked_config(config, now=NOW, schedule_hours=8, schedule_cron="0 7 * * *")[0].cron == "0 7 * * *"
