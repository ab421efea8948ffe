"""Commands about runs: what was done when, and what each one found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from walltrack.cli_desk import with_desk
from walltrack.cli_filters import (
    ActiveWithinDays,
    MinClosed,
    MinScore,
    StatusIn,
    WithFlag,
    WithoutFlag,
    filters_of,
)
from walltrack.cli_options import AllWallets, AsJson, Cursor, Export, Limit, utc
from walltrack.cli_records import WALLET_COLUMNS, run_details, run_record, wallet_record
from walltrack.cli_running import print_json
from walltrack.cli_tables import Screen
from walltrack.cli_wallet_tables import found_wallets, left_out, not_excluded, ranked, standings_summary
from walltrack.contract import RunView
from walltrack.desk.desk import Desk, RunFindings
from walltrack.discovery.models import RunStatus, WalletFilters
from walltrack.discovery.wallet_models import WalletStatus
from walltrack.services.files.export import exporter

runs_app = typer.Typer(help="Runs and what they found.", no_args_is_help=True)


@runs_app.command("list")
def runs_list(
    status: Annotated[list[RunStatus] | None, typer.Option(help="Only runs of this status.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Started at or after, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Started before, UTC.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    json: AsJson = False,
) -> None:
    """Runs, newest first."""

    found = with_desk(
        lambda desk: desk.runs(
            since=utc(since), until=utc(until), statuses=status or (), limit=limit, cursor=cursor
        )
    )
    if json:
        runs = [run_record(run) for run in found.runs]
        print_json({"runs": runs, "total": found.total, "next_cursor": found.next_cursor})
    else:
        Screen().runs(found)


@runs_app.command("show")
def runs_show(
    run_id: UUID,
    min_score: MinScore = None,
    with_flag: WithFlag = None,
    without_flag: WithoutFlag = None,
    active_within_days: ActiveWithinDays = None,
    min_closed: MinClosed = None,
    status: StatusIn = None,
    all_wallets: AllWallets = False,
    json: AsJson = False,
    export: Export = None,
) -> None:
    """One run: parameters, outcome per token, wallets, errors.

    Scores, statuses and filters are today's. With a filter, JSON and exports have the wallets that pass it; without,
    every wallet, excluded ones too.
    """
    write = exporter(export, WALLET_COLUMNS) if export is not None else None
    filters = filters_of(
        min_score=min_score,
        with_flag=with_flag,
        without_flag=without_flag,
        active_within_days=active_within_days,
        min_closed=min_closed,
        status=status,
    )
    views: list[WalletFilters] = []
    if filters != filters_of():
        views.append(filters)
        if all_wallets and not filters.statuses:
            views.append(replace(filters, statuses=(WalletStatus.EXCLUDED,)))

    async def read(desk: Desk) -> RunFound:
        return RunFound(await desk.run(run_id), await desk.run_findings(run_id, views))

    found = with_desk(read)
    if write is not None:
        write(found.wallet_records())
    if json:
        print_json(found.record() | {"left_out": found.view.refusals, "usage": found.view.usage})
    else:
        screen = Screen()
        screen.run(found.view.run, found.view.tokens, found.view.usage)
        screen.usage(found.view.usage)
        if found.view.run.removed is None:
            screen.tokens(found.view.tokens)
        else:
            screen.removed(found.view.run.removed)
        screen.refusals(found.view.refusals)
        show_wallets(screen, found, all_wallets=all_wallets or bool(views), hint="--all shows them")


@runs_app.command("stats")
def runs_stats(
    since: Annotated[datetime | None, typer.Option(help="Runs started at or after, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Runs started before, UTC.")] = None,
    json: AsJson = False,
) -> None:
    """Figures over all runs, and week over week (ISO weeks, UTC)."""

    stats = with_desk(lambda desk: desk.stats(utc(since), utc(until)))
    if json:
        print_json(stats.model_dump())
    else:
        Screen().stats(stats)


@dataclass(frozen=True, slots=True)
class RunFound:
    """A run with all that it found."""

    view: RunView
    findings: RunFindings

    def record(self) -> dict[str, Any]:
        """The run with its tokens and wallets."""
        found = self.findings
        return run_details(self.view.run, self.view.tokens, found.wallets, found.standings)

    def wallet_records(self) -> list[dict[str, Any]]:
        """The findings, as exports have them."""
        return [wallet_record(one, self.findings.standings) for one in self.findings.wallets]


def show_wallets(screen: Screen, found: RunFound, *, all_wallets: bool, hint: str) -> None:
    """The table of a run's wallets, the best first; excluded ones only where all are asked for."""
    wallets, standings = found.findings.wallets, found.findings.standings
    kept = wallets if all_wallets else not_excluded(wallets, standings)
    found_wallets(screen, ranked(kept, standings), standings)
    standings_summary(screen, wallets, standings)
    left_out(screen, len(wallets) - len(kept), hint)
