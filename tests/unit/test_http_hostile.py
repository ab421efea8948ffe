"""Servers that mean harm, or are broken in ways nobody planned: a bounded, typed fault, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Awaitable, Iterator

import msgspec
import pytest
import stamina

from tests.unit.http_servers import Asked, Say, Server, answer, in_turn, serving
from walltrack.services.faults import MalformedFault, ProviderFault, RefusedFault, RetryableFault
from walltrack.services.http import Http
from walltrack.services.wire import HttpBounds

MIB = 1024 * 1024
BOUNDS = HttpBounds(connect_seconds=2, read_seconds=0.2, total_seconds=0.6, max_body_bytes=MIB)


class Point(msgspec.Struct):
    x: float | None = None
    label: str | None = None


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


def fault_of(say: Say) -> tuple[ProviderFault, int]:
    """The fault that a GET ends with, and how often it was tried."""
    seen: list[tuple[ProviderFault, int]] = []

    async def scenario() -> None:
        async with serving(say) as server, Http(bounds=BOUNDS) as http:
            with pytest.raises(ProviderFault) as raised:
                await http.get(server.provider(), "points", list[Point])
            seen.append((raised.value, len(server.asked)))

    asyncio.run(scenario())
    return seen[0]


def endless(head: bytes, part: bytes) -> tuple[Say, list[int]]:
    """A server that sends parts as long as somebody reads, and how much it sent."""
    sent = [0]

    async def say(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + head + b"\r\n")
        while sent[0] < 1024 * MIB:
            writer.write(part)
            await writer.drain()
            sent[0] += len(part)

    return say, sent


def test_a_body_of_a_gibibyte_is_given_up_at_the_bound() -> None:
    say, sent = endless(b"", b"[" + b" " * 65_535)
    fault, tries = fault_of(say)
    assert isinstance(fault, MalformedFault)
    assert "larger than 1,048,576 bytes (WALLTRACK_HTTP_MAX_BODY_MB)" in str(fault)
    assert tries == 1
    assert sent[0] < 64 * MIB  # what the system's own buffers took


def test_a_body_announced_too_large_is_not_read_at_all() -> None:
    fault, _ = fault_of(in_turn(answer("[]", headers={"content-length": str(1024 * MIB)})))
    assert isinstance(fault, MalformedFault)
    assert "larger than" in str(fault)


def test_a_gzip_bomb_is_stopped_without_unpacking_it() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * MIB) for _ in range(512)) + packer.flush()
    tracemalloc.start()
    try:
        fault, tries = fault_of(in_turn(answer(bomb, headers={"content-encoding": "gzip"})))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(fault, MalformedFault)
    assert tries == 1
    assert peak < 16 * MIB


def test_gzip_in_several_members_and_with_padding_is_one_body() -> None:
    async def scenario() -> None:
        packed = gzip.compress(b'[{"x":1},') + gzip.compress(b'{"x":2}]') + b"\0" * 8
        say = in_turn(answer(packed, headers={"content-encoding": "gzip"}))
        async with serving(say) as server, Http(bounds=BOUNDS) as http:
            assert await http.get(server.provider(), "points", list[Point]) == [Point(1), Point(2)]

    asyncio.run(scenario())


@pytest.mark.parametrize(("encoding", "body"), [("br", b"[]"), ("gzip", b"[]"), ("gzip, gzip", b"[]")])
def test_a_body_packed_in_another_way_than_it_says_is_a_fault(encoding: str, body: bytes) -> None:
    fault, _ = fault_of(in_turn(answer(body, headers={"content-encoding": encoding})))
    assert isinstance(fault, MalformedFault)
    assert "gzip" in str(fault)


def test_endless_redirects_end_at_the_first() -> None:
    fault, tries = fault_of(in_turn(answer("", 302, {"location": "/points?again"})))
    assert isinstance(fault, RefusedFault)
    assert "redirects" in str(fault)
    assert tries == 1


@pytest.mark.parametrize(
    "body",
    [
        "<!doctype html><title>Just a moment...</title>",
        b"\x89PNG\r\n\x1a\n",
        '[{"x": NaN}]',
        '[{"x": -Infinity}]',
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '[{"x": 1e999}]',
        '[{"x": ' + "9" * 100_000 + "}]",
        '[{"x": "one"}]',
        '{"x": 1}',
        "null",
        b'[{"label": "\xff\xfe"}]',
        "[]]",
    ],
)
def test_what_is_not_the_documented_json_is_malformed_and_not_asked_for_again(body: str | bytes) -> None:
    fault, tries = fault_of(in_turn(answer(body, content_type="text/html")))
    assert isinstance(fault, MalformedFault)
    assert len(str(fault)) < 800
    assert tries == 1


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_long_message_is_clipped_to_one_line(status: int) -> None:
    said = "\x1b[31m\r\nadmin logged in\0" + "A" * 34_000
    fault, _ = fault_of(in_turn(answer({"error": said}, status)))
    assert len(str(fault)) < 700
    assert str(fault).isprintable()


def test_a_server_that_trickles_is_given_up_after_the_total_time() -> None:
    async def say(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    fault, tries = fault_of(say)
    assert isinstance(fault, RetryableFault)
    assert "no whole answer within 0.6 seconds" in str(fault)
    assert tries == 2


def test_a_server_that_says_nothing_is_given_up_after_the_read_time() -> None:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await writer.drain()
        await asyncio.sleep(5)

    fault, tries = fault_of(say)
    assert isinstance(fault, RetryableFault)
    assert "ReadTimeout" in str(fault)
    assert tries == 2


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
    ],
    ids=["another protocol", "headers without end", "broken chunks", "impossible status"],
)
def test_what_is_no_http_is_a_fault(said: bytes) -> None:
    fault, _ = fault_of(in_turn(said))
    assert isinstance(fault, RetryableFault)


def test_other_calls_go_on_while_one_server_misbehaves() -> None:
    async def scenario(http: Http, good: Server, bad: Server) -> None:
        async def fine() -> list[Point]:
            return await http.get(good.provider(name="good"), "points", list[Point])

        async def broken() -> None:
            with pytest.raises(ProviderFault):
                await http.get(bad.provider(name="bad"), "points", list[Point])

        waiting: list[Awaitable[object]] = [fine(), *(broken() for _ in range(5)), fine()]
        found = await asyncio.gather(*waiting)
        assert found[0] == found[-1] == [Point(1)]

    async def whole() -> None:
        say, _ = endless(b"", b" " * 65_536)
        async with (
            serving(in_turn(answer([{"x": 1}]))) as good,
            serving(say) as bad,
            Http(bounds=BOUNDS) as http,
        ):
            await scenario(http, good, bad)

    asyncio.run(whole())
