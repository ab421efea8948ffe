"""The HTTP API as an application, and how it is served."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from walltrack.api.auth import Gate, check_authentication
from walltrack.api.bounds import LONGEST_SECONDS, Bounds
from walltrack.api.browsers import KnownHosts, KnownOrigins, SafeHeaders
from walltrack.api.context import ApiContext
from walltrack.api.document import describe
from walltrack.api.metrics import Counted, Metrics
from walltrack.api.problems import Defects, answer_problems
from walltrack.api.routes import caller, discovery, health, wallets
from walltrack.config.settings import Settings, load_settings
from walltrack.discovery.at_once import stopped
from walltrack.discovery.errors import BadInputError
from walltrack.scheduler.trigger import CODE_VERSION

log = structlog.get_logger()

CLOSE_SECONDS: Final = 3
"""How long requests that are being answered may take once the server is told to stop."""

_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_SENT: Final = ["Authorization", "Content-Type", "If-Match", "Idempotency-Key", "Last-Event-ID"]
_SEEN: Final = ["ETag", "Location", "Retry-After"]


def create_app(
    settings: Settings | None = None,
    context: ApiContext | None = None,
    *,
    stop: asyncio.Event | None = None,
    longest_seconds: float = LONGEST_SECONDS,
) -> FastAPI:
    """The application. Without a context it can be looked at, and answers 503 to whatever needs the database.

    Streams of events end once `stop` is set; every other request is given up after `longest_seconds`. Raises
    BadInputError for settings by which it would be open to strangers.
    """
    settings = settings or load_settings()
    check_authentication(settings)
    metrics = Metrics()
    app = FastAPIOffline(
        title="WallTrack",
        summary="Finds Solana wallets that were early in tokens that pumped and took profit.",
        version=CODE_VERSION,
        redoc_url=None,
        redirect_slashes=False,
    )
    describe(app)
    app.state.context = context
    app.state.gate = Gate(settings)
    app.state.metrics = metrics
    app.state.stop = stop or asyncio.Event()
    for router in (discovery.router, wallets.router, caller.router, health.router):
        app.include_router(router)
    answer_problems(app)
    if not settings.asks_for_keys:
        # A name that a stranger's domain server gives to this machine must not open it to the stranger's pages.
        app.add_middleware(KnownHosts, names=[*_LOOPBACK_NAMES, settings.api_host])
    # From here on outwards: whatever is refused or fails within has the headers that a browser asks for.
    app.add_middleware(Bounds, longest_seconds=longest_seconds)
    app.add_middleware(Defects)
    app.add_middleware(
        KnownOrigins,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PUT"],
        allow_headers=_SENT,
        expose_headers=_SEEN,
    )
    app.add_middleware(SafeHeaders)
    app.add_middleware(Counted, metrics=metrics)
    return app


async def serve_api(
    context: ApiContext, stop: asyncio.Event, *, listening: Callable[[int], None] | None = None
) -> None:
    """Answer requests at the address that the settings give, until `stop` is set.

    `listening` is called with the port once requests are answered there. Raises BadInputError where the settings are
    unsafe, or the port is taken.
    """
    settings = context.settings
    config = uvicorn.Config(
        create_app(settings, context, stop=stop),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    server = _Served(config, listening)
    serving = asyncio.create_task(_started(server, settings), name="api")
    waiting = asyncio.create_task(_until(stop, server), name="api until told to stop")
    try:
        await serving
    finally:
        await stopped(waiting)


class _Served(uvicorn.Server):
    """A server within a process that has signal handlers of its own."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._listening is not None and not self.should_exit:
            self._listening(self.servers[0].sockets[0].getsockname()[1])

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
