"""The dashboard as an application, and how it is served. `python -m walltrack.ui.dashboard` starts it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from nicegui import app as pages
from nicegui import ui
from starlette.responses import PlainTextResponse, Response

from walltrack.ui.exports import export_routes
from walltrack.ui.guard import Guard
from walltrack.ui.log_in import log_in_routes
from walltrack.ui.options import AddressTakenError, DashboardOptions
from walltrack.ui.session import Sessions
from walltrack.ui.shell import PATHS, show_shell

STATIC: Final = Path(__file__).parent / "static"
RECONNECT_SECONDS: Final = 10.0
"""A browser that is away for longer finds its page built anew."""

MESSAGES_KEPT: Final = 100


def create_app(options: DashboardOptions) -> FastAPI:
    """The application. One for each process: the pages' framework knows only one."""
    sessions = Sessions(options)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await sessions.close()

    app = FastAPI(openapi_url=None, lifespan=lifespan)

    @app.get("/healthz")
    async def alive() -> Response:
        return PlainTextResponse("ok")

    app.include_router(log_in_routes(sessions))
    app.include_router(export_routes())
    pages.add_static_files("/static", STATIC, max_cache_age=300)
    for path in PATHS:
        ui.page(path, title="WallTrack", favicon=STATIC / "walltrack.svg")(show_shell)
    ui.run_with(
        app,
        title="WallTrack",
        dark=None,
        language="en-GB",
        tailwind=False,
        reconnect_timeout=RECONNECT_SECONDS,
        message_history_length=MESSAGES_KEPT,
        binding_refresh_interval=None,
        show_welcome_message=False,
    )
    app.add_middleware(Guard, sessions=sessions, options=options)
    return app


def serve_dashboard(options: DashboardOptions) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises AddressTakenError."""
    app = create_app(options)
    # What is there now stays: collections, which keep everybody waiting, need not look through it.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    try:
        uvicorn.Server(config).run()
    except SystemExit:
        raise AddressTakenError(
            f"the dashboard cannot listen on {options.host}:{options.port}: it is taken, or not this machine's"
        ) from None


if __name__ == "__main__":
    from walltrack.cli_dashboard import main

    main()
