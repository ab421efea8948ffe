"""The short form of the schedule's fault scenario; `make test-faults` runs the long one."""

from __future__ import annotations

import pytest

from tests.faults.schedule_scenario import schedule_scenario
from walltrack.config.settings import Settings


@pytest.mark.parametrize("seed", [1, 2026])
def test_whatever_happens_each_due_time_is_decided_once(settings: Settings, seed: int) -> None:
    counts = schedule_scenario(settings, seed, due_times=300)
    assert counts.tried >= 300
    assert (counts.survived, counts.lost, counts.duplicated) == (counts.tried, 0, 0)
