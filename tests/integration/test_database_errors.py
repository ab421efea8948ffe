"""What an operator is told when the database cannot be used. Never the password."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.integration.databases import Server, settings_for
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import (
    DatabaseRightsError,
    DatabaseTimeoutError,
    DatabaseTooOldError,
    DatabaseUnreachableError,
    check_server_version,
    translated,
)
from walltrack.discovery.errors import BadInputError

PASSWORD = "s3cret"


def opening(settings: Settings) -> None:
    async def scenario() -> None:
        async with Database(settings):
            pass

    asyncio.run(scenario())


def test_a_port_where_nothing_listens_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        port = taken.getsockname()[1]
        with pytest.raises(DatabaseUnreachableError, match="Connection refused") as raised:
            opening(settings_for(f"postgresql://ada:{PASSWORD}@127.0.0.1:{port}/walltrack"))
    assert f"database walltrack on host 127.0.0.1, port {port}, user ada: " in str(raised.value)
    assert PASSWORD not in repr(raised.value)


def test_a_server_that_never_answers_is_given_up_after_the_time_allowed() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseUnreachableError, match="timeout"):
            opening(
                settings_for(
                    f"postgresql://ada:{PASSWORD}@127.0.0.1:{port}/x", database_connect_timeout_seconds=2
                )
            )


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(DatabaseUnreachableError, match=r"on host nowhere\.invalid"):
        opening(settings_for(f"postgresql://ada:{PASSWORD}@nowhere.invalid/x"))


def test_a_database_that_does_not_exist_is_named(server: Server) -> None:
    with pytest.raises(DatabaseUnreachableError, match='database "missing" does not exist'):
        opening(settings_for(server.url("missing")))


def test_a_wrong_password_is_told_as_a_question_of_rights(debian_server: Server) -> None:
    with debian_server.connect() as admin:
        admin.execute("DROP ROLE IF EXISTS ada")
        admin.execute("CREATE ROLE ada LOGIN PASSWORD 'right'")
    with pytest.raises(DatabaseRightsError, match="password authentication failed for user") as raised:
        opening(settings_for(debian_server.url("postgres", "ada", PASSWORD)))
    assert PASSWORD not in repr(raised.value)
    opening(settings_for(debian_server.url("postgres", "ada", "right")))


@pytest.mark.parametrize(
    ("number", "shown"),
    [(149_999, r"14\.9999"), (140_011, r"14\.11"), (90_603, r"9\.6"), (130_000, r"13\.0")],
)
def test_servers_before_15_are_refused(number: int, shown: str) -> None:
    with pytest.raises(
        DatabaseTooOldError, match=f"db: PostgreSQL {shown} is too old; WallTrack needs 15 or newer"
    ):
        check_server_version(number, "db")


@pytest.mark.parametrize("number", [150_000, 160_003, 170_000, 180_004])
def test_servers_from_15_on_are_welcome(number: int) -> None:
    check_server_version(number, "db")


def test_a_statement_that_takes_too_long_is_given_up(server: Server) -> None:
    async def scenario() -> None:
        settings = settings_for(server.url(), database_statement_timeout_seconds=1)
        async with Database(settings) as database:
            with pytest.raises(DatabaseTimeoutError, match="canceling statement due to statement timeout"):
                async with database.transaction() as connection:
                    await connection.execute("SELECT count(*) FROM generate_series(1, 1000000000000::bigint)")

    asyncio.run(scenario())


def test_a_connection_cut_off_is_told_and_the_next_one_works(server: Server) -> None:
    async def scenario() -> None:
        async with Database(settings_for(server.url())) as database:
            with pytest.raises(DatabaseUnreachableError, match="terminating connection"):
                async with database.transaction() as connection:
                    await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            async with database.transaction() as connection:
                await connection.execute("SELECT 1")

    asyncio.run(scenario())


def test_a_connection_that_was_cut_while_it_was_not_used_is_replaced_unnoticed(server: Server) -> None:
    async def scenario() -> None:
        settings = settings_for(server.url())
        async with Database(settings, at_most=1) as database, Database(settings, at_most=1) as other:
            async with database.transaction() as connection:
                pid = connection.info.backend_pid
            async with other.transaction() as connection:
                await connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
            async with database.transaction() as connection:
                assert connection.info.backend_pid != pid

    asyncio.run(scenario())


def test_the_driver_s_words_on_a_connection_string_are_kept_back() -> None:
    import psycopg

    with pytest.raises(BadInputError) as raised, translated("database x on host y"):
        psycopg.connect(f"postgresql://ada:{PASSWORD}@host:x{PASSWORD}/db")
    assert PASSWORD not in repr(raised.value)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        BadInputError, match=r"file/data: cannot be made: .*; choose another WALLTRACK_DATA_DIR"
    ):
        opening(Settings(database_url=None, data_dir=tmp_path / "file" / "data"))
