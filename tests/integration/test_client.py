"""The typed client against the real server, against no server, and against what is none of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
import stamina

from tests.integration.api import CONFIG, NOBODY, ApiServer, Way
from tests.integration.api_runs import a_found_run, a_run, finish, list_tokens
from tests.integration.databases import MINTS, NOW, address
from walltrack.client import ApiProblemError, ServerUnreachableError, StreamedEvent, WallTrackClient
from walltrack.contract import Scope
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import RunStatus, WalletFilters, WalletOrder
from walltrack.discovery.wallet_models import WalletStatus

T = TypeVar("T")
Use = Callable[[WallTrackClient], Awaitable[T]]


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Tries as many as ever, without the waits between them."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


def using(api: ApiServer, use: Use[T], *, key: str | None = None, transport: Any = None) -> T:
    async def used() -> T:
        given = key or api.key(Scope.OPERATE)
        async with WallTrackClient(f"{api.url}/", api_key=given, transport=transport) as client:
            return await use(client)

    return asyncio.run(used())


class Failing(Way):
    """A way on which the first answers get lost on their way back, or are others."""

    def __init__(self, times: int, status: int | None = None) -> None:
        super().__init__()
        self._times = times
        self._status = status
        self.sent = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.real.handle_async_request(request)
        self.sent += 1
        if self.sent > self._times:
            return answer
        await answer.aread()
        await answer.aclose()
        if self._status is not None:
            return httpx.Response(self._status, text="of a proxy between", request=request)
        raise httpx.ReadError("cut off", request=request)


def test_runs_are_read(api: ApiServer) -> None:
    run_id = api.do(a_found_run(api.context.database))
    other = api.do(a_found_run(api.context.database))

    async def use(client: WallTrackClient) -> None:
        page = await client.runs(status=["completed", "failed"], page_size=1, start_date=NOW)
        assert (page.total, page.has_more, len(page.runs)) == (2, True, 1)
        rest = await client.runs(cursor=page.next_cursor, page_size=1)
        assert {page.runs[0].id, rest.runs[0].id} == {run_id, other}
        assert (await client.runs(end_date=datetime(2020, 1, 1, tzinfo=UTC))).runs == []
        view = await client.run(run_id)
        assert (view.run.id, view.run.status, view.progress.wallets) == (run_id, RunStatus.COMPLETED, 3)
        assert (await client.run_tokens(run_id)).tokens == view.tokens
        assert (await client.run_diff(run_id, other)) is not None
        assert (await client.stats(weeks=2)).total_runs == 2
        with pytest.raises(ApiProblemError) as refused:
            await client.run_outcome(run_id)
        assert refused.value.status == 404
        with pytest.raises(ApiProblemError) as refused:
            await client.run(uuid4())
        assert refused.value.problem.run_id is not None

    using(api, use)


def test_what_was_stored_beyond_todays_bounds_is_read_as_it_is(api: ApiServer) -> None:
    with api.client() as http:
        run_id = api.start_run(http)
    api.rows("UPDATE discovery_runs SET max_tokens = 500, min_profit_pct = 900.5")
    api.rows("UPDATE discovery_config SET early_window_minutes = 4 WHERE id = 1")

    async def use(client: WallTrackClient) -> None:
        (listed,) = (await client.runs()).runs
        assert (listed.id, listed.params.max_tokens, listed.params.min_profit_pct) == (run_id, 500, 900.5)
        assert (await client.run(run_id)).run.params == listed.params
        assert (await client.config()).params.early_window_minutes == 4

    try:
        using(api, use)
    finally:
        api.rows("UPDATE discovery_config SET early_window_minutes = 30 WHERE id = 1")


def test_runs_are_started_cancelled_resumed_and_repeated(api: ApiServer) -> None:
    async def use(client: WallTrackClient) -> None:
        started = await client.start_run({"max_tokens": 3}, mints=MINTS[:1], idempotency_key="one")
        again = await client.start_run({"max_tokens": 3}, mints=MINTS[:1], idempotency_key="one")
        assert (again.run_id, started.run.params.max_tokens) == (started.run_id, 3)
        cancelled = await client.cancel_run(started.run_id, "enough")
        assert (cancelled.status, cancelled.errors) == (RunStatus.CANCELLED, ["enough"])
        assert (await client.resume_run(started.run_id)).status is RunStatus.RUNNING
        with pytest.raises(ApiProblemError, match="listed no token") as refused:
            await client.repeat_run(started.run_id, {"min_profit_pct": 10}, fresh=True)
        assert refused.value.status == 409
        with pytest.raises(ApiProblemError) as refused:
            await client.start_run({"max_tokens": 0})
        assert [error.field for error in refused.value.errors] == ["max_tokens"]

    using(api, use)


def test_the_configuration_is_read_saved_and_looked_ahead(api: ApiServer) -> None:
    async def use(client: WallTrackClient) -> None:
        config = await client.config()
        saved = await client.save_config({"schedule_hours": 9}, version=config.version)
        assert (saved.schedule_hours, saved.version) == (9, config.version + 1)
        with pytest.raises(ApiProblemError) as refused:
            await client.save_config({"schedule_hours": 8}, version=config.version)
        assert refused.value.status == 412
        assert len((await client.preview_config({"schedule_hours": 3, "count": 4})).times) == 4
        assert (await client.preview_config()).forecast is None
        assert [change.field for change in (await client.config_history(page_size=5)).changes] == [
            "schedule_hours"
        ]
        assert (await client.ticks()).ticks == []
        with pytest.raises(ApiProblemError) as refused:
            await client.pumps({"max_tokens": 3})
        assert (refused.value.status, refused.value.passes) == (502, True)

    using(api, use)


def test_wallets_health_and_the_caller_are_read(api: ApiServer) -> None:
    api.do(a_found_run(api.context.database))

    async def use(client: WallTrackClient) -> None:
        filters = WalletFilters(order=WalletOrder.FIRST_SEEN, address_prefix=address(2), demo=False)
        assert [wallet.address for wallet in (await client.wallets(filters)).wallets] == [address(2)]
        assert (await client.wallets(page_size=2)).total == 3
        none = WalletFilters(statuses=(WalletStatus.EXCLUDED,), watched=True)
        assert (await client.wallets(none)).wallets == []
        assert (await client.wallet(address(2))).wallet.address == address(2)
        health = await client.health()
        assert (health.failed, health.serving_workers) == (["workers"], 0)
        assert (await client.me()).scope is Scope.READ

    using(api, use, key=api.key(Scope.READ))


@pytest.mark.parametrize("status", [None, 502, 503, 504])
def test_what_only_reads_is_tried_again_and_an_answer_in_the_end_counts(
    api: ApiServer, status: int | None
) -> None:
    way = Failing(3, status)
    assert using(api, lambda client: client.config(), transport=way).version == 1
    assert way.sent == 4
    too_often = Failing(4, status)
    with pytest.raises(ServerUnreachableError if status is None else ApiProblemError):
        using(api, lambda client: client.config(), transport=too_often)
    refused = Failing(1, 404)
    with pytest.raises(ApiProblemError, match="of a proxy between"):
        using(api, lambda client: client.config(), transport=refused)
    assert refused.sent == 1


def test_a_run_whose_answer_got_lost_is_started_once(api: ApiServer) -> None:
    way = Failing(2)
    started = using(api, lambda client: client.start_run({"max_tokens": 2}), transport=way)
    assert way.sent == 3
    with api.client() as client:
        assert client.get("/api/discovery/runs").json()["total"] == 1
    assert started.run.params.max_tokens == 2


def test_what_changes_something_and_has_no_key_is_not_sent_twice(api: ApiServer) -> None:
    way = Failing(1)
    with pytest.raises(ServerUnreachableError):
        using(api, lambda client: client.save_config({"note": "once"}), transport=way)
    assert way.sent == 1
    with api.client() as client:
        assert client.get(CONFIG).json()["version"] == 2


@pytest.mark.parametrize(
    "server", [NOBODY, "http://nobody.invalid", "localhost:8000", "ftp://127.0.0.1", "http://[", ""]
)
def test_where_nothing_answers_the_server_is_named(server: str) -> None:
    async def config() -> None:
        async with WallTrackClient(server, api_key="wt_key-that-is-not-told") as client:
            await client.config()

    with pytest.raises((ServerUnreachableError, BadInputError)) as refused:
        asyncio.run(config())
    assert server in str(refused.value)
    assert "not-told" not in str(refused.value)


@pytest.mark.parametrize("key", ["ключ", "a b", "a\nb", ""])
def test_a_key_that_is_none_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(BadInputError, match="API key") as refused:
        WallTrackClient(NOBODY, api_key=key)
    assert not key or key not in str(refused.value)


@asynccontextmanager
async def something_else(answer: bytes) -> AsyncIterator[str]:
    """A server that answers every request with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(body: bytes, content_type: bytes = b"application/json") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        content_type,
        len(body),
        body,
    )


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"", http(b"<html>"), http(b"{}"), http(b'{"version": 1'), http(b"[]")],
)
def test_what_is_no_walltrack_is_told_from_one(answer: bytes) -> None:
    async def ask() -> None:
        async with something_else(answer) as server, WallTrackClient(server) as client:
            with pytest.raises(ServerUnreachableError):
                await client.config()
            with pytest.raises(ServerUnreachableError):
                await client.health()
            with pytest.raises(ServerUnreachableError):
                async for _ in client.follow_run(uuid4()):
                    pass

    asyncio.run(ask())


@pytest.mark.parametrize(
    "stream",
    [
        b"event: run\r\ndata: {no json}\r\n\r\n",
        b"event: progress\r\ndata: {}\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"data",
    ],
)
def test_a_stream_that_makes_no_sense_is_given_up(stream: bytes) -> None:
    async def follow() -> None:
        async with (
            something_else(http(stream, b"text/event-stream")) as server,
            WallTrackClient(server) as client,
        ):
            async for _ in client.follow_run(uuid4()):
                pass

    with pytest.raises(ServerUnreachableError):
        asyncio.run(follow())


class Breaking(Way):
    """Cuts every stream of events after some bytes, and in between answers as a server does that is starting."""

    def __init__(self, lengths: list[int]) -> None:
        super().__init__()
        self._lengths = lengths
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.asked % 2 == 0:
            return httpx.Response(503, text="starting", request=request)
        answer = await self.real.handle_async_request(request)
        length = self._lengths.pop() if self._lengths else None
        stream = answer.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=_Cut(stream, length))


class _Cut(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, length: int | None) -> None:
        self._stream = stream
        self._left = length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk if self._left is None else chunk[: self._left]
            if self._left is not None:
                self._left -= len(chunk)
                if self._left <= 0:
                    raise httpx.ReadError("cut off")

    async def aclose(self) -> None:
        await self._stream.aclose()


@pytest.mark.parametrize("lengths", [[], [10], [400, 1, 900], [1500, 300, 650, 5]])
def test_a_run_is_followed_to_its_end_over_broken_streams(api: ApiServer, lengths: list[int]) -> None:
    database = api.context.database
    run_id = api.do(a_run(database))
    api.do(list_tokens(database, run_id, 2))
    api.do(finish(database, run_id, MINTS[0], 1))

    async def follow(client: WallTrackClient) -> list[StreamedEvent]:
        told = []
        async for event in client.follow_run(run_id):
            told.append(event)
            if len(told) == 1:
                ended = DiscoveryRepository(database).cancel_run(run_id, completed_at=NOW)
                await asyncio.to_thread(api.do, ended)
        return told

    with stamina.set_testing(True, attempts=50):
        told = using(api, follow, transport=Breaking(list(lengths)))
    events = [one.event for one in told if one.event is not None]
    cursors = [event.cursor for event in events]
    assert len(cursors) == len(set(cursors)) == 6
    assert events[-1].details["status"] == "cancelled"
    assert [one.is_end for one in told].count(True) == 1
    assert told[-1].progress is not None
    assert told[-1].progress.status is RunStatus.CANCELLED


def test_a_run_that_ended_long_ago_is_told_to_whoever_has_it_all(api: ApiServer) -> None:
    run_id: UUID = api.do(a_found_run(api.context.database))

    async def follow(client: WallTrackClient) -> None:
        whole = [event async for event in client.follow_run(run_id)]
        cursor = [one.event.cursor for one in whole if one.event is not None][-1]
        (end,) = [event async for event in client.follow_run(run_id, cursor)]
        assert end.is_end
        assert end.progress is not None
        assert end.progress.wallets == 3
        with pytest.raises(ApiProblemError) as refused:
            await anext(client.follow_run(uuid4()))
        assert refused.value.status == 404

    using(api, follow)
