"""What goes wrong on purpose: decided by a seed and the number of the request, so that a run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Final, Literal

Breakage = Literal["too_many", "server_error", "reset", "truncated"]

_EXCLUSIVE: Final[tuple[Breakage, ...]] = ("too_many", "server_error", "reset", "truncated")


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares from 0 to 1 of the requests (of each provider, numbered from 1 as they arrive) that go wrong.

    - latency_ms: every answer is this much later
    - too_many, server_error, reset, truncated: HTTP 429; 500, 502, 503 or 504; the connection is reset; the body
      ends early (one half with the full length announced, one half as if it were whole). At most one per request
    - duplicate_rows: a later page of a history begins with the last row of the page before
    - empty_page: a page of getTransactionsForAddress is empty, and has a token to go on with (7 in a row at most)
    - last_page_token: the last page has a token nevertheless
    - null_transaction: getTransaction answers null for a transaction that exists
    - down: providers that answer 503 to everything (dexscreener, geckoterminal, jupiter, helius, solana)
    - only: the providers that the shares concern; empty for all

    Raises ValueError for shares outside 0 to 1, or if the four that exclude each other sum up to more than 1.
    """

    seed: int = 0
    latency_ms: float = 0.0
    too_many: float = 0.0
    server_error: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    duplicate_rows: float = 0.0
    empty_page: float = 0.0
    last_page_token: float = 0.0
    null_transaction: float = 0.0
    down: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and field.name not in {"seed", "latency_ms"}:
                self._check_share(field.name, value)
        self._check_share(" + ".join(_EXCLUSIVE), sum(getattr(self, name) for name in _EXCLUSIVE))
        if self.latency_ms < 0:
            raise ValueError(f"latency_ms {self.latency_ms}: must be 0 or more")

    @staticmethod
    def _check_share(name: str, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"{name} {value}: must be between 0 and 1")

    def breakage(self, provider: str, number: int) -> Breakage | None:
        """What this request suffers, if anything."""
        if self.only and provider not in self.only:
            return None
        at = self.draw(provider, number, "breakage")
        for name in _EXCLUSIVE:
            at -= getattr(self, name)
            if at < 0:
                return name
        return None

    def happens(self, share: float, provider: str, number: int, what: str) -> bool:
        """Whether a thing with this share happens to this request."""
        if not share or (self.only and provider not in self.only):
            return False
        return self.draw(provider, number, what) < share

    def draw(self, provider: str, number: int, what: str) -> float:
        """A number in [0, 1) that depends on the seed, the request and the question only."""
        digest = blake2b(f"{self.seed}/{provider}/{number}/{what}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64
