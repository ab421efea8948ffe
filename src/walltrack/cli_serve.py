"""The command that serves: does the jobs of runs and keeps the schedule, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from walltrack.cli_market import Market, market
from walltrack.cli_options import Seed
from walltrack.cli_running import bring_up_to_date, log_from, tell
from walltrack.config.settings import Settings, load_settings
from walltrack.discovery.errors import BadInputError
from walltrack.healthcheck import sign_of_life
from walltrack.scheduler.market_view import MarketView, ServedMarket
from walltrack.scheduler.run_control import RunControl
from walltrack.scheduler.serving import Role, Serving, serve
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName

SLOTS = 4


def serve_command(
    roles: Annotated[
        str, typer.Option(help="What this process does, joined by commas: api, worker, scheduler.")
    ] = "api,worker,scheduler",
    slots: Annotated[int, typer.Option(min=1, max=64, help="Tokens that are measured at once.")] = SLOTS,
    seed: Seed = 1,
) -> None:
    """Answer the HTTP API, do the jobs of runs and start those that are due, until SIGTERM.

    Any number of processes may share one database, in any mix of roles.

    Without a key it works on the sandbox, which it serves itself.
    """
    chosen = _roles(roles)
    settings = load_settings()
    log_from(settings.log_level)
    if Role.API in chosen:
        # What the API is made of takes long to import, which other commands need not wait for.
        from walltrack.api.auth import check_authentication  # noqa: PLC0415

        check_authentication(settings)
    with market(settings, sandbox=False, seed=seed) as place:
        asyncio.run(_serve(place, chosen, slots))


async def _serve(place: Market, roles: frozenset[Role], slots: int) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await bring_up_to_date(place.settings)
    served = ServedMarket(place.settings, place.clock, MarketName(place.description, place.demo))
    serving = asyncio.create_task(serve(served, roles, stop, slots=slots, ready=ready, api=_api))
    opened = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, opened}, return_when=asyncio.FIRST_COMPLETED)
    opened.cancel()
    if ready.is_set():
        names = ", ".join(sorted(role.value for role in roles))
        tell(f"serving: {names}; runs on the {place.description}. Ctrl-C or SIGTERM ends it.")
    with _alive(place.settings, loop) if ready.is_set() else nullcontext():
        await serving


def _alive(settings: Settings, loop: asyncio.AbstractEventLoop) -> AbstractContextManager[None]:
    """Shows a health check for the time of a block that this loop goes round, where a file is named for that."""
    return nullcontext() if settings.alive_file is None else sign_of_life(settings.alive_file, loop)


async def _api(serving: Serving, stop: asyncio.Event) -> None:
    """Answer requests over what the process has open."""
    from walltrack.api.app import serve_api  # noqa: PLC0415 - as above
    from walltrack.api.context import ApiContext  # noqa: PLC0415 - as above

    settings, clock = serving.settings, SystemClock()
    context = ApiContext(
        settings=settings,
        database=serving.database,
        notices=serving.notices,
        scheduler=serving.scheduler,
        runs=RunControl(
            serving.database, serving.market.name, at_most=settings.max_concurrent_runs, clock=clock
        ),
        pumps=MarketView(serving.database, serving.market),
        market=serving.market.name,
        clock=clock,
    )
    await serve_api(context, stop, listening=lambda port: _tell_of_api(settings, port))


def _tell_of_api(settings: Settings, port: int) -> None:
    asks = (
        "asks for API keys"
        if settings.asks_for_keys
        else "asks for NO KEY, since only this machine reaches it"
    )
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    tell(f"API at http://{host}:{port}: it {asks}.")


def _roles(text: str) -> frozenset[Role]:
    try:
        roles = frozenset(Role(name.strip()) for name in text.split(","))
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise BadInputError(f"--roles: {text!r} is not made of {known}, joined by commas") from None
    return roles
