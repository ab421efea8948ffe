"""One token's tape from the chain: as far as the cheapest plan says, within a budget, nothing of it asked for twice."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from walltrack.discovery.chain_tape import assemble_tape
from walltrack.discovery.reading_plan import CreditBudget, Extent, MarketCounts, ReadingPlan, Tariff
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.tape_streams import Route
from walltrack.services.chain.purse import Budget, LocalBudget, Purse, TapeCutError
from walltrack.services.chain.reading import Reading, Wanted
from walltrack.services.chain.routes import Routes
from walltrack.services.chain.session import Bounds, Session, TapeStore
from walltrack.services.chain.token_accounts import is_address, mint_decimals
from walltrack.services.faults import NotInPlanFault
from walltrack.services.helius.history import HeliusHistory
from walltrack.services.solana_rpc.client import SolanaRpc

VENUES_WITHOUT_MINT: Final = frozenset({"raydium", "raydium-clmm", "orca"})
"""DEX ids of DexScreener and GeckoTerminal whose pools' swaps may not name the mint: Raydium V4 and
older CLMM, Whirlpool v1. DexScreener's label stands behind its id: "raydium-cpmm".
"""


@dataclass(frozen=True, slots=True)
class TapeRead:
    """What reading a token's tape brought, and what this reading has used.

    `refused` transactions did not have a transaction's shape, `missing` were listed and never delivered: counted over
    all that is stored. A tape with any of them says so in its `cut`. It was made of so many `segments` of each address.
    """

    tape: Tape | Unmeasurable
    plan: ReadingPlan
    requests: int
    credits: int
    refused: int = 0
    missing: int = 0
    segments: Mapping[str, int] = field(default_factory=dict)


class ChainReader:
    """Reads tapes, several at once where asked to. `history` is the first choice where its key's plan has it.

    `rpc` asks what is newer, and reads the rest where there is no history. `name` is what others are told who wait for
    a stream that this reader holds.
    """

    def __init__(
        self,
        rpc: SolanaRpc,
        store: TapeStore,
        *,
        history: HeliusHistory | None = None,
        bounds: Bounds | None = None,
        name: str | None = None,
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._history = history
        self._bounds = bounds or Bounds()
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._routes = Routes(rpc, store, history=history, remember_for=self._bounds.remember_method_for)

    async def tariff(self, budget: Budget | None = None) -> Tariff:
        """How tapes are read with this key, and what that costs. Probes the key once, and remembers it.

        Raises TapeCutError where the budget does not suffice for the probe, and the faults of the provider.
        """
        return await self._routes.tariff(Purse(budget or LocalBudget(CreditBudget())))

    async def read(
        self,
        mint: str,
        *,
        pools: Sequence[str] = (),
        window_seconds: int,
        counts: MarketCounts | None = None,
        budget: Budget | None = None,
        include_launch_slot: bool = False,
    ) -> TapeRead:
        """Read a token's tape from its launch on, or what is newer than the stored part of it.

        `pools` are those whose venue does not name the mint. `counts` is what the market says of the token; a token
        without is looked up first. What cannot be read for want of credits is cut off, and the tape says so;
        Unmeasurable where nothing is left. Raises the faults of `walltrack.services.faults` and what the store raises.
        """
        counts = counts or MarketCounts()
        purse = Purse(budget or LocalBudget(CreditBudget()))
        for address in (mint, *pools):
            if not is_address(address):
                return _nothing(f"{address[:50]!r} is no Solana address", purse)
        wanted = Wanted(mint, tuple(dict.fromkeys(pools)), window_seconds, counts, include_launch_slot)
        try:
            tariff = await self._routes.tariff(purse)
            try:
                return await self._read(wanted, tariff, purse)
            except NotInPlanFault as fault:
                await self._routes.note_changed_plan(fault, tariff)
            return await self._read(wanted, await self._routes.tariff(purse), purse)
        except TapeCutError as cut:
            return _nothing(str(cut), purse)

    async def _read(self, wanted: Wanted, tariff: Tariff, purse: Purse) -> TapeRead:
        session = Session(
            wanted.mint,
            self._store,
            self._rpc,
            purse,
            self._bounds,
            tariff,
            self._history if tariff.route is Route.HISTORY else None,
            self._name,
        )
        known = await self._store.streams(wanted.mint)
        if wanted.counts.trades_24h is None and not any(one.place.transactions for one in known):
            problem = await _why_no_mint(session)
            if problem is not None:
                return _nothing(problem, purse)
        reading = Reading(session, wanted)
        plan = await reading.run()
        if reading.no_mint is not None:
            return _nothing(reading.no_mint, purse)
        return await _assembled(session, plan, reading.cut)


async def _why_no_mint(session: Session) -> str | None:
    async with session.purse.paying(1) as payment:
        account = await session.rpc.account(session.mint)
        payment.used = 1
    if account is None:
        return f"{session.mint} is no token: there is no such account"
    if mint_decimals(account.owner, account.data) is None:
        return f"{session.mint} is no token: its account belongs to {account.owner[:44]} and is no mint"
    return None


async def _assembled(session: Session, plan: ReadingPlan, cut: str | None) -> TapeRead:
    streams = await session.store.streams(session.mint)
    segments = await session.store.segments(session.mint)
    refused = sum(one.place.refused for one in streams)
    missing = sum(one.place.missing for one in streams)
    reasons = [cut] if cut else []
    if refused or missing:
        reasons.append(f"{refused + missing:,} transactions could not be had from the provider")
    reason = "; ".join(reasons) or None
    decimals = next((one.place.decimals for one in streams if one.place.decimals is not None), None)
    tape: Tape | Unmeasurable
    if decimals is None:
        tape = Unmeasurable(reason or "no transaction of this mint was found")
    else:
        frames = [segment.frame for segment in segments]
        tape = await asyncio.to_thread(assemble_tape, session.mint, frames, decimals=decimals, cut=reason)
        if isinstance(tape, Unmeasurable) and reason:
            tape = Unmeasurable(reason)
    purse = session.purse
    made_of = Counter(segment.address for segment in segments)
    return TapeRead(tape, plan, purse.requests, purse.credits, refused, missing, made_of)


def _nothing(reason: str, purse: Purse) -> TapeRead:
    plan = ReadingPlan(Extent.CUT, reason)
    return TapeRead(Unmeasurable(reason), plan, purse.requests, purse.credits)


def pools_to_read(pools: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Of a token's pools, given as (DEX id, address), those that are read beside the mint."""
    return tuple(address for dex, address in pools if dex.lower() in VENUES_WITHOUT_MINT)
