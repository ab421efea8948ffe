"""Commands that start, watch, end, resume and repeat the runs that serving processes do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from walltrack.cli_desk import DEFAULT_SEED, with_desk
from walltrack.cli_options import (
    AsJson,
    EarlyWindowMinutes,
    IncludeLaunchSlot,
    MaxCredits,
    MaxTokenAgeHours,
    MaxTokens,
    MinLiquidityUsd,
    MinPriceChangePct,
    MinProfitPct,
    MinVolumeUsd,
    ProfileImmediately,
    Seed,
    given_parameters,
    params_of,
)
from walltrack.cli_records import run_record
from walltrack.cli_running import FAILED, INTERRUPTED, print_json, tell
from walltrack.cli_tables import Screen, counted, moment
from walltrack.contract import RunStarted
from walltrack.desk.desk import Desk
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import RunStatus, TokenStatus
from walltrack.discovery.run_progress import RunEvent, RunProgress
from walltrack.services.files.address_csv import is_address
from walltrack.services.files.export import as_json

NoMaxCredits = Annotated[bool, typer.Option("--no-max-credits", help="Without a bound for the credits.")]
Progress = Annotated[bool, typer.Option("--json", help="A line of JSON for every event and every progress.")]


def runs_start(
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
    seed: Seed = DEFAULT_SEED,
    json: AsJson = False,
) -> None:
    """Start a run and return at once: the processes that serve do it."""
    params = params_of(locals())
    for one in mint or ():
        if not is_address(one):
            raise BadInputError(f"--mint: {one[:60]!r} is not a base58 address of 32 bytes")
    started = with_desk(lambda desk: desk.start(params, mint or ()), seed=seed)
    _show_started(started, json=json)


def runs_again(
    run_id: UUID,
    fresh: Annotated[bool, typer.Option("--fresh", help="Read the tokens' tapes up to now first.")] = False,
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
    no_max_credits: NoMaxCredits = False,
    seed: Seed = DEFAULT_SEED,
    json: AsJson = False,
) -> None:
    """Start a new run on the tokens of an earlier one, with its parameters where none are given.

    It takes the tapes exactly as that run had them and asks no provider, unless --fresh.
    """
    given = given_parameters(locals(), no_max_credits=no_max_credits)
    params_of(given)
    started = with_desk(lambda desk: desk.again(run_id, given, fresh=fresh), seed=seed)
    _show_started(started, json=json)


def runs_cancel(
    run_id: UUID,
    reason: Annotated[str | None, typer.Option(help="Why, for the run's record.")] = None,
    json: AsJson = False,
) -> None:
    """End a running run, with what it has found. No request of it goes out two seconds later."""

    run = with_desk(lambda desk: desk.cancel(run_id, reason))
    if json:
        print_json({"run": run_record(run)})
    else:
        Screen().say(f"Run {run_id} is cancelled. Take it up again: walltrack runs resume {run_id}")


def runs_resume(run_id: UUID, json: AsJson = False) -> None:
    """Let an ended run go on: what failed or was cancelled of it is done once more, what it found stays."""
    resumed = with_desk(lambda desk: desk.resume(run_id))
    if json:
        print_json({"run": run_record(resumed.run), "tokens": resumed.tokens, "workers": resumed.workers})
    else:
        Screen().say(f"Run {run_id} goes on with {counted(len(resumed.tokens), 'token')}.")
    _tell_of_workers(resumed.workers)


def runs_watch(run_id: UUID, json: Progress = False) -> None:
    """Show how far a run is until it ends. Exit code 0: it completed, 1: it did not. Ctrl-C stops only the watching."""
    console = Console(stderr=True)

    async def watch(desk: Desk) -> RunProgress:
        last = await desk.progress(run_id)
        if last.status is RunStatus.RUNNING and last.stage is not None:
            _tell_of_workers(await desk.workers())
        seen: RunProgress | None = None
        with console.status("") as bar:
            async for one in desk.follow(run_id):
                if one.event is not None:
                    happened(one.event)
                if one.progress is not None:
                    last = one.progress
                    if seen is None or seen.standing != last.standing:
                        seen = last
                        bar.update(progress_line(last))
                        if json:
                            _print_line({"progress": progress_record(last)})
        return last

    def happened(event: RunEvent) -> None:
        if json:
            _print_line({"event": asdict(event)})
        elif event.kind != "run" or _stands_at(event) != _stands_at(told.get("run")):
            screen.say(event_line(event))
        told[event.kind] = event

    screen = Screen()
    told: dict[str, RunEvent] = {}
    try:
        end = with_desk(watch)
    except KeyboardInterrupt:
        tell(f"No longer watched; the run goes on. walltrack runs cancel {run_id} ends it.")
        raise typer.Exit(INTERRUPTED) from None
    if not json:
        screen.say(progress_line(end))
        for error in end.errors:
            screen.say(f"error: {error}")
    if end.status is not RunStatus.COMPLETED:
        raise typer.Exit(FAILED)


def runs_progress(run_id: UUID, json: AsJson = False) -> None:
    """How far a run is now: tokens, wallets, requests, credits, estimated end."""

    progress = with_desk(lambda desk: desk.progress(run_id))
    if json:
        print_json({"progress": progress_record(progress)})
        return
    forecast = progress.forecast
    rows = [
        ("status", progress.status.value),
        ("stage", progress.stage or "none: done by the command that started it"),
        ("tokens", _tokens(progress)),
        ("wallets", f"{progress.wallets:,}"),
        ("profiled", f"{progress.profiled:,}"),
        ("used", f"{progress.used.credits:,} credits in {progress.used.requests:,} requests"),
        (
            "forecast",
            f"{forecast.credits:,} credits in {forecast.requests:,} requests" if forecast else "none",
        ),
        ("started", moment(progress.started_at)),
    ]
    if progress.completed_at is not None:
        rows.append(("ended", moment(progress.completed_at)))
    elif progress.estimated_end is not None:
        rows.append(("measured by", f"{moment(progress.estimated_end)}, as it looks"))
    else:
        rows.append(("measured by", "not known yet"))
    Screen().pairs(rows)


def progress_record(progress: RunProgress) -> dict[str, Any]:
    """A progress with every state of tokens, also those that none is in."""
    tokens = {status.value: progress.tokens.get(status, 0) for status in TokenStatus}
    return asdict(progress) | {"tokens": tokens}


def progress_line(progress: RunProgress) -> str:
    """How far a run is, in one line."""
    parts = [progress.status.value]
    if progress.status is RunStatus.RUNNING and progress.stage is not None:
        parts = [progress.stage]
    parts += [_tokens(progress), counted(progress.wallets, "wallet")]
    if progress.profiled:
        parts.append(f"{progress.profiled:,} profiled")
    parts.append(f"{progress.used.credits:,} credits in {progress.used.requests:,} requests")
    if progress.estimated_end is not None:
        parts.append(f"tokens until about {moment(progress.estimated_end)}")
    return "; ".join(parts)


def event_line(event: RunEvent) -> str:
    """What happened, in one line."""
    details = event.details
    at = f"{event.at:%H:%M:%S}"
    if event.kind == "run":
        profiled = f", {details['profiled_wallets']:,} profiled" if details.get("profiled_wallets") else ""
        stage = details.get("stage")
        at_stage = f", {stage}" if stage and details["status"] == RunStatus.RUNNING else ""
        return f"{at} run {details['status']}{at_stage}{profiled}"
    if details["status"] == TokenStatus.DONE:
        return f"{at} {details['mint']} done, {counted(details['wallets_found'], 'wallet')}"
    reason = f": {details['reason']}" if details.get("reason") else ""
    return f"{at} {details['mint']} {details['status']}{reason}"


def _tokens(progress: RunProgress) -> str:
    if not progress.tokens:
        return "no tokens yet"
    counts = [
        f"{progress.tokens[status]:,} {status.value}" for status in TokenStatus if status in progress.tokens
    ]
    return f"{counted(sum(progress.tokens.values()), 'token')} ({', '.join(counts)})"


def _stands_at(event: RunEvent | None) -> tuple[object, ...]:
    """Where an event says that its run stands; it may also have come for one more profile."""
    return () if event is None else (event.details["status"], event.details["stage"])


def _print_line(value: object) -> None:
    """At once, also into a pipe."""
    typer.echo(as_json(value))


def _show_started(started: RunStarted, *, json: bool) -> None:
    run = started.run
    if json:
        print_json({"run": run_record(run), "workers": started.workers})
    else:
        Screen().say(
            f"Run {run.id} is started on the {run.token_source}. Watch it: walltrack runs watch {run.id}"
        )
    _tell_of_workers(started.workers)


def _tell_of_workers(workers: int | None) -> None:
    if workers == 0:
        tell("No worker is serving: the run waits until `walltrack serve` runs.")
