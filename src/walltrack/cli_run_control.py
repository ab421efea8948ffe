"""Commands that start, watch, end, resume and repeat the runs that serving processes do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import typer
from rich.console import Console

from walltrack.cli_market import market_name
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
    params_of,
)
from walltrack.cli_records import run_record
from walltrack.cli_running import FAILED, INTERRUPTED, print_json, tell, with_database
from walltrack.cli_runs import no_such_run, read_run
from walltrack.cli_tables import Screen, counted, moment
from walltrack.config.settings import Settings, load_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.job_queue_repo import JobQueueRepository
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.data.supabase.repositories.run_resume_repo import ResumedRun, RunResumeRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, RunStatus, TokenStatus
from walltrack.discovery.run_progress import RunEvent, RunProgress
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName, Trigger
from walltrack.services.files.address_csv import is_address
from walltrack.services.files.export import as_json

TRIGGERED_BY: Final = "command line"

_LOOK_SECONDS: Final = 0.5
_LAST_LOOKS: Final = 6
"""How often a watcher looks for the last events of a run that has ended; other transactions may hold them back."""

T = TypeVar("T")

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
    seed: Seed = 1,
    json: AsJson = False,
) -> None:
    """Start a run and return at once: the processes that serve do it."""
    params = params_of(locals())
    for one in mint or ():
        if not is_address(one):
            raise BadInputError(f"--mint: {one[:60]!r} is not a base58 address of 32 bytes")
    settings = load_settings()

    async def start(database: Database) -> DiscoveryRun:
        trigger = _trigger(database, settings, market_name(settings, sandbox=False, seed=seed))
        return await trigger.start(params, triggered_by=TRIGGERED_BY, mints=mint or ())

    _show_started(*with_database(_and_workers(start)), json=json)


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
    seed: Seed = 1,
    json: AsJson = False,
) -> None:
    """Start a new run on the tokens of an earlier one, with its parameters where none are given.

    It takes the tapes exactly as that run had them and asks no provider, unless --fresh.
    """
    given = given_parameters(locals(), no_max_credits=no_max_credits)
    settings = load_settings()

    async def start(database: Database) -> DiscoveryRun:
        found = await read_run(database, run_id)
        params = params_of(found.run.params.model_dump() | given)
        mints = [token.mint for token in found.tokens]
        if not mints:
            raise BadInputError(f"run {run_id} listed no token, so nothing of it can be done again")
        market = MarketName(f"stored tapes of run {run_id}", demo=found.run.demo)
        if fresh:
            market = market_name(settings, sandbox=False, seed=seed)
        return await _trigger(database, settings, market).start(
            params, triggered_by=TRIGGERED_BY, mints=mints, again_of=run_id, from_stored=not fresh
        )

    _show_started(*with_database(_and_workers(start)), json=json)


def runs_cancel(
    run_id: UUID,
    reason: Annotated[str | None, typer.Option(help="Why, for the run's record.")] = None,
    json: AsJson = False,
) -> None:
    """End a running run, with what it has found. No request of it goes out two seconds later."""

    async def cancel(database: Database) -> DiscoveryRun:
        with _named(run_id):
            return await DiscoveryRepository(database).cancel_run(
                run_id, completed_at=SystemClock().now(), reason=reason
            )

    run = with_database(cancel)
    if json:
        print_json({"run": run_record(run)})
    else:
        Screen().say(f"Run {run_id} is cancelled. Take it up again: walltrack runs resume {run_id}")


def runs_resume(run_id: UUID, json: AsJson = False) -> None:
    """Let an ended run go on: what failed or was cancelled of it is done once more, what it found stays."""
    settings = load_settings()

    async def resume(database: Database) -> ResumedRun:
        with _named(run_id):
            resumed = await RunResumeRepository(database).resume_run(
                run_id, at_most=settings.max_concurrent_runs
            )
        queue = JobQueueRepository(database)
        if resumed.mints:
            await queue.defer_tokens(run_id, resumed.mints)
        else:
            await queue.defer_run(run_id)
        return resumed

    resumed, workers = with_database(_and_workers(resume))
    if json:
        print_json({"run": run_record(resumed.run), "tokens": resumed.mints, "workers": workers})
    else:
        Screen().say(f"Run {run_id} goes on with {counted(len(resumed.mints), 'token')}.")
    _tell_of_workers(workers)


def runs_watch(run_id: UUID, json: Progress = False) -> None:
    """Show how far a run is until it ends. Exit code 0: it completed, 1: it did not. Ctrl-C stops only the watching."""
    console = Console(stderr=True)

    async def watch(database: Database) -> RunProgress:
        repository = RunProgressRepository(database)
        with _named(run_id):
            first = await repository.get_progress(run_id)
        if first.status is RunStatus.RUNNING and first.stage is not None:
            _tell_of_workers(await repository.serving_workers())
        with console.status("") as bar:

            def seen(progress: RunProgress) -> None:
                bar.update(progress_line(progress))
                if json:
                    _print_line({"progress": progress_record(progress)})

            def happened(event: RunEvent) -> None:
                if json:
                    _print_line({"event": asdict(event)})
                elif event.kind != "run" or _stands_at(event) != _stands_at(told.get("run")):
                    screen.say(event_line(event))
                told[event.kind] = event

            return await follow(repository, run_id, seen=seen, happened=happened)

    screen = Screen()
    told: dict[str, RunEvent] = {}
    try:
        end = with_database(watch)
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

    async def read(database: Database) -> RunProgress:
        with _named(run_id):
            return await RunProgressRepository(database).get_progress(run_id)

    progress = with_database(read)
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


async def follow(
    repository: RunProgressRepository,
    run_id: UUID,
    *,
    seen: Callable[[RunProgress], None],
    happened: Callable[[RunEvent], None],
) -> RunProgress:
    """Tell every event of a run in its order, and every progress that is another, until the run has ended."""
    cursor: str | None = None
    last: RunProgress | None = None
    said_its_end = False
    looks = _LAST_LOOKS
    while True:
        progress = await repository.get_progress(run_id)
        while events := await repository.events_since(run_id, cursor):
            for event in events:
                happened(event)
                said_its_end = event.kind == "run" and event.details["status"] != RunStatus.RUNNING
            cursor = events[-1].cursor
        if last is None or _standing(progress) != _standing(last):
            seen(progress)
        last = progress
        if progress.status is not RunStatus.RUNNING:
            if said_its_end or looks == 0:
                return progress
            looks -= 1
        await asyncio.sleep(_LOOK_SECONDS)


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


def given_parameters(options: Mapping[str, Any], *, no_max_credits: bool = False) -> dict[str, Any]:
    """The parameters that a command was given. Raises BadInputError where two of them contradict each other."""
    given = {name: options[name] for name in DiscoveryRunParams.model_fields if options.get(name) is not None}
    if no_max_credits:
        if "max_credits" in given:
            raise BadInputError("--no-max-credits: leave it out, or --max-credits")
        given["max_credits"] = None
    return given


def _tokens(progress: RunProgress) -> str:
    if not progress.tokens:
        return "no tokens yet"
    counts = [
        f"{progress.tokens[status]:,} {status.value}" for status in TokenStatus if status in progress.tokens
    ]
    return f"{counted(sum(progress.tokens.values()), 'token')} ({', '.join(counts)})"


def _standing(progress: RunProgress) -> tuple[object, ...]:
    """What of a progress is not the passing of time."""
    return (
        progress.status,
        progress.stage,
        progress.tokens,
        progress.wallets,
        progress.profiled,
        progress.used,
        progress.forecast,
    )


def _stands_at(event: RunEvent | None) -> tuple[object, ...]:
    """Where an event says that its run stands; it may also have come for one more profile."""
    return () if event is None else (event.details["status"], event.details["stage"])


def _print_line(value: object) -> None:
    """At once, also into a pipe."""
    typer.echo(as_json(value))


def _show_started(run: DiscoveryRun, workers: int, *, json: bool) -> None:
    if json:
        print_json({"run": run_record(run), "workers": workers})
    else:
        Screen().say(
            f"Run {run.id} is started on the {run.token_source}. Watch it: walltrack runs watch {run.id}"
        )
    _tell_of_workers(workers)


def _tell_of_workers(workers: int) -> None:
    if workers == 0:
        tell("No worker is serving: the run waits until `walltrack serve` runs.")


def _and_workers(work: Callable[[Database], Awaitable[T]]) -> Callable[[Database], Awaitable[tuple[T, int]]]:
    """The same, and how many workers serve after it."""

    async def both(database: Database) -> tuple[T, int]:
        return await work(database), await RunProgressRepository(database).serving_workers()

    return both


def _trigger(database: Database, settings: Settings, market: MarketName) -> Trigger:
    return Trigger(database, market, at_most=settings.max_concurrent_runs, clock=SystemClock())


@contextmanager
def _named(run_id: UUID) -> Iterator[None]:
    try:
        yield
    except RunNotFoundError:
        raise no_such_run(run_id) from None
