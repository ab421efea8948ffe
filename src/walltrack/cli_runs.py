"""Commands about runs: what was done when, and what each one found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

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
from walltrack.cli_records import WALLET_COLUMNS, Standings, run_details, run_record, wallet_record
from walltrack.cli_running import print_json, with_database
from walltrack.cli_tables import Screen
from walltrack.cli_wallet_tables import found_wallets, left_out, not_excluded, ranked, standings_summary
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_standing_repo import RunStandingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunWallet,
    DiscoveryStats,
    RunStatus,
    RunToken,
    WalletFilters,
)
from walltrack.discovery.run_progress import ProviderUsage
from walltrack.discovery.wallet_models import WalletStatus
from walltrack.scheduler.tasks.discovery_task import SystemClock
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

    async def page(database: Database) -> Any:
        return await DiscoveryRepository(database).get_runs(
            start_date=utc(since), end_date=utc(until), statuses=status or (), limit=limit, cursor=cursor
        )

    found = with_database(page)
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
    chosen = filters if filters != filters_of() else None

    async def read(database: Database) -> Any:
        found = await read_run(database, run_id)
        if chosen is not None:
            found = replace(found, wallets=await _chosen(database, found, chosen, all_wallets=all_wallets))
        return found, await RunListingRepository(database).get_refusals(run_id)

    found, refusals = with_database(read)
    if write is not None:
        write([wallet_record(wallet, found.standings) for wallet in found.wallets])
    if json:
        details = run_details(found.run, found.tokens, found.wallets, found.standings)
        print_json(details | {"left_out": refusals, "usage": found.usage})
    else:
        screen = Screen()
        screen.run(found.run, found.tokens, found.usage)
        screen.usage(found.usage)
        screen.tokens(found.tokens)
        screen.refusals(refusals)
        show_wallets(screen, found, all_wallets=all_wallets or chosen is not None, hint="--all shows them")


@runs_app.command("stats")
def runs_stats(
    since: Annotated[datetime | None, typer.Option(help="Runs started at or after, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Runs started before, UTC.")] = None,
    json: AsJson = False,
) -> None:
    """Figures over all runs, and week over week (ISO weeks, UTC)."""

    async def read(database: Database) -> DiscoveryStats:
        now = SystemClock().now()
        return await DiscoveryRepository(database).get_stats(utc(since), utc(until), now=now)

    stats = with_database(read)
    if json:
        print_json(stats.model_dump())
    else:
        Screen().stats(stats)


@dataclass(frozen=True, slots=True)
class RunFound:
    """A run with all that it found and used. `standings` are what is known of its wallets today."""

    run: DiscoveryRun
    tokens: Sequence[RunToken]
    wallets: Sequence[DiscoveryRunWallet]
    standings: Standings
    usage: Sequence[ProviderUsage]


async def read_run(database: Database, run_id: UUID) -> RunFound:
    """A run as it is stored. Raises BadInputError where there is none of this id."""
    runs = DiscoveryRepository(database)
    run = await runs.get_run(run_id)
    if run is None:
        raise no_such_run(run_id)
    return RunFound(
        run,
        await RunTokenRepository(database).get_run_tokens(run_id),
        await runs.get_run_wallets(run_id),
        await RunStandingRepository(database).known_now(run_id),
        await ProviderRepository(database).usage_of_run(run_id),
    )


def no_such_run(run_id: UUID) -> BadInputError:
    """That a run is not there, and where to look."""
    return BadInputError(f"there is no run {run_id}; `walltrack runs list` has them")


def show_wallets(screen: Screen, found: RunFound, *, all_wallets: bool, hint: str) -> None:
    """The table of a run's wallets, the best first; excluded ones only where all are asked for."""
    kept = found.wallets if all_wallets else not_excluded(found.wallets, found.standings)
    found_wallets(screen, ranked(kept, found.standings), found.standings)
    standings_summary(screen, found.wallets, found.standings)
    left_out(screen, len(found.wallets) - len(kept), hint)


async def _chosen(
    database: Database, found: RunFound, filters: WalletFilters, *, all_wallets: bool
) -> list[DiscoveryRunWallet]:
    """The run's findings that pass the filters, in the order in which the run shows them."""
    views = [filters]
    if all_wallets and not filters.statuses:
        views.append(replace(filters, statuses=(WalletStatus.EXCLUDED,)))
    runs, now = DiscoveryRepository(database), SystemClock().now()
    passing = {
        wallet.id for view in views for wallet in await runs.get_run_wallets(found.run.id, view, now=now)
    }
    return [wallet for wallet in found.wallets if wallet.id in passing]
