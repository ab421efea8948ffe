"""Reading a stream by getTransactionsForAddress."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from walltrack.discovery.reading_plan import PAGE, PER_100, PROBE_PAGE, EarlyTrades, first_page
from walltrack.discovery.tape_streams import HistoryQuery, Place
from walltrack.services.chain.pages import DecodedPage, decode_page
from walltrack.services.chain.session import HeldStream, known_owners
from walltrack.services.faults import RefusedFault
from walltrack.services.helius.history import HistoryPage, HistoryWalk, credits_of

_LOST_PLACE: Final = "invalid pagination"


class HistoryReader:
    """Reads pages of one held stream."""

    def __init__(self, stream: HeldStream) -> None:
        self._stream = stream
        self._walk: HistoryWalk | None = None

    async def read_page(self, query: HistoryQuery) -> None:
        """Read and store one page: the next one of `query` where the stream stands in it, else its first."""
        stream, session = self._stream, self._stream.session
        place = stream.place
        session.count_page()
        wanted = credits_of(query.limit)
        async with session.purse.paying(wanted, least=PER_100) as payment:
            if payment.reserved < wanted:
                # What is left buys a smaller page, and that is another query.
                query = replace(
                    query, limit=payment.reserved // PER_100 * 100, after_slot=place.complete_to_slot
                )
            try:
                page = await self._page(place, query)
            except RefusedFault as fault:
                if place.token is None or _LOST_PLACE not in fault.said.lower():
                    raise
                place = replace(place, query=None, token=None)
                query = replace(query, after_slot=place.complete_to_slot)
                page = await self._page(place, query)
            payment.used = page.credits
        decoded = await asyncio.to_thread(decode_page, session.mint, page.items, place, known_owners(session))
        await stream.store_page(_after(decoded, query, page.token), decoded.rows.frame)

    async def read_all(self) -> None:
        """Read to the newest transaction, one page at least."""
        await self.read_page(_rest_query(self._stream.place))
        while not self._stream.place.exhausted:
            await self.read_page(_rest_query(self._stream.place))

    async def _page(self, place: Place, query: HistoryQuery) -> HistoryPage:
        client = self._stream.session.history
        assert client is not None
        token = place.token if place.query == query else None
        if self._walk is None or self._walk.query != query or token is None:
            self._walk = HistoryWalk(client, self._stream.address, query, token)
        return await self._walk.next_page()


def _after(decoded: DecodedPage, query: HistoryQuery, token: str | None) -> Place:
    """The place after a page. While there is more, the last slot and second may be half read."""
    place = decoded.place
    half = 0 if token is None else 1
    slots = [place.complete_to_slot]
    times = [place.complete_to_time]
    if decoded.last_slot is not None:
        slots.append(decoded.last_slot - half)
    if decoded.last_time is not None:
        times.append(decoded.last_time - half)
    if token is None:
        times.append(query.to_time)
    return replace(
        place,
        query=query,
        token=token,
        complete_to_slot=max((slot for slot in slots if slot is not None), default=None),
        complete_to_time=max((time for time in times if time is not None), default=None),
        exhausted=token is None and query.to_time is None,
        exhausted_ago=0.0,
    )


def next_early_query(
    place: Place,
    early: EarlyTrades | None,
    *,
    window_seconds: int,
    expected: int | None,
    all_is_cheapest: bool,
) -> HistoryQuery:
    """What to ask for next of a stream whose early window is not read yet.

    After the first hundred transactions the launch is known in most cases, so the window's end is asked for exactly;
    unless it is clear already that the whole tape is the cheapest to read.
    """
    query = place.query
    if query is None:
        return HistoryQuery(first_page(expected), after_slot=place.complete_to_slot)
    probed = query.limit <= PROBE_PAGE and place.transactions >= query.limit
    if place.token is not None and not probed:
        return query
    end = None if early is None or all_is_cheapest else early.launch_time + window_seconds
    return HistoryQuery(PAGE, after_slot=place.complete_to_slot, to_time=end)


def _rest_query(place: Place) -> HistoryQuery:
    """What to ask for next of a stream that is read up to now."""
    query = place.query
    if query is not None and place.token is not None and query.to_time is None and query.limit == PAGE:
        return query
    return HistoryQuery(PAGE, after_slot=place.complete_to_slot)
