"""The arithmetic of quotas: never faster than the rate, never slower than needed."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walltrack.services.quota import LocalQuotas, Quota, reserved

QUOTAS = st.builds(Quota, st.floats(0.01, 1000), st.integers(1, 50))
CALLS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 5)), min_size=1, max_size=60)


def times(quota: Quota, calls: list[tuple[float, int]]) -> list[tuple[float, float, int]]:
    """(when a call was made, when it may go, slots) of calls with pauses between them."""
    tat, now, found = 0.0, 0.0, []
    for pause, slots in calls:
        now += pause / quota.rate
        tat, wait = reserved(tat, now, quota, slots)
        found.append((now, now + wait, slots))
    return found


@given(QUOTAS, CALLS)
def test_in_no_stretch_of_time_do_more_calls_go_than_burst_and_rate_allow(
    quota: Quota, calls: list[tuple[float, int]]
) -> None:
    gone = times(quota, calls)
    for start in range(len(gone)):
        for end in range(start, len(gone)):
            seconds = gone[end][1] - gone[start][1]
            slots = sum(slots for _, _, slots in gone[start : end + 1])
            first = gone[start][2]
            # The slots of the first call were waited for before the stretch begins.
            assert slots - first <= quota.burst + seconds * quota.rate + 1e-6


@given(QUOTAS, CALLS)
def test_calls_go_in_their_order_and_none_before_it_is_made(
    quota: Quota, calls: list[tuple[float, int]]
) -> None:
    gone = times(quota, calls)
    assert all(made <= goes for made, goes, _ in gone)
    assert all(before[1] <= after[1] + 1e-9 for before, after in itertools.pairwise(gone))


@given(QUOTAS, st.integers(1, 200))
def test_calls_that_queue_go_at_exactly_the_rate(quota: Quota, count: int) -> None:
    gone = times(quota, [(0.0, 1)] * count)
    assert gone[-1][1] == pytest.approx(max(0, count - quota.burst) / quota.rate)


@given(QUOTAS, st.integers(1, 50))
def test_after_a_pause_a_burst_goes_at_once(quota: Quota, before: int) -> None:
    gone = times(
        quota, [*[(0.0, 1)] * before, (before + quota.burst + 0.001, 1), *[(0.0, 1)] * (quota.burst - 1)]
    )
    assert all(goes - made < 1e-6 for made, goes, _ in gone[before:])


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (float("inf"), 1), (1, 0)])
def test_a_quota_that_is_none_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="a quota needs a rate above 0"):
        Quota(rate, burst)


def test_without_a_database_each_key_has_a_quota_of_its_own() -> None:
    async def scenario() -> None:
        now = [100.0]
        quotas = LocalQuotas(lambda: now[0])
        waits = [await quotas.reserve(b"a", rate=2, burst=1, slots=1) for _ in range(3)]
        assert waits == [0, 0.5, 1.0]
        assert await quotas.reserve(b"b", rate=2, burst=1, slots=1) == 0
        now[0] += 2
        assert await quotas.reserve(b"a", rate=2, burst=1, slots=1) == 0

    asyncio.run(scenario())
