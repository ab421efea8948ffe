"""The tapes of an earlier run as the source of a new one: the same data again, and no question to a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.sol_price_repo import SolPriceRepository
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.discovery.clock import Clock
from walltrack.discovery.errors import RunStoppedError
from walltrack.discovery.models import DiscoveryRunParams, ListedToken, ReadingCost
from walltrack.discovery.pipeline import TapeReading, TokenList
from walltrack.discovery.profiling import HistoryReading
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.valuation import hours_to_value, in_sol
from walltrack.scheduler.stored import StoredHistories, stored_tape

TOKENS_AT_ONCE: Final = 2
"""Nothing is waited for but the database."""

_NOTHING: Final = ReadingCost(0, 0)


def tape_gone(at: datetime) -> str:
    """Why a tape cannot be had again as it was."""
    return (
        f"retention removed its tape on {at:%Y-%m-%d} (WALLTRACK_RETAIN_TAPES_DAYS, WALLTRACK_TAPES_MAX_GB); a fresh "
        "repetition reads it anew"
    )


class StoredTapes:
    """The tokens of the run `again_of`, on the segments that it used, and wallets' histories as they are stored."""

    def __init__(self, database: Database, again_of: UUID, clock: Clock, *, description: str) -> None:
        self.description = description
        self.warnings: list[str] = []
        self._again_of = again_of
        self._clock = clock
        self._runs_tokens = RunTokenRepository(database)
        self._tapes = TapeRepository(database)
        self._prices = SolPriceRepository(database)
        self._histories = StoredHistories(database, clock)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StoredTapes]:
        yield self

    @property
    def at_once(self) -> int:
        return TOKENS_AT_ONCE

    def now(self) -> datetime:
        """The market's time."""
        return self._clock.now()

    async def list_tokens(self, params: DiscoveryRunParams) -> TokenList:
        """The tokens of that run, in their order. Raises RunStoppedError where retention removed them meanwhile."""
        tokens = await self._runs_tokens.get_run_tokens(self._again_of)
        if not tokens:
            raise RunStoppedError(self._tokens_gone())
        return TokenList([ListedToken(token.mint, _NOTHING) for token in tokens])

    async def read_tape(self, token: ListedToken, params: DiscoveryRunParams) -> TapeReading:
        """The tape as that run had it; as far as it is stored where that run did not note what it used."""
        then = await self._runs_tokens.get_run_token(self._again_of, token.mint)
        if then is None:
            return TapeReading(Unmeasurable(self._tokens_gone()), _NOTHING)
        if then.tape_removed_at is not None:
            return TapeReading(Unmeasurable(tape_gone(then.tape_removed_at)), _NOTHING)
        used = then.segments
        if used is None:
            self.warnings.append(
                f"{token.mint}: run {self._again_of} did not note what of its tape it used; all that is stored is used"
            )
        tape = await stored_tape(self._tapes, token.mint, used=used)
        if isinstance(tape, Unmeasurable):
            return TapeReading(tape, _NOTHING, segments=used)
        return TapeReading(await self._valued(tape), _NOTHING, "stored tape", used)

    async def read_history(self, wallet: str) -> HistoryReading:
        """A wallet's history as it is stored."""
        return await self._histories.read_history(wallet)

    def _tokens_gone(self) -> str:
        return (
            f"retention has removed the tokens of run {self._again_of}, and with them what of their tapes it used "
            "(WALLTRACK_RETAIN_RUN_TOKENS_DAYS)"
        )

    async def _valued(self, tape: Tape) -> Tape:
        hours = hours_to_value(tape)
        return in_sol(tape, await self._prices.get_prices(hours)) if hours else tape
