"""The command that removes what is kept no longer, beside the daily pass of whoever serves as a worker."""

from __future__ import annotations

from typing import Annotated

import typer

from walltrack.cli_options import AsJson
from walltrack.cli_running import print_json, with_database
from walltrack.cli_server import HereOnly
from walltrack.cli_tables import Screen, counted
from walltrack.config.settings import load_settings
from walltrack.data.supabase.client import Database
from walltrack.discovery.retention import RetentionReport
from walltrack.scheduler.retention import Retention, bounds_of, figures
from walltrack.scheduler.tasks.discovery_task import SystemClock

retention_app = typer.Typer(help="What is kept for how long.", no_args_is_help=True)


@retention_app.command("run", cls=HereOnly)
def retention_run(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed; nothing is.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Remove tapes, histories and per-token rows beyond the settings WALLTRACK_RETAIN_TAPES_DAYS,
    WALLTRACK_TAPES_MAX_GB and WALLTRACK_RETAIN_RUN_TOKENS_DAYS, as a worker that serves does once a day.

    What is in use stays. Runs themselves, found wallets and statistics always stay.
    """
    bounds = bounds_of(load_settings())

    async def run(database: Database) -> RetentionReport:
        retention = Retention(database, bounds, SystemClock())
        return await (retention.look() if dry_run else retention.run())

    report = with_database(run)
    if json:
        print_json({"retention": figures(report)})
        return
    rows = report.rows
    screen = Screen()
    screen.say("Would be removed; nothing was:" if dry_run else "Removed:")
    of_runs = counted(rows.runs, "run")
    if not dry_run:
        of_runs += f": {rows.tokens:,} tokens, {rows.refusals:,} refusals, {rows.events:,} events"
    screen.pairs(
        [
            ("tapes", counted(report.streams, "stream")),
            ("wallets", f"{report.histories:,} histories"),
            ("freed", _megabytes(report.tapes_bytes)),
            ("rows of", of_runs),
            ("kept", _megabytes(report.kept_bytes)),
        ]
    )
    if report.in_use:
        screen.say(f"{report.in_use:,} streams and histories are beyond the bounds, and in use: they stay.")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB of tapes and histories"
