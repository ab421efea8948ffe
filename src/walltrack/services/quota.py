"""When a call may go: the quota of a key, as a generic cell rate algorithm (GCRA).

One number is kept for each key: the theoretical arrival time (TAT), at which its bucket is full again. A call moves
it on by one interval for each slot, and may go once it lies at most `burst` intervals ahead. A slot once reserved
is kept, so callers wait their turn in order, and none has to ask again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Quota:
    """How often a key may be used: `rate` calls a second on average, at most `burst` at once."""

    rate: float
    burst: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf") or self.burst < 1:
            raise ValueError(f"a quota needs a rate above 0 and a burst of at least 1, not {self}")


class QuotaStore(Protocol):
    """Where quotas are kept, for all processes that share a key."""

    async def reserve(self, key_hash: bytes, *, rate: float, burst: int, slots: int) -> float:
        """Reserve slots of a key; the seconds to wait until they may be used, 0 for at once."""


def reserved(tat: float, now: float, quota: Quota, slots: int) -> tuple[float, float]:
    """(new TAT, seconds to wait), for a reservation at `now`; all in seconds of one clock.

    A reservation of more slots than the burst waits for the excess too.
    """
    interval = 1.0 / quota.rate
    arrival = max(tat, now) + slots * interval
    return arrival, max(0.0, arrival - quota.burst * interval - now)


class LocalQuotas:
    """Quotas of this process alone, for work without a database."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._arrivals: dict[bytes, float] = {}

    async def reserve(self, key_hash: bytes, *, rate: float, burst: int, slots: int) -> float:
        now = self._clock()
        arrival, wait = reserved(self._arrivals.get(key_hash, now), now, Quota(rate, burst), slots)
        self._arrivals[key_hash] = arrival
        return wait
