"""Logging in and out, by forms that need no script."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from walltrack.client import WallTrackError
from walltrack.ui.guard import session_token
from walltrack.ui.plain_pages import local_target, log_in_page
from walltrack.ui.session import COOKIE, IDLE_SECONDS, LogInRefusedError, Sessions

LARGEST_FORM: Final = 4096


def log_in_routes(sessions: Sessions) -> APIRouter:
    """The routes of the log-in page."""
    router = APIRouter()

    @router.get("/login")
    async def log_in_form(next: str = "/") -> Response:
        return log_in_page(local_target(next))

    @router.get("/login/known")
    async def known(request: Request) -> Response:
        return Response(status_code=401 if sessions.of(session_token(request.headers)) is None else 204)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        form = await _form(request)
        target = local_target(form.get("next", "/"))
        address = request.client.host if request.client else "unknown"
        try:
            session = await sessions.log_in(form.get("key", ""), address)
        except LogInRefusedError as error:
            return log_in_page(target, problem=str(error), status=401)
        except WallTrackError as error:
            return log_in_page(target, problem=f"The API does not answer: {error}", status=503)
        sessions.log_out(session_token(request.headers))
        answer = RedirectResponse(target, 303)
        assert session.token is not None
        answer.set_cookie(
            COOKIE,
            session.token,
            max_age=IDLE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        sessions.log_out(session_token(request.headers))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name; nothing of one that is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}
