"""What keeps a browser from being used against whoever sits before it: known hosts, known origins, safe headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walltrack.api.problems import response_of
from walltrack.contract import Problem

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


class KnownHosts:
    """Refuses (400) requests whose `Host` is none of the names, whatever its port."""

    def __init__(self, app: ASGIApp, *, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().strip("[]") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _name_of(Headers(scope=scope).get("host", "")) not in self._names:
            problem = Problem(
                title="Cannot be used",
                status=400,
                detail="Host: this server is asked for by the name or address that it listens on",
            )
            await response_of(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class KnownOrigins(CORSMiddleware):
    """Lets pages of named origins call, and says to others, as a problem (400), that they may not."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks whether a page may call."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        detail = f"{bytes(answer.body).decode()} (WALLTRACK_CORS_ORIGINS names the pages that may call)"
        return response_of(Problem(title="Cannot be used", status=400, detail=detail), kept)


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


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
