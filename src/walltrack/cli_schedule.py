"""Commands about the schedule: when runs start by themselves, what became of due times, who changed what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from walltrack.cli_options import (
    AsJson,
    Cursor,
    EarlyWindowMinutes,
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
)
from walltrack.cli_running import WRONG_USAGE, print_json, tell, with_database
from walltrack.cli_tables import Screen, moment, shown
from walltrack.config.settings import load_settings
from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.repositories.schedule_repo import ScheduleRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRunParams, TriggerType
from walltrack.discovery.schedule import (
    InvalidConfigError,
    Schedule,
    SchedulePreview,
    SchedulerConfig,
    starts_at,
)
from walltrack.discovery.schedule_records import ConfigChangePage, Tick, TickPage
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler
from walltrack.scheduler.tasks.discovery_task import SystemClock

SAVED_BY: Final = "command line"

T = TypeVar("T")

Hours = Annotated[
    int | None, typer.Option(help="A run every so many hours, 1 to 168; takes a cron expression away.")
]
Cron = Annotated[
    str | None,
    typer.Option(help='Runs at the times of a cron expression, like "0 */4 * * *"; "" takes it away.'),
]
Timezone = Annotated[str | None, typer.Option(help="Time zone of the cron expression, like Europe/Berlin.")]
Jitter = Annotated[int | None, typer.Option(help="Start up to so many seconds after the due time.")]
Count = Annotated[int, typer.Option(min=1, max=100, help="How many of the next times.")]

schedule_app = typer.Typer(help="When runs start by themselves.", no_args_is_help=True)


@schedule_app.command("show")
def schedule_show(json: AsJson = False) -> None:
    """When runs start by themselves, and how the last one ended."""

    async def read(scheduler: DiscoveryScheduler) -> Shown:
        return await scheduler.load_config(), await scheduler.preview()

    _show(_with_scheduler(read), json=json)


@schedule_app.command("set")
def schedule_set(
    hours: Hours = None,
    cron: Cron = None,
    timezone: Timezone = None,
    jitter: Jitter = None,
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
    no_max_credits: Annotated[
        bool, typer.Option("--no-max-credits", help="Without a bound for the credits.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Change when runs start, and the parameters they start with. In force at once in every process that serves."""
    options = locals()
    given = {name: options[name] for name in DiscoveryRunParams.model_fields if options[name] is not None}
    if no_max_credits:
        if "max_credits" in given:
            raise BadInputError("--no-max-credits: leave it out, or --max-credits")
        given["max_credits"] = None
    if not given and hours is None and cron is None and timezone is None and jitter is None:
        raise BadInputError("nothing to set was given; `walltrack schedule set --help` lists what there is")

    async def save(scheduler: DiscoveryScheduler) -> Shown:
        old = await scheduler.load_config()
        saved = await scheduler.save_config(
            schedule_hours=hours,
            schedule_cron=cron,
            schedule_timezone=timezone,
            jitter_seconds=jitter,
            # Checked with all the rest, so that everything that is wrong is said at once.
            params=old.params.model_copy(update=given) if given else None,
            updated_by=SAVED_BY,
        )
        return saved, await scheduler.preview()

    _show(_with_scheduler(save), json=json)


@schedule_app.command("pause")
def schedule_pause(
    note: Annotated[str, typer.Option(help="Why, for whoever looks at the schedule.")] = "",
    json: AsJson = False,
) -> None:
    """Start no more runs until `schedule enable`. A run that runs goes on."""

    async def pause(scheduler: DiscoveryScheduler) -> Shown:
        await scheduler.load_config()
        saved = await scheduler.save_config(enabled=False, paused_note=note, updated_by=SAVED_BY)
        return saved, await scheduler.preview()

    _show(_with_scheduler(pause), json=json)


@schedule_app.command("enable")
def schedule_enable(json: AsJson = False) -> None:
    """Start runs by the schedule again: at once where the last one is longer ago than the interval."""

    async def enable(scheduler: DiscoveryScheduler) -> Shown:
        await scheduler.load_config()
        saved = await scheduler.save_config(enabled=True, paused_note="", updated_by=SAVED_BY)
        return saved, await scheduler.preview()

    _show(_with_scheduler(enable), json=json)


@schedule_app.command("preview")
def schedule_preview(
    hours: Hours = None,
    cron: Cron = None,
    timezone: Timezone = None,
    jitter: Jitter = None,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--paused", help="As if it were so.", show_default=False)
    ] = None,
    count: Count = 5,
    json: AsJson = False,
) -> None:
    """When the next runs would start, also after a change. Saves nothing."""

    async def look(scheduler: DiscoveryScheduler) -> Shown:
        config = await scheduler.load_config()
        return config, await scheduler.preview(
            enabled,
            hours,
            schedule_cron=cron,
            schedule_timezone=timezone,
            jitter_seconds=jitter,
            count=count,
        )

    config, preview = _with_scheduler(look)
    if json:
        print_json({"at_once": preview.at_once, "times": preview.times})
        return
    screen = Screen()
    if preview.at_once:
        screen.say("A run starts at once.")
    for time in preview.times:
        screen.say(_local(time, timezone or config.schedule.timezone))
    if not preview.times:
        screen.say("No run starts by itself: the schedule is paused.")


@schedule_app.command("history")
def schedule_history(limit: Limit = 50, cursor: Cursor = None, json: AsJson = False) -> None:
    """Who changed what of the schedule and its parameters, newest first."""

    async def read(database: Database) -> ConfigChangePage:
        return await ScheduleRepository(database).get_changes(limit=limit, cursor=cursor)

    page = with_database(read)
    if json:
        print_json({"changes": page.changes, "next_cursor": page.next_cursor})
        return
    screen = Screen()
    screen.rows(
        ("changed", "by", "version", "field", "before", "after"),
        [
            (
                moment(one.changed_at),
                one.changed_by,
                str(one.version),
                one.field,
                shown(one.old),
                shown(one.new),
            )
            for one in page.changes
        ],
    )
    _say_more(screen, len(page.changes), "changes", page.next_cursor)


@schedule_app.command("ticks")
def schedule_ticks(limit: Limit = 50, cursor: Cursor = None, json: AsJson = False) -> None:
    """What became of every due time, newest first: its run, or why there was none."""

    async def read(database: Database) -> TickPage:
        return await ScheduleRepository(database).get_ticks(limit=limit, cursor=cursor)

    page = with_database(read)
    if json:
        print_json({"ticks": page.ticks, "next_cursor": page.next_cursor})
        return
    screen = Screen()
    screen.rows(
        ("due", "outcome", "because", "reason", "run", "decided", "by"),
        [
            (
                _due(one),
                one.status.value,
                one.skipped_because.value if one.skipped_because else "",
                one.reason or "",
                str(one.run_id or ""),
                moment(one.decided_at),
                one.decided_by or "",
            )
            for one in page.ticks
        ],
    )
    _say_more(screen, len(page.ticks), "due times", page.next_cursor)


Shown = tuple[SchedulerConfig, SchedulePreview]


class _StartsNothing:
    """The trigger of a command that only reads and saves the schedule."""

    async def create(
        self,
        connection: Connection,
        params: DiscoveryRunParams,
        trigger_type: TriggerType,
        triggered_by: str | None,
        *,
        started_at: datetime,
    ) -> UUID:
        raise AssertionError("a scheduler that claims nothing starts no run")

    async def created(self, run_id: UUID) -> None:
        raise AssertionError("a scheduler that claims nothing starts no run")


def _with_scheduler(work: Callable[[DiscoveryScheduler], Awaitable[T]]) -> T:
    async def connected(database: Database) -> T:
        scheduler = DiscoveryScheduler(
            database, settings=load_settings(), clock=SystemClock(), trigger=_StartsNothing(), claims=False
        )
        return await work(scheduler)

    with _problems_line_by_line():
        return with_database(connected)


@contextmanager
def _problems_line_by_line() -> Iterator[None]:
    try:
        yield
    except InvalidConfigError as error:
        for problem in error.problems:
            tell(str(problem))
        raise typer.Exit(WRONG_USAGE) from None


def _show(found: Shown, *, json: bool) -> None:
    config, preview = found
    if json:
        print_json({"schedule": _record(config, preview)})
        return
    schedule = config.schedule
    rows = [
        ("enabled", "yes" if schedule.enabled else "no, paused"),
        ("runs", _frequency(schedule)),
        ("next run", _next_run(config, preview)),
        ("last run", _last_run(config)),
        ("parameters", ", ".join(f"{k} {shown(v)}" for k, v in config.params.model_dump().items())),
    ]
    if config.note:
        rows.insert(1, ("note", config.note))
    if config.updated_at is not None and config.updated_by is not None:
        rows.append(
            ("saved", f"{moment(config.updated_at)} by {config.updated_by}, version {config.version}")
        )
    screen = Screen()
    screen.pairs(rows)
    if preview.times:
        screen.say("The next runs:")
        for time in preview.times:
            screen.say(f"  {_local(time, schedule.timezone)}")


def _record(config: SchedulerConfig, preview: SchedulePreview) -> dict[str, Any]:
    schedule = config.schedule
    return {
        "enabled": schedule.enabled,
        "schedule_hours": schedule.hours,
        "schedule_cron": schedule.cron,
        "schedule_timezone": schedule.timezone,
        "jitter_seconds": schedule.jitter_seconds,
        "paused_note": config.note,
        "parameters": config.params.model_dump(),
        "next_run_at": None if config.next_run_at is None else starts_at(schedule, config.next_run_at),
        "next_times": preview.times,
        "last_run_at": config.last_run_at,
        "last_run_id": config.last_run_id,
        "last_result": config.last_result,
        "updated_at": config.updated_at,
        "updated_by": config.updated_by,
        "version": config.version,
    }


def _frequency(schedule: Schedule) -> str:
    often = f'"{schedule.cron}" in {schedule.timezone}' if schedule.cron else f"every {schedule.hours} h"
    return often + (f", up to {schedule.jitter_seconds} s later" if schedule.jitter_seconds else "")


def _next_run(config: SchedulerConfig, preview: SchedulePreview) -> str:
    if not config.schedule.enabled:
        return "none"
    if config.next_run_at is None:
        return "set as soon as `walltrack serve` keeps the schedule"
    if preview.at_once:
        return "now, where `walltrack serve` keeps the schedule"
    return moment(starts_at(config.schedule, config.next_run_at))


def _last_run(config: SchedulerConfig) -> str:
    if config.last_run_at is None:
        return "none"
    result = config.last_result.value if config.last_result else "its record is gone"
    return f"{moment(config.last_run_at)}, {result}" + (
        f", {config.last_run_id}" if config.last_run_id else ""
    )


def _due(tick: Tick) -> str:
    until = f" until {moment(tick.due_until)}" if tick.due_until else ""
    return moment(tick.due_at) + until


def _local(time: datetime, zone: str) -> str:
    """A time in UTC, and where the schedule has another zone, in that."""
    if zone == "UTC":
        return moment(time)
    return f"{moment(time)}  ({time.astimezone(ZoneInfo(zone)):%a %H:%M:%S %Z})"


def _say_more(screen: Screen, count: int, noun: str, cursor: str | None) -> None:
    screen.say(f"{count} {noun}" + (f"; more with --cursor {cursor}" if cursor else ""))
