"""Migrations beside a version that runs: they hold nobody up, can be read first, and tell what cannot go back."""

from __future__ import annotations

import asyncio
import re

import psycopg
import pytest

from tests.integration.databases import settings_for
from walltrack.data.supabase import bookkeeping, migrate
from walltrack.data.supabase.bookkeeping import CONTRACTION, MIGRATIONS
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import DatabaseTimeoutError, SchemaTooNewError
from walltrack.data.supabase.migrate import list_migrations, missing_sql, require_current_schema, roll_back

TAKES_AWAY = re.compile(
    r"DROP\s+(TABLE|COLUMN|VIEW|FUNCTION)|RENAME|SET\s+NOT\s+NULL|ALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE",
    re.I,
)
LAST_BEFORE_THE_RULE = "034"


def quiet(_line: str) -> None:
    """Nobody listens."""


def test_a_dry_run_prints_what_is_missing_and_changes_nothing(empty_url: str) -> None:
    settings = settings_for(empty_url)
    printed = missing_sql(settings)
    for file in MIGRATIONS.glob("[0-9]*.sql"):
        assert (file.read_text().strip() in printed) is not file.name.endswith(".rollback.sql")
    assert "CREATE TABLE procrastinate_jobs" in printed
    assert not any(applied for _, applied in list_migrations(settings))
    migrate.migrate(settings, quiet)
    assert missing_sql(settings) == ""


def test_a_migration_gives_up_on_a_table_that_others_hold_and_works_once_they_let_go(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(migrated_url)
    roll_back(settings, "032", quiet)
    monkeypatch.setattr(bookkeeping, "LOCK_TIMEOUT_SECONDS", 0.05)
    told: list[str] = []
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE discovery_runs IN ROW EXCLUSIVE MODE")
        with pytest.raises(DatabaseTimeoutError, match="nothing of this migration was kept"):
            migrate.migrate(settings, told.append)
    assert sum("trying again" in line for line in told) == migrate.TRIES - 1
    assert "035_api" in migrate.migrate(settings, quiet)


@pytest.mark.parametrize(
    ("table", "name", "works"),
    [
        ("walltrack_migrations._yoyo_migration", "900_more_columns", True),
        ("walltrack_migrations._yoyo_migration", "900_contract_columns", False),
        ("walltrack_jobs.applied", "99.00.00_01_pre_columns", True),
        ("walltrack_jobs.applied", "99.00.00_50_post_columns", False),
    ],
)
def test_a_newer_version_s_tables_are_refused_only_where_something_was_taken_away(
    migrated_url: str, table: str, name: str, works: bool
) -> None:
    column = "migration" if table.startswith("walltrack_jobs") else "migration_hash, migration_id"
    values = "%s" if table.startswith("walltrack_jobs") else "md5('x'), %s"
    with psycopg.connect(migrated_url) as connection:
        connection.execute(f"INSERT INTO {table} ({column}) VALUES ({values})", (name,))

    async def start() -> None:
        async with Database(settings_for(migrated_url)) as database:
            await require_current_schema(database)

    if works:
        asyncio.run(start())
    else:
        with pytest.raises(SchemaTooNewError, match=rf"{re.escape(name)}\).* run that version"):
            asyncio.run(start())


def test_a_migration_that_takes_something_away_says_so_in_its_name() -> None:
    for file in MIGRATIONS.glob("[0-9]*.sql"):
        if not file.name.endswith(".rollback.sql") and file.name > LAST_BEFORE_THE_RULE + "_~":
            assert CONTRACTION in file.name or not TAKES_AWAY.search(file.read_text()), file.name
