"""Reading a stream by getSignaturesForAddress and getTransaction, on any Solana node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import stamina

from walltrack.discovery.reading_plan import BATCH
from walltrack.discovery.tape_streams import ListedSignature, SignatureWalk
from walltrack.discovery.transactions import RpcTransaction
from walltrack.services.chain.pages import decode_page
from walltrack.services.chain.purse import Purse
from walltrack.services.chain.session import Bounds, HeldStream, known_owners
from walltrack.services.faults import MalformedFault, NotInPlanFault, ProviderFault, RefusedFault
from walltrack.services.solana_rpc.client import SolanaRpc


class Fetching(Protocol):
    """What transactions are fetched with."""

    @property
    def rpc(self) -> SolanaRpc: ...

    @property
    def purse(self) -> Purse: ...

    @property
    def bounds(self) -> Bounds: ...


class SignatureReader:
    """Reads one held stream: first the list, newest first, down to what is read already; then the transactions."""

    def __init__(self, stream: HeldStream) -> None:
        self._stream = stream

    async def walk(self) -> None:
        """Go on with the stream's walk to its end, storing each page of the list. Nothing where it is done and not all
        of it is read; a new walk where all of it is.
        """
        stream, session = self._stream, self._stream.session
        walk = stream.place.walk or SignatureWalk(0)
        if walk.done and walk.read >= len(await stream.listed()):
            walk = SignatureWalk(walk.number + 1)
        while not walk.done:
            session.walked.add(stream.address)
            session.count_page()
            price = session.rpc.historical_credits
            async with session.purse.paying(price) as payment:
                page = await session.rpc.signatures(stream.address, before=walk.before)
                payment.used = price
            known = stream.place.complete_to_slot
            listed = [one for one in page.listed if known is None or one.slot > known]
            reached = known is not None and page.oldest_slot is not None and page.oldest_slot <= known
            walk = replace(walk, before=page.last, done=page.is_end or reached)
            place = replace(
                stream.place, walk=walk, exhausted=False, refused=stream.place.refused + page.refused
            )
            await stream.store_signatures(place, listed)

    async def read_all(self) -> None:
        """Read to the newest transaction: what is listed, and where that list is an older one, what is newer."""
        await self.walk()
        await self._read_listed()
        if self._stream.address not in self._stream.session.walked:
            await self.walk()
            await self._read_listed()

    async def _read_listed(self) -> None:
        while await self.left() or not self._stream.place.exhausted:
            await self.read_page()

    async def left(self) -> int:
        """Transactions that are listed and not read."""
        walk = self._stream.place.walk
        return 0 if walk is None else len(await self._stream.listed()) - walk.read

    async def read_page(self) -> None:
        """Read and store the next transactions of the list, some hundred, never part of a slot. At the end of the list
        the stream is exhausted.
        """
        stream, session = self._stream, self._stream.session
        place, listed = stream.place, await stream.listed()
        assert place.walk is not None
        start, end = place.walk.read, _end_of_page(listed, place.walk.read)
        items: list[RpcTransaction | None] = []
        missing = 0
        if end > start:
            session.count_page()
            fetched = await fetched_transactions(session, [one.signature for one in listed[start:end]])
            first = start
            for number in range(start, end):
                if listed[number].slot != listed[first].slot:
                    first = number
                item = fetched[number - start]
                if item is None:
                    missing += 1
                elif isinstance(item, RpcTransaction) and _is_asked(item, listed[number]):
                    # Where a node does not say a transaction's place in its slot, the list's order does.
                    item.transaction_index = number - first
                    item.block_time = (
                        listed[number].block_time if item.block_time is None else item.block_time
                    )
                    items.append(item)
                else:
                    items.append(None)
        decoded = await asyncio.to_thread(decode_page, session.mint, items, place, known_owners(session))
        walk = replace(place.walk, read=end)
        slots = [
            slot
            for slot in (place.complete_to_slot, listed[end - 1].slot if end else None)
            if slot is not None
        ]
        times = [time for time in (place.complete_to_time, _time_before(listed, end)) if time is not None]
        after = replace(
            decoded.place,
            walk=walk,
            query=None,
            token=None,
            missing=decoded.place.missing + missing,
            complete_to_slot=max(slots, default=None),
            complete_to_time=max(times, default=None),
            exhausted=end == len(listed),
            exhausted_ago=0.0,
        )
        await stream.store_page(after, decoded.rows.frame)


async def fetched_transactions(
    session: Fetching, signatures: Sequence[str]
) -> list[RpcTransaction | ProviderFault | None]:
    """Transactions, in the order of their signatures. None: null each time it was asked for; a fault: what came in
    its place, which asking again would not change.

    Raises the faults that say that nothing more will come.
    """
    found: dict[str, RpcTransaction | ProviderFault | None] = {}
    bounds = session.bounds
    try:
        async for attempt in stamina.retry_context(
            on=_StillMissingError,
            attempts=bounds.null_tries,
            timeout=None,
            wait_initial=bounds.null_wait,
            wait_jitter=bounds.null_wait / 4,
        ):
            with attempt:
                left = [one for one in dict.fromkeys(signatures) if found.get(one) is None]
                for start in range(0, len(left), BATCH):
                    found |= await _asked(session, left[start : start + BATCH])
                if any(found[one] is None for one in left):
                    raise _StillMissingError
    except _StillMissingError:
        pass
    return [found[one] for one in signatures]


async def _asked(
    session: Fetching, signatures: list[str]
) -> dict[str, RpcTransaction | ProviderFault | None]:
    if len(signatures) > 1:
        try:
            return await _batch(session, signatures)
        except (MalformedFault, RefusedFault, NotInPlanFault) as fault:
            if fault.status in {401, 403}:
                raise
    return {signature: await _alone(session, signature) for signature in signatures}


async def _batch(
    session: Fetching, signatures: list[str]
) -> dict[str, RpcTransaction | ProviderFault | None]:
    price = session.rpc.historical_credits
    async with session.purse.paying(price * len(signatures)) as payment:
        answers = await session.rpc.transactions(signatures)
        payment.used = price * sum(not isinstance(answer, ProviderFault) for answer in answers)
    for answer in answers:
        if isinstance(answer, ProviderFault) and not isinstance(answer, RefusedFault | MalformedFault):
            raise answer
    return dict(zip(signatures, answers, strict=True))


async def _alone(session: Fetching, signature: str) -> RpcTransaction | ProviderFault | None:
    price = session.rpc.historical_credits
    async with session.purse.paying(price) as payment:
        try:
            found = await session.rpc.transaction(signature)
        except (MalformedFault, RefusedFault) as fault:
            if fault.status in {401, 403}:
                raise
            return fault
        payment.used = price
        return found


class _StillMissingError(Exception):
    """Some transactions came back as null."""


def _end_of_page(listed: Sequence[ListedSignature], start: int) -> int:
    end = min(start + BATCH, len(listed))
    if end < len(listed):
        while end > start and listed[end].slot == listed[end - 1].slot:
            end -= 1
    if end == start and start < len(listed):  # a slot with more than a page
        slot = listed[start].slot
        while end < len(listed) and listed[end].slot == slot:
            end += 1
    return end


def _time_before(listed: Sequence[ListedSignature], end: int) -> int | None:
    """The second up to which all is read, after so many of the list: others may follow in the last one."""
    times = [one.block_time for one in listed[max(0, end - 1) : end] if one.block_time is not None]
    return times[0] - (1 if end < len(listed) else 0) if times else None


def _is_asked(item: RpcTransaction, listed: ListedSignature) -> bool:
    return bool(item.transaction.signatures) and item.transaction.signatures[0] == listed.signature
