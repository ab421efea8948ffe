"""The job queue's tables: made, brought up to date from any older step, closed to others, and taken away."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import psycopg
import pytest
from procrastinate.sql import queries
from psycopg import sql

from tests.integration.conftest import InDatabase
from tests.integration.databases import Server, settings_for
from walltrack.data.supabase.bookkeeping import known_migrations
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import SchemaOutdatedError
from walltrack.data.supabase.migrate import (
    list_migrations,
    migrate,
    pending_migrations,
    require_current_schema,
    roll_back,
)
from walltrack.data.supabase.queue_schema import queue_migration, queue_steps
from walltrack.discovery.errors import BadInputError
from walltrack.scheduler.queue_access import with_schema

CATALOG = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, column_default, is_nullable, is_identity
        FROM information_schema.columns WHERE table_schema = 'walltrack_jobs' ORDER BY 1, 2
    """,
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'walltrack_jobs' ORDER BY 1",
    "constraints": """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'walltrack_jobs'::regnamespace ORDER BY 1, 2
    """,
    "functions": """
        SELECT oid::regprocedure::text, proconfig, proacl::text, regexp_replace(prosrc, '(--[^\\n]*\\n|\\s)+', ' ', 'g')
        FROM pg_proc WHERE pronamespace = 'walltrack_jobs'::regnamespace ORDER BY 1
    """,
    "triggers": """
        SELECT regexp_replace(pg_get_triggerdef(oid), '\\s+', ' ', 'g') FROM pg_trigger
        WHERE tgrelid::regclass::text LIKE 'walltrack_jobs.%' AND NOT tgisinternal ORDER BY 1
    """,
    "enums": """
        SELECT enumtypid::regtype::text, enumlabel FROM pg_enum
        JOIN pg_type ON pg_type.oid = enumtypid AND typnamespace = 'walltrack_jobs'::regnamespace ORDER BY 1, 2
    """,
    "steps": "SELECT migration FROM walltrack_jobs.applied ORDER BY 1",
}
OLDEST = queue_steps()[0]
BEFORE_BATCHES = "03.01.00_50_post_add_heartbeat"


def quiet(_line: str) -> None:
    pass


def catalog(url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in CATALOG.items()}


def install_by_hand(url: str, last: str) -> None:
    """The queue as an older Procrastinate made it, up to this step."""
    folder = resources.files("procrastinate") / "sql" / "migrations"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA walltrack_jobs")
        connection.execute("SET search_path = walltrack_jobs")
        connection.execute(
            "CREATE TABLE applied (migration TEXT PRIMARY KEY, applied_at TIMESTAMPTZ DEFAULT now())"
        )
        for step in queue_steps():
            if step <= last:
                connection.execute((folder / f"{step}.sql").read_bytes())
                connection.execute("INSERT INTO applied VALUES (%s)", (step,))


def test_an_older_queue_comes_to_the_schema_of_a_fresh_one_with_its_jobs(
    server: Server, empty_url: str
) -> None:
    install_by_hand(empty_url, BEFORE_BATCHES)
    with psycopg.connect(empty_url) as connection:
        connection.execute("SET search_path = walltrack_jobs")
        connection.execute(
            "CREATE TABLE sweeps (one_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one_row),"
            " swept_at TIMESTAMPTZ NOT NULL)"
        )
        connection.execute("ALTER TABLE applied ALTER applied_at SET NOT NULL")
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('walltrack', 'kept')"
        )
    settings = settings_for(empty_url)
    assert (queue_migration(), False) in list_migrations(settings)
    missing = [f"queue_{step}" for step in queue_steps() if step > BEFORE_BATCHES]
    assert migrate(settings, quiet) == known_migrations()[:-1] + missing
    with server.migrated_database() as fresh:
        expected = catalog(server.url(fresh))
    found = catalog(empty_url)
    for name, rows in expected.items():
        assert found[name] == rows, name
    with psycopg.connect(empty_url) as connection:
        kept = connection.execute("SELECT task_name FROM walltrack_jobs.procrastinate_jobs").fetchall()
    assert kept == [("kept",)]


def test_the_oldest_queue_of_all_can_be_brought_up_to_date(empty_url: str) -> None:
    install_by_hand(empty_url, OLDEST)
    settings = settings_for(empty_url)
    migrate(settings, quiet)
    assert all(applied for _name, applied in list_migrations(settings))


def test_applying_again_changes_nothing(migrated_url: str) -> None:
    before = catalog(migrated_url)
    assert migrate(settings_for(migrated_url), quiet) == []
    assert catalog(migrated_url) == before


def test_two_at_once_make_it_once(migrated_url: str) -> None:
    settings = settings_for(migrated_url)
    assert roll_back(settings, known_migrations()[-2], quiet) == [queue_migration()]
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(migrate, settings, quiet) for _ in range(2)]
    assert both[0].result() + both[1].result() == [queue_migration()]


def test_a_queue_that_is_missing_or_old_is_pending(migrated_url: str) -> None:
    settings = settings_for(migrated_url)

    async def scenario() -> None:
        async with Database(settings) as database:
            await require_current_schema(database)
            async with database.transaction() as connection:
                await connection.execute("DELETE FROM walltrack_jobs.applied WHERE migration > '03.02'")
            assert await pending_migrations(database) == [queue_migration()]
            async with database.transaction() as connection:
                await connection.execute("DROP SCHEMA walltrack_jobs CASCADE")
            with pytest.raises(
                SchemaOutdatedError, match=rf"lacks {queue_migration()}; run `walltrack migrate`"
            ):
                await require_current_schema(database)
            assert migrate(settings, quiet) == [queue_migration()]
            await require_current_schema(database)

    asyncio.run(scenario())


def test_rolled_back_to_nothing_the_queue_is_gone(migrated_url: str) -> None:
    assert roll_back(settings_for(migrated_url), "none", quiet)[0] == queue_migration()
    with psycopg.connect(migrated_url) as connection:
        assert connection.execute("SELECT to_regnamespace('walltrack_jobs')").fetchone() == (None,)


def test_a_queue_of_another_application_is_left_alone(empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE SCHEMA walltrack_jobs CREATE TABLE procrastinate_jobs (theirs INT)")
    with pytest.raises(BadInputError, match="already exists, and is not WallTrack's"):
        migrate(settings_for(empty_url), quiet)


def test_nobody_else_comes_to_the_queue(server: Server, empty_url: str) -> None:
    roles = ("anon", "authenticated")
    with psycopg.connect(empty_url, autocommit=True) as admin:
        for role in roles:
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
                admin.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            for kind in ("TABLES", "SEQUENCES", "FUNCTIONS", "SCHEMAS"):
                admin.execute(
                    sql.SQL("ALTER DEFAULT PRIVILEGES GRANT ALL ON {} TO {}").format(
                        sql.SQL(kind), sql.Identifier(role)
                    )
                )
        migrate(settings_for(empty_url), quiet)
        for role in roles:
            for question in (
                "SELECT has_schema_privilege(%(role)s, 'walltrack_jobs', 'USAGE, CREATE')",
                "SELECT bool_or(has_table_privilege(%(role)s, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'))"
                " FROM pg_class WHERE relnamespace = 'walltrack_jobs'::regnamespace AND relkind = 'r'",
                "SELECT bool_or(has_sequence_privilege(%(role)s, oid, 'USAGE, SELECT, UPDATE'))"
                " FROM pg_class WHERE relnamespace = 'walltrack_jobs'::regnamespace AND relkind = 'S'",
                "SELECT bool_or(has_function_privilege(%(role)s, oid, 'EXECUTE'))"
                " FROM pg_proc WHERE pronamespace = 'walltrack_jobs'::regnamespace",
            ):
                assert admin.execute(question, {"role": role}).fetchone() == (False,), question
        admin.execute(f"DROP OWNED BY {', '.join(roles)}")
        admin.execute(f"DROP ROLE {', '.join(roles)}")


def test_every_query_of_procrastinate_finds_its_tables_without_a_search_path(in_database: InDatabase) -> None:
    """A pooler in transaction mode keeps no setting of a connection."""

    async def scenario(database: Database) -> None:
        async with database.transaction() as connection:
            for name, query in queries.items():
                if name == "listen_queue":
                    continue
                parameters = _Nulls()
                text = with_schema(query)
                assert "walltrack_jobs.procrastinate_" in text, name
                await connection.execute(f"PREPARE checked AS {text % parameters}".rstrip(";"))
                await connection.execute("DEALLOCATE checked")

    in_database(scenario)


class _Nulls(dict[str, str]):
    """A NULL for every parameter: only whether the names resolve is asked."""

    def __missing__(self, _key: str) -> str:
        return "NULL"
