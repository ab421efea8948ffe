"""The fault scenarios in their long form: `python -m tests.faults [--seed N] [--only NAME ...]`.

Ends with one line a scenario: what was tried, what survived it, what was lost and what was there twice. The exit code
is 1 where anything was lost, came twice or took longer than promised. The same seed draws the same faults; where in a
run they hit depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import structlog

from tests.faults.control_scenarios import cancel_scenario, config_scenario
from tests.faults.counts import Counts
from tests.faults.crash_scenarios import (
    Report,
    kill_scenario,
    sigterm_scenario,
    undisturbed,
    zombie_scenario,
)
from tests.faults.database_scenario import database_scenario
from tests.faults.outcome import Outcome, pages
from tests.faults.schedule_scenario import schedule_scenario
from tests.faults.stage import Stage, staged

SCHEDULE = "schedule"
DUE_TIMES = 10_000
KILLS = 100
SCENARIOS: dict[str, Callable[[Stage, Outcome, int], Report]] = {
    "kill9": lambda stage, truth, seed: kill_scenario(stage, truth, seed, kills=KILLS),
    "zombie": lambda stage, truth, seed: zombie_scenario(stage, truth, seed, freezes=4),
    "postgres": lambda stage, truth, seed: database_scenario(stage, truth, seed, faults=15),
    "sigterm": lambda stage, truth, seed: sigterm_scenario(stage, truth, seed, terms=5),
    "cancel": lambda stage, truth, seed: cancel_scenario(stage, truth, seed, cancels=4),
    "config": lambda stage, _truth, seed: config_scenario(stage, seed, saves=6),
}
PAGE_ROWS = 60
"""Small pages: a stream has ten and more of them then, and most kills hit one that is half read."""

PROFILED = "40"
"""Wallets of a run whose histories are read: enough for the last step to be hit too."""


def main() -> int:
    """Run the scenarios, the schedule's in a process of its own beside the others."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=None, help="of everything that is drawn; left out, a new one"
    )
    parser.add_argument("--only", nargs="+", choices=[*SCENARIOS, SCHEDULE], default=[*SCENARIOS, SCHEDULE])
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    if given.json:
        say(json.dumps({SCHEDULE: asdict(_schedule(seed))}))
        return 0
    begun = time.monotonic()
    say(f"seed {seed}")
    schedule = _beside(seed) if SCHEDULE in given.only else None
    reports: dict[str, Report] = {}
    try:
        wanted = [name for name in SCENARIOS if name in given.only]
        if wanted:
            reports = _on_stage(wanted, seed)
        if schedule is not None:
            reports[SCHEDULE] = _finished(schedule)
    finally:
        if schedule is not None and schedule.poll() is None:
            schedule.kill()
    for problem in reports[SCHEDULE].problems if SCHEDULE in reports else ():
        say(f"{SCHEDULE}: {problem}")
    minutes = (time.monotonic() - begun) / 60
    say(f"{minutes:.1f} minutes; again with: python -m tests.faults --seed {seed} --only {' '.join(reports)}")
    for name, report in reports.items():
        say(line(name, seed, report))
    return int(any(failed(report) for report in reports.values()))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def line(name: str, seed: int, report: Report) -> str:
    """One scenario in one line."""
    counts = report.counts
    figures = (
        f"{counts.tried:,} tried, {counts.survived:,} survived, {counts.lost:,} lost,"
        f" {counts.duplicated:,} duplicated"
    )
    return f"{name:<9} {figures} (seed {seed}{''.join(f'; {note}' for note in report.notes)})"


def failed(report: Report) -> bool:
    """Whether anything was not as promised."""
    counts = report.counts
    return bool(report.problems or counts.lost or counts.duplicated or counts.survived != counts.tried)


def _on_stage(names: list[str], seed: int) -> dict[str, Report]:
    reports = {}
    with tempfile.TemporaryDirectory(prefix="walltrack-faults-") as folder:
        Path(folder).chmod(0o755)  # the database's user must reach it where this runs as root
        with staged(Path(folder), page_rows=PAGE_ROWS, WALLTRACK_PROFILE_MAX_WALLETS=PROFILED) as stage:
            truth, seconds = undisturbed(stage)
            say(
                f"undisturbed: {seconds:.1f} s, {len(truth.tokens)} tokens, {len(truth.findings)} findings,"
                f" {len(truth.profiles)} profiles, {pages(stage)}",
            )
            for name in names:
                begun = time.monotonic()
                try:
                    reports[name] = SCENARIOS[name](stage, truth, seed)
                except AssertionError as fault:
                    reports[name] = Report(Counts(1, 0, 1, 0), [], [str(fault)])
                for problem in reports[name].problems:
                    say(f"{name}: {problem}")
                say(f"{time.monotonic() - begun:4.0f} s  {line(name, seed, reports[name])}")
    return reports


def _schedule(seed: int) -> Report:
    with tempfile.TemporaryDirectory(prefix="walltrack-faults-") as folder:
        Path(folder).chmod(0o755)
        with staged(Path(folder)) as stage:
            return Report(schedule_scenario(stage.settings, seed, DUE_TIMES))


def _beside(seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.faults", "--seed", str(seed), "--only", SCHEDULE, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))


def _finished(process: subprocess.Popen[str]) -> Report:
    said, _ = process.communicate()
    if process.returncode != 0:
        return Report(Counts(DUE_TIMES, 0, DUE_TIMES, 0), [], [f"it ended with {process.returncode}: {said}"])
    report = json.loads(said.splitlines()[-1])[SCHEDULE]
    return Report(Counts(**report["counts"]), report["notes"], report["problems"])


if __name__ == "__main__":
    sys.exit(main())
