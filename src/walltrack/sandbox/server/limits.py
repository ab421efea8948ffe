"""Rate limits as the providers keep them, on a monotonic clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]


class TokenBucket:
    """`capacity` requests at once, and `per_second` more as time passes. Starts full."""

    def __init__(self, capacity: float, per_second: float, clock: Clock) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._clock = clock
        self._tokens = capacity
        self._at = clock()

    def take(self, cost: float = 1.0) -> float:
        """0 if the request may pass, else the seconds to wait; a refused request takes nothing.

        A cost above the capacity passes when the bucket is full, and leaves it in debt: such a request is as slow as
        its parts, not impossible.
        """
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        missing = min(cost, self._capacity) - self._tokens
        if missing > 1e-9:
            return missing / self._per_second
        self._tokens -= cost
        return 0.0


class SlidingWindow:
    """At most `limit` requests in any `seconds`."""

    def __init__(self, limit: float, seconds: float, clock: Clock) -> None:
        self._limit = max(1, int(limit))
        self._seconds = seconds
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> float:
        """0 if the request may pass, else the seconds until one may; a refused request does not count."""
        now = self._clock()
        while self._taken and self._taken[0] <= now - self._seconds:
            self._taken.popleft()
        if len(self._taken) >= self._limit:
            return self._taken[0] + self._seconds - now
        self._taken.append(now)
        return 0.0
