"""The command that says how every part is."""

from __future__ import annotations

import typer

from walltrack.cli_desk import with_desk
from walltrack.cli_options import AsJson
from walltrack.cli_running import FAILED, print_json
from walltrack.cli_tables import DEMO, Screen, moment
from walltrack.contract import DetailedHealth, PartState


def health_command(json: AsJson = False) -> None:
    """How every part is: database, workers, schedule, providers. Exit code 1 where one failed."""
    health = with_desk(lambda desk: desk.health())
    if json:
        print_json(health.model_dump())
    else:
        _show(Screen(), health)
    if health.status is not PartState.OK:
        raise typer.Exit(FAILED)


def _show(screen: Screen, health: DetailedHealth) -> None:
    demo = f"  ({DEMO})" if health.demo else ""
    screen.say(f"WallTrack {health.version}: {health.status.value}{demo}")
    screen.rows(
        ("part", "is", "because"),
        [
            (name, part.status.value, part.says or "")
            for name, part in (
                ("database", health.database),
                ("workers", health.workers),
                ("schedule", health.schedule),
            )
        ],
    )
    last = health.last_discovery_run
    scheduler = health.scheduler
    rows = [
        ("next run", moment(scheduler.next_run) if scheduler.next_run else "none"),
        ("last run", f"{moment(last.started_at)}, {last.status.value}, {last.id}" if last else "none"),
    ]
    for name, count in (
        ("workers", health.serving_workers),
        ("jobs waiting", health.waiting_jobs),
        ("jobs running", health.running_jobs),
    ):
        if count is not None:
            rows.append((name, f"{count:,}"))
    screen.pairs(rows)
    if health.providers:
        screen.say("Used this month:")
        screen.rows(
            ("provider", "requests", "credits", "failed tries", "left alone because"),
            [
                (one.provider, f"{one.requests:,}", f"{one.credits:,}", f"{one.errors:,}", one.says or "")
                for one in health.providers
            ],
        )
