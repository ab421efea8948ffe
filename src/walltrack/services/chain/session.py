"""What the reading of one token shares: clients, store, purse, and streams held while they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol, TypeVar

import polars as pl

from walltrack.discovery.reading_plan import Tariff
from walltrack.discovery.tape_streams import (
    STREAM_LEASE,
    ListedSignature,
    Place,
    StaleStreamError,
    StoredSegment,
    StreamBusyError,
    StreamClaim,
    StreamKind,
    StreamState,
)
from walltrack.services.chain.holding import held, once_free
from walltrack.services.chain.purse import Purse, TapeCutError
from walltrack.services.helius.history import HeliusHistory
from walltrack.services.solana_rpc.client import SolanaRpc

T = TypeVar("T")


class TapeStore(Protocol):
    """Where tapes are kept, for all processes. As `TapeRepository` says of each method."""

    async def claim(
        self, mint: str, address: str, kind: StreamKind, *, claimed_by: str, lease: timedelta
    ) -> StreamClaim: ...

    async def renew(self, claim: StreamClaim, *, lease: timedelta) -> None: ...

    async def release(self, claim: StreamClaim, *, error: str | None = None) -> None: ...

    async def store_page(
        self, claim: StreamClaim, place: Place, frame: pl.DataFrame | None, *, lease: timedelta
    ) -> StreamClaim: ...

    async def store_signatures(
        self, claim: StreamClaim, place: Place, listed: Sequence[ListedSignature], *, lease: timedelta
    ) -> StreamClaim: ...

    async def signatures(self, claim: StreamClaim, walk: int) -> list[ListedSignature]: ...

    async def streams(self, mint: str) -> list[StreamState]: ...

    async def segments(self, mint: str, address: str | None = None) -> list[StoredSegment]: ...

    async def method_available(
        self, key_hash: bytes, method: str, *, checked_within: timedelta
    ) -> bool | None: ...

    async def remember_method(self, key_hash: bytes, method: str, *, available: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one token's reading. `max_pages` are those of all its streams together, in one reading; `null_tries`
    how often a transaction is asked for before its null is believed, `null_wait` the seconds after the first time;
    `fresh_for`: what was read to its newest transaction so recently is not asked for newer ones.
    """

    max_pages: int = 5_000
    accounts_at_once: int = 16
    null_tries: int = 4
    null_wait: float = 0.5
    lease: timedelta = STREAM_LEASE
    fresh_for: timedelta = timedelta(seconds=10)
    remember_method_for: timedelta = timedelta(days=7)


@dataclass(slots=True)
class Session:
    """The reading of one token. `pages` were asked for and `transactions` read by it; the newest
    signatures of the addresses in `walked` were listed by it.
    """

    mint: str
    store: TapeStore
    rpc: SolanaRpc
    purse: Purse
    bounds: Bounds
    tariff: Tariff
    history: HeliusHistory | None
    name: str
    escrow_owners: dict[str, str] = field(default_factory=dict)
    pages: int = 0
    transactions: int = 0
    walked: set[str] = field(default_factory=set)

    def is_fresh(self, place: Place) -> bool:
        """Whether a stream reached its newest transaction just now."""
        ago = place.exhausted_ago if place.exhausted else None
        return ago is not None and ago <= self.bounds.fresh_for.total_seconds()

    def count_page(self) -> None:
        """Raises TapeCutError where the pages of this reading are used up."""
        if self.pages >= self.bounds.max_pages:
            raise TapeCutError(f"page cap: {self.bounds.max_pages:,} pages of one reading")
        self.pages += 1


class HeldStream:
    """A stream while this reader holds it. What is stored goes under its claim."""

    def __init__(self, session: Session, claim: StreamClaim) -> None:
        self.session = session
        self.claim = claim
        self.frames: list[pl.DataFrame] = []
        self._keeps_frames = False
        self._listed: tuple[int, list[ListedSignature]] | None = None

    @property
    def address(self) -> str:
        return self.claim.address

    @property
    def place(self) -> Place:
        return self.claim.place

    def begin_after(self, slot: int) -> None:
        """Read a new stream from behind this slot on only."""
        place = self.place
        if place.complete_to_slot is None and not place.exhausted:
            self.claim = replace(self.claim, place=replace(place, complete_to_slot=slot))

    def reaches(self, slot: int) -> bool:
        return self.place.complete_to_slot is not None and self.place.complete_to_slot >= slot

    async def load(self) -> None:
        """Fetch the rows that are stored, and keep those that are added."""
        self._keeps_frames = True
        stored = await self.session.store.segments(self.session.mint, self.address)
        self.frames = [segment.frame for segment in stored]

    async def store_page(self, place: Place, frame: pl.DataFrame) -> None:
        self.session.transactions += place.transactions - self.place.transactions
        self.claim = await self.session.store.store_page(
            self.claim, place, frame, lease=self.session.bounds.lease
        )
        self.session.escrow_owners.update(place.escrow_owners)
        if frame.height and self._keeps_frames:
            self.frames.append(frame)

    async def store_signatures(self, place: Place, listed: Sequence[ListedSignature]) -> None:
        self.claim = await self.session.store.store_signatures(
            self.claim, place, listed, lease=self.session.bounds.lease
        )

    async def listed(self) -> list[ListedSignature]:
        """What the stream's current walk has listed, oldest first. To be asked once the walk is done."""
        walk = self.place.walk
        if walk is None:
            return []
        if self._listed is None or self._listed[0] != walk.number:
            self._listed = (walk.number, await self.session.store.signatures(self.claim, walk.number))
        return self._listed[1]


async def with_stream(
    session: Session,
    address: str,
    kind: StreamKind,
    work: Callable[[HeldStream], Awaitable[T]],
) -> T:
    """Do `work` on a stream while nobody else does; from its start again where the claim was lost meanwhile."""

    async def claimed() -> T:
        store, lease = session.store, session.bounds.lease
        claim = await store.claim(session.mint, address, kind, claimed_by=session.name, lease=lease)
        stream = HeldStream(session, claim)
        session.escrow_owners.update(claim.place.escrow_owners)
        async with held(
            lambda: store.renew(claim, lease=lease),
            lambda error: store.release(stream.claim, error=error),
            lease,
        ):
            return await work(stream)

    return await once_free(claimed, busy=(StreamBusyError, StaleStreamError))


async def all_of(works: Sequence[Awaitable[None]]) -> None:
    """Do all at once; the first error ends the others and is raised itself."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def known_owners(session: Session) -> Mapping[str, str]:
    """Owners of escrows that any stream of this token has revealed so far."""
    return dict(session.escrow_owners)
