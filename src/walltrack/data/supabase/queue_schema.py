"""The tables of the job queue, Procrastinate's, in a schema of their own: made, brought up to date and taken away.

Procrastinate comes with its whole schema and with the steps that lead to it from every older version. Which steps a
database has is noted beside them. Nothing relies on a connection's search path, which a pooler may lose or hand to
another client: the functions have theirs fixed here, and `walltrack.scheduler.engine` names the schema in its queries.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

SCHEMA: Final = "walltrack_jobs"
"""Hosted databases expose `public` and not this."""

QUEUE_EXISTS: Final = "SELECT to_regclass('walltrack_jobs.applied') IS NOT NULL AS found"
QUEUE_STEPS: Final = "SELECT migration FROM walltrack_jobs.applied"

_OURS: Final = """
    CREATE TABLE applied (
        migration TEXT PRIMARY KEY,
        applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
    );
    -- When a process last swept: one of them does, however many there are.
    CREATE TABLE sweeps (
        one_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one_row),
        swept_at TIMESTAMPTZ NOT NULL
    );
    INSERT INTO sweeps (swept_at) VALUES ('epoch');
"""

_FUNCTIONS: Final = """
    SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'walltrack_jobs'::regnamespace ORDER BY 1
"""

_API_ROLES: Final = "SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') ORDER BY 1"

Connection = psycopg.Connection[tuple[Any, ...]]


@cache
def queue_steps() -> tuple[str, ...]:
    """Names of the steps that the installed Procrastinate knows, in their order, like 03.04.00_01_pre_name."""
    return tuple(sorted(file.stem for file in (_sql_folder() / "migrations").glob("*.sql")))


def queue_migration() -> str:
    """The name under which the queue's schema stands among the migrations, like queue_03.04.00_50."""
    version, number = queue_steps()[-1].split("_")[:2]
    return f"queue_{version}_{number}"


def apply_queue_schema(connection: Connection) -> str | None:
    """Make the queue's tables, or take the next step towards the installed Procrastinate. Returns the name of what was
    done, None where nothing was missing.

    One step a transaction: some use what the one before them has added, which has to be committed by then. Changes the
    transaction's search path. Rights are put in order each time.
    """
    applied = _applied(connection)
    missing = [step for step in queue_steps() if step not in applied]
    name = None
    if missing:
        there = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (SCHEMA,)).fetchone()
        if there is None or not there[0]:
            connection.execute(f"CREATE SCHEMA {SCHEMA}")
        connection.execute("SELECT set_config('search_path', %s, true)", (SCHEMA,))
        if applied:
            done, name = missing[:1], f"queue_{missing[0]}"
            connection.execute(_text("migrations", f"{missing[0]}.sql"))
        else:
            done, name = missing, queue_migration()
            connection.execute(_OURS)
            connection.execute(_text("schema.sql"))
        connection.execute("INSERT INTO applied (migration) SELECT unnest(%s::text[])", (done,))
    _close_to_others(connection)
    return name


def missing_queue_sql(applied: set[str]) -> list[tuple[str, str]]:
    """What `apply_queue_schema` would execute where these steps are there, as names and SQL, in order."""
    if not applied:
        made = f"CREATE SCHEMA {SCHEMA};\nSET LOCAL search_path = {SCHEMA};\n{_OURS}{_text('schema.sql').decode()}"
        return [(queue_migration(), made)]
    return [
        (f"queue_{step}", f"SET LOCAL search_path = {SCHEMA};\n{_text('migrations', f'{step}.sql').decode()}")
        for step in queue_steps()
        if step not in applied
    ]


def queue_contractions(applied: set[str]) -> list[str]:
    """Steps of a newer Procrastinate that took away what this one may use: it calls them "post"."""
    return sorted(f"queue_{step}" for step in applied - set(queue_steps()) if "_post_" in step)


def drop_queue_schema(connection: Connection) -> bool:
    """Take the queue away, with the jobs in it. Returns False where there is none."""
    if not _applied(connection):
        return False
    connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    return True


def _applied(connection: Connection) -> set[str]:
    found = connection.execute(QUEUE_EXISTS).fetchone()
    if found is None or not found[0]:
        return set()
    return {row[0] for row in connection.execute(QUEUE_STEPS).fetchall()}


def _close_to_others(connection: Connection) -> None:
    for (function,) in connection.execute(_FUNCTIONS).fetchall():
        connection.execute(f"ALTER FUNCTION {function} SET search_path = {SCHEMA}")
    api_roles = [sql.Identifier(name) for (name,) in connection.execute(_API_ROLES).fetchall()]
    for grantee in (sql.SQL("PUBLIC"), *api_roles):
        for kind in ("ALL TABLES IN SCHEMA", "ALL SEQUENCES IN SCHEMA", "ALL FUNCTIONS IN SCHEMA", "SCHEMA"):
            connection.execute(
                sql.SQL("REVOKE ALL ON {kind} {schema} FROM {grantee}").format(
                    kind=sql.SQL(kind), schema=sql.Identifier(SCHEMA), grantee=grantee
                )
            )


def _text(*path: str) -> bytes:
    """A file of Procrastinate's SQL. Bytes, since it comes from the package and not from a literal of ours."""
    return _sql_folder().joinpath(*path).read_bytes()


def _sql_folder() -> Path:
    # Every command looks at the migrations: found without an import of the whole package, which takes a while.
    found = find_spec("procrastinate")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "sql"
