"""What commands ask for, whoever answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from walltrack.client import StreamedEvent
from walltrack.contract import (
    ConfigPreview,
    ConfigView,
    DetailedHealth,
    PumpsView,
    RunResumed,
    RunStarted,
    RunView,
    WalletView,
)
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryRunWallet,
    DiscoveryStats,
    FindingPage,
    RunOutcome,
    RunPage,
    RunStatus,
    StandingFinding,
    WalletFilters,
    WalletPage,
)
from walltrack.discovery.run_diff import RunDiff
from walltrack.discovery.run_progress import RunProgress
from walltrack.discovery.schedule_records import ConfigChangePage, TickPage
from walltrack.discovery.wallet_models import Standing


@dataclass(frozen=True, slots=True)
class RunFindings:
    """What a run found, the largest realized profit first, and what is known of its wallets today, by address."""

    wallets: Sequence[DiscoveryRunWallet]
    standings: Mapping[str, Standing]


class Desk(Protocol):
    """Answers commands. Raises BadInputError for what cannot be, with what to do, and other WallTrackErrors for what
    failed.
    """

    async def runs(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        statuses: Sequence[RunStatus],
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        """A page of runs, newest first."""

    async def run(self, run_id: UUID) -> RunView:
        """One run, without what it found."""

    async def run_findings(self, run_id: UUID, views: Sequence[WalletFilters] = ()) -> RunFindings:
        """What a run found, of it what passes any of the views; all of it without one."""

    async def stats(self, since: datetime | None, until: datetime | None) -> DiscoveryStats:
        """Figures over the runs of a period."""

    async def start(self, params: DiscoveryRunParams, mints: Sequence[str]) -> RunStarted:
        """Start a run on what the market lists, or on the named tokens."""

    async def again(self, run_id: UUID, changed: Mapping[str, Any], *, fresh: bool) -> RunStarted:
        """Start a run on the tokens of an earlier one, with other parameters where they are given."""

    async def resume(self, run_id: UUID) -> RunResumed:
        """Let an ended run go on."""

    async def cancel(self, run_id: UUID, reason: str | None) -> DiscoveryRun:
        """End a running run, with what it has found."""

    async def progress(self, run_id: UUID) -> RunProgress:
        """How far a run is."""

    def follow(self, run_id: UUID) -> AsyncIterator[StreamedEvent]:
        """Every event of a run in its order, and every progress that is another, until the run's end was told."""

    async def workers(self) -> int | None:
        """How many workers serve; None where that is not told."""

    async def diff(self, a: UUID, b: UUID) -> RunDiff:
        """What run b has otherwise than run a."""

    async def outcome(self, run_id: UUID) -> RunOutcome:
        """How the wallets of a run went on after it, as it was last worked out."""

    async def config(self) -> ConfigView:
        """The configuration, and where the schedule stands."""

    async def save_config(self, changes: Mapping[str, Any]) -> ConfigView:
        """Change what is given, by the names of `ConfigUpdate`."""

    async def preview(self, changes: Mapping[str, Any], *, count: int = 5) -> ConfigPreview:
        """When the next runs would start after a change, by the names of `ConfigChanges`. Saves nothing."""

    async def config_changes(self, *, limit: int, cursor: str | None) -> ConfigChangePage:
        """Who changed what of the configuration, newest first."""

    async def ticks(self, *, limit: int, cursor: str | None) -> TickPage:
        """What became of due times, newest first."""

    async def wallets(self, filters: WalletFilters, *, limit: int, cursor: str | None = None) -> WalletPage:
        """A page of the wallets over all runs."""

    async def wallet(self, address: str) -> WalletView:
        """All that is known of a wallet but what runs found of it."""

    async def wallet_findings(self, address: str) -> Sequence[DiscoveryRunWallet]:
        """What every run found of a wallet, the newest first."""

    async def pumps(self, params: DiscoveryRunParams) -> PumpsView:
        """What pumps now by these parameters."""

    async def health(self) -> DetailedHealth:
        """How every part is."""


async def run_findings(
    of_view: Callable[[WalletFilters | None], Awaitable[list[StandingFinding]]],
    views: Sequence[WalletFilters],
) -> RunFindings:
    """What a run found, of it what passes any of the views; all of it without one. Always in the same order."""
    found = await of_view(None)
    if views:
        passing = {one.finding.id for view in views for one in await of_view(view)}
        found = [one for one in found if one.finding.id in passing]
    return RunFindings(
        [one.finding for one in found], {one.finding.wallet_address: one.standing for one in found}
    )


async def every_finding(page: Callable[[str | None], Awaitable[FindingPage]]) -> list[StandingFinding]:
    """The findings of all pages, each once."""
    found: dict[UUID, StandingFinding] = {}
    cursor: str | None = None
    while True:
        one = await page(cursor)
        found |= {each.finding.id: each for each in one.findings}
        cursor = one.next_cursor
        if cursor is None:
            return list(found.values())
