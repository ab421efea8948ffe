"""What bounds every request: its size and its time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walltrack.api.problems import response_of
from walltrack.contract import Problem

LARGEST_BODY: Final = 64 * 1024
"""Bytes. The largest request that makes sense names a hundred mints."""

LONGEST_SECONDS: Final = 30.0

_LONG_LIVED: Final = ("/events", "/wallets.csv")
_MOST_DIGITS: Final = 12


class _TooLargeError(Exception):
    """The body goes on beyond the bound."""


class Bounds:
    """Refuses bodies beyond LARGEST_BODY (413), and gives up what takes longer than `longest_seconds` (504).

    Streams of events last as long as their client listens.
    """

    def __init__(self, app: ASGIApp, *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._app = app
        self._longest_seconds = longest_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _is_too_large(Headers(scope=scope).get("content-length", "0")):
            await response_of(_too_large())(scope, receive, send)
            return
        begun = is_too_large = False
        read = 0

        async def counted() -> Message:
            nonlocal read, is_too_large
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                is_too_large = True
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            if is_too_large and not begun:
                # What the application makes of a body that it could not read to its end.
                return
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        seconds = None if scope["path"].endswith(_LONG_LIVED) else self._longest_seconds
        problem = None
        try:
            async with asyncio.timeout(seconds) as bound:
                await self._app(scope, counted, noted)
        except _TooLargeError:
            pass
        except TimeoutError:
            if not bound.expired():
                raise
            problem = Problem(
                title="It took too long",
                status=504,
                detail=f"not answered within {self._longest_seconds:g} seconds; ask for less at once",
            )
        if is_too_large:
            problem = _too_large()
        if problem is not None and not begun:
            await response_of(problem)(scope, receive, send)


def _is_too_large(content_length: str) -> bool:
    if not content_length.isascii() or not content_length.isdigit() or len(content_length) > _MOST_DIGITS:
        return True
    return int(content_length) > LARGEST_BODY


def _too_large() -> Problem:
    return Problem(title="Too large", status=413, detail=f"the body must be at most {LARGEST_BODY:,} bytes")
