"""Commands about wallets over all runs: the ranking, all that is known of one, and lists for trading terminals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from walltrack.cli_desk import with_desk
from walltrack.cli_filters import (
    ActiveWithinDays,
    Demo,
    MinClosed,
    MinScore,
    Search,
    Sort,
    SortBy,
    StatusIn,
    Watched,
    WithFlag,
    WithoutFlag,
    filters_of,
)
from walltrack.cli_options import (
    AsJson,
    Cursor,
    EarlyWindowMinutes,
    Export,
    IncludeLaunchSlot,
    Limit,
    MinProfitPct,
    Tapes,
    params_of,
)
from walltrack.cli_progress import bars
from walltrack.cli_records import LISTED_COLUMNS, listed_record, wallet_record
from walltrack.cli_running import print_json, with_database
from walltrack.cli_server import HereOnly
from walltrack.cli_tables import Screen, counted
from walltrack.cli_wallet_tables import (
    findings_of_one,
    flag_evidence,
    profile_details,
    profile_history,
    wallet_head,
    wallet_list,
)
from walltrack.contract import LARGEST_PAGE
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.desk.desk import Desk
from walltrack.discovery.early_buyers import explain
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRunWallet,
    QualifiedWallet,
    WalletFilters,
    WalletPage,
    WalletRecord,
)
from walltrack.discovery.wallet_models import (
    FlagEvidence,
    ListedAddress,
    Standing,
    StoredProfile,
    WalletStatus,
)
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.services.files import read_tapes
from walltrack.services.files.export import exporter
from walltrack.services.files.terminals import Terminal, TerminalWallet, terminal_writer

wallets_app = typer.Typer(help="Wallets over all runs.", no_args_is_help=True)


@wallets_app.command("list")
def wallets_list(
    sort: SortBy = Sort.SCORE,
    min_score: MinScore = None,
    with_flag: WithFlag = None,
    without_flag: WithoutFlag = None,
    active_within_days: ActiveWithinDays = None,
    min_closed: MinClosed = None,
    status: StatusIn = None,
    watched: Watched = False,
    search: Search = None,
    demo: Demo = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    json: AsJson = False,
    export: Export = None,
) -> None:
    """Wallets found so far, the best score first, then those that are not ranked.

    Excluded wallets are shown where --status asks for them. --export writes every wallet that passes the filters, not
    this page alone.
    """
    write = exporter(export, LISTED_COLUMNS) if export is not None else None
    filters = filters_of(
        min_score=min_score,
        with_flag=with_flag,
        without_flag=without_flag,
        active_within_days=active_within_days,
        min_closed=min_closed,
        status=status,
        watched=watched,
        search=search,
        demo=demo,
        sort=sort,
    )

    async def read(desk: Desk) -> tuple[WalletPage, int, list[WalletRecord]]:
        page = await desk.wallets(filters, limit=limit, cursor=cursor)
        excluded = 0
        if not filters.statuses:
            hidden = replace(filters, statuses=(WalletStatus.EXCLUDED,))
            excluded = (await desk.wallets(hidden, limit=1)).total
        return page, excluded, await _all_wallets(desk, filters) if write is not None else []

    page, excluded, everything = with_desk(read)
    if write is not None:
        write([listed_record(wallet) for wallet in everything])
    if json:
        print_json(page)
    else:
        screen = Screen()
        wallet_list(screen, page)
        if excluded:
            screen.say(f"not shown: {counted(excluded, 'excluded wallet')}; --status excluded has them")


@wallets_app.command("show")
def wallets_show(address: str, json: AsJson = False) -> None:
    """One wallet: score with its parts, profile, flags with their evidence, every run and token that found it."""

    async def read(desk: Desk) -> _Known:
        view = await desk.wallet(address)
        return _Known(view.wallet, await desk.wallet_findings(address), view.profiles, view.lists)

    known = with_desk(read)
    if json:
        print_json(known.record())
        return
    screen = Screen()
    wallet_head(screen, known.wallet, known.listed)
    for newest in known.profiles[:1]:
        profile_details(screen, newest)
    flag_evidence(screen, known.flags)
    findings_of_one(screen, known.found)
    profile_history(screen, known.profiles)


@wallets_app.command("why", cls=HereOnly)
def wallets_why(
    address: str,
    tapes: Tapes,
    early_window_minutes: EarlyWindowMinutes = None,
    min_profit_pct: MinProfitPct = None,
    include_launch_slot: IncludeLaunchSlot = None,
    json: AsJson = False,
) -> None:
    """Why a wallet qualifies or does not, on each tape that it is on."""
    params = params_of(locals())
    with bars() as progress:
        contents = read_tapes(tapes, progress.bytes_read)
    rows = []
    for mint, tape in contents.tapes.items():
        if tape.events["wallet"].eq(address).any():
            verdict = explain(tape, params, address)
            if isinstance(verdict, QualifiedWallet):
                rows.append((mint, "qualifies", f"realized {verdict.realized_pct:.2f} %"))
            else:
                rows.append((mint, "does not", "; ".join(map(str, verdict.reasons))))
    if not rows:
        raise BadInputError(f"{address} is on none of the {len(contents.tapes)} tapes in {tapes}")
    if json:
        names = ("mint", "verdict", "why")
        print_json({"address": address, "tapes": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        Screen().rows(("token", "verdict", "why"), rows)


@wallets_app.command("export-terminal", cls=HereOnly)
def wallets_export_terminal(
    file: Annotated[Path, typer.Argument(help="Where to write: .csv, .txt or .json.")],
    terminal: Annotated[
        Terminal | None, typer.Option("--format", help="Left out: lines for .csv and .txt, gmgn for .json.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most wallets.")] = 50,
    min_score: MinScore = None,
    with_flag: WithFlag = None,
    without_flag: WithoutFlag = None,
    active_within_days: ActiveWithinDays = None,
    min_closed: MinClosed = None,
    watched: Watched = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Wallets of made-up markets instead of real ones.")
    ] = False,
) -> None:
    """Write the best wallets in the form that trading terminals import: address and label.

    A label is the score and how many of the settled positions won: WT 0.83 12/15. Only ranked wallets are written.
    """
    write = terminal_writer(file, terminal)
    filters = filters_of(
        min_score=min_score,
        with_flag=with_flag,
        without_flag=without_flag,
        active_within_days=active_within_days,
        min_closed=min_closed,
        watched=watched,
        demo=demo,
    )

    async def read(database: Database) -> list[TerminalWallet]:
        best = await WalletRepository(database).best_wallets(limit, filters, now=SystemClock().now())
        profiles = ProfileRepository(database)
        return [_labelled(wallet, await profiles.newest_profile(wallet.address)) for wallet in best]

    wallets = with_database(read)
    if not wallets:
        made_up = "" if demo else "; wallets of made-up markets are left out without --demo"
        raise BadInputError(f"no ranked wallet passes, {file} was not written{made_up}")
    write(wallets)
    Screen().say(f"{file} has {counted(len(wallets), 'wallet')}.")


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is known of a wallet. `profiles` are the newest first."""

    wallet: WalletRecord
    found: Sequence[DiscoveryRunWallet]
    profiles: Sequence[StoredProfile]
    listed: Sequence[ListedAddress]

    @property
    def flags(self) -> list[FlagEvidence]:
        """The evidence of the newest profile, and that of findings on tokens that it does not speak of."""
        newest = [one for profile in self.profiles[:1] for one in profile.flags]
        older = [one for wallet in self.found if wallet.found for one in wallet.found.evidence]
        by_place: dict[tuple[str, str | None], FlagEvidence] = {}
        for one in (*newest, *older):
            by_place.setdefault((one.flag, one.mint), one)
        return list(by_place.values())

    def record(self) -> dict[str, Any]:
        newest = self.profiles[0] if self.profiles else None
        standing = {
            self.wallet.address: Standing(self.wallet.score, self.wallet.status, self.wallet.status_reason)
        }
        return {
            "wallet": self.wallet,
            "found": [{"run_id": str(w.run_id), **wallet_record(w, standing)} for w in self.found],
            "profile": newest.profile if newest else None,
            "score": newest.score if newest else None,
            "flags": self.flags,
            "listed": self.listed,
            "profiles": self.profiles,
        }


def _labelled(wallet: WalletRecord, stored: StoredProfile | None) -> TerminalWallet:
    profile = stored.profile if stored else None
    won = f" {profile.wins}/{profile.settled_positions}" if profile else ""
    demo = "demo " if wallet.demo else ""
    return TerminalWallet(wallet.address, f"WT {demo}{wallet.score:.2f}{won}")


async def _all_wallets(desk: Desk, filters: WalletFilters) -> list[WalletRecord]:
    """Every wallet that the filters let through, each once."""
    wallets: dict[str, WalletRecord] = {}
    cursor: str | None = None
    while True:
        page = await desk.wallets(filters, limit=LARGEST_PAGE, cursor=cursor)
        wallets |= {wallet.address: wallet for wallet in page.wallets}
        cursor = page.next_cursor
        if cursor is None:
            return list(wallets.values())
