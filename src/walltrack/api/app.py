"""The HTTP API as an application, and how it is served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from walltrack.api.auth import Gate, check_authentication
from walltrack.api.bounds import Bounds, SafeHeaders
from walltrack.api.context import ApiContext
from walltrack.api.metrics import Counted, Metrics
from walltrack.api.problems import MEDIA_TYPE, Defects, answer_problems
from walltrack.api.routes import caller, discovery, health, wallets
from walltrack.config.settings import Settings, load_settings
from walltrack.contract import Problem
from walltrack.discovery.at_once import stopped
from walltrack.discovery.errors import BadInputError
from walltrack.scheduler.trigger import CODE_VERSION

log = structlog.get_logger()

CLOSE_SECONDS: Final = 3
"""How long requests that are being answered may take once the server is told to stop."""

_LOOPBACK_NAMES: Final = ["localhost", "127.0.0.1", "[::1]", "::1"]
_SENT: Final = ["Authorization", "Content-Type", "If-Match", "Idempotency-Key", "Last-Event-ID"]
_SEEN: Final = ["ETag", "Location", "Retry-After"]
_REFUSALS: Final = (400, 401, 403, 404, 409, 412, 413, 422, 429, 500, 503, 504)


def create_app(settings: Settings | None = None, context: ApiContext | None = None) -> FastAPI:
    """The application. Without a context it can be looked at, and answers 503 to whatever needs the database.

    Raises BadInputError for settings by which it would be open to strangers.
    """
    settings = settings or load_settings()
    check_authentication(settings)
    metrics = Metrics()
    app = FastAPIOffline(
        title="WallTrack",
        summary="Finds Solana wallets that were early in tokens that pumped and took profit.",
        version=CODE_VERSION,
        redoc_url=None,
        responses={status: _refusal(status) for status in _REFUSALS},
    )
    app.state.context = context
    app.state.gate = Gate(settings)
    app.state.metrics = metrics
    for router in (discovery.router, wallets.router, caller.router, health.router):
        app.include_router(router)
    answer_problems(app)
    if not settings.asks_for_keys:
        # A name that a stranger's domain server gives to this machine must not open it to the stranger's pages.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*_LOOPBACK_NAMES, settings.api_host])
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PUT"],
        allow_headers=_SENT,
        expose_headers=_SEEN,
    )
    app.add_middleware(Bounds)
    app.add_middleware(SafeHeaders)
    app.add_middleware(Counted, metrics=metrics)
    app.add_middleware(Defects)
    return app


async def serve_api(context: ApiContext, stop: asyncio.Event) -> None:
    """Answer requests at the address that the settings give, until `stop` is set.

    Raises BadInputError where the settings are unsafe, or the port is taken.
    """
    settings = context.settings
    config = uvicorn.Config(
        create_app(settings, context),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    server = _Served(config)
    serving = asyncio.create_task(_started(server, settings), name="api")
    waiting = asyncio.create_task(_until(stop, server), name="api until told to stop")
    try:
        await serving
    finally:
        await stopped(waiting)


class _Served(uvicorn.Server):
    """A server within a process that has signal handlers of its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _started(server: _Served, settings: Settings) -> None:
    where = f"{settings.api_host}:{settings.api_port}"
    try:
        await server.serve()
    except SystemExit:
        # How uvicorn says that it cannot listen. It has logged why.
        raise BadInputError(
            f"the API cannot listen on {where}: it is taken, or not this machine's; set WALLTRACK_API_PORT or "
            "WALLTRACK_API_HOST"
        ) from None


async def _until(stop: asyncio.Event, server: _Served) -> None:
    await stop.wait()
    server.should_exit = True


def _refusal(status: int) -> dict[str, Any]:
    return {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": "Refused, with the reason."}
