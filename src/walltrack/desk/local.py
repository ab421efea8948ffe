"""Answers commands from the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from walltrack.api.health import detailed
from walltrack.api.run_view import run_view
from walltrack.client import StreamedEvent
from walltrack.config.settings import Settings
from walltrack.contract import (
    LARGEST_PAGE,
    ConfigPreview,
    ConfigView,
    DetailedHealth,
    PumpsView,
    RunResumed,
    RunStarted,
    RunView,
    WalletView,
)
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.finding_pages import FindingPages
from walltrack.data.supabase.repositories.outcome_repo import OutcomeRepository
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.data.supabase.repositories.schedule_repo import ScheduleRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.desk.desk import RunFindings, every_finding, run_findings
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryRunWallet,
    DiscoveryStats,
    RunOutcome,
    RunPage,
    RunStatus,
    StandingFinding,
    TriggerType,
    WalletFilters,
    WalletPage,
)
from walltrack.discovery.run_diff import RunDiff
from walltrack.discovery.run_progress import RunProgress
from walltrack.discovery.schedule_records import ConfigChangePage, TickPage
from walltrack.scheduler.config_change import change_config
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler
from walltrack.scheduler.market_view import MarketView, ServedMarket
from walltrack.scheduler.run_control import RunControl
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import Trigger

BY: Final = "command line"
"""Who did it, on the records of what commands do here."""

_LOOK_SECONDS: Final = 0.5
_LAST_LOOKS: Final = 6
"""How often a watcher looks for the last events of a run that has ended; other transactions may hold them back."""


class LocalDesk:
    """A `Desk` over an open database. `served` is the market that runs are made on and that is asked what pumps.

    Raises RunNotFoundError beside what every desk raises.
    """

    def __init__(self, database: Database, settings: Settings, served: ServedMarket) -> None:
        self.database = database
        self.market = served.name
        self._served = served
        self._clock = SystemClock()
        at_most = settings.max_concurrent_runs
        self._control = RunControl(database, served.name, at_most=at_most, clock=self._clock)
        self.scheduler = DiscoveryScheduler(
            database,
            settings=settings,
            clock=self._clock,
            trigger=Trigger(database, served.name, at_most=at_most, clock=self._clock),
            claims=False,
        )
        self._runs = DiscoveryRepository(database)
        self._progress = RunProgressRepository(database)
        self._schedule = ScheduleRepository(database)

    async def runs(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        statuses: Sequence[RunStatus],
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        return await self._runs.get_runs(
            start_date=since, end_date=until, statuses=statuses, limit=limit, cursor=cursor
        )

    async def run(self, run_id: UUID) -> RunView:
        return await run_view(self.database, run_id)

    async def run_findings(self, run_id: UUID, views: Sequence[WalletFilters] = ()) -> RunFindings:
        return await findings_of(self.database, run_id, views)

    async def stats(self, since: datetime | None, until: datetime | None) -> DiscoveryStats:
        return await self._runs.get_stats(since, until, now=self._clock.now())

    async def start(self, params: DiscoveryRunParams, mints: Sequence[str]) -> RunStarted:
        run = await self._control.start(
            params, trigger_type=TriggerType.MANUAL, triggered_by=BY, mints=list(mints)
        )
        return await self._started(run)

    async def again(self, run_id: UUID, changed: Mapping[str, Any], *, fresh: bool) -> RunStarted:
        run = await self._control.again(
            run_id, changed, fresh=fresh, trigger_type=TriggerType.MANUAL, triggered_by=BY
        )
        return await self._started(run)

    async def resume(self, run_id: UUID) -> RunResumed:
        resumed = await self._control.resume(run_id)
        return RunResumed(**dict(await self._started(resumed.run)), tokens=list(resumed.mints))

    async def cancel(self, run_id: UUID, reason: str | None) -> DiscoveryRun:
        return await self._control.cancel(run_id, reason)

    async def progress(self, run_id: UUID) -> RunProgress:
        return await self._progress.get_progress(run_id)

    async def follow(self, run_id: UUID) -> AsyncIterator[StreamedEvent]:
        cursor: str | None = None
        told: tuple[object, ...] | None = None
        said_its_end = False
        looks = _LAST_LOOKS
        while True:
            progress = await self._progress.get_progress(run_id)
            while events := await self._progress.events_since(run_id, cursor):
                for event in events:
                    said_its_end = event.kind == "run" and event.details["status"] != RunStatus.RUNNING
                    yield StreamedEvent(event=event)
                cursor = events[-1].cursor
            if progress.standing != told:
                told = progress.standing
                yield StreamedEvent(progress=progress)
            if progress.status is not RunStatus.RUNNING:
                if said_its_end or looks == 0:
                    yield StreamedEvent(progress=progress, is_end=True)
                    return
                looks -= 1
            await asyncio.sleep(_LOOK_SECONDS)

    async def workers(self) -> int:
        return await self._progress.serving_workers()

    async def diff(self, a: UUID, b: UUID) -> RunDiff:
        return await self._control.diff(a, b)

    async def outcome(self, run_id: UUID) -> RunOutcome:
        await self._control.read(run_id)
        outcome = await OutcomeRepository(self.database).newest(run_id)
        if outcome is None:
            raise BadInputError(
                f"no outcome of run {run_id} was worked out yet: `walltrack runs outcome {run_id} --read` does"
            )
        return outcome

    async def config(self) -> ConfigView:
        return ConfigView.of(await self.scheduler.load_config())

    async def save_config(self, changes: Mapping[str, Any]) -> ConfigView:
        named = {name: value for name, value in changes.items() if name not in ("params", "note")}
        saved = await change_config(
            self.scheduler,
            named | {"paused_note": changes.get("note")},
            params=changes.get("params") or {},
            updated_by=BY,
        )
        return ConfigView.of(saved)

    async def preview(self, changes: Mapping[str, Any], *, count: int = 5) -> ConfigPreview:
        await self.scheduler.load_config()
        seen = await self.scheduler.preview(**changes, count=count)
        return ConfigPreview(at_once=seen.at_once, times=list(seen.times))

    async def config_changes(self, *, limit: int, cursor: str | None) -> ConfigChangePage:
        return await self._schedule.get_changes(limit=limit, cursor=cursor)

    async def ticks(self, *, limit: int, cursor: str | None) -> TickPage:
        return await self._schedule.get_ticks(limit=limit, cursor=cursor)

    async def wallets(self, filters: WalletFilters, *, limit: int, cursor: str | None = None) -> WalletPage:
        return await WalletRepository(self.database).get_wallets(
            filters, limit=limit, cursor=cursor, now=self._clock.now()
        )

    async def wallet(self, address: str) -> WalletView:
        wallet = await WalletRepository(self.database).get_wallet(address)
        if wallet is None:
            raise BadInputError(f"no run has found a wallet {address}")
        return WalletView(
            wallet=wallet,
            profiles=await ProfileRepository(self.database).profiles_of(address),
            lists=await AddressListRepository(self.database).of(address),
        )

    async def wallet_findings(self, address: str) -> Sequence[DiscoveryRunWallet]:
        pages = FindingPages(self.database)
        found = await every_finding(
            lambda cursor: pages.of_wallet(address, limit=LARGEST_PAGE, cursor=cursor)
        )
        return [one.finding for one in found]

    async def pumps(self, params: DiscoveryRunParams) -> PumpsView:
        seen = await MarketView(self.database, self._served).pumps(params)
        return PumpsView.of(
            seen.pumps,
            seen.warnings,
            seen.as_of,
            source=self.market.token_source,
            demo=self.market.demo,
        )

    async def health(self) -> DetailedHealth:
        return await detailed(self, to_known=True)

    async def _started(self, run: DiscoveryRun) -> RunStarted:
        return RunStarted(run_id=run.id, status=run.status, run=run, workers=await self.workers())


async def findings_of(database: Database, run_id: UUID, views: Sequence[WalletFilters] = ()) -> RunFindings:
    """What a run found, of it what passes any of the views; all of it without one."""
    pages, now = FindingPages(database), SystemClock().now()

    async def of_view(view: WalletFilters | None) -> list[StandingFinding]:
        return await every_finding(
            lambda cursor: pages.of_run(run_id, view, limit=LARGEST_PAGE, cursor=cursor, now=now)
        )

    return await run_findings(of_view, views)
