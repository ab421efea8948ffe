"""The command line: `walltrack`.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.
"""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import structlog
import typer

from walltrack.cli_market import market
from walltrack.cli_options import (
    AsJson,
    Cursor,
    EarlyWindowMinutes,
    Export,
    IncludeLaunchSlot,
    Limit,
    MaxCredits,
    MaxTokenAgeHours,
    MaxTokens,
    MinLiquidityUsd,
    MinPriceChangePct,
    MinProfitPct,
    MinVolumeUsd,
    ProfileImmediately,
    Sandbox,
    Seed,
    Tapes,
    params_of,
    utc,
)
from walltrack.cli_progress import bars
from walltrack.cli_providers import providers_app, pumps, sandbox_command
from walltrack.cli_records import WALLET_COLUMNS, run_details, run_record, wallet_record
from walltrack.cli_running import FAILED, Commands, print_json, with_database
from walltrack.cli_tables import DEMO, Screen
from walltrack.config.settings import load_settings, show_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import (
    migrate,
)
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.discovery.early_buyers import explain
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunWallet,
    DiscoveryStats,
    QualifiedWallet,
    RunStatus,
    RunToken,
)
from walltrack.scheduler.live_source import LiveMarket
from walltrack.scheduler.tasks.discovery_task import SystemClock, TokenSourceOf, run_discovery_task
from walltrack.services.files import read_tapes, write_example_tapes
from walltrack.services.files.export import exporter
from walltrack.services.files.source import TapeFiles

app = typer.Typer(
    cls=Commands,
    help="Finds Solana wallets that were early in tokens that pumped and took profit.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
runs_app = typer.Typer(help="Runs and what they found.", no_args_is_help=True)
wallets_app = typer.Typer(help="Wallets over all runs.", no_args_is_help=True)
config_app = typer.Typer(help="Settings.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(wallets_app, name="wallets")
app.add_typer(config_app, name="config")
app.add_typer(providers_app, name="providers")
app.command("pumps")(pumps)
app.command("sandbox")(sandbox_command)


@app.command()
def discover(
    tapes: Annotated[
        Path | None, typer.Option(help="Take the tokens of this folder's tape files, .csv and .parquet.")
    ] = None,
    mint: Annotated[
        list[str] | None, typer.Option(help="Take this token; may be given more than once.")
    ] = None,
    min_price_change_pct: MinPriceChangePct = None,
    min_volume_usd: MinVolumeUsd = None,
    max_token_age_hours: MaxTokenAgeHours = None,
    early_window_minutes: EarlyWindowMinutes = None,
    min_profit_pct: MinProfitPct = None,
    max_tokens: MaxTokens = None,
    profile_immediately: ProfileImmediately = None,
    min_liquidity_usd: MinLiquidityUsd = None,
    include_launch_slot: IncludeLaunchSlot = None,
    max_credits: MaxCredits = None,
    sandbox: Sandbox = False,
    seed: Seed = 1,
    json: AsJson = False,
    export: Export = None,
) -> None:
    """Find the wallets that were early and took profit, and store the run.

    Without --tapes and --mint the tokens are those that pumped, as the markets list them. Tokens that are named, by a
    folder or by their mints, are taken as they are: the parameters that choose tokens in a market (price change,
    volume, age, liquidity, number) are stored with the run and choose nothing then.

    Without a key the market is the sandbox: demo data.
    """
    params = params_of(locals())
    if tapes is not None and (mint or sandbox):
        raise BadInputError("--tapes: leave out --mint and --sandbox, the folder is the market then")
    write = exporter(export, WALLET_COLUMNS) if export is not None else None
    with ExitStack() as stack:
        progress = stack.enter_context(bars())
        files = None if tapes is None else TapeFiles(tapes, read_tapes(tapes, progress.bytes_read))
        place = None if files else stack.enter_context(market(load_settings(), sandbox=sandbox, seed=seed))

        async def run(database: Database) -> Any:
            source: TokenSourceOf
            if files is not None:
                source = files
            else:
                assert place is not None
                source = LiveMarket(
                    place.settings,
                    database,
                    place.clock,
                    description=place.description,
                    demo=place.demo,
                    mints=mint or (),
                )
            ended = await run_discovery_task(
                params, source=source, database=database, triggered_by="command line", progress=progress
            )
            return await _read_run(database, ended.id)

        ended, tokens, wallets = with_database(run)
    details = run_details(ended, tokens, wallets)
    if json:
        print_json({"run": details["run"], "wallets": details["wallets"]})
    else:
        screen = Screen()
        screen.run(ended, tokens)
        screen.wallets(wallets)
        screen.say(f"See it again: walltrack runs show {ended.id}")
    if write is not None:
        write(details["wallets"])
    if ended.status is not RunStatus.COMPLETED:
        raise typer.Exit(FAILED)


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
    json: AsJson = False,
    export: Export = None,
) -> None:
    """One run: parameters, outcome per token, wallets, errors."""
    write = exporter(export, WALLET_COLUMNS) if export is not None else None

    async def read(database: Database) -> Any:
        found = await _read_run(database, run_id)
        refusals = await RunListingRepository(database).get_refusals(run_id)
        return found, refusals, await ProviderRepository(database).usage_of_run(run_id)

    (run, tokens, wallets), refusals, usage = with_database(read)
    if write is not None:
        write([wallet_record(wallet) for wallet in wallets])
    if json:
        print_json(run_details(run, tokens, wallets) | {"left_out": refusals, "usage": usage})
    else:
        screen = Screen()
        screen.run(run, tokens)
        screen.usage(usage)
        screen.tokens(tokens)
        screen.refusals(refusals)
        screen.wallets(wallets)


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


@wallets_app.command("list")
def wallets_list(limit: Limit = 50, cursor: Cursor = None, json: AsJson = False) -> None:
    """Wallets found so far, the last found for the first time first."""

    async def page(database: Database) -> Any:
        return await WalletRepository(database).get_wallets(limit=limit, cursor=cursor)

    found = with_database(page)
    if json:
        print_json({"wallets": found.wallets, "total": found.total, "next_cursor": found.next_cursor})
    else:
        Screen().wallet_list(found)


@wallets_app.command("show")
def wallets_show(address: str, json: AsJson = False) -> None:
    """One wallet: every run and token that it was found in."""

    async def read(database: Database) -> Any:
        repo = WalletRepository(database)
        return await repo.get_wallet(address), await repo.get_wallet_findings(address)

    wallet, found = with_database(read)
    if wallet is None:
        raise BadInputError(f"no run has found a wallet {address}")
    if json:
        records = [{"run_id": str(w.run_id), **wallet_record(w)} for w in found]
        print_json({"wallet": wallet, "found": records})
    else:
        screen = Screen()
        demo = f" ({DEMO})" if wallet.demo else ""
        screen.say(f"Wallet {address}{demo}: {wallet.runs} runs, {wallet.sources} tokens")
        screen.wallets(found, of_one_wallet=True)


@wallets_app.command("why")
def wallets_why(
    address: str,
    tapes: Tapes,
    early_window_minutes: EarlyWindowMinutes = None,
    min_profit_pct: MinProfitPct = None,
    include_launch_slot: IncludeLaunchSlot = None,
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
    Screen().rows(("token", "verdict", "why"), rows)


@app.command("example-tapes")
def example_tapes(
    folder: Annotated[Path, typer.Argument(help="Where to write them; it is made where it is missing.")],
) -> None:
    """Write small made-up tapes to try things on: the same every time."""
    paths = write_example_tapes(folder)
    Screen().say(f"{len(paths)} example tapes are in {folder}.")


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database to the tables of this version."""
    migrate(load_settings(), Screen().say)


@config_app.command("show")
def config_show(json: AsJson = False) -> None:
    """Every setting, where it comes from; secrets are masked."""
    views = show_settings(load_settings())
    if json:
        print_json(views)
    else:
        names = ("setting", "value", "from", "meaning")
        Screen().rows(names, [(v.env_name, v.value or "not set", v.source, v.description) for v in views])


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()


async def _read_run(
    database: Database, run_id: UUID
) -> tuple[DiscoveryRun, list[RunToken], list[DiscoveryRunWallet]]:
    run = await DiscoveryRepository(database).get_run(run_id)
    if run is None:
        raise BadInputError(f"there is no run {run_id}; `walltrack runs list` has them")
    tokens = await RunTokenRepository(database).get_run_tokens(run_id)
    return run, tokens, await DiscoveryRepository(database).get_run_wallets(run_id)
