"""GeckoTerminal's rate limit and errors, as observed in August 2026."""

from __future__ import annotations

from typing import Final

from walltrack.sandbox.server.exchange import Answer, RefusedError, json_answer
from walltrack.sandbox.server.limits import TokenBucket
from walltrack.sandbox.server.options import Settled

PROVIDER: Final = "geckoterminal"

_PER_MINUTE: Final = 30
_BURST: Final = 5
_CACHED_SECONDS: Final = 60.0


class GeckoLimits:
    """30 requests a minute, 5 of them at once. The same request within a minute comes from a cache and is free."""

    def __init__(self, settings: Settled) -> None:
        factor = settings.rate_factor
        self._clock = settings.clock
        self._bucket = TokenBucket(_BURST * max(1.0, factor), _PER_MINUTE / 60 * factor, settings.clock)
        self._cached: dict[str, float] = {}

    def check(self, request: str) -> None:
        """Raises RefusedError (429) when a request comes too early."""
        now = self._clock()
        if now - self._cached.get(request, -_CACHED_SECONDS) < _CACHED_SECONDS:
            return
        if wait := self._bucket.take():
            raise RefusedError(too_many(wait))
        self._cached[request] = now


def too_many(wait: float) -> Answer:
    """The header says 0 whatever the wait is."""
    message = "You've exceeded the Rate Limit. Please visit https://www.geckoterminal.com/dex-api for more."
    body = {"status": {"error_code": 429, "error_message": message}}
    return json_answer(body, status=429, headers={"retry-after": "0"}, error="429")


def refused(status: int, title: str) -> RefusedError:
    """An error of JSON:API."""
    return RefusedError(
        json_answer({"errors": [{"status": str(status), "title": title}]}, status=status, error=str(status))
    )
