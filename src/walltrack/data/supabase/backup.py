"""Back-ups by `pg_dump` and `pg_restore` of the server's own version, wherever this machine has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded_folder
from walltrack.data.supabase.bookkeeping import BOOKKEEPING_EXISTS
from walltrack.data.supabase.bookkeeping import SCHEMA as BOOKKEEPING
from walltrack.data.supabase.errors import describe
from walltrack.data.supabase.migrate import Report, connected, migrate
from walltrack.data.supabase.queue_schema import SCHEMA as QUEUE
from walltrack.discovery.errors import BadInputError, WallTrackError

_OTHERS_SCHEMAS: Final = """
    SELECT nspname FROM pg_namespace
    WHERE nspname <> ALL (%s) AND nspname <> current_schema() AND nspname !~ '^pg_' AND nspname <> 'information_schema'
"""
_NOT_OURS: Final = re.compile(r"^\d+; \d+ \d+ (EXTENSION|EVENT TRIGGER|COMMENT - EXTENSION) ")
"""Lines of an archive's list that a hosted database puts there, and WallTrack needs none of."""


def back_up(settings: Settings, file: Path) -> int:
    """Write all that WallTrack keeps in the database into a new file, in PostgreSQL's custom format. Returns its bytes.

    Others may work meanwhile: it is the state of one moment. Raises BadInputError where the file exists or cannot be
    written, or the program is missing; WallTrackError where it fails. Nothing is left then.
    """
    if file.exists():
        raise BadInputError(f"{file}: exists already; a back-up never takes the place of another")
    unfinished = file.with_name(f"{file.name}.unfinished")
    with connected(settings) as (connection, _):
        others = [row[0] for row in connection.execute(_OTHERS_SCHEMAS, ([BOOKKEEPING, QUEUE],)).fetchall()]
        command = ["--format=custom", "--no-owner", "--no-acl", "--no-publications", "--no-subscriptions"]
        command += [f"--exclude-schema={name}" for name in others]
        try:
            # Its owner's alone: it holds all there is to know.
            os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            _run("pg_dump", settings, connection, [*command, f"--file={unfinished}"])
            unfinished.replace(file)
        except OSError as error:
            raise BadInputError(f"{file}: cannot be written: {error.strerror}") from None
        finally:
            unfinished.unlink(missing_ok=True)
    return file.stat().st_size


def restore(settings: Settings, file: Path, report: Report) -> None:
    """Put a back-up into a database that has nothing of WallTrack, and bring its tables up to date.

    All of it or nothing. Raises BadInputError where the file is no back-up or the database has WallTrack's tables,
    else as `back_up`.
    """
    if not file.is_file():
        raise BadInputError(f"{file}: there is no such file")
    with connected(settings) as (connection, where):
        found = connection.execute(BOOKKEEPING_EXISTS).fetchone()
        if found and found[0]:
            raise BadInputError(
                f"{where}: holds WallTrack's tables already; restore into an empty database, and point DATABASE_URL "
                "(or WALLTRACK_DATA_DIR) at that one"
            )
        try:
            listed = _run("pg_restore", settings, connection, ["--list", str(file)], connects=False)
        except WallTrackError as error:
            raise BadInputError(f"{file}: is no back-up that can be read: {error}") from None
        chosen = "\n".join(line for line in listed.splitlines() if not _NOT_OURS.match(line))
        options = [
            "--single-transaction",
            "--exit-on-error",
            "--no-owner",
            "--no-acl",
            "--use-list=/dev/stdin",
        ]
        _run("pg_restore", settings, connection, [*options, str(file)], given=chosen)
    migrate(settings, report)


def find_program(name: str, version: int) -> Path:
    """`pg_dump` or `pg_restore` of a major version: of the embedded server, in PATH, or where Debian has them.

    Raises BadInputError where there is none.
    """
    folders = [Path("/usr/lib/postgresql") / str(version) / "bin", *map(Path, os.get_exec_path())]
    embedded = embedded_folder.bundled_programs(version)
    if embedded is not None:
        folders.insert(0, embedded)
    for folder in folders:
        if (program := shutil.which(name, path=str(folder))) and _version(program) == version:
            return Path(program)
    raise BadInputError(
        f"there is no {name} of PostgreSQL {version} on this machine, which is the server's version; install "
        f"postgresql-client-{version}, or make the back-up where the server runs"
    )


def _version(program: str) -> int | None:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else None


def _target(settings: Settings, connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, Any]:
    """Where the program connects to, without the password. What was given and no more: a newer libpq's own options, of
    which `connection.info.dsn` has some, are unknown to an older server's programs.
    """
    info = connection.info
    given: dict[str, Any] = {"host": info.host, "port": info.port, "user": info.user, "dbname": info.dbname}
    if settings.database_url is not None:
        given = dict(conninfo_to_dict(settings.database_url.get_secret_value()))
    given.pop("password", None)
    return given


def _run(
    name: str,
    settings: Settings,
    connection: psycopg.Connection[tuple[Any, ...]],
    options: list[str],
    *,
    given: str | None = None,
    connects: bool = True,
) -> str:
    """What the program prints. The password goes by the environment, which other users do not see."""
    program = find_program(name, connection.info.server_version // 10_000)
    parts = _target(settings, connection)
    environment = dict(os.environ) | {"LC_ALL": "C"}
    if connection.info.password:
        environment["PGPASSWORD"] = connection.info.password
    target = [f"--dbname={make_conninfo('', **parts)}"] if connects else []
    done = subprocess.run(
        [str(program), *target, *options],
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise WallTrackError(f"{describe(parts)}: {name} failed: {said}")
    return done.stdout
