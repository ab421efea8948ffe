"""The short form of the fault scenarios, over one database and one market; `make test-faults` runs the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
from tests.faults.outcome import Outcome
from tests.faults.stage import Stage, staged

SEED = 2026


@pytest.fixture(scope="module")
def stage(open_folder: Path) -> Iterator[Stage]:
    folder = open_folder / "faults"
    folder.mkdir()
    with staged(folder, latency_ms=20, WALLTRACK_PROFILE_MAX_WALLETS="10") as stage:
        yield stage


@pytest.fixture(scope="module")
def truth(stage: Stage) -> Outcome:
    outcome, _ = undisturbed(stage)
    return outcome


def all_survived(report: Report, tried: int) -> None:
    """How long anything took is printed by the long form: here it decides nothing."""
    assert report.counts == Counts(tried, tried, 0, 0), report.problems


def test_a_run_whose_processes_are_killed_finds_exactly_what_an_undisturbed_one_finds(
    stage: Stage, truth: Outcome
) -> None:
    all_survived(kill_scenario(stage, truth, SEED, kills=6), 6)


def test_a_process_that_stood_still_beyond_its_leases_changes_nothing(stage: Stage, truth: Outcome) -> None:
    all_survived(zombie_scenario(stage, truth, SEED, freezes=1), 1)


def test_a_run_survives_a_database_that_dies_cuts_it_off_and_refuses_it(stage: Stage, truth: Outcome) -> None:
    all_survived(database_scenario(stage, truth, SEED, faults=3), 3)


def test_a_process_that_is_told_to_go_hands_its_work_over(stage: Stage, truth: Outcome) -> None:
    all_survived(sigterm_scenario(stage, truth, SEED, terms=1), 1)


def test_a_cancelled_run_asks_for_nothing_more_and_keeps_what_it_found(stage: Stage, truth: Outcome) -> None:
    all_survived(cancel_scenario(stage, truth, SEED, cancels=1), 1)


def test_a_schedule_saved_in_one_process_is_in_force_in_the_others(stage: Stage) -> None:
    all_survived(config_scenario(stage, SEED, saves=2), 2)
