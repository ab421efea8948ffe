"""Commands about the schedule: when runs start by themselves, what became of due times, who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from walltrack.cli_desk import with_desk
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
    given_parameters,
)
from walltrack.cli_running import print_json
from walltrack.cli_tables import Screen, moment, shown
from walltrack.contract import ConfigPreview, ConfigView
from walltrack.desk.desk import Desk
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.schedule_records import Tick

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

    async def read(desk: Desk) -> Shown:
        return await desk.config(), await desk.preview({})

    _show(with_desk(read), json=json)


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
    given = given_parameters(locals(), no_max_credits=no_max_credits)
    changes = _frequency_given(hours, cron, timezone, jitter) | ({"params": given} if given else {})
    if not changes:
        raise BadInputError("nothing to set was given; `walltrack schedule set --help` lists what there is")

    _save(changes, json=json)


@schedule_app.command("pause")
def schedule_pause(
    note: Annotated[str, typer.Option(help="Why, for whoever looks at the schedule.")] = "",
    json: AsJson = False,
) -> None:
    """Start no more runs until `schedule enable`. A run that runs goes on."""

    _save({"enabled": False, "note": note}, json=json)


@schedule_app.command("enable")
def schedule_enable(json: AsJson = False) -> None:
    """Start runs by the schedule again: at once where the last one is longer ago than the interval."""

    _save({"enabled": True, "note": ""}, json=json)


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

    changes = _frequency_given(hours, cron, timezone, jitter)
    if enabled is not None:
        changes["enabled"] = enabled

    async def look(desk: Desk) -> Shown:
        return await desk.config(), await desk.preview(changes, count=count)

    config, preview = with_desk(look)
    if json:
        print_json({"at_once": preview.at_once, "times": preview.times})
        return
    screen = Screen()
    if preview.at_once:
        screen.say("A run starts at once.")
    for time in preview.times:
        screen.say(_local(time, timezone or config.schedule_timezone))
    if not preview.times:
        screen.say("No run starts by itself: the schedule is paused.")


@schedule_app.command("history")
def schedule_history(limit: Limit = 50, cursor: Cursor = None, json: AsJson = False) -> None:
    """Who changed what of the schedule and its parameters, newest first."""

    page = with_desk(lambda desk: desk.config_changes(limit=limit, cursor=cursor))
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

    page = with_desk(lambda desk: desk.ticks(limit=limit, cursor=cursor))
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


Shown = tuple[ConfigView, ConfigPreview]


def _save(changes: Mapping[str, Any], *, json: bool) -> None:
    async def save(desk: Desk) -> Shown:
        saved = await desk.save_config(changes)
        return saved, await desk.preview({})

    _show(with_desk(save), json=json)


def _frequency_given(
    hours: int | None, cron: str | None, timezone: str | None, jitter: int | None
) -> dict[str, Any]:
    given = {
        "schedule_hours": hours,
        "schedule_cron": cron,
        "schedule_timezone": timezone,
        "jitter_seconds": jitter,
    }
    return {name: value for name, value in given.items() if value is not None}


def _show(found: Shown, *, json: bool) -> None:
    config, preview = found
    if json:
        print_json({"schedule": _record(config, preview)})
        return
    rows = [
        ("enabled", "yes" if config.enabled else "no, paused"),
        ("runs", _frequency(config)),
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
            screen.say(f"  {_local(time, config.schedule_timezone)}")


def _record(config: ConfigView, preview: ConfigPreview) -> dict[str, Any]:
    return {
        "enabled": config.enabled,
        "schedule_hours": config.schedule_hours,
        "schedule_cron": config.schedule_cron,
        "schedule_timezone": config.schedule_timezone,
        "jitter_seconds": config.jitter_seconds,
        "paused_note": config.note,
        "parameters": config.params.model_dump(),
        "next_run_at": config.next_run_at,
        "next_times": preview.times,
        "last_run_at": config.last_run_at,
        "last_run_id": config.last_run_id,
        "last_result": config.last_result,
        "updated_at": config.updated_at,
        "updated_by": config.updated_by,
        "version": config.version,
    }


def _frequency(config: ConfigView) -> str:
    cron, hours = config.schedule_cron, config.schedule_hours
    often = f'"{cron}" in {config.schedule_timezone}' if cron else f"every {hours} h"
    return often + (f", up to {config.jitter_seconds} s later" if config.jitter_seconds else "")


def _next_run(config: ConfigView, preview: ConfigPreview) -> str:
    if not config.enabled:
        return "none"
    if config.next_run_at is None:
        return "set as soon as `walltrack serve` keeps the schedule"
    if preview.at_once:
        return "now, where `walltrack serve` keeps the schedule"
    return moment(config.next_run_at)


def _last_run(config: ConfigView) -> str:
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
