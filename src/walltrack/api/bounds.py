"""What bounds every request: its size, its time; and the headers that every answer has."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walltrack.api.problems import response_of
from walltrack.contract import Problem

LARGEST_BODY: Final = 64 * 1024
"""Bytes. The largest request that makes sense names a hundred mints."""

LONGEST_SECONDS: Final = 30.0

_LONG_LIVED: Final = ("/events", "/wallets.csv")

_CSP: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_DOCS_CSP: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "Cache-Control": "no-store",
}


class _TooLargeError(Exception):
    """The body goes on beyond the bound."""


class Bounds:
    """Refuses bodies beyond LARGEST_BODY (413), and gives up what takes longer than LONGEST_SECONDS (504).

    Streams of events last as long as their client listens.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            said = Headers(scope=scope).get("content-length", "0")
            if not said.isascii() or not said.isdigit() or int(said) > LARGEST_BODY:
                raise _TooLargeError
            seconds = None if scope["path"].endswith(_LONG_LIVED) else LONGEST_SECONDS
            async with asyncio.timeout(seconds):
                await self._app(scope, counted, noted)
        except _TooLargeError:
            problem = Problem(
                title="Too large", status=413, detail=f"the body must be at most {LARGEST_BODY:,} bytes"
            )
        except TimeoutError:
            problem = Problem(
                title="It took too long",
                status=504,
                detail=f"not answered within {LONGEST_SECONDS:.0f} seconds; ask for less at once",
            )
        else:
            return
        if not begun:
            await response_of(problem)(scope, receive, send)


class SafeHeaders:
    """Gives every answer the headers that keep a browser from doing with it what it is not for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                is_docs = scope["path"] == "/docs"
                headers.setdefault("Content-Security-Policy", _DOCS_CSP if is_docs else _CSP)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
