"""HTTP servers on loopback that say exactly what a test tells them, byte for byte."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from pydantic import SecretStr

from walltrack.services.providers import Provider
from walltrack.services.quota import Quota

KEY = "5f1d7c1e-planted+key/with=signs-0b9a"


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


Say = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A running server. `asked` is what it was asked, in order."""

    port: int
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def provider(self, path: str = "", **changes: object) -> Provider:
        values: dict[str, object] = {
            "name": "helius",
            "base_url": f"{self.url}{path}",
            "quotas": {"default": Quota(10_000, burst=1_000), "feeds": Quota(10_000, burst=1_000)},
            "key": SecretStr(KEY),
            "key_query": "api-key",
        }
        return Provider(**(values | changes))  # type: ignore[arg-type]


def answer(
    body: bytes | str | object,
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    packed: bool = False,
    content_type: str = "application/json",
) -> bytes:
    """One whole HTTP answer, after which the connection is closed."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")
    body = gzip.compress(body) if packed else body
    lines = {"content-type": content_type, "content-length": str(len(body)), "connection": "close"}
    lines |= {"content-encoding": "gzip"} if packed else {}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


def in_turn(*answers: bytes) -> Say:
    """Give one answer after the other; the last one for ever."""
    left: list[bytes] = list(answers)

    async def say(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return say


def by_path(answers: dict[str, bytes | Callable[[Asked], bytes]]) -> Say:
    """Give the answer of the longest path that the target starts with; else 404."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        path = max((path for path in answers if asked.target.startswith(path)), key=len, default=None)
        found = answer({"error": "no such path"}, 404) if path is None else answers[path]
        writer.write(found(asked) if callable(found) else found)
        await writer.drain()

    return say


@asynccontextmanager
async def serving(say: Say) -> AsyncIterator[Server]:
    """A server for the time of the block."""

    talks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        talks.add(talk)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                asked = await _read(reader)
                running.asked.append(asked)
                await say(asked, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            talks.discard(talk)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    running = Server(server.sockets[0].getsockname()[1])
    async with server:
        try:
            yield running
        finally:
            for talk in list(talks):
                talk.cancel()
            await asyncio.gather(*talks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, body)


def rpc(result: object, number: int = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def rpc_error(code: int, message: str, number: int | None = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def numbers_of(asked: Asked) -> Sequence[int]:
    """The ids of a JSON-RPC batch."""
    entries = asked.json()
    assert isinstance(entries, list)
    return [entry["id"] for entry in entries]
