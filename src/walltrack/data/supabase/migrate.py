"""Bring the database to the tables of this version: `python -m walltrack.data.supabase.migrate`.

The steps are the files `migrations/NNN_name.sql`, each with its `NNN_name.rollback.sql`. Each is applied and noted in
one transaction, under an advisory lock that goes with its connection: a migrator that is killed leaves nothing
behind, and several at once wait for each other.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from walltrack.config.settings import Settings, load_settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.bookkeeping import (
    APPLIED_MIGRATIONS,
    BOOKKEEPING_EXISTS,
    HIDDEN_TABLES,
    LOCK_TIMEOUT_SECONDS,
    Bookkeeping,
    contractions,
    known_migrations,
    migration_sql,
)
from walltrack.data.supabase.client import Database, connection_string
from walltrack.data.supabase.errors import (
    DatabaseRightsError,
    DatabaseTimeoutError,
    SchemaOutdatedError,
    SchemaTooNewError,
    check_server_version,
    describe,
    translated,
)
from walltrack.data.supabase.queue_schema import (
    QUEUE_EXISTS,
    QUEUE_STEPS,
    missing_queue_sql,
    queue_contractions,
    queue_migration,
    queue_steps,
)
from walltrack.discovery.errors import BadInputError, WallTrackError

Report = Callable[[str], None]

NOTHING: Final = "none"
"""The target of a rollback that takes every migration back."""

TRIES: Final = 6
"""How often a migration asks for a table that others hold, before it is given up."""


def migrate(settings: Settings, report: Report) -> list[str]:
    """Apply what is not applied yet, one line to `report` for each. Returns the names of what was applied.

    Idempotent, and safe to run from several processes at once. Raises DatabaseUnreachableError,
    DatabaseRightsError, DatabaseTooOldError, DatabaseStorageError, DatabaseTimeoutError where others hold a table for
    long, or BadInputError where a table of another application has a name of ours.
    """
    with _bookkeeping(settings) as (books, where):
        applied = []
        while True:
            name = _one_step(books, where, report)
            if name is None:
                break
            applied.append(name)
            report(f"applied {name}")
        report(f"{where}: {len(applied)} applied, {len(known_migrations())} in all; the schema is current")
    return applied


def roll_back(settings: Settings, target: str, report: Report) -> list[str]:
    """Take back the migrations after `target` (a name, its number, or "none"), the newest first.

    What stands in the tables and columns that go is lost. Raises BadInputError for an unknown target, else as
    `migrate`.
    """
    names = known_migrations()
    if target == NOTHING:
        later = names
    else:
        matches = [name for name in names if target in (name, name.split("_", 1)[0])]
        if not matches:
            raise BadInputError(f"{target}: no such migration; there are {', '.join(names)} and {NOTHING}")
        later = names[names.index(matches[0]) + 1 :]
    with _bookkeeping(settings) as (books, where):
        taken_back = []
        for name in reversed(later):
            with translated(where), books.exclusively(report):
                done = books.roll_back(name)
            if done:
                taken_back.append(name)
                report(f"rolled back {name}")
        report(f"{where}: {len(taken_back)} rolled back")
    return taken_back


def list_migrations(settings: Settings) -> list[tuple[str, bool]]:
    """Every migration with whether it is applied, the oldest first. Changes nothing."""
    with connected(settings) as (connection, where), translated(where):
        applied, steps = _applied(connection)
    applied |= _queue_migration(steps)
    return [(name, name in applied) for name in known_migrations()]


def missing_sql(settings: Settings) -> str:
    """The SQL that `migrate` would execute on this database, in order. Changes nothing; empty where nothing is missing.

    What it notes about the migrations themselves is left out.
    """
    with connected(settings) as (connection, where), translated(where):
        applied, steps = _applied(connection)
    texts = [
        (name, migration_sql(name))
        for name in known_migrations()
        if name not in applied and name != queue_migration()
    ]
    texts += missing_queue_sql(steps)
    if texts:
        texts.append(("post-apply_rights", migration_sql("post-apply_rights")))
    return "\n".join(f"-- {name}\nBEGIN;\n{text.strip()}\nCOMMIT;\n" for name, text in texts)


async def migrate_async(settings: Settings, report: Report) -> list[str]:
    """`migrate`, for callers in an event loop."""
    return await asyncio.to_thread(migrate, settings, report)


async def pending_migrations(database: Database) -> list[str]:
    """Names of the migrations that this database lacks, the oldest first. Changes nothing.

    Raises DatabaseRightsError where the rows cannot be seen, SchemaTooNewError where a newer version took away what
    this one works with.
    """
    async with database.transaction() as connection:
        hidden = [row["name"] for row in await (await connection.execute(HIDDEN_TABLES)).fetchall()]
        if hidden:
            # To a user who is not the owner, row-level security shows an empty table: worse than an error.
            raise DatabaseRightsError(
                f"{database.where}: row-level security hides the rows of {', '.join(hidden)} from this user; "
                "connect as the user who ran `walltrack migrate`, or as a member of it"
            )
        found = await (await connection.execute(BOOKKEEPING_EXISTS)).fetchone()
        if found is None or not found["found"]:
            return known_migrations()
        cursor = await connection.execute(APPLIED_MIGRATIONS)
        applied = {row["migration_id"] for row in await cursor.fetchall()}
        steps: set[str] = set()
        found = await (await connection.execute(QUEUE_EXISTS)).fetchone()
        if found is not None and found["found"]:
            cursor = await connection.execute(QUEUE_STEPS)
            steps = {row["migration"] for row in await cursor.fetchall()}
    gone = contractions(applied) + queue_contractions(steps)
    if gone:
        raise SchemaTooNewError(
            f"{database.where}: a newer version of WallTrack has migrated it ({', '.join(gone)}) and taken away what "
            "this one works with; run that version, or restore a back-up from before"
        )
    applied |= _queue_migration(steps)
    return [name for name in known_migrations() if name not in applied]


async def require_current_schema(database: Database) -> None:
    """Raises SchemaOutdatedError where migrations are missing, else as `pending_migrations`."""
    pending = await pending_migrations(database)
    if pending:
        raise SchemaOutdatedError(
            f"{database.where}: the schema lacks {', '.join(pending)}; run `walltrack migrate`"
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0 when done, 1 when it failed, 2 for wrong usage or a database that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m walltrack.data.supabase.migrate",
        description="Bring the database (DATABASE_URL, else the embedded one) to the schema of this version.",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--list", action="store_true", help="show the migrations and which are applied")
    choice.add_argument(
        "--dry-run", action="store_true", help="print the SQL that is missing, and change nothing"
    )
    choice.add_argument(
        "--rollback-to",
        metavar="MIGRATION",
        help=f'take back every later migration, with the data of what goes; "{NOTHING}" takes back all',
    )
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        if options.list:
            for name, applied in list_migrations(settings):
                _print(f"{'applied' if applied else 'pending'}  {name}")
        elif options.dry_run:
            sys.stdout.write(missing_sql(settings))
        elif options.rollback_to:
            roll_back(settings, options.rollback_to, _print)
        else:
            migrate(settings, _print)
    except WallTrackError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, BadInputError) else 1
    return 0


def _one_step(books: Bookkeeping, where: str, report: Report) -> str | None:
    """Apply the next migration, and return its name. A table that others hold is asked for again a few times."""
    for tries_left in reversed(range(TRIES)):
        try:
            with translated(where), _own_names(where), books.exclusively(report):
                return books.apply_next()
        except DatabaseTimeoutError:
            if not tries_left:
                break
            report(f"others have used a table for {LOCK_TIMEOUT_SECONDS} s; trying again")
    raise DatabaseTimeoutError(
        f"{where}: others used a table for {TRIES} times {LOCK_TIMEOUT_SECONDS} s, and nothing of this migration was "
        "kept; end what holds it (pg_stat_activity), or migrate at a quieter time"
    )


def _applied(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[set[str], set[str]]:
    """Names of the migrations that are applied, and of the queue's steps."""
    found = connection.execute(BOOKKEEPING_EXISTS).fetchone()
    rows = connection.execute(APPLIED_MIGRATIONS).fetchall() if found and found[0] else []
    found = connection.execute(QUEUE_EXISTS).fetchone()
    steps = connection.execute(QUEUE_STEPS).fetchall() if found and found[0] else []
    return {row[0] for row in rows}, {row[0] for row in steps}


def _queue_migration(steps: set[str]) -> set[str]:
    """The queue's entry among the applied migrations, where it has all of its steps."""
    return {queue_migration()} if steps.issuperset(queue_steps()) else set()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def connected(settings: Settings) -> Iterator[tuple[psycopg.Connection[tuple[Any, ...]], str]]:
    """A connection in autocommit mode, and how messages name the database. Raises as `Database`."""
    with ExitStack() as stack:
        if settings.database_url is None:
            base = stack.enter_context(embedded.serving(settings.data_dir)).conninfo
        else:
            base = settings.database_url.get_secret_value()
        conninfo = connection_string(base, settings.database_connect_timeout_seconds)
        where = describe(dict(conninfo_to_dict(conninfo)))
        with translated(where):
            # No prepared statements: they do not survive a pooler in transaction mode, such as Supabase's.
            connection = stack.enter_context(
                psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
            )
        check_server_version(connection.info.server_version, where)
        yield connection, where


@contextmanager
def _bookkeeping(settings: Settings) -> Iterator[tuple[Bookkeeping, str]]:
    with connected(settings) as (connection, where):
        yield Bookkeeping(connection), where


@contextmanager
def _own_names(where: str) -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateObject) as error:
        raise BadInputError(
            f"{where}: {error.diag.message_primary}, and is not WallTrack's; give WallTrack a database of its own"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
