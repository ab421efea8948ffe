"""getTransactionsForAddress: what is asked, how its pages are followed, and what its errors are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.shared_data import shared_data
from tests.unit.http_servers import KEY, Asked, Say, Server, answer, in_turn, rpc, rpc_error, serving
from walltrack.discovery.tape_streams import HistoryQuery
from walltrack.services.faults import (
    MalformedFault,
    NotInPlanFault,
    ProviderFault,
    RefusedFault,
    RetryableFault,
    SpentFault,
)
from walltrack.services.helius import HeliusHistory, HistoryPage, HistoryWalk
from walltrack.services.http import Http
from walltrack.services.metering import Meter
from walltrack.services.retries import RetryPolicy

ADDRESS = "7nYhZ8JjJxKzZ1m2qzQm3u8o2aY3dJ5m9mF4bT6sW1Xk"
QUERY = HistoryQuery(1_000, after_slot=41, to_time=1_793_000_000)


def history(items: list[Any], token: str | None) -> bytes:
    return answer(rpc({"data": items, "paginationToken": token}))


def talk(
    say: Say, scenario: Callable[[HeliusHistory, Server], Awaitable[object]], meter: Meter | None = None
) -> None:
    async def whole() -> None:
        async with (
            serving(say) as server,
            Http(meter=meter, retries=RetryPolicy(tries=2, first_wait_seconds=0.0)) as http,
        ):
            await scenario(HeliusHistory(http, server.provider(first_wait_when_limited=0.0)), server)

    asyncio.run(whole())


async def walked(walk: HistoryWalk) -> list[HistoryPage]:
    pages = [await walk.next_page()]
    while pages[-1].token is not None:
        pages.append(await walk.next_page())
    return pages


def options(asked: Asked) -> dict[str, Any]:
    body = asked.json()
    assert isinstance(body, dict)
    assert body["method"] == "getTransactionsForAddress"
    assert body["params"][0] == ADDRESS
    given: dict[str, Any] = body["params"][1]
    return given


def test_all_pages_are_asked_for_with_the_same_options_and_the_token_as_it_came() -> None:
    async def scenario(client: HeliusHistory, server: Server) -> None:
        pages = await walked(HistoryWalk(client, ADDRESS, QUERY))
        assert [len(page.items) for page in pages] == [3, 2, 1]
        first, *others = [options(asked) for asked in server.asked]
        assert first == {
            "transactionDetails": "full",
            "sortOrder": "asc",
            "limit": 1_000,
            "commitment": "finalized",
            "encoding": "json",
            "maxSupportedTransactionVersion": 1,
            "filters": {"status": "succeeded", "slot": {"gt": 41}, "blockTime": {"lte": 1_793_000_000}},
        }
        assert others == [first | {"paginationToken": "5:1"}, first | {"paginationToken": " odd\u00e9"}]

    talk(in_turn(history([1, 2, 3], "5:1"), history([4, 5], " odd\u00e9"), history([6], None)), scenario)


def test_an_empty_page_with_a_token_and_a_short_one_are_not_the_end() -> None:
    async def scenario(client: HeliusHistory, _server: Server) -> None:
        pages = await walked(HistoryWalk(client, ADDRESS, HistoryQuery(100)))
        assert [len(page.items) for page in pages] == [0, 1, 0, 0]

    talk(in_turn(history([], "1:0"), history([1], "2:0"), history([], "2:1"), history([], None)), scenario)


def test_a_token_that_comes_again_is_an_error_also_after_a_walk_was_resumed() -> None:
    async def scenario(client: HeliusHistory, server: Server) -> None:
        with pytest.raises(MalformedFault, match="a second time"):
            await walked(HistoryWalk(client, ADDRESS, HistoryQuery(100)))
        assert len(server.asked) == 3
        with pytest.raises(MalformedFault, match="a second time"):
            await walked(HistoryWalk(client, ADDRESS, HistoryQuery(100), "1:0"))
        assert len(server.asked) == 4

    talk(in_turn(history([1], "1:0"), history([2], "2:0"), history([3], "1:0")), scenario)


def test_endless_empty_pages_are_given_up() -> None:
    numbers = iter(range(1_000))

    async def say(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(history([], f"{next(numbers)}:0"))

    async def scenario(client: HeliusHistory, server: Server) -> None:
        with pytest.raises(MalformedFault, match="empty pages in a row"):
            await walked(HistoryWalk(client, ADDRESS, HistoryQuery(100)))
        assert len(server.asked) == 20

    talk(say, scenario)


def test_more_rows_than_were_asked_for_are_refused() -> None:
    async def scenario(client: HeliusHistory, _server: Server) -> None:
        with pytest.raises(MalformedFault, match="101 transactions where 100"):
            await client.page(ADDRESS, HistoryQuery(100))

    talk(in_turn(history([1] * 101, None)), scenario)


@pytest.mark.parametrize(
    ("rows", "credits"), [(0, 10), (1, 10), (100, 10), (101, 20), (999, 100), (1_000, 100)]
)
def test_a_page_costs_ten_credits_for_each_hundred_begun(rows: int, credits: int) -> None:
    meter = Meter()

    async def scenario(client: HeliusHistory, _server: Server) -> None:
        page = await client.page(ADDRESS, HistoryQuery(1_000))
        assert page.credits == meter.used["helius"].credits == credits

    talk(in_turn(history([1] * rows, None)), scenario, meter)


@pytest.mark.parametrize(
    ("said", "fault", "words"),
    [
        (answer(rpc_error(-32015, "Transaction version (1) is not supported")), RefusedFault, "-32015"),
        (answer(rpc_error(-32602, "Invalid param: Invalid Base58 string")), RefusedFault, "Base58"),
        (answer(rpc_error(-32603, "Bad request: Invalid pagination token")), RefusedFault, "token"),
        (answer(rpc_error(-32403, "only available for paid plans")), NotInPlanFault, "paid plans"),
        (answer("This is only available for paid plans.", 403), NotInPlanFault, "does not offer"),
        (answer(rpc_error(-32601, "Method not found", None)), NotInPlanFault, "does not offer"),
        (answer(rpc_error(-32429, "max usage reached")), SpentFault, "spent"),
        (answer("max usage reached", 429), SpentFault, "spent"),
        (answer("Unauthorized", 401, content_type="text/plain"), RefusedFault, "Unauthorized"),
        (answer(rpc_error(-32005, "Too many requests"), 429), RetryableFault, "tries are used up"),
        (answer(rpc(None)), MalformedFault, "null"),
        (answer(rpc({"data": None, "paginationToken": None})), MalformedFault, "shape"),
        (answer(rpc({"data": [], "paginationToken": 7})), MalformedFault, "shape"),
        (answer("<html>busy</html>", content_type="text/html"), MalformedFault, "not JSON"),
        (answer("[" * 100_000), ProviderFault, "helius"),
    ],
)
def test_errors_are_typed_also_those_under_http_200_and_name_no_key(
    said: bytes, fault: type[ProviderFault], words: str
) -> None:
    async def scenario(client: HeliusHistory, _server: Server) -> None:
        with pytest.raises(fault, match=words) as caught:
            await client.page(ADDRESS, HistoryQuery(100))
        assert KEY not in str(caught.value)

    talk(in_turn(said), scenario)


@pytest.mark.parametrize(
    ("said", "available"),
    [
        (history([{"signature": "x"}], "1:1"), True),
        (history([], None), True),
        (answer(rpc_error(-32403, "only available for paid plans")), False),
        (answer("only available for paid plans and up", 403), False),
    ],
)
def test_whether_the_plan_has_the_method_is_asked_with_the_smallest_call(
    said: bytes, available: bool
) -> None:
    async def scenario(client: HeliusHistory, server: Server) -> None:
        assert await client.is_in_plan() is available
        body = server.asked[0].json()
        assert isinstance(body, dict)
        assert body["params"][1]["limit"] == 1
        assert body["params"][1]["transactionDetails"] == "signatures"

    talk(in_turn(said), scenario)


def test_a_wrong_key_is_not_taken_for_a_plan_without_the_method() -> None:
    async def scenario(client: HeliusHistory, _server: Server) -> None:
        with pytest.raises(RefusedFault, match="Unauthorized"):
            await client.is_in_plan()

    talk(in_turn(answer("Unauthorized", 401, content_type="text/plain")), scenario)


def test_the_documented_signatures_page_decodes() -> None:
    import msgspec

    captured = msgspec.json.decode(
        (shared_data() / "providers" / "helius_gtfa_signatures.json").read_bytes(),
        type=dict[str, msgspec.Raw],
    )
    found = msgspec.json.decode(captured["data"])
    result = found.get("result", found)

    async def scenario(client: HeliusHistory, _server: Server) -> None:
        page = await client.page(ADDRESS, HistoryQuery(1_000))
        assert len(page.items) == len(result["data"])

    talk(in_turn(answer(rpc(result))), scenario)
