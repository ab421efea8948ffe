"""The command line: `walltrack`.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from walltrack.api.run_view import run_view
from walltrack.cli_backup import backup_command, restore_command
from walltrack.cli_dashboard import dashboard_command
from walltrack.cli_health import health_command
from walltrack.cli_keys import keys_app
from walltrack.cli_lists import lists_app
from walltrack.cli_market import market
from walltrack.cli_options import (
    AllWallets,
    AsJson,
    EarlyWindowMinutes,
    Export,
    IncludeLaunchSlot,
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
    params_of,
)
from walltrack.cli_outcome import runs_outcome, runs_outcomes
from walltrack.cli_progress import bars
from walltrack.cli_providers import providers_app, pumps
from walltrack.cli_records import WALLET_COLUMNS
from walltrack.cli_retention import retention_app
from walltrack.cli_run_control import (
    runs_again,
    runs_cancel,
    runs_progress,
    runs_resume,
    runs_start,
    runs_watch,
)
from walltrack.cli_run_diff import runs_diff
from walltrack.cli_running import FAILED, Commands, log_to, print_json, with_database
from walltrack.cli_runs import RunFound, runs_app, show_wallets
from walltrack.cli_sandbox import sandbox_command
from walltrack.cli_schedule import schedule_app
from walltrack.cli_serve import serve_command
from walltrack.cli_server import HereOnly, server_options
from walltrack.cli_tables import Screen
from walltrack.cli_wallets import wallets_app
from walltrack.config.settings import load_settings, show_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate, missing_sql
from walltrack.desk.local import findings_of
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import RunStatus
from walltrack.scheduler.live_source import LiveMarket
from walltrack.scheduler.tasks.discovery_task import TokenSourceOf, run_discovery_task
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
app.callback()(server_options)
config_app = typer.Typer(help="Settings.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(wallets_app, name="wallets")
app.add_typer(lists_app, name="lists")
app.add_typer(config_app, name="config")
app.add_typer(keys_app, name="keys")
app.add_typer(providers_app, name="providers")
app.add_typer(retention_app, name="retention")
app.add_typer(schedule_app, name="schedule")
runs_app.command("outcome")(runs_outcome)
runs_app.command("outcomes", cls=HereOnly)(runs_outcomes)
runs_app.command("start")(runs_start)
runs_app.command("watch")(runs_watch)
runs_app.command("progress")(runs_progress)
runs_app.command("cancel")(runs_cancel)
runs_app.command("resume")(runs_resume)
runs_app.command("again")(runs_again)
runs_app.command("diff")(runs_diff)
app.command("pumps")(pumps)
app.command("health")(health_command)
app.command("sandbox", cls=HereOnly)(sandbox_command)
app.command("serve", cls=HereOnly)(serve_command)
app.command("backup", cls=HereOnly)(backup_command)
app.command("restore", cls=HereOnly)(restore_command)
app.command("dashboard")(dashboard_command)


@app.command(cls=HereOnly)
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
    all_wallets: AllWallets = False,
    json: AsJson = False,
    export: Export = None,
) -> None:
    """Find the wallets that were early and took profit, and store the run.

    Without --tapes and --mint the tokens are those that pumped, as the markets list them. Tokens that are named, by a
    folder or by their mints, are taken as they are: the parameters that choose tokens in a market (price change,
    volume, age, liquidity, number) are stored with the run and choose nothing then.

    Without a key the market is the sandbox: demo data. Wallets that flags or your lists exclude are counted, and shown
    with --all; JSON and exports have every wallet with its status.
    """
    params = params_of(locals())
    if tapes is not None and (mint or sandbox):
        raise BadInputError("--tapes: leave out --mint and --sandbox, the folder is the market then")
    write = exporter(export, WALLET_COLUMNS) if export is not None else None
    settings = load_settings()
    with ExitStack() as stack:
        progress = stack.enter_context(bars())
        files = None if tapes is None else TapeFiles(tapes, read_tapes(tapes, progress.bytes_read))
        place = None if files else stack.enter_context(market(settings, sandbox=sandbox, seed=seed))

        async def run(database: Database) -> RunFound:
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
                params,
                source=source,
                database=database,
                triggered_by="command line",
                progress=progress,
                most_histories=settings.profile_max_wallets,
            )
            return RunFound(await run_view(database, ended.id), await findings_of(database, ended.id))

        found: RunFound = with_database(run)
    run_found = found.view.run
    if json:
        details = found.record()
        print_json({"run": details["run"], "wallets": details["wallets"]})
    else:
        screen = Screen()
        screen.run(run_found, found.view.tokens, found.view.usage)
        show_wallets(screen, found, all_wallets=all_wallets, hint=f"walltrack runs show {run_found.id} --all")
        screen.say(f"See it again: walltrack runs show {run_found.id}")
    if write is not None:
        write(found.wallet_records())
    if run_found.status is not RunStatus.COMPLETED:
        raise typer.Exit(FAILED)


@app.command("example-tapes", cls=HereOnly)
def example_tapes(
    folder: Annotated[Path, typer.Argument(help="Where to write them; it is made where it is missing.")],
) -> None:
    """Write small made-up tapes to try things on: the same every time."""
    paths = write_example_tapes(folder)
    Screen().say(f"{len(paths)} example tapes are in {folder}.")


@app.command("migrate", cls=HereOnly)
def migrate_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that is missing, and change nothing.")
    ] = False,
) -> None:
    """Bring the database to the tables of this version."""
    if dry_run:
        sys.stdout.write(missing_sql(load_settings()))
    else:
        migrate(load_settings(), Screen().say)


@config_app.command("show", cls=HereOnly)
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
    log_to(sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
