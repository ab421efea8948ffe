"""Which route a key has to an address's history: found out once, and remembered."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

from walltrack.discovery.reading_plan import Tariff
from walltrack.discovery.tape_streams import Route
from walltrack.services.chain.purse import Purse
from walltrack.services.faults import NotInPlanFault
from walltrack.services.helius.history import METHOD, PROBE_CREDITS, HeliusHistory
from walltrack.services.solana_rpc.client import SolanaRpc


class MethodStore(Protocol):
    """Where it is kept which methods a key has. As `TapeRepository` says of each method."""

    async def method_available(
        self, key_hash: bytes, method: str, *, checked_within: timedelta
    ) -> bool | None: ...

    async def remember_method(self, key_hash: bytes, method: str, *, available: bool) -> None: ...


class Routes:
    """The route by `history` where its key's plan has it, else by `rpc`."""

    def __init__(
        self, rpc: SolanaRpc, store: MethodStore, *, history: HeliusHistory | None, remember_for: timedelta
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._history = history
        self._remember_for = remember_for
        self._route: Route | None = None if history else Route.SIGNATURES
        self._lock = asyncio.Lock()

    async def tariff(self, purse: Purse) -> Tariff:
        """How this key reads, and what that costs. Probes the key once, and remembers it.

        Raises TapeCutError where the budget does not suffice for the probe, and the faults of the provider.
        """
        async with self._lock:
            if self._route is None:
                self._route = await self._probed(purse)
        return Tariff(self._route, self._rpc.historical_credits)

    async def note_changed_plan(self, fault: NotInPlanFault, tariff: Tariff) -> None:
        """The key's plan had the method when the tariff was asked for, and has it no more.

        Raises the fault if it says another thing.
        """
        if tariff.route is not Route.HISTORY or self._history is None or fault.method != METHOD:
            raise fault
        await self._store.remember_method(self._history.key_hash, METHOD, available=False)
        self._route = Route.SIGNATURES

    async def _probed(self, purse: Purse) -> Route:
        history, store = self._history, self._store
        assert history is not None
        key_hash = history.key_hash
        available = await store.method_available(key_hash, METHOD, checked_within=self._remember_for)
        if available is None:
            async with purse.paying(PROBE_CREDITS) as payment:
                available = await history.is_in_plan()
                payment.used = PROBE_CREDITS if available else 0
            await store.remember_method(key_hash, METHOD, available=available)
        return Route.HISTORY if available else Route.SIGNATURES
