"""The steps of reading one token: early window, plan, and after it the rest or the early buyers' accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from walltrack.discovery.reading_plan import (
    PER_100,
    EarlyTrades,
    Extent,
    MarketCounts,
    ReadingPlan,
    accounts_cost,
    cheapest_extent,
)
from walltrack.discovery.tape_streams import Place, Route, StreamKind
from walltrack.services.chain.account_ledgers import AccountLedgers
from walltrack.services.chain.history_stream import HistoryReader, next_early_query
from walltrack.services.chain.newer import newer_than
from walltrack.services.chain.purse import TapeCutError
from walltrack.services.chain.session import HeldStream, Session, with_stream
from walltrack.services.chain.signature_stream import SignatureReader

_ENOUGH_WITHOUT_MINT: Final = 100
"""Transactions of an address after which one of them should have moved the mint, if it is one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read: a mint and pools of it, an early window, and what is known of the token beforehand."""

    mint: str
    pools: tuple[str, ...]
    window_seconds: int
    counts: MarketCounts
    include_launch_slot: bool


class Reading:
    """One reading of one token. `cut` and `no_mint` say, after `run`, why it ended early, if it did."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        self.cut: str | None = None
        self.no_mint: str | None = None
        self._session = session
        self._addresses = {wanted.mint: StreamKind.MINT} | {
            pool: StreamKind.POOL for pool in wanted.pools if pool != wanted.mint
        }
        self._window_seconds = wanted.window_seconds
        self._counts = wanted.counts
        self._include_launch_slot = wanted.include_launch_slot
        self._frames: dict[str, list[pl.DataFrame]] = {}
        self._places: dict[str, Place] = {}
        self._left: dict[str, int] = {}
        self._early: EarlyTrades | None = None

    async def run(self) -> ReadingPlan:
        """Read what the plan says. A budget that ends is noted in `cut`."""
        plan = ReadingPlan(Extent.CUT, "the early window could not be read", self._session.tariff.route)
        try:
            for address, kind in self._addresses.items():
                await with_stream(self._session, address, kind, self._read_early)
                if self.no_mint is not None:
                    return plan
            self._frames.clear()
            ledgers = AccountLedgers(self._session, dict(self._early.buyers) if self._early else {})
            await ledgers.look_up()
            plan = await self._plan(ledgers)
            if plan.extent in {Extent.WHOLE, Extent.NEWER}:
                for address, kind in self._addresses.items():
                    await with_stream(self._session, address, kind, self._read_rest)
            elif plan.extent is Extent.ACCOUNTS:
                starts = [place.complete_to_slot or 0 for place in self._places.values()]
                await ledgers.read(after_slot=min(starts))
        except TapeCutError as cut:
            self.cut = str(cut)
        return plan

    async def _read_early(self, stream: HeldStream) -> None:
        await stream.load()
        self._frames[stream.address] = stream.frames
        self._look_at_early_trades()
        if self._session.tariff.route is Route.HISTORY:
            await self._read_early_history(stream)
        else:
            await self._read_early_signatures(stream)
        self._places[stream.address] = stream.place

    async def _read_early_history(self, stream: HeldStream) -> None:
        reader = HistoryReader(stream)
        while not self._has_window(stream.place) and not stream.place.exhausted:
            query = next_early_query(
                stream.place,
                self._early,
                window_seconds=self._window_seconds,
                expected=self._counts.transactions,
                all_is_cheapest=self._is_whole_cheapest(stream.place),
            )
            await reader.read_page(query)
            self._look_at_early_trades()
            place = stream.place
            is_told = place.decimals is not None or place.transactions < _ENOUGH_WITHOUT_MINT
            if stream.claim.kind is StreamKind.MINT and not is_told:
                tried = f"none of its first {place.transactions:,} transactions moved it"
                self.no_mint = f"{stream.address} is no token: {tried}"
                return

    async def _read_early_signatures(self, stream: HeldStream) -> None:
        reader = SignatureReader(stream)
        if not self._session.is_fresh(stream.place):
            await reader.walk()
        while await reader.left() and not self._has_window(stream.place):
            await reader.read_page()
            self._look_at_early_trades()
        self._left[stream.address] = await reader.left()
        if not self._left[stream.address] and not stream.place.exhausted:
            await reader.read_page()

    async def _read_rest(self, stream: HeldStream) -> None:
        seen, place = self._places[stream.address], stream.place
        if place.exhausted and (
            not self._left[stream.address] or place.complete_to_slot != seen.complete_to_slot
        ):
            return  # nothing was left, or somebody else has read it since
        if self._session.tariff.route is Route.SIGNATURES:
            await SignatureReader(stream).read_all()
        else:
            await HistoryReader(stream).read_all()

    async def _plan(self, ledgers: AccountLedgers) -> ReadingPlan:
        tariff, early = self._session.tariff, self._early
        was_whole = all(place.exhausted for place in self._places.values())
        known = len(ledgers.known)
        if known and not ledgers.new_buyers and await ledgers.is_up_to_date(self._session.mint):
            return ReadingPlan(Extent.STORED, "nothing is newer than the stored accounts", tariff.route)
        if tariff.route is Route.HISTORY:
            enough = 10 * max(self._accounts_cost(ledgers.new_buyers, None, known), 1)
            for address, place in self._places.items():
                self._left[address] = await self._left_of(address, place, enough)
        rest = sum(self._left.values())
        if not rest:
            reason = "nothing is newer than the stored tape"
            if not self._session.transactions:
                return ReadingPlan(Extent.STORED, reason, tariff.route)
            reason = "the pages of the early window reach to the newest transaction"
            return ReadingPlan(Extent.WHOLE, reason, tariff.route)
        rest_credits = sum(self._price(left) for left in self._left.values() if left)
        if early is None:
            return ReadingPlan(
                Extent.WHOLE, "no trade was found yet", tariff.route, credits_of_rest=rest_credits
            )
        plan = cheapest_extent(
            tariff=tariff,
            early_buyers=len(early.buyers),
            rest_credits=rest_credits,
            accounts_credits=self._accounts_cost(ledgers.new_buyers, rest, known),
        )
        return replace(plan, extent=Extent.NEWER) if was_whole and plan.extent is Extent.WHOLE else plan

    def _accounts_cost(self, buyers: Mapping[str, int], rest: int | None, known: int) -> int:
        return accounts_cost(
            buyers.values(),
            self._session.tariff,
            rest=rest,
            window=sum(place.transactions for place in self._places.values()),
            known=known,
        )

    async def _left_of(self, address: str, place: Place, enough: int) -> int:
        """Transactions of an address that are not read: by the market's counts, else counted as far as it matters."""
        if self._session.is_fresh(place):
            return 0
        expected = self._counts.transactions
        if (
            not place.exhausted
            and expected is not None
            and self._counts.cover_all
            and len(self._addresses) == 1
        ):
            return max(expected - place.transactions, 1)
        if place.exhausted and self._session.tariff.historical >= PER_100:
            return 1  # asking what is newer costs as much as reading it
        found = await newer_than(self._session, address, place.complete_to_slot, enough=enough)
        return found.count if place.exhausted else max(found.count, 1)

    def _price(self, left: int) -> int:
        tariff = self._session.tariff
        return tariff.reading(left) if tariff.route is Route.HISTORY else tariff.historical * left

    def _is_whole_cheapest(self, place: Place) -> bool:
        """Whether the rest of the tape already costs no more than the accounts of the buyers that are known so far."""
        expected, tariff = self._counts.transactions, self._session.tariff
        if expected is None or self._early is None:
            return False
        rest = max(expected - place.transactions, 1)
        accounts = accounts_cost(self._early.buyers.values(), tariff, rest=rest, window=place.transactions)
        return tariff.reading(rest) <= accounts

    def _has_window(self, place: Place) -> bool:
        if self._early is None or place.complete_to_time is None:
            return False
        return place.complete_to_time >= self._early.launch_time + self._window_seconds

    def _look_at_early_trades(self) -> None:
        self._early = EarlyTrades.of(
            self._session.mint,
            [frame for frames in self._frames.values() for frame in frames],
            window_seconds=self._window_seconds,
            include_launch_slot=self._include_launch_slot,
        )
