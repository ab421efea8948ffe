"""The stream of a run's events: nothing missed, nothing twice, however often it breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import psycopg
from httpx_sse import EventSource, ServerSentEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.api import RUNS, ApiServer, problem, serving
from tests.integration.api_runs import a_found_run, a_run, finish, list_tokens
from tests.integration.databases import MINTS, NOW
from walltrack.api.run_events import has_ended
from walltrack.config.settings import Settings
from walltrack.contract import Scope
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository

WRITERS = 3


class Told(NamedTuple):
    """One event of a stream."""

    kind: str
    cursor: str
    data: dict[str, Any]


def told(sent: ServerSentEvent) -> Told:
    return Told(sent.event, sent.id, json.loads(sent.data))


async def stream(client: httpx.AsyncClient, run_id: UUID, after: str | None) -> AsyncIterator[Told]:
    headers = {} if after is None else {"Last-Event-ID": after}
    async with client.stream("GET", f"{RUNS}/{run_id}/events", headers=headers) as answer:
        if answer.status_code == 204:
            # All was told before, and the stream was left before it said so.
            yield Told("end", after or "", {})
        assert answer.status_code in (200, 204), await answer.aread()
        async for sent in EventSource(answer).aiter_sse():
            yield told(sent)


def a_client(api: ApiServer) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {api.key(Scope.READ)}"}
    return httpx.AsyncClient(base_url=api.url, headers=headers, timeout=60)


async def read_in_pieces(client: httpx.AsyncClient, run_id: UUID, pieces: list[int]) -> list[Told]:
    """Read until the end of the run, going away after so many events each time, and then not any more."""
    changes: list[Told] = []
    cursor: str | None = None
    for most in [*pieces, 10_000]:
        events = stream(client, run_id, cursor)
        read = 0
        async for event in events:
            read += 1
            if event.kind in ("run", "token"):
                changes.append(event)
                cursor = event.cursor
            if event.kind == "end":
                await events.aclose()  # type: ignore[attr-defined]
                return changes
            if read == most:
                break
        await events.aclose()  # type: ignore[attr-defined]
    raise AssertionError("the stream ended before the run")


async def write(api: ApiServer, run_id: UUID, steps: list[tuple[int, bool]]) -> None:
    """Change tokens in transactions that overlap, each writer its own tokens, and commit in the order of the steps."""
    assert api.settings.database_url is not None
    url = api.settings.database_url.get_secret_value()
    connections = [await psycopg.AsyncConnection.connect(url) for _ in range(WRITERS)]
    turns = [0] * WRITERS
    try:
        for writer, commits in steps:
            if commits:
                await connections[writer].commit()
            else:
                mint = MINTS[writer + WRITERS * (turns[writer] // 2 % 2)]
                status = ("running", "pending")[turns[writer] % 2]
                turns[writer] += 1
                await connections[writer].execute(
                    "UPDATE discovery_run_tokens SET status = %s WHERE run_id = %s AND mint = %s",
                    (status, run_id, mint),
                )
            await asyncio.sleep(0)
        for connection in connections:
            await connection.commit()
    finally:
        for connection in connections:
            await connection.close()


@given(
    st.lists(st.tuples(st.integers(0, WRITERS - 1), st.booleans()), max_size=40),
    st.lists(st.integers(1, 6), max_size=12),
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(
    api: ApiServer, steps: list[tuple[int, bool]], pieces: list[int]
) -> None:
    database = api.context.database
    client = a_client(api)

    async def scenario() -> None:
        run_id = await a_run(database)
        await list_tokens(database, run_id, 2 * WRITERS)
        async with client, asyncio.TaskGroup() as group:
            reading = group.create_task(read_in_pieces(client, run_id, pieces))
            await write(api, run_id, steps)
            await DiscoveryRepository(database).cancel_run(run_id, completed_at=NOW)
        stored = await RunProgressRepository(database).events_since(run_id)
        assert [event.cursor for event in reading.result()] == [event.cursor for event in stored]
        assert [event.data["details"] for event in reading.result()] == [
            dict(event.details) for event in stored
        ]

    api.do(scenario())


def test_an_ended_run_is_told_from_the_beginning_and_to_whoever_had_it_all_not_again(api: ApiServer) -> None:
    run_id = api.do(a_found_run(api.context.database))
    with api.client() as client:
        path = f"{RUNS}/{run_id}/events"
        whole = client.get(path)
        events = [told(sent) for sent in EventSource(whole).iter_sse()]
        assert whole.headers["content-type"].startswith("text/event-stream")
        assert events[0].data["details"] == {"status": "running", "stage": "listing", "profiled_wallets": 0}
        assert [event.kind for event in events[-2:]] == ["progress", "end"]
        assert (events[-1].data["status"], events[-1].data["wallets"]) == ("completed", 3)
        last = events[-1].cursor
        assert client.get(path, headers={"Last-Event-ID": last}).status_code == 204
        before = [event.cursor for event in events if event.kind != "progress"][-3]
        rest = client.get(path, headers={"Last-Event-ID": before})
        assert [told(sent).kind for sent in EventSource(rest).iter_sse()][-2:] == ["progress", "end"]
        for forged in ("1", "x-1", "1-2-3", "99999999999999999999-1"):
            problem(client.get(path, headers={"Last-Event-ID": forged}), 400)


def test_the_end_is_told_after_everything_that_an_open_transaction_holds_back(api: ApiServer) -> None:
    database = api.context.database
    run_id = api.do(a_run(database))
    api.do(list_tokens(database, run_id, 2))
    assert api.settings.database_url is not None
    with psycopg.connect(api.settings.database_url.get_secret_value()) as other:
        other.execute("SELECT pg_current_xact_id()")
        api.do(finish(database, run_id, MINTS[0], 1))
        api.do(DiscoveryRepository(database).cancel_run(run_id, completed_at=NOW))
        seen = api.do(RunProgressRepository(database).events_since(run_id))
        assert [event.details.get("status") for event in seen] == ["running", "running"]
        assert not api.do(has_ended(RunProgressRepository(database), run_id))
        # To whoever has all that is to be had, more is to come: 200, not 204.
        headers = {"Last-Event-ID": seen[-1].cursor}
        with (
            api.client() as client,
            client.stream("GET", f"{RUNS}/{run_id}/events", headers=headers) as answer,
        ):
            assert answer.status_code == 200
            sent = EventSource(answer).iter_sse()
            assert told(next(sent)).kind == "progress"
            other.commit()
            rest = [told(one) for one in sent]
    stored = api.do(RunProgressRepository(database).events_since(run_id, seen[-1].cursor))
    assert len(stored) == 4
    assert [event.cursor for event in rest if event.kind in ("run", "token")] == [
        one.cursor for one in stored
    ]
    assert rest[-1].kind == "end"
    assert api.do(has_ended(RunProgressRepository(database), run_id))


def test_streams_end_in_order_when_the_server_stops(one_off_settings: Settings) -> None:
    with serving(one_off_settings) as api:
        run_id = api.do(a_run(api.context.database))
        with api.client() as client, client.stream("GET", f"{RUNS}/{run_id}/events") as answer:
            sent = EventSource(answer).iter_sse()
            assert told(next(sent)).kind == "run"
            api.end()
            # A connection that is cut off would raise here.
            assert "end" not in [told(one).kind for one in sent]


def test_idle_listeners_hold_no_connection_to_the_database(api: ApiServer) -> None:
    run_id = api.do(a_run(api.context.database))
    client = a_client(api)
    listeners = 25

    async def scenario() -> None:
        async with client:
            streams = [stream(client, run_id, None) for _ in range(listeners)]
            for one in streams:
                while (await anext(one)).kind != "progress":
                    pass
            (held,) = api.rows(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'walltrack'"
            )
            # The pool, and one on which notices come.
            assert held["count"] <= 6
            assert (await client.get(f"{RUNS}/{run_id}")).status_code == 200
            await DiscoveryRepository(api.context.database).cancel_run(run_id, completed_at=NOW)
            ends = [[event.kind async for event in one][-1] for one in streams]
            assert ends == ["end"] * listeners

    api.do(scenario())
