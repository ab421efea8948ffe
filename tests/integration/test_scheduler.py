"""The scheduler over a real database: due times, overlap, downtime, failures, configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.integration.databases import NOW
from tests.integration.scheduling import HOUR, SetClock, Setting
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import ConfigChangedError, RunsBusyError
from walltrack.data.supabase.notices import Notices
from walltrack.discovery.models import DiscoveryRunParams, RunStatus, TriggerType
from walltrack.discovery.schedule import InvalidConfigError
from walltrack.discovery.schedule_records import SkipCause, TickStatus
from walltrack.scheduler.discovery_scheduler import (
    DiscoveryScheduler,
    get_discovery_scheduler,
    set_discovery_scheduler,
)
from walltrack.scheduler.ticks import TickKind

InSetting = Callable[[Callable[[Setting], Awaitable[object]]], None]


@pytest.fixture
def in_setting(settings: Settings) -> InSetting:
    def run(scenario: Callable[[Setting], Awaitable[object]]) -> None:
        async def whole() -> None:
            async with Database(settings) as database:
                await scenario(Setting(database, settings))

        asyncio.run(whole())

    return run


def test_of_four_processes_that_see_a_due_time_one_starts_its_run(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        processes = [setting.process() for _ in range(4)]
        params = DiscoveryRunParams(max_tokens=7, profile_immediately=False)
        await processes[0].save_config(schedule_hours=6, params=params, updated_by="ada")
        assert processes[0].next_run == NOW + 6 * HOUR
        setting.clock.time = NOW + 6 * HOUR + timedelta(seconds=1)
        outcomes = await asyncio.gather(*(each.tick(setting.clock.time) for each in processes))
        assert sorted(outcome.kind for outcome in outcomes) == ["started", "waiting", "waiting", "waiting"]
        (run,) = (await setting.runs.get_runs()).runs
        assert (run.params, run.trigger_type, run.triggered_by) == (
            params,
            TriggerType.SCHEDULED,
            "scheduler",
        )
        assert setting.trigger.set_to_work == [run.id]
        (tick,) = await setting.ticks()
        assert (tick.due_at, tick.status, tick.run_id) == (NOW + 6 * HOUR, TickStatus.STARTED, run.id)
        await processes[3].load_config()
        assert processes[3].next_run == NOW + 12 * HOUR
        assert (processes[3].last_run, processes[3].last_result) == (setting.clock.time, RunStatus.RUNNING)

    in_setting(scenario)


def test_a_due_time_during_a_run_is_skipped_and_says_which(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        process = setting.process()
        await process.save_config(schedule_hours=1)
        run = await setting.manual_run()
        outcome = await process.tick(NOW + HOUR)
        assert (outcome.kind, outcome.run_id) == (TickKind.SKIPPED, run.id)
        (tick,) = await setting.ticks()
        assert (tick.skipped_because, tick.run_id) == (SkipCause.OVERLAP, run.id)
        assert tick.reason == f"run {run.id} was still running"
        assert process.last_run is None
        await setting.end_runs()
        assert (await process.tick(NOW + 2 * HOUR)).kind is TickKind.STARTED

    in_setting(scenario)


def test_a_second_run_by_hand_is_refused_with_the_first_up_to_the_number_allowed(
    in_setting: InSetting,
) -> None:
    async def scenario(setting: Setting) -> None:
        both = await asyncio.gather(setting.manual_run(), setting.manual_run(), return_exceptions=True)
        (refused,) = [each for each in both if isinstance(each, RunsBusyError)]
        (run,) = (await setting.runs.get_runs()).runs
        assert refused.run_id == run.id
        setting.trigger.at_most = 2
        await setting.manual_run()
        with pytest.raises(RunsBusyError, match="at most 2 may run at once"):
            await setting.manual_run()

    in_setting(scenario)


def test_the_schedule_starts_beside_a_manual_run_where_that_is_allowed_but_never_beside_its_own(
    in_setting: InSetting,
) -> None:
    async def scenario(setting: Setting) -> None:
        setting.trigger.at_most = 3
        process = setting.process()
        await process.save_config(schedule_hours=1)
        await setting.manual_run()
        started = await process.tick(NOW + HOUR)
        assert started.kind is TickKind.STARTED
        skipped = await process.tick(NOW + 2 * HOUR)
        assert (skipped.kind, skipped.run_id) == (TickKind.SKIPPED, started.run_id)

    in_setting(scenario)


def test_overdue_after_downtime_runs_once_and_the_missed_ones_are_noted(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        await setting.process().save_config(schedule_hours=6)
        setting.clock.time = NOW + timedelta(hours=20)
        process = setting.process()
        outcome = await process.tick(setting.clock.time)
        assert (outcome.kind, outcome.due_at, outcome.missed) == (TickKind.STARTED, NOW + 18 * HOUR, 2)
        assert (await process.tick(setting.clock.time)).kind is TickKind.WAITING
        assert [(tick.due_at, tick.skipped_because) for tick in await setting.ticks()] == [
            (NOW + 6 * HOUR, SkipCause.MISSED),
            (NOW + 12 * HOUR, SkipCause.MISSED),
            (NOW + 18 * HOUR, None),
        ]
        assert process.next_run == NOW + 26 * HOUR

    in_setting(scenario)


def test_restart_more_often_than_the_interval_still_runs_on_time(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        await setting.process().save_config(schedule_hours=6)
        kinds = []
        for number in range(1, 14):
            process = setting.process(wait=_forever)
            setting.clock.time = NOW + number * HOUR
            await process.start()
            await process.stop()
            kinds.append((await process.tick(setting.clock.time)).kind)
            await setting.end_runs()
        assert [number for number, kind in enumerate(kinds, 1) if kind is TickKind.STARTED] == [6, 12]

    in_setting(scenario)


def test_a_failing_run_waits_for_the_next_regular_time(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        process = setting.process()
        await process.save_config(schedule_hours=6)
        assert (await process.tick(NOW + 6 * HOUR)).kind is TickKind.STARTED
        await setting.end_runs(fail=True)
        for minutes in (0, 1, 60, 359):
            assert (await process.tick(NOW + 6 * HOUR + timedelta(minutes=minutes))).kind is TickKind.WAITING
        assert process.last_result is RunStatus.FAILED
        assert (await process.tick(NOW + 12 * HOUR)).kind is TickKind.STARTED

    in_setting(scenario)


def test_a_process_that_dies_between_claim_and_commit_leaves_the_due_time_to_another(
    in_setting: InSetting,
) -> None:
    async def scenario(setting: Setting) -> None:
        await setting.process().save_config(schedule_hours=6)

        class Dying(type(setting.trigger)):  # type: ignore[misc]
            async def create(self, *given: Any, **named: Any) -> Any:
                await super().create(*given, **named)
                raise KeyError("died")

        with pytest.raises(KeyError):
            await setting.process(trigger=Dying()).tick(NOW + 6 * HOUR)
        assert (await setting.runs.get_runs()).total == 0
        assert (await setting.process().tick(NOW + 6 * HOUR)).kind is TickKind.STARTED
        assert len(await setting.ticks()) == (await setting.runs.get_runs()).total == 1

    in_setting(scenario)


def test_disabled_has_no_next_run_and_enabling_one_by_the_last_start(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        process = setting.process()
        await process.save_config(schedule_hours=6)
        await process.tick(NOW + 6 * HOUR)
        await setting.end_runs()
        await process.save_config(enabled=False, paused_note="until the market is back")
        assert (process.enabled, process.next_run) == (False, None)
        assert (await process.load_config()).note == "until the market is back"
        assert (await process.tick(NOW + 100 * HOUR)).kind is TickKind.OFF
        setting.clock.time = NOW + 7 * HOUR
        assert not (await process.preview(enabled=True)).at_once
        setting.clock.time = NOW + 100 * HOUR
        preview = await process.preview(enabled=True)
        assert (preview.at_once, preview.times[0]) == (True, setting.clock.time)
        await process.save_config(enabled=True, paused_note="")
        assert process.next_run == setting.clock.time
        assert process.config.note is None
        assert (await process.tick(setting.clock.time)).kind is TickKind.STARTED

    in_setting(scenario)


def test_a_due_time_that_a_change_takes_away_is_noted(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        process = setting.process()
        await process.save_config(schedule_hours=6)
        setting.clock.time = NOW + 13 * HOUR
        await process.save_config(enabled=False)
        assert [(tick.due_at, tick.skipped_because) for tick in await setting.ticks()] == [
            (NOW + 6 * HOUR, SkipCause.MISSED),
            (NOW + 12 * HOUR, SkipCause.CHANGED),
        ]

    in_setting(scenario)


def test_a_wall_clock_time_that_comes_again_because_the_clock_was_set_back_runs_no_second_time(
    in_setting: InSetting,
) -> None:
    async def scenario(setting: Setting) -> None:
        process = setting.process()
        await process.save_config(schedule_cron="0 18 * * *", schedule_timezone="Europe/Berlin")
        due_at = NOW.replace(hour=17, minute=0)
        assert process.next_run == due_at
        assert (await process.tick(due_at)).kind is TickKind.STARTED
        await setting.end_runs()
        earlier = due_at - timedelta(minutes=40)
        assert (await process.tick(earlier)).kind is TickKind.WAITING
        assert process.next_run == due_at
        assert (await process.tick(due_at)).kind is TickKind.PASSED
        assert process.next_run == due_at + timedelta(days=1)

    in_setting(scenario)


def test_invalid_values_and_outdated_versions_change_nothing(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        process = setting.process()
        before = await process.save_config(schedule_hours=6, updated_by="ada")
        with pytest.raises(InvalidConfigError) as refused:
            await process.save_config(enabled=False, schedule_hours=0, schedule_timezone="nowhere")
        assert [problem.field for problem in refused.value.problems] == [
            "schedule_hours",
            "schedule_timezone",
        ]
        with pytest.raises(ConfigChangedError) as outdated:
            await process.save_config(enabled=False, expected_version=before.version - 1)
        assert outdated.value.version == before.version
        assert await process.load_config() == before
        after = await process.save_config(enabled=False, expected_version=before.version)
        assert after.version == before.version + 1

    in_setting(scenario)


def test_the_environment_holds_until_somebody_saves(in_setting: InSetting, settings: Settings) -> None:
    async def scenario(setting: Setting) -> None:
        def started_with(**given: object) -> DiscoveryScheduler:
            return setting.process(settings=Settings(database_url=settings.database_url, **given))  # type: ignore[arg-type]

        process = started_with(discovery_scheduler_enabled=False, discovery_schedule_hours=12)
        await process.load_config()
        assert (process.enabled, process.schedule_hours, process.next_run) == (False, 12, None)
        without = started_with()
        await without.load_config()
        assert (without.enabled, without.schedule_hours) == (False, 12)
        other = started_with(discovery_scheduler_enabled=True)
        await other.load_config()
        assert (other.enabled, other.schedule_hours, other.next_run) == (True, 12, NOW + 12 * HOUR)
        await other.save_config(schedule_hours=3)
        again = started_with(discovery_scheduler_enabled=False, discovery_schedule_hours=12)
        await again.load_config()
        assert (again.enabled, again.schedule_hours) == (True, 3)

    in_setting(scenario)


def test_a_saved_configuration_is_in_force_in_another_process_within_two_seconds(settings: Settings) -> None:
    async def scenario() -> None:
        async with Database(settings) as here, Database(settings) as there, Notices(there) as notices:
            changed = asyncio.Event()

            async def waiting(woken: asyncio.Event, seconds: float) -> None:
                if other.schedule_hours == 3:
                    changed.set()
                if other.schedule_hours == 9:
                    listening.set()
                await woken.wait()

            listening = asyncio.Event()
            other = Setting(there, settings).process(notices=notices, wait=waiting)
            process = Setting(here, settings).process()
            await process.save_config(schedule_hours=9)
            await other.start()
            try:
                async with asyncio.timeout(30):
                    await listening.wait()
                await process.save_config(schedule_hours=3)
                async with asyncio.timeout(2):
                    await changed.wait()
            finally:
                await other.stop()

    asyncio.run(scenario())


class RepairingClock(SetClock):
    """Renames the table back at the second look, for which the first must have failed."""

    conninfo: str | None = None
    looks = 0

    def now(self) -> datetime:
        if self.conninfo is not None:
            self.looks += 1
            if self.looks == 2:
                with psycopg.connect(self.conninfo) as connection:
                    connection.execute("ALTER TABLE gone RENAME TO discovery_config")
        return super().now()


def test_a_fault_of_the_database_ends_no_scheduler(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        looked: asyncio.Queue[None] = asyncio.Queue()

        async def waiting(woken: asyncio.Event, seconds: float) -> None:
            looked.put_nowait(None)
            await woken.wait()

        clock = RepairingClock()
        process = setting.process(wait=waiting, clock=clock)
        await process.start()
        await looked.get()
        async with setting.database.transaction() as connection:
            await connection.execute("ALTER TABLE discovery_config RENAME TO gone")
        clock.conninfo = setting.database.conninfo
        process.wake()
        async with asyncio.timeout(30):
            await looked.get()
        await process.stop()
        assert clock.looks >= 2

    in_setting(scenario)


def test_a_process_has_one_scheduler(in_setting: InSetting) -> None:
    async def scenario(setting: Setting) -> None:
        with pytest.raises(RuntimeError, match="set_discovery_scheduler"):
            await get_discovery_scheduler()
        process = setting.process()
        set_discovery_scheduler(process)
        try:
            assert await get_discovery_scheduler() is process
        finally:
            set_discovery_scheduler(None)

    in_setting(scenario)


async def _forever(woken: asyncio.Event, seconds: float) -> None:
    await asyncio.Event().wait()
