"""What went wrong, as problem documents (RFC 9457) that name the field and the bound. A defect says only its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walltrack.api.paths import route_of
from walltrack.contract import FieldError, Problem
from walltrack.data.supabase.errors import (
    ConfigChangedError,
    DatabaseRightsError,
    DatabaseStorageError,
    DatabaseTimeoutError,
    DatabaseTooOldError,
    DatabaseUnreachableError,
    RunEndedError,
    RunNotFoundError,
    RunsBusyError,
    RunUnfinishedError,
    SchemaOutdatedError,
)
from walltrack.data.supabase.repositories.run_request_repo import KeyReusedError
from walltrack.data.supabase.repositories.run_resume_repo import NotResumableError
from walltrack.discovery.errors import BadInputError, WallTrackError
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.schedule import InvalidConfigError
from walltrack.scheduler.run_control import NothingToRepeatError, TokensRemovedError
from walltrack.services.faults import ProviderFault
from walltrack.services.markets import NoMarketError

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5

_STATUSES: Final[Sequence[tuple[type[WallTrackError], int, str]]] = (
    (RunNotFoundError, 404, "No such run"),
    (RunEndedError, 409, "The run has ended"),
    (RunUnfinishedError, 409, "The run goes on"),
    (RunsBusyError, 409, "Another run is running"),
    (NotResumableError, 409, "Nothing to resume"),
    (NothingToRepeatError, 409, "Nothing to repeat"),
    (TokensRemovedError, 409, "Removed by retention"),
    (ConfigChangedError, 412, "Changed by somebody else"),
    (KeyReusedError, 422, "Idempotency key used before"),
    (InvalidConfigError, 422, "Values are refused"),
    (DatabaseUnreachableError, 503, "The database cannot be reached"),
    (DatabaseStorageError, 503, "The database cannot store"),
    (DatabaseTimeoutError, 503, "The database takes too long"),
    (SchemaOutdatedError, 503, "The database is of another version"),
    (DatabaseRightsError, 503, "The database refuses"),
    (DatabaseTooOldError, 503, "The database is too old"),
    (NoMarketError, 502, "No market answers"),
    (ProviderFault, 502, "A provider does not answer"),
    (BadInputError, 400, "Cannot be used"),
)
_HIDES_WHERE: Final = (
    DatabaseUnreachableError,
    DatabaseStorageError,
    DatabaseTimeoutError,
    SchemaOutdatedError,
    DatabaseRightsError,
    DatabaseTooOldError,
)
"""What these say names hosts and users of the database: for the log, not for callers."""

TITLES: Final = {
    400: "Cannot be used",
    401: "A key is needed",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not with this method",
    406: "Not in this form",
    413: "Too large",
    415: "Not in this form",
    422: "Values are refused",
    429: "Too many tries",
    500: "A defect of the server",
    503: "Not now",
    504: "It took too long",
}


class ProblemError(HTTPException):
    """An answer other than success, for whoever called."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.errors = list(errors)


class Defects:
    """Answers a defect with an id that the log has too, and nothing of the defect itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            error_id = str(uuid4())
            log.exception("request_failed", error_id=error_id, path=scope.get("path"))
            if begun or scope["type"] != "http":
                raise
            problem = Problem(
                title=TITLES[500],
                status=500,
                detail=f"this should not happen; the server's log has it as {error_id}",
                error_id=error_id,
            )
            await response_of(problem)(scope, receive, send)


def response_of(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries a problem."""
    body = problem.model_dump_json(exclude_none=True, exclude_defaults=False)
    return Response(body, problem.status, dict(headers or {}), MEDIA_TYPE)


def answer_problems(app: FastAPI) -> None:
    """Let an application answer everything that is refused or fails with a problem document."""
    app.add_exception_handler(WallTrackError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, WallTrackError)
    found = next(((status, title) for kind, status, title in _STATUSES if isinstance(error, kind)), None)
    if found is None:
        raise error
    status, title = found
    detail, run_id = str(error), getattr(error, "run_id", None)
    if isinstance(error, _HIDES_WHERE):
        log.error("database_fault", error=detail, path=request.url.path)
        detail = "the server's log says why; /health/ready says when it is over"
    errors = _fields_of(error) if isinstance(error, InvalidConfigError) else []
    problem = Problem(
        title=title,
        status=status,
        detail=detail,
        errors=errors,
        run_id=run_id if isinstance(run_id, UUID) else None,
    )
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    return response_of(problem, headers)


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [FieldError(field=_place(each), detail=_said(each)) for each in error.errors()]
    detail = "; ".join(f"{one.field}: {one.detail}" for one in errors)
    return response_of(Problem(title=TITLES[422], status=422, detail=detail, errors=errors))


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    errors = error.errors if isinstance(error, ProblemError) else []
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette's names the methods of one route, and there may be others at the same path.
        methods = request.app.openapi()["paths"].get(route_of(request.scope), {})
        headers["Allow"] = ", ".join(sorted(method.upper() for method in methods) or ["GET"])
    problem = Problem(
        title=TITLES.get(error.status_code, "Refused"),
        status=error.status_code,
        detail=str(error.detail),
        errors=errors,
    )
    return response_of(problem, headers)


def _fields_of(error: InvalidConfigError) -> list[FieldError]:
    names = DiscoveryRunParams.model_fields
    return [
        FieldError(
            field=f"params.{one.field}" if one.field in names else _OF_REQUEST.get(one.field, one.field),
            detail=f"{one.given} is refused, {one.bound}",
        )
        for one in error.problems
    ]


_OF_REQUEST: Final = {"paused_note": "note"}


def _place(each: Mapping[str, Any]) -> str:
    """Where a value stood: the name of a parameter or header, or the path within the body."""
    if each["type"] == "json_invalid":
        return "body"
    parts = [str(part) for part in each["loc"]]
    if parts[0] in ("body", "query", "path", "header") and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts)


def _said(each: Mapping[str, Any]) -> str:
    """What is wrong with a value and which bound it breaks. Never the value: it may be a secret at the wrong place."""
    if each["type"] == "json_invalid":
        return f"is no JSON: {each['ctx']['error']} (character {each['loc'][-1]})"
    message = str(each["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
