"""Answers commands from a server's HTTP API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, get_type_hints
from uuid import UUID

from pydantic import TypeAdapter

from walltrack.client import StreamedEvent, WallTrackClient
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
from walltrack.desk.desk import RunFindings, every_finding, run_findings
from walltrack.discovery.models import (
    CHOOSING,
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryRunWallet,
    DiscoveryStats,
    QualifiedWallet,
    RunOutcome,
    RunPage,
    RunStatus,
    StandingFinding,
    WalletFilters,
    WalletPage,
)
from walltrack.discovery.run_diff import SCORE, Difference, RunDiff
from walltrack.discovery.run_progress import RunProgress
from walltrack.discovery.schedule_records import ConfigChangePage, TickPage


class RemoteDesk:
    """A `Desk` over a client. Raises what the client raises."""

    def __init__(self, client: WallTrackClient) -> None:
        self._client = client

    async def runs(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        statuses: Sequence[RunStatus],
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        page = await self._client.runs(
            start_date=since,
            end_date=until,
            status=[status.value for status in statuses],
            page_size=limit,
            cursor=cursor,
        )
        return RunPage(page.runs, page.total, page.next_cursor)

    async def run(self, run_id: UUID) -> RunView:
        return await self._client.run(run_id)

    async def run_findings(self, run_id: UUID, views: Sequence[WalletFilters] = ()) -> RunFindings:
        return await run_findings(lambda view: self._findings_of(run_id, view), views)

    async def _findings_of(self, run_id: UUID, view: WalletFilters | None) -> list[StandingFinding]:
        return await every_finding(
            lambda cursor: self._client.run_wallets(run_id, view, page_size=LARGEST_PAGE, cursor=cursor)
        )

    async def stats(self, since: datetime | None, until: datetime | None) -> DiscoveryStats:
        return await self._client.stats(since, until)

    async def start(self, params: DiscoveryRunParams, mints: Sequence[str]) -> RunStarted:
        # All of them: what a command leaves out is its default, not what the server's schedule has.
        return await self._client.start_run(params.model_dump(), mints=mints)

    async def again(self, run_id: UUID, changed: Mapping[str, Any], *, fresh: bool) -> RunStarted:
        return await self._client.repeat_run(run_id, changed, fresh=fresh)

    async def resume(self, run_id: UUID) -> RunResumed:
        return await self._client.resume_run(run_id)

    async def cancel(self, run_id: UUID, reason: str | None) -> DiscoveryRun:
        return await self._client.cancel_run(run_id, reason)

    async def progress(self, run_id: UUID) -> RunProgress:
        return (await self._client.run(run_id)).progress

    def follow(self, run_id: UUID) -> AsyncIterator[StreamedEvent]:
        return self._client.follow_run(run_id)

    async def workers(self) -> int | None:
        return (await self._client.health()).serving_workers

    async def diff(self, a: UUID, b: UUID) -> RunDiff:
        return _typed(await self._client.run_diff(a, b))

    async def outcome(self, run_id: UUID) -> RunOutcome:
        return await self._client.run_outcome(run_id)

    async def config(self) -> ConfigView:
        return await self._client.config()

    async def save_config(self, changes: Mapping[str, Any]) -> ConfigView:
        return await self._client.save_config(changes)

    async def preview(self, changes: Mapping[str, Any], *, count: int = 5) -> ConfigPreview:
        return await self._client.preview_config({**changes, "count": count})

    async def config_changes(self, *, limit: int, cursor: str | None) -> ConfigChangePage:
        return await self._client.config_history(page_size=limit, cursor=cursor)

    async def ticks(self, *, limit: int, cursor: str | None) -> TickPage:
        return await self._client.ticks(page_size=limit, cursor=cursor)

    async def wallets(self, filters: WalletFilters, *, limit: int, cursor: str | None = None) -> WalletPage:
        return await self._client.wallets(filters, page_size=limit, cursor=cursor)

    async def wallet(self, address: str) -> WalletView:
        return await self._client.wallet(address)

    async def wallet_findings(self, address: str) -> Sequence[DiscoveryRunWallet]:
        found = await every_finding(
            lambda cursor: self._client.wallet_findings(address, page_size=LARGEST_PAGE, cursor=cursor)
        )
        return [one.finding for one in found]

    async def pumps(self, params: DiscoveryRunParams) -> PumpsView:
        return await self._client.pumps({name: getattr(params, name) for name in CHOOSING})

    async def health(self) -> DetailedHealth:
        return await self._client.health()


_HINTS: Final = get_type_hints(QualifiedWallet)
_KINDS: Final[Mapping[str, TypeAdapter[Any]]] = {
    **{one.name: TypeAdapter(_HINTS[one.name]) for one in fields(QualifiedWallet)},
    SCORE: TypeAdapter(Decimal | None),
}


def _typed(diff: RunDiff) -> RunDiff:
    """A difference may be of any type, so JSON lost it; the name of the figure tells which one it was."""
    changed = tuple(
        replace(one, figures=tuple(_typed_figure(figure) for figure in one.figures))
        for one in diff.wallets_changed
    )
    return replace(diff, wallets_changed=changed)


def _typed_figure(figure: Difference) -> Difference:
    kind = _KINDS[figure.name]
    return replace(
        figure, before=kind.validate_python(figure.before), after=kind.validate_python(figure.after)
    )
