"""One request and its answer: what every provider's endpoint has in common."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from walltrack.sandbox.server.bodies import Body
from walltrack.sandbox.server.faults import Breakage

if TYPE_CHECKING:
    from walltrack.sandbox.server.state import ServerState

_GZIP_FROM: Final = 860
_SERVER_ERRORS: Final = ((500, "Internal Server Error"), (502, "Bad Gateway"), (503, "Service Unavailable"),
                         (504, "Gateway Time-out"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """A request as an endpoint sees it. `number` counts the provider's requests from 1."""

    provider: str
    number: int
    path: Mapping[str, str]
    query: QueryParams
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Answer:
    """A response, and what the request log and the credit counter are told about it."""

    status: int = 200
    body: bytes | Body = b""
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    method: str = ""
    address: str | None = None
    options: Any = None
    items: int | None = None
    credits: int = 0
    key: str | None = None
    error: str | None = None


class RefusedError(Exception):
    """An endpoint refuses a request with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered, or broken on purpose (`fault`; `status` is 0 for a connection that was reset).

    `method` is the RPC method or the path's kind, `options` are all options it came with, `items` the rows returned,
    `error` the code or text of a refusal. `seconds` is when it was answered, on the monotonic clock.
    """

    provider: str
    number: int
    method: str
    address: str | None
    options: Any
    status: int
    items: int | None
    credits: int
    error: str | None
    fault: str | None
    seconds: float


Handler = Callable[[Call], Answer]
TooMany = Callable[[float], Answer]


def json_answer(value: Any, *, status: int = 200, **about: Any) -> Answer:
    """An answer with a JSON body; `about` are fields of Answer."""
    return Answer(status=status, body=msgspec.json.encode(value), **about)


def text_answer(text: str, *, status: int, **about: Any) -> Answer:
    """An answer in plain text."""
    return Answer(status=status, body=text.encode(), media_type="text/plain", **about)


def endpoint(
    state: ServerState, provider: str, path: str, handler: Handler, too_many: TooMany, *, method: str = "GET"
) -> Route:
    """A route of a provider: numbers the request, breaks it where the faults say so, logs and counts the answer."""

    async def answer(request: Request) -> Response:
        number = state.next_number(provider)
        faults = state.faults
        if faults.latency_ms:
            await asyncio.sleep(faults.latency_ms / 1000)
        breakage = faults.breakage(provider, number)
        call = Call(
            provider, number, request.path_params, request.query_params, request.headers, await request.body()
        )
        if breakage == "reset":
            _log(state, call, Answer(status=0, options=request.url.path), breakage)
            return _Reset(state)
        if provider in faults.down:
            broken = text_answer("Service Unavailable", status=503, options=request.url.path)
            return _response(state, call, broken, "down")
        if breakage == "too_many":
            return _response(state, call, _about(too_many(2.0), request), breakage)
        if breakage == "server_error":
            draw = faults.draw(provider, number, "server_error")
            return _response(state, call, _about(_server_error(draw), request), breakage)
        try:
            result = handler(call)
        except RefusedError as e:
            result = e.answer
        return _response(state, call, result, breakage)

    return Route(path, answer, methods=[method])


def _about(answer: Answer, request: Request) -> Answer:
    answer.options = request.url.path
    return answer


def _server_error(draw: float) -> Answer:
    status, title = _SERVER_ERRORS[int(draw * len(_SERVER_ERRORS))]
    page = f"<html><head><title>{status} {title}</title></head><body><h1>{status} {title}</h1></body></html>"
    return Answer(status=status, body=page.encode(), media_type="text/html")


def _log(state: ServerState, call: Call, answer: Answer, fault: str | None) -> None:
    state.log.append(
        LoggedRequest(
            provider=call.provider,
            number=call.number,
            method=answer.method,
            address=answer.address,
            options=answer.options,
            status=answer.status,
            items=answer.items,
            credits=answer.credits,
            error=answer.error,
            fault=fault,
            seconds=time.monotonic(),
        )
    )


def _response(state: ServerState, call: Call, answer: Answer, fault: Breakage | str | None) -> Response:
    _log(state, call, answer, fault)
    headers = dict(answer.headers)
    if answer.key is not None:
        state.ledger.book(answer.key, answer.method, answer.credits)
        headers["x-sandbox-credits"] = str(answer.credits)
        headers["x-sandbox-credits-used"] = str(state.ledger.used(answer.key))
    body = answer.body
    if "gzip" in call.headers.get("accept-encoding", "") and (
        isinstance(body, Body) or len(body) >= _GZIP_FROM
    ):
        content = body.gzip() if isinstance(body, Body) else gzip.compress(body, 1)
        headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
    else:
        content = body.plain() if isinstance(body, Body) else body
    if fault != "truncated":
        return Response(content, answer.status, headers, answer.media_type)
    if state.faults.draw(call.provider, call.number, "truncated") < 0.5:
        return Response(content[: len(content) // 2], answer.status, headers, answer.media_type)
    return _Cut(state, content, answer.status, headers, answer.media_type)


class _Reset(Response):
    """No answer: the connection is reset."""

    def __init__(self, state: ServerState) -> None:
        super().__init__()
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._state.connections.reset(scope)
        await _disconnected(receive)


class _Cut(Response):
    """The length of the whole body is announced, half of it is sent, and the connection is closed."""

    def __init__(
        self, state: ServerState, content: bytes, status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(content, status, headers, media_type)
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        self._state.connections.close(scope)
        await _disconnected(receive)


async def _disconnected(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
