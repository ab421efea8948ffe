"""A provider that has its answers ready: it asks another server once for each request, and repeats what that one said.

So a benchmark waits as long as a provider lets it wait, and the provider takes next to nothing of the machine.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import httpx

_KEPT: Final = ("content-type", "content-encoding")


class Replay:
    """What is known so far. Requests came in at the times in `arrived` (Unix); `asked` of them were passed on."""

    def __init__(self, behind: str, latency_seconds: float) -> None:
        self.arrived: list[float] = []
        self.asked = 0
        self.url = ""
        self._latency_seconds = latency_seconds
        self._known: dict[tuple[bytes, bytes], bytes] = {}
        self._behind = httpx.AsyncClient(base_url=behind, trust_env=False, timeout=60)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other, until it is closed."""
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.arrived.append(time.time())
                line, *fields = head.split(b"\r\n")
                named = dict(field.lower().split(b": ", 1) for field in fields if field)
                body = await reader.readexactly(int(named.get(b"content-length", 0)))
                due = asyncio.get_running_loop().time() + self._latency_seconds
                if (line, body) not in self._known:
                    self._known[line, body] = await self._passed_on(line.decode(), body)
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                writer.write(self._known[line, body])
                await writer.drain()
        writer.close()

    async def _passed_on(self, line: str, body: bytes) -> bytes:
        self.asked += 1
        method, target, _ = line.split(" ")
        headers = {"accept-encoding": "gzip", "content-type": "application/json"}
        async with self._behind.stream(method, target, content=body, headers=headers) as answer:
            packed = b"".join([part async for part in answer.aiter_raw()])
        kept = "".join(f"{name}: {answer.headers[name]}\r\n" for name in _KEPT if name in answer.headers)
        return (
            f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}\r\ncontent-length: {len(packed)}\r\n{kept}\r\n"
        ).encode() + packed


@contextmanager
def replaying(behind: str, *, latency_seconds: float) -> Iterator[Replay]:
    """Serve from a thread, in front of another server, while the block runs."""
    replay = Replay(behind, latency_seconds)
    started, stop = threading.Event(), threading.Event()

    async def run() -> None:
        async with await asyncio.start_server(replay.serve, "127.0.0.1") as server:
            replay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="replay", daemon=True)
    thread.start()
    started.wait()
    try:
        yield replay
    finally:
        stop.set()
        thread.join()
