"""A wallet's own history from the chain: bounded, within a budget, stored as it arrives, nothing asked for twice."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from walltrack.discovery.history_stretches import (
    HistoryBusyError,
    HistoryClaim,
    HistoryPage,
    HistoryState,
    StaleHistoryError,
    Stretch,
    assembled,
)
from walltrack.discovery.models import ReadingCost
from walltrack.discovery.reading_plan import CreditBudget
from walltrack.discovery.tape import Unmeasurable
from walltrack.discovery.tape_streams import Route
from walltrack.discovery.wallet_history import WalletHistory
from walltrack.services.chain.history_pages import HistoryPages, PageSource, SignaturePages, decode_page
from walltrack.services.chain.holding import held, once_free
from walltrack.services.chain.purse import Budget, LocalBudget, Purse, TapeCutError
from walltrack.services.chain.routes import MethodStore, Routes
from walltrack.services.chain.session import Bounds
from walltrack.services.chain.token_accounts import is_address
from walltrack.services.faults import NotInPlanFault
from walltrack.services.helius.history import HeliusHistory
from walltrack.services.solana_rpc.client import SolanaRpc

LOOKBACK_DAYS: Final = 90
MAX_TRANSACTIONS: Final = 1000
FRESH_FOR: Final = timedelta(minutes=10)


class HistoryStore(Protocol):
    """Where histories are kept, for all processes. As `WalletHistoryRepository` says of each method."""

    async def claim(self, wallet: str, *, claimed_by: str, lease: timedelta) -> HistoryClaim: ...

    async def renew(self, claim: HistoryClaim, *, lease: timedelta) -> None: ...

    async def release(self, claim: HistoryClaim, *, error: str | None = None) -> None: ...

    async def store_page(
        self, claim: HistoryClaim, state: HistoryState, page: HistoryPage | None, *, lease: timedelta
    ) -> HistoryClaim: ...

    async def pages(self, wallet: str, stretch: Stretch) -> list[HistoryPage]: ...


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """What reading a wallet's history brought, and what this reading has used."""

    history: WalletHistory | Unmeasurable
    cost: ReadingCost


class WalletHistoryReader:
    """Reads histories, several at once where asked to: the newest `max_transactions` of the last `lookback_days`.

    `history` is the first choice where its key's plan has it, which `methods` remembers; else `rpc`, whose lists name
    no transaction that only changed a token account of the wallet's, such as a keeper's fill of an order. What was read
    within `fresh_for` before is not asked for newer transactions. `name` is what others are told who wait for a history
    that this reader holds.
    """

    def __init__(
        self,
        rpc: SolanaRpc,
        store: HistoryStore,
        methods: MethodStore,
        *,
        history: HeliusHistory | None = None,
        lookback_days: int = LOOKBACK_DAYS,
        max_transactions: int = MAX_TRANSACTIONS,
        fresh_for: timedelta = FRESH_FOR,
        bounds: Bounds | None = None,
        name: str | None = None,
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._history = history
        self._lookback_days = lookback_days
        self._max_transactions = max_transactions
        self._fresh_for = fresh_for
        self._bounds = bounds or Bounds()
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._routes = Routes(rpc, methods, history=history, remember_for=self._bounds.remember_method_for)

    async def read(self, wallet: str, *, now: datetime, budget: Budget | None = None) -> HistoryRead:
        """Read what is missing of a wallet's history up to `now` (aware), and give all that is stored of it.

        What cannot be read for want of credits is left for the next time, and the history's `cut` says so; Unmeasurable
        where nothing is stored. Raises the faults of `walltrack.services.faults` and what the store raises.
        """
        purse = Purse(budget or LocalBudget(CreditBudget()))
        if not is_address(wallet):
            return _read(Unmeasurable(f"{wallet[:50]!r} is no Solana address"), purse)

        async def claimed() -> tuple[_HeldHistory, HistoryState]:
            async with self._held(wallet) as mine:
                return mine, await self._read(mine, now, purse)

        found, state = await once_free(claimed, busy=(HistoryBusyError, StaleHistoryError))
        if state.newest is None:
            return _read(Unmeasurable(state.stopped or "nothing of it was read"), purse)
        # What was read just now, and nothing before, need not be looked up.
        pages = (
            await self._store.pages(wallet, state.newest)
            if found.stored_before
            else list(reversed(found.new_pages))
        )
        history = await asyncio.to_thread(assembled, wallet, state, pages)
        return _read(history, purse)

    async def _read(self, held: _HeldHistory, now: datetime, purse: Purse) -> HistoryState:
        before = held.state
        held.state = replace(before, lookback_days=self._lookback_days, stopped=None)
        try:
            if not self._is_fresh(held.state, now):
                await self._read_page(held, held.state.begun_anew(now), purse)
            while (state := self._unfinished(held.state)) is not None:
                await self._read_page(held, state, purse)
        except TapeCutError as cut:
            held.state = replace(held.state, stopped=str(cut))
        if held.state != held.claim.state:
            await held.store(held.state, None)
        return held.state

    def _is_fresh(self, state: HistoryState, now: datetime) -> bool:
        if state.newest is None or state.checked_at is None:
            return False
        return timedelta(0) <= now - state.checked_at < self._fresh_for

    def _unfinished(self, state: HistoryState) -> HistoryState | None:
        """The state in which the next page is to be read. None: there is no more within the bounds."""
        stretch = state.newest
        if stretch is None or stretch.covers(state.earliest):
            return None
        if stretch.transactions >= self._max_transactions:
            return None
        if stretch.done and stretch.from_time is not None:  # the lookback was made longer
            further = replace(
                stretch,
                done=False,
                query=None,
                token=None,
                from_time=state.earliest,
                to_time=stretch.from_time - 1,
            )
            return state.with_newest(further)
        return state

    async def _read_page(self, held: _HeldHistory, state: HistoryState, purse: Purse) -> None:
        """Read and store the next page of the newest stretch."""
        assert state.newest is not None
        most = max(1, self._max_transactions - state.newest.transactions)
        tariff = await self._routes.tariff(purse)
        try:
            given = await self._source(held, tariff.route, purse).next_page(state.newest, most)
        except NotInPlanFault as fault:
            await self._routes.note_changed_plan(fault, tariff)
            return await self._read_page(held, state, purse)
        decoded = await asyncio.to_thread(decode_page, held.claim.wallet, given, state.escrow_owners)
        after = replace(state, escrow_owners=decoded.escrow_owners).with_newest(decoded.stretch)
        await held.store(after, decoded.page)
        return None

    def _source(self, held: _HeldHistory, route: Route, purse: Purse) -> PageSource:
        if route not in held.sources:
            wallet = held.claim.wallet
            if route is Route.HISTORY and self._history is not None:
                held.sources[route] = HistoryPages(self._history, wallet, purse)
            else:
                held.sources[route] = SignaturePages(_Session(self._rpc, purse, self._bounds), wallet)
        return held.sources[route]

    @asynccontextmanager
    async def _held(self, wallet: str) -> AsyncIterator[_HeldHistory]:
        """A history while nobody else reads it."""
        lease = self._bounds.lease
        claim = await self._store.claim(wallet, claimed_by=self._name, lease=lease)
        history = _HeldHistory(claim, claim.state, self._store, lease)
        async with held(
            lambda: self._store.renew(claim, lease=lease),
            lambda error: self._store.release(history.claim, error=error),
            lease,
        ):
            yield history


@dataclass(frozen=True, slots=True)
class _Session:
    rpc: SolanaRpc
    purse: Purse
    bounds: Bounds


@dataclass(slots=True)
class _HeldHistory:
    """A claimed history while it is read. `state` is where it stands, stored with each page."""

    claim: HistoryClaim
    state: HistoryState
    keeper: HistoryStore
    lease: timedelta
    sources: dict[Route, PageSource] = field(default_factory=dict)
    new_pages: list[HistoryPage] = field(default_factory=list)
    stored_before: bool = field(init=False)

    def __post_init__(self) -> None:
        self.stored_before = bool(self.claim.pages)

    async def store(self, state: HistoryState, page: HistoryPage | None) -> None:
        self.claim = await self.keeper.store_page(self.claim, state, page, lease=self.lease)
        self.state = state
        if page is not None:
            self.new_pages.append(page)


def _read(history: WalletHistory | Unmeasurable, purse: Purse) -> HistoryRead:
    return HistoryRead(history, ReadingCost(purse.requests, purse.credits))
