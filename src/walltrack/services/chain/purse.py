"""Paying for calls out of a budget that several tapes and histories share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.reading_plan import CreditBudget

_given_back: Final[WeakKeyDictionary[CreditBudget, asyncio.Event]] = WeakKeyDictionary()


class TapeCutError(WallTrackError):
    """A tape or a wallet's history cannot be read further. What was read is stored."""


@dataclass(slots=True)
class Payment:
    """What was set aside for a call, and what it has used of that."""

    reserved: int
    used: int = 0


class Budget(Protocol):
    """Credits that several tapes and histories share."""

    async def reserve(self, credits: int) -> bool:
        """Set credits aside for a call. False where there are not so many."""

    async def settle(self, reserved: int, used: int) -> None:
        """Book what a call has used of what was set aside for it."""

    async def available(self) -> int | None:
        """What nobody has spent or set aside; None without a bound."""

    async def others_may_give_back(self) -> bool:
        """Whether calls are under way that may not use all that was set aside for them."""

    async def changed(self) -> None:
        """Return when something may have been given back, or a while later."""


class LocalBudget:
    """A budget that only this process spends from, within one event loop."""

    def __init__(self, budget: CreditBudget) -> None:
        self._budget = budget
        self._given_back = _given_back.setdefault(budget, asyncio.Event())

    async def reserve(self, credits: int) -> bool:
        return self._budget.reserve(credits)

    async def settle(self, reserved: int, used: int) -> None:
        self._budget.settle(reserved, used)
        self._given_back.set()

    async def available(self) -> int | None:
        return self._budget.available

    async def others_may_give_back(self) -> bool:
        self._given_back.clear()
        return self._budget.reserved > 0

    async def changed(self) -> None:
        await self._given_back.wait()

    def __str__(self) -> str:
        return str(self._budget)


class Purse:
    """What one tape or history has spent of a budget, which others may share."""

    def __init__(self, budget: Budget) -> None:
        self.requests = 0
        self.credits = 0
        self._budget = budget

    async def available(self) -> int | None:
        """What nobody has spent or set aside; None without a bound."""
        return await self._budget.available()

    @asynccontextmanager
    async def paying(self, wanted: int, *, least: int | None = None) -> AsyncIterator[Payment]:
        """Set aside what a call may cost, `least` at the least, and book afterwards what it has used.

        Waits for other calls to give back what they do not use. Raises TapeCutError where that would not suffice.
        """
        payment = Payment(await self._reserved(wanted, wanted if least is None else least))
        try:
            yield payment
        finally:
            await asyncio.shield(self._budget.settle(payment.reserved, payment.used))
            self.requests += 1
            self.credits += payment.used

    async def _reserved(self, wanted: int, least: int) -> int:
        while not await self._budget.reserve(wanted):
            if await self._budget.others_may_give_back():
                await self._budget.changed()
                continue
            available = await self._budget.available() or 0
            granted = available - available % least if least else wanted
            if least <= granted and await self._budget.reserve(granted):
                return granted
            raise TapeCutError(f"budget: {self._budget} credits are spent, the next call may cost {least:,}")
        return wanted
