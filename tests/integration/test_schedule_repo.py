"""What is kept of the schedule: every change with who, when, old and new, and every due time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import NOW, settings_for
from tests.integration.scheduling import HOUR, Setting
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate, roll_back
from walltrack.data.supabase.repositories.schedule_repo import ScheduleRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.schedule_records import SkipCause


def test_every_change_is_kept_with_who_when_old_and_new(in_database: InDatabase, settings: Settings) -> None:
    async def scenario(database: Database) -> None:
        setting = Setting(database, settings)
        process = setting.process()
        await process.save_config(schedule_hours=6, updated_by="ada")
        setting.clock.time = NOW + HOUR
        params = DiscoveryRunParams(max_tokens=5, max_credits=1000)
        await process.save_config(True, 12, params, "bob", paused_note="a\x00note")
        repository = ScheduleRepository(database)
        first = await repository.get_changes(limit=3)
        rest = await repository.get_changes(limit=3, cursor=first.next_cursor)
        changes = first.changes + rest.changes
        assert {(change.field, change.old, change.new) for change in changes} == {
            ("schedule_hours", 6, 12),
            ("paused_note", None, "a\\x00note"),
            ("max_tokens", 20, 5),
            ("max_credits", None, 1000),
        }
        assert {(change.changed_by, change.changed_at, change.version) for change in changes} == {
            ("bob", NOW + HOUR, 3)
        }
        assert rest.next_cursor is None
        config = await repository.get_config()
        assert (config.params, config.updated_by, config.version) == (params, "bob", 3)

    in_database(scenario)


def test_due_times_come_in_pages_newest_first(in_database: InDatabase, settings: Settings) -> None:
    async def scenario(database: Database) -> None:
        setting = Setting(database, settings)
        process = setting.process()
        await process.save_config(schedule_hours=1)
        await process.tick(NOW + 5 * HOUR)
        repository = ScheduleRepository(database)
        first = await repository.get_ticks(limit=2)
        second = await repository.get_ticks(limit=2, cursor=first.next_cursor)
        third = await repository.get_ticks(limit=2, cursor=second.next_cursor)
        pages = [[tick.due_at for tick in page.ticks] for page in (first, second, third)]
        assert pages == [[NOW + 5 * HOUR, NOW + 4 * HOUR], [NOW + 3 * HOUR, NOW + 2 * HOUR], [NOW + HOUR]]
        assert third.next_cursor is None
        with pytest.raises(BadInputError, match="cursor: is none that WallTrack gave"):
            await repository.get_ticks(cursor="nonsense")

    in_database(scenario)


def test_more_missed_due_times_than_can_be_listed_are_one_row(
    in_database: InDatabase, settings: Settings
) -> None:
    async def scenario(database: Database) -> None:
        setting = Setting(database, settings)
        process = setting.process()
        await process.save_config(schedule_cron="* * * * *")
        await process.tick(NOW + timedelta(days=30))
        async with database.transaction() as connection:
            rows = await (
                await connection.execute(
                    "SELECT count(*) AS listed, max(due_until) AS until, count(due_until) AS stretches"
                    " FROM schedule_ticks WHERE skipped_because = %s",
                    (SkipCause.MISSED.value,),
                )
            ).fetchone()
        assert rows is not None
        assert (rows["listed"], rows["stretches"]) == (1000, 1)
        assert rows["until"] == NOW + timedelta(days=30, minutes=-1)

    in_database(scenario)


def test_a_configuration_of_an_earlier_version_is_taken_over_within_the_bounds(empty_url: str) -> None:
    settings = settings_for(empty_url)
    migrate(settings, lambda _line: None)
    roll_back(settings, "028", lambda _line: None)
    with psycopg.connect(empty_url) as connection:
        connection.execute(
            "UPDATE discovery_config SET enabled = NULL, schedule_hours = 1000, min_profit_pct = NULL"
        )
    migrate(settings, lambda _line: None)

    async def scenario() -> None:
        async with Database(settings) as database:
            config = await ScheduleRepository(database).get_config()
        assert (config.schedule.enabled, config.schedule.hours, config.params) == (
            True,
            168,
            DiscoveryRunParams(),
        )

    asyncio.run(scenario())


def test_the_row_itself_refuses_what_no_schedule_can_be(migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        for change in ("schedule_hours = 0", "jitter_seconds = -1", "enabled = FALSE, next_run_at = now()"):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(f"UPDATE discovery_config SET {change}".encode())
