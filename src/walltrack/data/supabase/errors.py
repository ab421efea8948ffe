"""What a database can answer instead of a result, as typed errors with a message for the operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from walltrack.discovery.errors import BadInputError, WallTrackError

OLDEST_SERVER_VERSION: Final = 150_000
"""`server_version_num` of the oldest PostgreSQL that WallTrack works with: 15.0."""


class DatabaseUnreachableError(BadInputError):
    """No connection to the database, or it was lost."""

    passes = True


class DatabaseTooOldError(BadInputError):
    """The server is older than PostgreSQL 15."""


class DatabaseRightsError(BadInputError):
    """The server refuses the user: wrong password, no entry, or rights that are missing."""


class SchemaOutdatedError(BadInputError):
    """The tables are not those of this version."""


class SchemaTooNewError(SchemaOutdatedError):
    """A newer version took away what this one works with."""


class DatabaseStorageError(WallTrackError):
    """The server could not store: disk full, a fault of the disk, out of memory. The transaction left nothing."""

    passes = True


class DatabaseTimeoutError(WallTrackError):
    """A statement took longer than the bound, and was given up. The transaction left nothing."""

    passes = True


class RunNotFoundError(WallTrackError):
    """There is no such run."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"there is no run {run_id}")
        self.run_id = run_id


class RunEndedError(WallTrackError):
    """The run has a final status, which nothing overwrites."""

    def __init__(self, run_id: UUID, status: str) -> None:
        super().__init__(f"run {run_id} is {status} already; an ended run is never changed")
        self.run_id = run_id
        self.status = status


class RunUnfinishedError(WallTrackError):
    """A run cannot complete while tokens of it are pending or running."""

    def __init__(self, run_id: UUID, unfinished: int) -> None:
        super().__init__(
            f"run {run_id} has {unfinished} token(s) pending or running; finish or mark them, then complete it"
        )
        self.run_id = run_id
        self.unfinished = unfinished


class StaleClaimError(WallTrackError):
    """The token was claimed by somebody else since, or has ended: the late result was not stored."""

    def __init__(self, run_id: UUID, mint: str, attempt: int) -> None:
        super().__init__(
            f"token {mint} of run {run_id}: attempt {attempt} no longer holds it; its result was not stored"
        )
        self.run_id = run_id
        self.mint = mint
        self.attempt = attempt


class RunsBusyError(WallTrackError):
    """As many runs are running as are allowed. `run_id` is the oldest of those in the way."""

    def __init__(self, run_id: UUID, at_most: int) -> None:
        super().__init__(
            f"run {run_id} is running, and at most {at_most} may run at once (WALLTRACK_MAX_CONCURRENT_RUNS), one of "
            "them by the schedule; wait for its end or cancel it"
        )
        self.run_id = run_id
        self.at_most = at_most


class ConfigChangedError(WallTrackError):
    """The configuration was changed by somebody else since it was read. Nothing was saved."""

    def __init__(self, expected_version: int, version: int) -> None:
        super().__init__(
            f"the configuration is at version {version}, not at {expected_version} on which the change was made; "
            "read it again, then change it"
        )
        self.expected_version = expected_version
        self.version = version


_UNREACHABLE: Final = ("08", "57P01", "57P02", "57P03", "53300", "53400")
_RIGHTS: Final = ("28", "42501", "25006", "0LP01", "0P000")
_SCHEMA: Final = ("42P01", "42703", "3F000")
_STORAGE: Final = ("53100", "53200", "58", "53000", "XX001", "XX002")
_TIMEOUT: Final = ("57014", "55P03", "25P03")
_REFUSED_LOGINS: Final = ("password", "pg_hba.conf", "authentication", "not permitted to log in")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the driver raises into the errors of this module.

    `where` names database and host, as `describe` gives it. What the driver says of a connection string is never
    passed on, since it may quote the password; errors of programming (a constraint, a syntax error) pass as they are.
    """
    try:
        yield
    except (PoolTimeout, TooManyRequests):
        raise DatabaseUnreachableError(
            f"{where}: no connection within the time allowed; check that the server runs and has "
            "connections to spare (WALLTRACK_DATABASE_CONNECT_TIMEOUT_SECONDS)"
        ) from None
    except psycopg.Error as error:
        typed = _typed(error, where)
        if typed is None:
            raise
        raise typed from None


def describe(conninfo: dict[str, object]) -> str:
    """ "database D on host H, port P, user U": what a message may name."""
    host = str(conninfo.get("host") or conninfo.get("hostaddr") or "localhost")
    words = [f"database {conninfo.get('dbname') or conninfo.get('user') or 'postgres'} on host {host}"]
    if conninfo.get("port"):
        words.append(f"port {conninfo['port']}")
    if conninfo.get("user"):
        words.append(f"user {conninfo['user']}")
    return ", ".join(words)


def check_server_version(server_version_num: int, where: str) -> None:
    """Raises DatabaseTooOldError for servers older than PostgreSQL 15. Takes `server_version_num`, like 150004."""
    if server_version_num < OLDEST_SERVER_VERSION:
        # Two digits of minor version since PostgreSQL 10; 9.6 was 90603.
        major, minor = divmod(server_version_num, 10_000)
        shown = f"{major}.{minor}" if major >= 10 else f"{major}.{minor // 100}"
        raise DatabaseTooOldError(
            f"{where}: PostgreSQL {shown} is too old; WallTrack needs {OLDEST_SERVER_VERSION // 10_000} or newer"
        )


def _typed(error: psycopg.Error, where: str) -> WallTrackError | None:
    state = error.sqlstate
    said = (error.diag.message_primary if state else None) or _in_one_line(error)
    result: WallTrackError | None = None
    if state is None:
        if isinstance(error, psycopg.ProgrammingError):
            result = BadInputError(f"{where}: the connection string cannot be used; check DATABASE_URL")
        elif isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            kind = (
                DatabaseRightsError if any(w in said for w in _REFUSED_LOGINS) else DatabaseUnreachableError
            )
            result = kind(f"{where}: {said}")
    elif state.startswith(_UNREACHABLE):
        result = DatabaseUnreachableError(f"{where}: {said}")
    elif state.startswith(_RIGHTS):
        result = DatabaseRightsError(
            f"{where}: {said}; the user must own WallTrack's tables and be able to create tables and schemas "
            "(GRANT CREATE ON DATABASE …, GRANT CREATE ON SCHEMA public …)"
        )
    elif state.startswith(_SCHEMA):
        result = SchemaOutdatedError(f"{where}: {said}; run `walltrack migrate`")
    elif state.startswith(_STORAGE):
        result = DatabaseStorageError(
            f"{where}: the server could not store: {said}; nothing of this step was kept"
        )
    elif state.startswith(_TIMEOUT):
        result = DatabaseTimeoutError(
            f"{where}: {said}; nothing of this step was kept (WALLTRACK_DATABASE_STATEMENT_TIMEOUT_SECONDS)"
        )
    return result


def _in_one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or "the connection failed"
