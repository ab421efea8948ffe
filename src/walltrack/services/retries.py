"""When a call is tried again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from walltrack.services.faults import RetryableFault

_random: Final = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a call is tried again (docs/providers.md): up to `tries` in all, waiting `first_wait_seconds`, twice that
    and so on up to `longest_wait_seconds`, each with a jitter of a quarter.
    """

    tries: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 30.0

    def wait(
        self, failed: int, *, first_wait: float | None = None, retry_after: float | None = None
    ) -> float:
        """Seconds to wait after so many failed tries. What the provider asks for is honoured, and never undercut."""
        if retry_after is not None:
            return retry_after * _random.uniform(1.0, 1.25)
        first = self.first_wait_seconds if first_wait is None else first_wait
        return min(self.longest_wait_seconds, first * 2.0 ** (failed - 1) * _random.uniform(0.75, 1.25))


class TryAgainError(Exception):
    """A try failed, and another may bring more after `wait` seconds."""

    def __init__(self, fault: RetryableFault, wait: float) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.wait = wait


def wait_before_the_next(error: Exception) -> bool | float:
    """stamina's back-off hook: the seconds to wait, False where the error is final."""
    return error.wait if isinstance(error, TryAgainError) else False
