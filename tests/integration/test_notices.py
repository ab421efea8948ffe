"""Notices from process to process, also over a connection that is cut."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from tests.integration.conftest import InDatabase
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.notices import CONFIG, LISTENING, Notices, notify, run_notice, run_of


def test_a_notice_reaches_every_listener_once_its_transaction_is_committed(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        async with Notices(database) as notices, asyncio.timeout(30):
            first, second = notices.listen(), notices.listen()
            assert await anext(first) == LISTENING
            waiting = asyncio.ensure_future(anext(second))
            assert await waiting == LISTENING
            run_id = uuid4()
            async with database.transaction() as connection:
                await notify(connection, run_notice(run_id))
            async with database.transaction() as connection:
                await notify(connection, CONFIG)
            for listener in (first, second):
                assert run_of(await anext(listener)) == run_id
                assert await anext(listener) == CONFIG

    in_database(scenario)


def test_after_its_connection_was_cut_a_listener_is_told_and_hears_what_comes_later(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        async with Notices(database) as notices, asyncio.timeout(60):
            listener = notices.listen()
            assert await anext(listener) == LISTENING
            for _ in range(3):
                async with database.transaction() as connection:
                    cut = await connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND query LIKE 'LISTEN %'"
                    )
                    assert len(await cut.fetchall()) == 1
                assert await anext(listener) == LISTENING
                async with database.transaction() as connection:
                    await notify(connection, CONFIG)
                assert await anext(listener) == CONFIG

    in_database(scenario)


def test_what_is_no_notice_about_a_run_has_none() -> None:
    assert run_of(CONFIG) is None
    assert run_of("run:nonsense") is None
