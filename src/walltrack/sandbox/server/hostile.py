"""Bodies of a hostile server: `/hostile/{kind}/...` answers any path and method below it.

The kinds in `TWISTS` put the answer of the real endpoint through a twist: `/hostile/nan/dexscreener/tokens/v1/...`.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GIGABYTE: Final = 1024**3
_CHUNK: Final = 1024 * 1024
_DEPTH: Final = 100_000
_LONG_NAME: Final = 34_000
_HTML: Final = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")

METHODS: Final = ["GET", "POST"]


def routes(app: ASGIApp) -> list[Route]:
    """The routes; `app` is asked for the bodies to twist."""
    kinds: dict[str, Callable[[Request], Response]] = {
        "redirect": _redirect,
        "huge": lambda _: StreamingResponse(_gigabyte(), media_type="application/json"),
        "bomb": lambda _: StreamingResponse(
            _bomb(), media_type="application/json", headers={"content-encoding": "gzip"}
        ),
        "html": lambda _: Response(_HTML, media_type="text/html"),
        "wrong-type": lambda _: Response(b"\x89PNG\r\n\x1a\n" + bytes(64), media_type="image/png"),
        "deep": lambda _: Response(b"[" * _DEPTH + b"]" * _DEPTH, media_type="application/json"),
        "empty": lambda _: Response(b"", media_type="application/json"),
        "null": lambda _: Response(b"null", media_type="application/json"),
    }
    found = [_plain(kind, answer) for kind, answer in kinds.items()]
    for kind, twist in TWISTS.items():
        twisted = _Twisted(app, f"/hostile/{kind}", twist)
        found.append(Route(f"/hostile/{kind}/{{rest:path}}", twisted, methods=METHODS))
    return found


def _plain(kind: str, answer: Callable[[Request], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        return answer(request)

    return Route(f"/hostile/{kind}/{{rest:path}}", endpoint, methods=METHODS)


def _redirect(request: Request) -> Response:
    """Every place points to the next one."""
    step = int(request.query_params.get("step", "0")) + 1
    return RedirectResponse(request.url.include_query_params(step=step), status_code=307)


def _gigabyte() -> Iterator[bytes]:
    """A JSON text of 1 GB, without its length announced."""
    yield b'"'
    for _ in range(_GIGABYTE // _CHUNK):
        yield b"x" * _CHUNK
    yield b'"'


def _bomb() -> Iterator[bytes]:
    """The same in about a megabyte of gzip."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    for chunk in _gigabyte():
        yield compressor.compress(chunk)
    yield compressor.flush()


class _Twisted:
    """Asks the real endpoint, and puts its JSON through a twist. An answer that is no JSON goes on as it is."""

    def __init__(self, app: ASGIApp, prefix: str, twist: Callable[[Any], Any]) -> None:
        self._app = app
        self._prefix = prefix
        self._twist = twist

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(self._prefix)
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        inner = {**scope, "path": path, "raw_path": path.encode(), "headers": headers}
        started: Message = {"status": 500, "headers": []}
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
            else:
                body.extend(message.get("body", b""))

        await self._app(inner, receive, collect)
        media_type = dict(started["headers"]).get(b"content-type", b"").decode()
        content = bytes(body)
        if media_type.startswith("application/json"):
            content = json.dumps(self._twist(json.loads(content))).encode()
        await Response(content, started["status"], media_type=media_type)(scope, receive, send)


def _numbers(replace: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A twist of all numbers, also of those written as text; text stays text."""

    def twist(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: entry if key in _ENVELOPE else twist(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [twist(entry) for entry in value]
        if isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return replace(str(value))
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            return str(replace(value))
        return value

    return twist


def _names(value: Any) -> Any:
    """Names and symbols of 34,000 characters, markup and control characters among them."""
    if isinstance(value, dict):
        return {
            key: ("<script>\x00\u202e" * _LONG_NAME)[:_LONG_NAME]
            if key in {"name", "symbol"}
            else _names(entry)
            for key, entry in value.items()
        }
    return [_names(entry) for entry in value] if isinstance(value, list) else value


def _negative(text: str) -> Any:
    number = float(text)
    return -abs(int(number) if number.is_integer() else number)


_ENVELOPE: Final = frozenset({"jsonrpc", "id"})

TWISTS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "nan": _numbers(lambda _: float("nan")),
    "infinity": _numbers(lambda _: float("inf")),
    "negative": _numbers(_negative),
    "large": _numbers(lambda _: 10**40),
    "names": _names,
}
"""What can be done to real answers, by kind."""

KINDS: Final = ("redirect", "huge", "bomb", "html", "wrong-type", "deep", "empty", "null", *TWISTS)
