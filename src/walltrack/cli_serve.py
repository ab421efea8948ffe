"""The command that serves: does the jobs of runs and keeps the schedule, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from walltrack.cli_market import Market, market
from walltrack.cli_options import Seed
from walltrack.cli_running import bring_up_to_date, tell
from walltrack.config.settings import load_settings
from walltrack.discovery.errors import BadInputError
from walltrack.scheduler.serving import Role, ServedMarket, serve
from walltrack.scheduler.trigger import MarketName

SLOTS = 4


def serve_command(
    roles: Annotated[
        str, typer.Option(help="What this process does, joined by commas: worker, scheduler.")
    ] = "worker,scheduler",
    slots: Annotated[int, typer.Option(min=1, max=64, help="Tokens that are measured at once.")] = SLOTS,
    seed: Seed = 1,
) -> None:
    """Do the jobs of runs and start those that are due, until SIGTERM. Any number may share one database.

    Without a key it works on the sandbox, which it serves itself.
    """
    chosen = _roles(roles)
    settings = load_settings()
    with market(settings, sandbox=False, seed=seed) as place:
        asyncio.run(_serve(place, chosen, slots))


async def _serve(place: Market, roles: frozenset[Role], slots: int) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await bring_up_to_date(place.settings)
    served = ServedMarket(place.settings, place.clock, MarketName(place.description, place.demo))
    serving = asyncio.create_task(serve(served, roles, stop, slots=slots, ready=ready))
    opened = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, opened}, return_when=asyncio.FIRST_COMPLETED)
    opened.cancel()
    if ready.is_set():
        names = ", ".join(sorted(role.value for role in roles))
        tell(f"serving: {names}; runs on the {place.description}. Ctrl-C or SIGTERM ends it.")
    await serving


def _roles(text: str) -> frozenset[Role]:
    try:
        roles = frozenset(Role(name.strip()) for name in text.split(","))
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise BadInputError(f"--roles: {text!r} is not made of {known}, joined by commas") from None
    return roles
