"""How far a run is, read at one moment, and its events: none missed, none twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.api_runs import MINUTE, a_run, finish, list_tokens
from tests.integration.conftest import InDatabase
from tests.integration.databases import MINTS, NOW
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_engine_repo import RunEngineRepository
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    ReadingCost,
    RunStatus,
    TokenStatus,
)
from walltrack.discovery.run_progress import RunEvent, estimated_end


async def settled(database: Database, run_id: UUID) -> None:
    """Wait until no transaction is open, a server's own ones among them, that holds the run's events back."""
    held_back = True
    while held_back:
        async with database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT coalesce(max(transaction) >= pg_snapshot_xmin(pg_current_snapshot()), FALSE) AS held_back"
                " FROM run_events WHERE run_id = %s",
                (run_id,),
            )
            row = await cursor.fetchone()
        held_back = row is not None and row["held_back"]


def told(event: RunEvent) -> tuple[str, ...]:
    details = event.details
    if event.kind == "run":
        return ("run", details["status"], details["stage"])
    return (details["mint"], details["status"])


def test_progress_is_what_the_rows_say_at_each_moment_of_a_run(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repository = RunProgressRepository(database)
        run_id = await a_run(database)
        listing = await repository.get_progress(run_id)
        assert (listing.status, listing.stage, dict(listing.tokens)) == (RunStatus.RUNNING, "listing", {})
        assert (listing.used, listing.forecast, listing.estimated_end) == (ReadingCost(0, 0), None, None)
        await list_tokens(database, run_id)
        assert (await repository.get_progress(run_id)).estimated_end is None
        # One wallet is found on both tokens.
        await finish(database, run_id, MINTS[0], 1, 2)
        await finish(database, run_id, MINTS[1], 2, 3)
        await RunEngineRepository(database).claim_token(run_id, MINTS[2], started_at=NOW, lease=MINUTE)
        for provider in ("helius", "jupiter"):
            await ProviderRepository(database).add(
                run_id, provider, requests=2, credits=10, errors=0, stopped_reason=None
            )
        half = await repository.get_progress(run_id)
        assert dict(half.tokens) == {TokenStatus.DONE: 2, TokenStatus.RUNNING: 1, TokenStatus.PENDING: 1}
        assert (half.stage, half.wallets, half.open_tokens) == ("tokens", 3, 2)
        assert (half.used, half.forecast) == (ReadingCost(4, 20), ReadingCost(7, 70))
        assert half.estimated_end is not None
        assert half.estimated_end > half.read_at
        assert half.started_at == NOW
        await DiscoveryRepository(database).cancel_run(run_id, completed_at=NOW, reason="enough")
        ended = await repository.get_progress(run_id)
        assert (ended.status, ended.completed_at, ended.estimated_end) == (RunStatus.CANCELLED, NOW, None)
        assert (ended.errors, ended.open_tokens) == (("enough",), 0)
        with pytest.raises(RunNotFoundError):
            await repository.get_progress(uuid4())

    in_database(scenario)


@given(
    st.timedeltas(timedelta(), timedelta(days=2)),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(1, 100),
)
def test_the_estimate_is_the_pace_so_far_for_what_is_open(
    elapsed: timedelta, finished: int, still_open: int, more: int
) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    end = estimated_end(now, now - elapsed, finished=finished, still_open=still_open)
    assert end is not None
    assert abs((end - now) * finished - elapsed * still_open) <= timedelta(microseconds=finished * still_open)
    faster = estimated_end(now, now - elapsed, finished=finished + more, still_open=still_open)
    assert faster is not None
    assert now <= faster <= end
    assert estimated_end(now, None, finished=finished, still_open=still_open) is None
    assert estimated_end(now, now - elapsed, finished=0, still_open=still_open) is None
    assert estimated_end(now, now - elapsed, finished=finished, still_open=0) is None


def test_events_come_once_each_in_their_order_wherever_a_reader_goes_on(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repository = RunProgressRepository(database)
        run_id, other = await a_run(database), await a_run(database)
        await list_tokens(database, run_id, 2)
        await finish(database, run_id, MINTS[0], 1)
        await finish(database, run_id, MINTS[1])
        await DiscoveryRepository(database).cancel_run(run_id, completed_at=NOW)
        await settled(database, run_id)
        events = await repository.events_since(run_id)
        assert [told(event) for event in events] == [
            ("run", "running", "listing"),
            ("run", "running", "tokens"),
            (MINTS[0], "running"),
            (MINTS[0], "done"),
            (MINTS[1], "running"),
            (MINTS[1], "done"),
            ("run", "cancelled", "ended"),
        ]
        assert events[3].details["wallets_found"] == 1
        for place, event in enumerate(events):
            assert await repository.events_since(run_id, event.cursor) == events[place + 1 :]
        assert await repository.events_since(run_id, limit=3) == events[:3]
        assert [told(event) for event in await repository.events_since(other)] == [
            ("run", "running", "listing")
        ]

    in_database(scenario)


def test_an_event_that_is_committed_late_is_not_missed_by_a_reader_who_saw_later_ones(
    in_database: InDatabase, migrated_url: str
) -> None:
    async def scenario(database: Database) -> None:
        repository = RunProgressRepository(database)
        run_id = await a_run(database)
        await list_tokens(database, run_id, 2)
        await settled(database, run_id)
        seen = await repository.events_since(run_id)
        async with await psycopg.AsyncConnection.connect(migrated_url) as slow:
            await slow.execute(
                "UPDATE discovery_run_tokens SET status = 'failed', reason = 'late' WHERE run_id = %s AND mint = %s",
                (run_id, MINTS[0]),
            )
            await finish(database, run_id, MINTS[1])
            assert await repository.events_since(run_id, seen[-1].cursor) == []
            await slow.commit()
        await settled(database, run_id)
        after = await repository.events_since(run_id, seen[-1].cursor)
        assert [told(event) for event in after] == [
            (MINTS[0], "failed"),
            (MINTS[1], "running"),
            (MINTS[1], "done"),
        ]

    in_database(scenario)


@pytest.mark.parametrize("cursor", ["", "1", "1-", "-1-2", "1-2-3", "٣-٤", "9" * 30 + "-1", "0-0'"])
def test_a_cursor_that_is_none_is_refused(in_database: InDatabase, cursor: str) -> None:
    async def scenario(database: Database) -> None:
        with pytest.raises(BadInputError, match="cursor: is none of an event"):
            await RunProgressRepository(database).events_since(uuid4(), cursor)

    in_database(scenario)


def test_only_workers_that_gave_a_sign_of_life_lately_serve(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repository = RunProgressRepository(database)
        assert await repository.serving_workers() == 0
        async with database.transaction() as connection:
            await connection.execute(
                "INSERT INTO walltrack_jobs.procrastinate_workers (last_heartbeat)"
                " VALUES (now()), (now() - interval '1 hour')"
            )
        assert await repository.serving_workers() == 1

    in_database(scenario)
