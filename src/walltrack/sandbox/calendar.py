"""The sandbox's time: slots and their times, the price of SOL by the hour, rent by date."""

from __future__ import annotations

import math
import random
from typing import Final

# The first slot of epoch 1035 (docs/providers.md), put at 2026-09-15 00:00 UTC. Later slots take 0.4 s.
_ANCHOR_SLOT: Final = 447_120_000
_ANCHOR_TIME: Final = 1_789_430_400

FIRST_SLOT_OF_VERSION_1: Final = _ANCHOR_SLOT
"""Transactions of version 1 exist from here on."""

EARLIEST_NOW: Final = _ANCHOR_TIME - _ANCHOR_SLOT * 2 // 5 + 100 * 86_400
"""The earliest `now` whose market has slots above 0."""

# Rent rates in lamports per byte and the times from which they hold (docs/providers.md).
_RENT_RATES: Final = ((0, 6960), (1_788_393_600, 6333), (1_790_121_600, 5080))
_LATER_RENT_RATES: Final = {6960: 6333, 6333: 5080, 5080: 2575}

# The next step of the rate comes this long before `now`, so that every market has accounts of both rates.
_RENT_STEP_BEFORE_NOW: Final = 36 * 3600

HOUR: Final = 3600
DAY: Final = 86_400


def slot_at(unix: float) -> int:
    """The first slot whose time is not before this one."""
    return _ANCHOR_SLOT + math.ceil((unix - _ANCHOR_TIME) * 5 / 2)


def time_of(slot: int) -> int:
    """Unix seconds of a slot."""
    return _ANCHOR_TIME + (slot - _ANCHOR_SLOT) * 2 // 5


class RentRates:
    """Lamports that an account of so many bytes must hold when it is made."""

    def __init__(self, now: int) -> None:
        self._step = now - _RENT_STEP_BEFORE_NOW
        self._after = _LATER_RENT_RATES[_rate_at(self._step)]

    def per_byte(self, unix: int) -> int:
        """Lamports for each of an account's bytes, of which there are 128 more than its data."""
        return _rate_at(unix) if unix < self._step else self._after

    def old_minimum(self, size: int) -> int:
        """What accounts made long before the market began still hold."""
        return (128 + size) * _RENT_RATES[0][1]


def _rate_at(unix: int) -> int:
    return next(rate for since, rate in reversed(_RENT_RATES) if since <= unix)


class SolPrices:
    """USD for 1 SOL, hour by hour (UTC), in cents: a random walk around 160."""

    def __init__(self, seed: int, now: int, days: int) -> None:
        rng = random.Random(f"sol price {seed}")  # noqa: S311 - a simulation
        self._first = now // HOUR - days * 24
        price, self._prices = 160.0, []
        for _ in range(days * 24 + 2):
            self._prices.append(round(price, 2))
            price *= math.exp(rng.gauss(0, 0.006) + 0.02 * math.log(160 / price))

    def at(self, unix: int) -> float:
        """The price of this time's hour; before the first hour that of the first, after the last that of the last."""
        return self._prices[min(max(unix // HOUR - self._first, 0), len(self._prices) - 1)]
