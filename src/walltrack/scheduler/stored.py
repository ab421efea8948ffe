"""Tapes and histories as they are stored: no provider is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.sol_price_repo import SolPriceRepository
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.data.supabase.repositories.wallet_history_repo import WalletHistoryRepository
from walltrack.discovery.chain_tape import assemble_tape
from walltrack.discovery.clock import Clock
from walltrack.discovery.profiling import HistoryReading
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.wallet_history import stable_hours, valued

NOT_STORED: Final = "no stored history"


async def stored_tape(
    tapes: TapeRepository, mint: str, *, used: Mapping[str, int] | None = None
) -> Tape | Unmeasurable:
    """A token's tape of what is stored of it, or of the segments that were `used`: so many of each address."""
    places = [one.place for one in await tapes.streams(mint)]
    decimals = next((place.decimals for place in places if place.decimals is not None), None)
    segments = await tapes.segments(mint)
    if used is not None:
        segments = [one for one in segments if one.number < used.get(one.address, 0)]
    if decimals is None or not segments:
        return Unmeasurable("no tape of it is stored")
    lost = sum(place.refused + place.missing for place in places)
    return await asyncio.to_thread(
        assemble_tape,
        mint,
        [one.frame for one in segments],
        decimals=decimals,
        cut=f"{lost:,} transactions could not be had from the provider" if lost else None,
    )


class StoredHistories:
    """Histories as they were last read, to be told up to the clock's time. Asks no provider."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._histories = WalletHistoryRepository(database)
        self._prices = SolPriceRepository(database)
        self._clock = clock

    def now(self) -> datetime:
        """The clock's time."""
        return self._clock.now()

    async def read_history(self, wallet: str) -> HistoryReading:
        """A wallet's stored history, its stablecoin trades valued by the prices of SOL that are stored."""
        history = await self._histories.stored(wallet)
        if history is None:
            return HistoryReading(Unmeasurable(NOT_STORED))
        hours = stable_hours(history)
        if hours:
            history = valued(history, await self._prices.get_prices(hours))
        return HistoryReading(history)
