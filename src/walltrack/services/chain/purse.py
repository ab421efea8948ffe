"""Paying for calls out of a budget that several tapes and histories share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.reading_plan import CreditBudget

_changed: Final[WeakKeyDictionary[CreditBudget, asyncio.Condition]] = WeakKeyDictionary()


class TapeCutError(WallTrackError):
    """A tape or a wallet's history cannot be read further. What was read is stored."""


@dataclass(slots=True)
class Payment:
    """What was set aside for a call, and what it has used of that."""

    reserved: int
    used: int = 0


class Purse:
    """What one tape or history has spent of a budget, which others may share: within one event loop."""

    def __init__(self, budget: CreditBudget) -> None:
        self.requests = 0
        self.credits = 0
        self._budget = budget
        self._changed = _changed.setdefault(budget, asyncio.Condition())

    @property
    def available(self) -> int | None:
        """What nobody has spent or set aside; None without a bound."""
        return self._budget.available

    @asynccontextmanager
    async def paying(self, wanted: int, *, least: int | None = None) -> AsyncIterator[Payment]:
        """Set aside what a call may cost, `least` at the least, and book afterwards what it has used.

        Waits for other calls to give back what they do not use. Raises TapeCutError where that would not suffice.
        """
        payment = Payment(await self._reserved(wanted, wanted if least is None else least))
        try:
            yield payment
        finally:
            async with self._changed:
                self._budget.settle(payment.reserved, payment.used)
                self._changed.notify_all()
            self.requests += 1
            self.credits += payment.used

    async def _reserved(self, wanted: int, least: int) -> int:
        async with self._changed:
            while not self._budget.reserve(wanted):
                if not self._budget.reserved:
                    available = self._budget.available or 0
                    granted = available - available % least if least else wanted
                    if least <= granted and self._budget.reserve(granted):
                        return granted
                    raise TapeCutError(
                        f"budget: {self._budget} credits are spent, the next call may cost {least:,}"
                    )
                await self._changed.wait()
            return wanted
