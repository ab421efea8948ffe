"""What stands before every page: who may look, which sites may call, and what a page may load."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walltrack.client import WallTrackError
from walltrack.ui.options import DashboardOptions
from walltrack.ui.plain_pages import refusal_page, waiting_page
from walltrack.ui.session import COOKIE, LogInRefusedError, Sessions

SESSION: Final = "walltrack.session"
"""Where a request's scope has its session."""

HEADERS: Final = {
    # The pages' framework compiles its templates in the browser (unsafe-eval) and starts them by a script within the
    # page (unsafe-inline). Nothing is loaded from, sent to or framed by another host.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": browsers send forms without an origin then, which looks like a call from another site.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}

_OPEN: Final = ("/_nicegui/", "/static/", "/login", "/healthz", "/favicon.ico")
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Lets through who is logged in, from pages of this dashboard only, and sends headers that hold pages in."""

    def __init__(self, app: ASGIApp, sessions: Sessions, options: DashboardOptions) -> None:
        self._app = app
        self._sessions = sessions
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers)
        if answer is None and not scope["path"].startswith(_OPEN):
            answer = await self._admit(scope, headers)
        if answer is None:
            await self._app(scope, receive, _sealed(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            await answer(scope, receive, _sealed(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why this request is of no page of ours."""
        host = headers.get("host", "")
        # A name that a stranger's domain server gives to this machine must not open it to the stranger's pages.
        name = urlsplit(f"//{host}").hostname
        if self._options.listens_on_loopback and name not in (*_LOOPBACK_NAMES, self._options.host):
            return PlainTextResponse(f"this dashboard is not called {name}", 400)
        if scope["type"] == "websocket" or scope["method"] not in _SAFE:
            origin = headers.get("origin", "")
            if urlsplit(origin).netloc != host:
                return PlainTextResponse("calls from pages of other sites are not allowed", 403)
        return None

    async def _admit(self, scope: Scope, headers: Headers) -> Response | None:
        """Note the session of the request, or say where to go without one."""
        session = self._sessions.of(session_token(headers))
        if session is None:
            try:
                session = await self._sessions.anybody()
            except LogInRefusedError as error:
                return refusal_page(str(error))
            except WallTrackError as error:
                return waiting_page(self._options.api_url, str(error))
        if session is not None:
            scope[SESSION] = session
            return None
        if scope["type"] == "http" and scope["method"] == "GET":
            target = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
            return RedirectResponse(f"/login?next={quote(target, safe='')}", 303)
        return PlainTextResponse("log in first", 401)


def session_token(headers: Headers) -> str | None:
    """The session cookie of a request."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def _sealed(send: Send) -> Send:
    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                sent[name] = value
            if "cache-control" not in sent:
                sent["Cache-Control"] = "no-store"
        await send(message)

    return sealed
