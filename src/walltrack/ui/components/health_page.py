"""The Health tab: how every part is, in words and colours."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from nicegui import ui

from walltrack.client import DetailedHealth, Part, PartState, WallTrackError
from walltrack.ui.asking import arrived, ask
from walltrack.ui.components import formatting
from walltrack.ui.components.parts import card, chip, empty, explain, link, status_chip, tag, time_of
from walltrack.ui.components.tables import Column, table
from walltrack.ui.view import View

REFRESH_SECONDS: Final = 5
_TONES: Final = {PartState.OK: "good", PartState.FAILED: "bad", PartState.OFF: "dull"}
_WORDS: Final = {PartState.OK: "works", PartState.FAILED: "failed", PartState.OFF: "off"}
_PROVIDERS: Final = (
    Column("provider", "Provider", "text"),
    Column("requests", "Requests", "number", sortable=True),
    Column("credits", "Credits", "number", sortable=True),
    Column("errors", "Errors", "number", sortable=True),
    Column("says", "In the last run", "text"),
)


async def health_page(view: View) -> None:
    """The whole tab; it looks again every few seconds."""
    first = ask(view.client.health())
    await arrived(first)
    tag("h1", "Health", classes="wt-unseen")
    place = tag("div", classes="wt-page", data_page="health")
    shown: DetailedHealth | None = None

    async def show(asked: Awaitable[DetailedHealth]) -> None:
        nonlocal shown
        try:
            health = await asked
        except WallTrackError as error:
            if shown is None and not place.is_deleted:
                place.clear()
                with place:
                    empty("The health of the system cannot be read.", explain(error))
            return
        if place.is_deleted or health == shown:
            return
        shown = health
        place.clear()
        with place:
            _show(health)

    await show(first)
    ui.timer(REFRESH_SECONDS, lambda: show(view.client.health()), immediate=False)


def _show(health: DetailedHealth) -> None:
    is_well = health.status is PartState.OK
    with tag("div", classes="wt-notice", data_tone="good" if is_well else "bad", role="status"):
        tag("span", "Everything works." if is_well else f"Failed: {', '.join(health.failed)}.")
        tag("span", f" WallTrack {health.version}.")
    with tag("div", classes="wt-columns"):
        with card("Parts", name="parts"), tag("dl", classes="wt-facts"):
            _part("Database", health.database, None)
            workers = health.serving_workers
            _part("Workers", health.workers, None if workers is None else f"{workers:,} serving")
            _part("Schedule", health.schedule, None)
        with card("Runs", name="health-runs"), tag("dl", classes="wt-facts"):
            with tag("div"):
                tag("dt", "Schedule")
                with tag("dd"):
                    enabled = health.scheduler.enabled
                    chip("enabled" if enabled else "disabled", "good" if enabled else "dull")
            with tag("div"):
                tag("dt", "Next run")
                with tag("dd"):
                    time_of(health.scheduler.next_run)
            with tag("div"):
                tag("dt", "Last run")
                with tag("dd"):
                    last = health.last_discovery_run
                    if last is None:
                        tag("span", "none yet")
                    else:
                        with link("", f"/runs/{last.id}"):
                            time_of(last.started_at)
                        tag("span", " ")
                        status_chip(last.status)
            for name, number in (
                ("Jobs waiting", health.waiting_jobs),
                ("Jobs running", health.running_jobs),
            ):
                with tag("div"):
                    tag("dt", name)
                    tag("dd", formatting.count(number))
    with card("Providers, this month (UTC)", name="providers"):
        if health.providers:
            rows = [
                {
                    "id": one.provider,
                    "provider": one.provider,
                    "requests": one.requests,
                    "requests_text": formatting.count(one.requests),
                    "credits": one.credits,
                    "credits_text": formatting.count(one.credits),
                    "errors": one.errors,
                    "errors_text": formatting.count(one.errors),
                    "errors_tone": "bad" if one.errors else None,
                    "says": one.says or "answered",
                }
                for one in health.providers
            ]
            table(_PROVIDERS, rows, label="Providers", sort="credits")
        else:
            demo = "The sandbox's answers are nobody's spending." if health.demo else None
            empty("No provider was used this month.", demo)


def _part(name: str, part: Part, note: str | None) -> None:
    with tag("div", data_part=name.lower()):
        tag("dt", name)
        with tag("dd"):
            chip(_WORDS[part.status], _TONES[part.status])
            said = part.says or note
            if said:
                tag("span", f" {said}")
