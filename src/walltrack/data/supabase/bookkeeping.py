"""What yoyo-migrations notes about the migrations, under a lock and in a schema of our own."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import psycopg
from yoyo import internalmigrations, read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.migrations import Migration, MigrationList, default_migration_table

from walltrack.data.supabase.queue_schema import apply_queue_schema, drop_queue_schema, queue_migration

SCHEMA: Final = "walltrack_migrations"
"""Holds yoyo's tables. Hosted databases expose `public` and not this."""

BOOKKEEPING_EXISTS: Final = "SELECT to_regclass('walltrack_migrations._yoyo_migration') IS NOT NULL AS found"
HIDDEN_TABLES: Final = """
    SELECT name FROM unnest(ARRAY[
        'discovery_config', 'discovery_runs', 'discovery_run_tokens', 'discovery_run_wallets', 'wallets', 'token_tapes',
        'tape_streams', 'provider_usage', 'provider_quotas', 'wallet_histories', 'wallet_history_pages',
        'wallet_profiles', 'measured_launches', 'launch_rushes', 'address_lists', 'run_outcomes',
        'schedule_ticks', 'config_audit', 'run_events', 'run_reservations', 'api_keys', 'run_requests',
        'run_rollups', 'week_rollups', 'credit_rollups', 'wallet_counts', 'retention',
        'walltrack_migrations._yoyo_migration'
    ]) AS name
    WHERE row_security_active(to_regclass(name)::oid)
"""
APPLIED_MIGRATIONS: Final = "SELECT migration_id FROM walltrack_migrations._yoyo_migration"

MIGRATIONS: Final = Path(__file__).parent / "migrations"

CONTRACTION: Final = "_contract_"
"""Stands in the name of a migration on whose tables the version before it does not work, like 040_contract_scores."""

LOCK_TIMEOUT_SECONDS: Final = 5
"""How long a migration waits for a table that others use. Whoever comes after it waits for it as long."""

_LOCK: Final = 0x57414C4C_5452_4143
"""The advisory lock of everything that changes the schema. The letters WALLTRAC."""

_EARLIER_VERSION: Final = ("019_discovery_runs", "020_discovery_config")
"""Migrations by which a bookkeeping of an earlier version of WallTrack is known."""


def known_migrations() -> list[str]:
    """Names of the migrations of this version, in their order. The last one is the job queue's schema."""
    return [*(migration.id for migration in _read()), queue_migration()]


def migration_sql(name: str) -> str:
    """The text of a migration's file."""
    return (MIGRATIONS / f"{name}.sql").read_text(encoding="utf-8")


def contractions(applied: set[str]) -> list[str]:
    """Applied migrations that this version does not know, and whose names say that they took something away.

    See docs/decisions/0009: the version before a migration works on its tables unless it is a contraction.
    """
    return sorted(name for name in applied - set(known_migrations()) if CONTRACTION in name)


def _read() -> MigrationList:
    return read_migrations(str(MIGRATIONS))


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo on one given connection. Its row lock, which a killed process leaves behind for ever, is never used."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._given = connection
        super().__init__("", default_migration_table)

    def connect(self, dburi: str) -> psycopg.Connection[tuple[Any, ...]]:
        return self._given

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:
        yield

    def list_tables(self, **kwargs: object) -> list[str]:
        rows = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        return [row[0] for row in rows]

    def ensure_internal_schema_updated(self) -> None:
        """Done once, by `Bookkeeping.exclusively`."""

    def get_log_data(self, migration: Migration | None = None, operation: str = "apply") -> dict[str, object]:
        # yoyo's own asks the name service for this machine's name, and fails for users without an entry.
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": self._given.info.user[:255],
            "hostname": socket.gethostname()[:255],
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


class Bookkeeping:
    """Applies and takes back migrations on one connection, which must be in autocommit mode."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._backend = _Backend(connection)
        row = connection.execute("SELECT current_setting('search_path')").fetchone()
        self._has_waited = False
        self._search_path = cast("str", row[0]) if row else "public"

    @contextmanager
    def exclusively(self, report: Callable[[str], None]) -> Iterator[None]:
        """One transaction under our lock, with the bookkeeping in place."""
        with self._backend.transaction():
            execute = self._connection.execute
            execute("SET LOCAL statement_timeout = 0")
            execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            with suppress(psycopg.Error), self._connection.transaction():
                # Where the server's platform can: it notices within a second that a waiting migrator was killed.
                execute("SET LOCAL client_connection_check_interval = '1s'")
            taken = execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()
            if taken is None or not taken[0]:
                if not self._has_waited:
                    report("another process is migrating this database; waiting for it")
                    self._has_waited = True
                execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            # Not before: other migrators are waited for without end.
            execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_SECONDS}s",))
            self._prepare()
            yield

    def apply_next(self) -> str | None:
        """Apply the oldest migration that is missing and return its name; None where none is.

        Rights are put in order each time, in the same transaction.
        """
        migrations = _read()
        migration = next(iter(self._backend.to_apply(migrations)), None)
        if migration is not None:
            self._process(migration, "apply")
            self._backend.log_migration(migration, "apply")
            self._backend.mark_one(migration, log=False)
        for hook in migrations.post_apply:
            self._process(hook, "apply")
        if migration is not None:
            return cast("str", migration.id)
        return apply_queue_schema(self._connection)

    def roll_back(self, name: str) -> bool:
        """Take one migration back. Returns False where it is not applied."""
        if name == queue_migration():
            return drop_queue_schema(self._connection)
        for migration in self._backend.to_rollback(_read()):
            if migration.id == name:
                self._process(migration, "rollback")
                self._backend.log_migration(migration, "rollback")
                self._backend.unmark_one(migration, log=False)
                return True
        return False

    def _process(self, migration: Migration, direction: str) -> None:
        self._set_search_path(self._search_path)
        migration.process_steps(self._backend, direction)
        self._set_search_path(SCHEMA)

    def _prepare(self) -> None:
        there = self._connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (SCHEMA,)).fetchone()
        if there is None or not there[0]:
            self._connection.execute(f"CREATE SCHEMA {SCHEMA}")
        self._take_over()
        self._set_search_path(SCHEMA)
        if internalmigrations.needs_upgrading(self._backend):
            internalmigrations.upgrade(self._backend)

    def _take_over(self) -> None:
        """Move the bookkeeping of an earlier version, which stands beside its tables, into our schema."""
        row = self._connection.execute(
            "SELECT to_regclass('_yoyo_migration') IS NOT NULL AND to_regclass(%s) IS NULL",
            (f"{SCHEMA}._yoyo_migration",),
        ).fetchone()
        if row is None or not row[0]:
            return
        ours = self._connection.execute(
            "SELECT 1 FROM _yoyo_migration WHERE migration_id = ANY (%s)", (list(_EARLIER_VERSION),)
        ).fetchone()
        if ours is None:
            return  # another application's
        for table in ("_yoyo_migration", "_yoyo_log", "_yoyo_version"):
            self._connection.execute(f"ALTER TABLE IF EXISTS {table} SET SCHEMA {SCHEMA}")
        self._connection.execute("DROP TABLE IF EXISTS yoyo_lock")

    def _set_search_path(self, value: str) -> None:
        self._connection.execute("SELECT set_config('search_path', %s, true)", (value,))
