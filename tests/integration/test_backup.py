"""Back-ups: what is restored is what was there, and nothing is overwritten."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.databases import Server, settings_for
from tests.integration.test_migrations import FOUND_BY_THE_VERSION_BEFORE, dump
from walltrack.data.supabase.backup import back_up, find_program, restore
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import require_current_schema
from walltrack.discovery.errors import BadInputError

COUNTS = "SELECT (SELECT count(*) FROM discovery_runs), (SELECT count(*) FROM discovery_run_wallets)"


# A server that reads an expression again prints it with other brackets and casts. Names, words and their order stay.
BRACKETS_AND_CASTS = re.compile(r"[()]|::(character varying|text)(\[\])?")


def _schema(url: str, *, as_printed: bool = True) -> dict[str, list[Any]]:
    found = {name: sorted(rows, key=str) for name, rows in dump(url).items()}
    if not as_printed:
        for name in ("constraints", "triggers"):
            found[name] = sorted(
                (tuple(BRACKETS_AND_CASTS.sub("", str(part)) for part in row) for row in found[name]), key=str
            )
    return found


def quiet(_line: str) -> None:
    """Nobody listens."""


def test_what_is_restored_is_what_was_there(server: Server, migrated_url: str, tmp_path: Path) -> None:
    with psycopg.connect(migrated_url) as connection:
        connection.execute(FOUND_BY_THE_VERSION_BEFORE)
        connection.execute("CREATE SCHEMA others CREATE TABLE theirs (id INT)")
        before = connection.execute(COUNTS).fetchone()
    file = tmp_path / "backup"
    assert back_up(settings_for(migrated_url), file) == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    with server.empty_database() as name:
        url = server.url(name)
        restore(settings_for(url), file, quiet)
        assert _schema(url, as_printed=False) == _schema(migrated_url, as_printed=False)
        with psycopg.connect(url) as connection:
            assert connection.execute(COUNTS).fetchone() == before
            assert connection.execute("SELECT to_regnamespace('others')").fetchone() == (None,)

        async def start() -> None:
            async with Database(settings_for(url)) as database:
                await require_current_schema(database)

        asyncio.run(start())

        again = tmp_path / "again"
        back_up(settings_for(url), again)
        with server.empty_database() as twice:
            restore(settings_for(server.url(twice)), again, quiet)
            assert _schema(server.url(twice)) == _schema(url)


def test_neither_a_back_up_nor_a_database_is_overwritten(migrated_url: str, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("mine")
    with pytest.raises(BadInputError, match="exists already"):
        back_up(settings_for(migrated_url), file)
    with pytest.raises(BadInputError, match="holds WallTrack's tables already"):
        restore(settings_for(migrated_url), file, quiet)


def test_a_file_that_is_no_back_up_changes_nothing(empty_url: str, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("mine")
    with pytest.raises(BadInputError, match="is no back-up that can be read"):
        restore(settings_for(empty_url), file, quiet)


def test_a_server_whose_programs_are_missing_is_told_which_to_install() -> None:
    with pytest.raises(BadInputError, match="postgresql-client-99"):
        find_program("pg_dump", 99)
