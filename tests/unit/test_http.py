"""Calls to providers: what is retried and what is not, which fault an answer is, and what is metered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import pytest
import stamina

from tests.shared_data import shared_data
from tests.unit.http_servers import (
    KEY,
    Asked,
    Say,
    Server,
    answer,
    in_turn,
    numbers_of,
    rpc,
    rpc_error,
    serving,
)
from walltrack.services.answers import Reply
from walltrack.services.faults import (
    MalformedFault,
    NotInPlanFault,
    ProviderFault,
    RefusedFault,
    RetryableFault,
    SpentFault,
)
from walltrack.services.http import Http
from walltrack.services.metering import Meter, Usage
from walltrack.services.providers import Provider
from walltrack.services.quota import Quota
from walltrack.services.retries import RetryPolicy
from walltrack.services.wire import HttpBounds, new_client


class Point(msgspec.Struct):
    x: int
    label: str | None = None


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries wait for nothing; the number of tries stays."""
    with stamina.set_testing(True, attempts=5, cap=True):
        yield


def over(say: Say, scenario: Callable[[Http, Server], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with serving(say) as server, Http() as http:
            await scenario(http, server)

    asyncio.run(whole())


def fault_of(*answers: bytes, tries: int = 5) -> tuple[ProviderFault, int, Usage]:
    """The fault of an RPC call that gets these answers; how often it was tried; what was metered."""
    seen: list[tuple[ProviderFault, int, Usage]] = []

    async def scenario(http: Http, server: Server) -> None:
        with pytest.raises(ProviderFault) as raised:
            await http.rpc(server.provider(), "getSlot", [], int, credits=10)
        seen.append((raised.value, len(server.asked), http.meter.used["helius"]))

    over(in_turn(*answers), scenario)
    return seen[0]


def test_a_get_asks_for_gzip_names_itself_and_decodes_only_the_fields_asked_for() -> None:
    async def scenario(http: Http, server: Server) -> None:
        found = await http.get(server.provider("/api/v2"), "points", list[Point], params={"page": 2})
        assert found == [Point(1), Point(2, "b")]
        (asked,) = server.asked
        assert asked.method == "GET"
        assert asked.target.startswith("/api/v2/points?page=2&api-key=")
        assert asked.headers["accept-encoding"] == "gzip"
        assert asked.headers["user-agent"].startswith("walltrack/")
        assert http.meter.used == {"helius": Usage(requests=1)}

    body = [{"x": 1, "more": {"deep": [1]}}, {"x": 2, "label": "b"}]
    over(in_turn(answer(body, packed=True, content_type="text/html")), scenario)


def test_a_key_in_a_header_stays_out_of_the_url() -> None:
    async def scenario(http: Http, server: Server) -> None:
        provider = server.provider(key_query=None, key_header="x-api-key")
        assert await http.post(provider, "v0/points", {"ids": [1]}, Point) == Point(1)
        (asked,) = server.asked
        assert asked.target == "/v0/points"
        assert asked.headers["x-api-key"] == KEY
        assert asked.json() == {"ids": [1]}

    over(in_turn(answer({"x": 1})), scenario)


def test_a_path_appended_to_a_base_url_keeps_the_query_of_its_own() -> None:
    async def scenario(http: Http, server: Server) -> None:
        provider = server.provider("/node/?token=abc", key=None, url_is_secret=True)
        assert await http.rpc(provider, "getSlot", [], int) == 7
        assert server.asked[0].target == "/node/?token=abc"

    over(in_turn(answer(rpc(7))), scenario)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_tried_again(status: int) -> None:
    async def scenario(http: Http, server: Server) -> None:
        assert await http.rpc(server.provider(), "getSlot", [], int, credits=1) == 7
        assert len(server.asked) == 3
        assert http.meter.used["helius"] == Usage(requests=3, credits=1, errors=2)

    trouble = answer("overloaded", status)
    over(in_turn(trouble, trouble, answer(rpc(7))), scenario)


@pytest.mark.parametrize(
    "trouble",
    [
        answer(rpc_error(-32005, "Too many requests")),
        answer(rpc_error(429, "Too many requests for a specific RPC call")),
        answer(b'{"jsonrpc":"2.0","id":1,"resul'),
        answer(b""),
        answer(rpc(7))[:-3],
        answer(rpc(7), packed=True, headers={"connection": "close"})[:-9],
        b"",
        b"HTTP/1.1 20",
    ],
)
def test_a_rate_limit_in_the_body_and_an_answer_cut_short_are_tried_again(trouble: bytes) -> None:
    async def scenario(http: Http, server: Server) -> None:
        assert await http.rpc(server.provider(), "getSlot", [], int) == 7
        assert len(server.asked) == 2

    over(in_turn(trouble, answer(rpc(7))), scenario)


def test_a_packed_body_that_ends_early_within_its_frame_is_tried_again() -> None:
    whole = answer(rpc(7), packed=True)
    head, _, packed = whole.partition(b"\r\n\r\n")
    cut = packed[:-6]
    shorter = head.replace(b"content-length: %d" % len(packed), b"content-length: %d" % len(cut))
    fault, tries, _ = fault_of(shorter + b"\r\n\r\n" + cut)
    assert isinstance(fault, RetryableFault)
    assert "ended before its end" in str(fault)
    assert tries == 5


def test_after_five_tries_the_fault_says_what_was_wrong() -> None:
    fault, tries, used = fault_of(answer("bad gateway", 502))
    assert isinstance(fault, RetryableFault)
    assert str(fault) == "helius getSlot: bad gateway (HTTP 502); all tries are used up, try again later"
    assert (fault.provider, fault.method, fault.status) == ("helius", "getSlot", 502)
    assert (tries, used) == (5, Usage(requests=5, errors=5))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 301, 302, 307, 308])
def test_what_would_fail_again_is_not_tried_again(status: int) -> None:
    fault, tries, _ = fault_of(answer("Unauthorized", status, {"location": "/elsewhere"}))
    assert isinstance(fault, RefusedFault)
    assert (tries, fault.status) == (1, status)


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        (answer(rpc_error(-32602, "Invalid param: Invalid Base58 string")), RefusedFault, -32602),
        (answer(rpc_error(-32603, "You can only request up to 1000 transactions")), RefusedFault, -32603),
        (answer(rpc_error(-32601, "Method not found", None)), NotInPlanFault, -32601),
        (answer(rpc_error(-32403, "only available for paid plans")), NotInPlanFault, -32403),
        (answer("This method is only available for paid plans", 403), NotInPlanFault, None),
        (answer("max usage reached", 429), SpentFault, None),
        (answer(rpc_error(-32429, "max usage reached")), SpentFault, -32429),
        (answer(rpc_error(-32429, "limit"), 429), SpentFault, -32429),
        (answer("<html>are you human?</html>", content_type="text/html"), MalformedFault, None),
        (answer({"jsonrpc": "2.0", "id": 1}), MalformedFault, None),
        (answer(rpc("seven")), MalformedFault, None),
        (answer(rpc(None)), MalformedFault, None),
    ],
)
def test_an_error_is_told_by_what_the_body_says_whatever_the_status(
    said: bytes, kind: type[ProviderFault], code: int | None
) -> None:
    fault, tries, used = fault_of(said)
    assert type(fault) is kind
    assert fault.code == code
    assert (tries, used.requests, used.errors) == (1, 1, 1)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": "RATE_LIMIT_EXCEEDED", "code": 429, "details": "Retry after 2 seconds."}, RetryableFault),
        ({"error": {"code": -32602, "message": "no"}}, RefusedFault),
        ({"error": "no such address"}, RefusedFault),
        ({"errors": [{"status": "400", "title": "bad page"}]}, RefusedFault),
        ({"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit"}}, RetryableFault),
    ],
)
def test_an_error_in_a_rest_answer_of_http_200_is_the_error_it_is(
    body: object, kind: type[ProviderFault]
) -> None:
    async def scenario(http: Http, server: Server) -> None:
        with pytest.raises(kind):
            await http.get(server.provider(), "points", Point)

    over(in_turn(answer(body)), scenario)


def test_the_captured_errors_of_helius_are_the_faults_they_are_said_to_be() -> None:
    said = json.loads((shared_data() / "providers" / "helius_errors.json").read_text())["data"]
    expected = {
        "bad address": RefusedFault,
        "limit too large (5000)": RefusedFault,
        "bad pagination token": RefusedFault,
        "unknown method": NotInPlanFault,
        "missing or wrong key": RefusedFault,
        "monthly credits spent (plain)": SpentFault,
        "monthly credits spent (rpc)": SpentFault,
        "enhanced type filter found nothing in scan window": RefusedFault,
        "rate limit (rpc, docs)": RetryableFault,
        "rate limit (rest, docs)": RetryableFault,
        "v1 transaction met with maxSupportedTransactionVersion 0": RefusedFault,
    }
    for case in said:
        if case["case"] == "empty range":
            continue
        status = case["http"] if isinstance(case["http"], int) else 200
        fault, _, _ = fault_of(answer(case.get("body", case.get("body_text")), status))
        assert type(fault) is expected.pop(case["case"])
        if "signature" in fault.said:  # the 404 quirk ends with the signature to go on from
            assert fault.said.endswith("Ttxy.")
    assert not expected


def test_once_the_credits_are_spent_nothing_more_is_asked_of_that_provider() -> None:
    async def scenario(http: Http, server: Server) -> None:
        for _ in range(3):
            with pytest.raises(SpentFault, match="max usage reached"):
                await http.rpc(server.provider(), "getSlot", [], int)
        assert len(server.asked) == 1
        assert http.meter.used["helius"].stopped_reason == "max usage reached"
        assert await http.get(server.provider(name="dexscreener"), "points", Point) == Point(1)

    over(in_turn(answer("max usage reached", 429), answer({"x": 1})), scenario)


def test_a_null_result_is_an_answer_where_the_caller_says_so() -> None:
    async def scenario(http: Http, server: Server) -> None:
        assert await http.rpc_or_null(server.provider(), "getTransaction", ["s"], Point, credits=1) is None
        assert http.meter.used["helius"] == Usage(requests=1, credits=1)

    over(in_turn(answer(rpc(None))), scenario)


def test_credits_can_depend_on_what_came() -> None:
    async def scenario(http: Http, server: Server) -> None:
        await http.rpc(server.provider(), "getMany", [], list[int], credits=lambda found: 10 * len(found))
        assert http.meter.used["helius"].credits == 30

    over(in_turn(answer(rpc([1, 2, 3]))), scenario)


def test_a_batch_comes_back_in_order_with_what_each_entry_brought() -> None:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        entries: dict[int, dict[str, object]] = {
            0: rpc({"x": 0}, 0),
            1: rpc(None, 1),
            2: rpc_error(-32602, "Invalid param", 2),
            3: rpc_error(-32005, "Too many requests", 3) if len(asked.body) > 200 else rpc({"x": 3}, 3),
            4: rpc({"x": 4}, 4),
        }
        writer.write(answer([entries[n] for n in reversed(numbers_of(asked))]))

    async def scenario(http: Http, server: Server) -> None:
        found = await http.rpc_batch(
            server.provider(), "getTransaction", [[n] for n in range(5)], Point, credits_each=1
        )
        assert found[:2] == [Point(0), None]
        assert isinstance(found[2], RefusedFault)
        assert found[3:] == [Point(3), Point(4)]
        assert [list(numbers_of(asked)) for asked in server.asked] == [[0, 1, 2, 3, 4], [3]]
        assert http.meter.used["helius"] == Usage(requests=2, credits=4, errors=1)

    over(say, scenario)


def test_a_batch_whose_entry_never_comes_gives_a_fault_for_that_entry_alone() -> None:
    async def scenario(http: Http, server: Server) -> None:
        first, second = await http.rpc_batch(server.provider(), "getTransaction", [[0], [1]], Point)
        assert first == Point(5)
        assert isinstance(second, MalformedFault)
        assert await http.rpc_batch(server.provider(), "getTransaction", [], Point) == []

    over(in_turn(answer([rpc({"x": 5}, 0)])), scenario)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (answer(rpc_error(-32600, "batches are not supported", None)), RefusedFault),
        (answer(rpc({"x": 1})), MalformedFault),
        (answer([]), MalformedFault),
        (answer("busy", 503), RetryableFault),
    ],
)
def test_a_batch_that_is_refused_as_a_whole_raises(said: bytes, kind: type[ProviderFault]) -> None:
    async def scenario(http: Http, server: Server) -> None:
        with pytest.raises(kind):
            await http.rpc_batch(server.provider(), "getTransaction", [[0], [1]], Point)

    over(in_turn(said), scenario)


def test_every_try_takes_its_turn_in_the_quota() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def scenario() -> None:
        say = in_turn(answer("busy", 503), answer(rpc(7)))
        async with serving(say) as server, Http(sleep=sleep) as http:
            slow = server.provider(quotas={"default": Quota(0.0001)})
            await http.rpc(slow, "getSlot", [], int)
            await http.rpc_batch(slow, "getSlot", [[], []], int, slots=1)

    with pytest.raises(MalformedFault):
        asyncio.run(scenario())
    # A turn that is free may be a rounding of the clock away.
    turns = [seconds for seconds in waited if seconds > 1e-6]
    assert turns == [pytest.approx(10_000, rel=0.01), pytest.approx(20_000, rel=0.01)]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[("2", 2.0), ("0.5", 0.5), ("0", None), ("-1", None), ("nan", None), ("inf", None), ("1e9", None)],
        *[("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)],
    ],
)
def test_a_sane_retry_after_is_honoured_and_any_other_is_not(header: str, seconds: float | None) -> None:
    assert Reply(429, {"retry-after": header}, b"").retry_after == seconds


def test_waits_double_up_to_thirty_seconds_with_a_jitter_of_a_quarter() -> None:
    policy = RetryPolicy()
    for failed, middle in enumerate([1, 2, 4, 8], 1):
        waits = [policy.wait(failed) for _ in range(50)]
        assert 0.75 * middle <= min(waits) < max(waits) <= 1.25 * middle
    assert max(policy.wait(9) for _ in range(50)) == 30
    assert 7.5 <= policy.wait(1, first_wait=10) <= 12.5
    assert 20 <= policy.wait(1, retry_after=20) <= 25


def test_the_wait_after_a_refusal_is_what_the_provider_asked_for() -> None:
    waits: list[float] = []

    class Remembering(RetryPolicy):
        def wait(
            self, failed: int, *, first_wait: float | None = None, retry_after: float | None = None
        ) -> float:
            waits.append(super().wait(failed, first_wait=first_wait, retry_after=retry_after))
            return waits[-1]

    async def scenario() -> None:
        say = in_turn(
            answer("slow down", 429, {"retry-after": "7"}),
            answer("slow down", 429, {"retry-after": "0"}),
            answer(rpc(7)),
        )
        async with serving(say) as server, Http(retries=Remembering()) as http:
            await http.rpc(server.provider(first_wait_when_limited=10.0), "getSlot", [], int)

    asyncio.run(scenario())
    assert 7 <= waits[0] <= 8.75
    assert 15 <= waits[1] <= 25


def test_calls_in_flight_are_bounded_for_each_provider() -> None:
    most = [0, 0]

    async def say(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        most[0] += 1
        most[1] = max(most)
        for _ in range(50):
            await asyncio.sleep(0)
        most[0] -= 1
        writer.write(answer(rpc(7)))

    async def scenario(http: Http, server: Server) -> None:
        provider = server.provider(max_in_flight=3)
        await asyncio.gather(*(http.rpc(provider, "getSlot", [], int) for _ in range(12)))

    over(say, scenario)
    assert 1 <= most[1] <= 3


def test_a_server_that_is_not_there_is_a_fault_and_not_a_crash() -> None:
    async def scenario() -> None:
        async with serving(in_turn(b"")) as server:
            gone = server.provider()
        async with Http() as http:
            with pytest.raises(RetryableFault, match="helius getSlot: ConnectError"):
                await http.rpc(gone, "getSlot", [], int)

    asyncio.run(scenario())


def test_a_client_that_is_lent_stays_open_for_the_next() -> None:
    async def scenario() -> None:
        async with serving(in_turn(answer(rpc(7)))) as server, new_client(HttpBounds()) as client:
            for _ in range(2):
                async with Http(client=client) as http:
                    assert await http.rpc(server.provider(), "getSlot", [], int) == 7
            assert not client.is_closed

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http://[::1", "http://127.0.0.1:99999/"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    async def scenario() -> None:
        async with Http() as http:
            with pytest.raises(RefusedFault, match="request cannot be"):
                await http.rpc(Provider("x", url, {"default": Quota(1)}), "getSlot", [], int)

    asyncio.run(scenario())


def test_what_could_not_be_stored_is_stored_with_the_next() -> None:
    class Store:
        def __init__(self) -> None:
            self.broken = True
            self.stored: list[tuple[object, ...]] = []

        async def add(
            self,
            run_id: object,
            provider: str,
            *,
            requests: int,
            credits: int,
            errors: int,
            stopped_reason: str | None,
        ) -> str | None:
            if self.broken:
                raise OSError("no database")
            self.stored.append((provider, requests, credits, errors))
            return "somebody else spent it all"

    async def scenario() -> None:
        store = Store()
        meter = Meter(store=store, flush_every=2)
        await meter.count("helius", requests=1, credits=10)
        with pytest.raises(OSError, match="no database"):
            await meter.count("helius", requests=1, errors=1)
        assert meter.stopped("helius") is None
        store.broken = False
        await meter.count("helius", requests=2)
        assert store.stored == [("helius", 4, 10, 1)]
        await meter.flush()
        assert len(store.stored) == 1
        assert meter.stopped("helius") == "somebody else spent it all"

    asyncio.run(scenario())
