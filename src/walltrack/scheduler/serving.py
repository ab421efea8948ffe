"""A serving process: does the jobs of runs, starts those that are due, or both. Any number may share a database."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import structlog

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import require_current_schema
from walltrack.data.supabase.notices import Notices
from walltrack.discovery.at_once import stopped
from walltrack.discovery.models import DiscoveryRun
from walltrack.discovery.pipeline import TokenSource
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler, set_discovery_scheduler
from walltrack.scheduler.engine import SERVING_POOL_SIZE, Engine
from walltrack.scheduler.live_source import LiveMarket
from walltrack.scheduler.market_view import ServedMarket
from walltrack.scheduler.retention import Retention, bounds_of
from walltrack.scheduler.run_work import Leases, RunWork
from walltrack.scheduler.sources import Sources
from walltrack.scheduler.stored_source import StoredTapes
from walltrack.scheduler.stores import budget_of
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import Trigger
from walltrack.services.wire import Client, HttpBounds, new_client

log = structlog.get_logger()

RENEWALS_PER_LEASE: Final = 4

ASKING_POOL_SIZE: Final = 5
"""What a process without an engine leaves its `Database`: notices have one connection of their own."""


class Role(StrEnum):
    """What a serving process does."""

    API = "api"
    WORKER = "worker"
    SCHEDULER = "scheduler"


@dataclass(frozen=True, slots=True)
class Serving:
    """What a serving process has open, for what it does beside jobs and the schedule."""

    settings: Settings
    database: Database
    market: ServedMarket
    notices: Notices
    scheduler: DiscoveryScheduler


Beside = Callable[[Serving, asyncio.Event], Coroutine[Any, Any, None]]
"""Serves in a way of its own until the event is set."""


class Server:
    """One process's part, on a database that is open. All its runs ask their providers over one `client`."""

    def __init__(self, database: Database, market: ServedMarket, client: Client | None = None) -> None:
        self._database = database
        self._market = market
        self._client = client
        settings = market.settings
        lease = timedelta(seconds=settings.lease_seconds)
        self._sweep_every = lease / RENEWALS_PER_LEASE
        self.work = RunWork(
            database,
            Sources(self._source_of),
            SystemClock(),
            most_histories=settings.profile_max_wallets,
            leases=Leases(lease, lease / RENEWALS_PER_LEASE),
        )
        self.engine = Engine(settings, database, self.work, sweep_every=self._sweep_every)
        self.retention = Retention(database, bounds_of(settings), SystemClock())
        self.trigger = Trigger(
            database, market.name, at_most=settings.max_concurrent_runs, clock=SystemClock()
        )

    def _source_of(self, run: DiscoveryRun) -> AbstractAsyncContextManager[TokenSource]:
        """The source that a run's record asks for."""
        market = self._market
        if run.from_stored and run.again_of is not None:
            return StoredTapes(
                self._database, run.again_of, market.clock, description=run.token_source or ""
            ).opened()
        source = LiveMarket(
            market.settings,
            self._database,
            market.clock,
            description=market.name.token_source,
            demo=market.name.demo,
            mints=run.mints,
            client=self._client,
        )
        return source.opened(run.id, budget_of(self._database, run))

    async def serve(
        self, roles: frozenset[Role], stop: asyncio.Event, *, slots: int, api: Beside | None = None
    ) -> None:
        """Do the work of the roles until `stop` is set; then what is in flight ends or is handed over, within 10 s.

        Faults of the database are survived. `api` answers requests, where that is among the roles.
        """
        async with AsyncExitStack() as stack:
            notices = await stack.enter_async_context(Notices(self._database))
            scheduler = DiscoveryScheduler(
                self._database,
                settings=self._market.settings,
                clock=SystemClock(),
                trigger=self.trigger,
                notices=notices,
                claims=Role.SCHEDULER in roles,
            )
            set_discovery_scheduler(scheduler)
            stack.callback(set_discovery_scheduler, None)
            await scheduler.start()
            stack.push_async_callback(scheduler.stop)
            serving = Serving(self._market.settings, self._database, self._market, notices, scheduler)
            try:
                async with asyncio.TaskGroup() as group:
                    if Role.WORKER in roles:
                        group.create_task(self._work(notices, stop, slots), name="work")
                    if Role.API in roles and api is not None:
                        group.create_task(api(serving, stop), name="api")
                    await stop.wait()
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _work(self, notices: Notices, stop: asyncio.Event, slots: int) -> None:
        """Do jobs, stop those of runs that end elsewhere, and once a day remove what is kept no longer. A defect in
        the first two ends all.
        """
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self.work.watch(notices), name="watch for ended runs")
                keeping = group.create_task(self.retention.keep(stop), name="retention")
                await self.engine.work(stop, slots=slots)
                await stopped(watching)
                await stopped(keeping)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None


async def serve(
    market: ServedMarket,
    roles: frozenset[Role],
    stop: asyncio.Event,
    *,
    slots: int,
    ready: asyncio.Event,
    api: Beside | None = None,
) -> None:
    """Open the database and serve until `stop` is set. `ready` is set once it is open."""
    gc.freeze()  # what was imported stays: walking through it at each collection took a tenth of a worker's time
    # The engine has connections of its own; without it, more are left for those who ask.
    at_most = SERVING_POOL_SIZE if Role.WORKER in roles else ASKING_POOL_SIZE
    bounds = HttpBounds.of(market.settings)
    async with Database(market.settings, at_most=at_most) as database, new_client(bounds) as client:
        await require_current_schema(database)
        ready.set()
        await Server(database, market, client).serve(roles, stop, slots=slots, api=api)
