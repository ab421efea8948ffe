"""Reading the token accounts of early buyers: the account of a position is its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from walltrack.discovery.reading_plan import PER_100
from walltrack.discovery.tape import TAPE_SCHEMA
from walltrack.discovery.tape_streams import Place, Route, StreamKind
from walltrack.services.chain.history_stream import HistoryReader
from walltrack.services.chain.newer import newer_than
from walltrack.services.chain.session import HeldStream, Session, all_of, with_stream
from walltrack.services.chain.signature_stream import SignatureReader
from walltrack.services.chain.token_accounts import SPL_TOKEN, associated_account

_INDEX_LAG: Final = 64
"""Slots by which a history may lag behind the newest finalised one: what lies before them is complete."""

_NO_ROWS: Final = pl.DataFrame(schema=TAPE_SCHEMA)


class AccountLedgers:
    """The accounts of these buyers (wallet -> transactions in the early window), and of the escrows of their orders."""

    def __init__(self, session: Session, buyers: Mapping[str, int]) -> None:
        self._session = session
        self._buyers = buyers
        self._places: dict[str, Place] = {}
        self._accounts: dict[str, set[str]] = {}
        self._odd: dict[str, set[str]] = {}
        self._program = SPL_TOKEN

    async def look_up(self) -> None:
        """Find out which accounts there are, and which were read before."""
        for stream in await self._session.store.streams(self._session.mint):
            if stream.kind is StreamKind.ACCOUNT:
                self._places[stream.address] = stream.place
            self._learn(stream.place)
        for buyer in self._buyers:
            self._accounts[buyer] = self._accounts_of(buyer)

    @property
    def known(self) -> set[str]:
        """Accounts of these buyers that were read before."""
        return {account for accounts in self._accounts.values() for account in accounts & self._places.keys()}

    @property
    def new_buyers(self) -> dict[str, int]:
        """Buyers with an account that was never read."""
        return {
            buyer: count
            for buyer, count in self._buyers.items()
            if not self._accounts[buyer] <= self._places.keys()
        }

    async def is_up_to_date(self, mint: str) -> bool:
        """Whether the mint has no successful transaction since these accounts were read."""
        places = [self._places[account] for account in self.known]
        slots = [place.complete_to_slot for place in places]
        oldest = min((slot for slot in slots if slot is not None), default=None)
        if oldest is None or None in slots or not all(place.exhausted for place in places):
            return False
        return (await newer_than(self._session, mint, oldest, enough=1)).count == 0

    async def read(self, *, after_slot: int) -> None:
        """Read all accounts up to now, those that are new from behind a slot on."""
        async with self._session.purse.paying(1) as payment:
            finalized = await self._session.rpc.finalized_slot()
            payment.used = 1
        complete_to = max(after_slot, finalized - _INDEX_LAG)
        done: set[str] = set()
        while accounts := self._wanted() - done:
            done |= accounts
            await self._read_all(sorted(accounts), after_slot, complete_to)

    def _wanted(self) -> set[str]:
        """All accounts of the buyers and of their escrows that are known so far: reading one may name another, to which
        its owner moved tokens.
        """
        escrows = {escrow for escrow, owner in self._session.escrow_owners.items() if owner in self._buyers}
        return {account for owner in (*self._buyers, *escrows) for account in self._accounts_of(owner)}

    async def _read_all(self, accounts: Iterable[str], after_slot: int, complete_to: int) -> None:
        at_once = asyncio.Semaphore(self._session.bounds.accounts_at_once)

        async def read_stream(stream: HeldStream) -> None:
            stream.begin_after(after_slot)
            await self._read_account(stream)
            if not stream.reaches(complete_to):
                await stream.store_page(replace(stream.place, complete_to_slot=complete_to), _NO_ROWS)
            self._learn(stream.place)

        async def read_one(account: str) -> None:
            async with at_once:
                await with_stream(self._session, account, StreamKind.ACCOUNT, read_stream)

        await all_of([read_one(account) for account in accounts])

    async def _read_account(self, stream: HeldStream) -> None:
        session, place = self._session, stream.place
        if session.is_fresh(place):
            return
        if session.tariff.route is Route.SIGNATURES:
            await SignatureReader(stream).read_all()
            return
        if place.exhausted and session.tariff.historical < PER_100:
            found = await newer_than(session, stream.address, place.complete_to_slot, enough=1)
            if not found.count:
                return
        await HistoryReader(stream).read_all()

    def _accounts_of(self, owner: str) -> set[str]:
        usual = associated_account(owner, self._program, self._session.mint)
        return {usual, *self._odd.get(owner, ())}

    def _learn(self, place: Place) -> None:
        self._program = place.token_program or self._program
        for owner, accounts in place.odd_accounts.items():
            self._odd.setdefault(owner, set()).update(accounts)
