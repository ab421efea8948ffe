"""What the API's routes work with: one for each process, made around an open database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from walltrack.api.problems import ProblemError
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.notices import Notices
from walltrack.discovery.clock import Clock
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler
from walltrack.scheduler.market_view import MarketView
from walltrack.scheduler.run_control import RunControl
from walltrack.scheduler.trigger import MarketName


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The database, and what is done over it. `market` is what new runs are made on, `clock` the machine's."""

    settings: Settings
    database: Database
    notices: Notices
    scheduler: DiscoveryScheduler
    runs: RunControl
    pumps: MarketView
    market: MarketName
    clock: Clock


def context_of(request: Request) -> ApiContext:
    """The context of the application. Raises ProblemError (503) where it has none: it was built without a database."""
    found = request.app.state.context
    if not isinstance(found, ApiContext):
        raise ProblemError(503, "this application was built without a database")
    return found


async def _context(request: Request) -> ApiContext:
    return context_of(request)


# Dependencies are coroutines: plain functions would each go to a thread and back.
Context = Annotated[ApiContext, Depends(_context)]
