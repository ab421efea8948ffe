"""Pages of a wallet's history from a provider, newest first, by either route; and what they hold, decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import msgspec
import polars as pl
from solders.signature import Signature

from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.history_stretches import HistoryPage, Stretch, is_undecided
from walltrack.discovery.reading_plan import BATCH, PAGE, PER_100
from walltrack.discovery.tape_streams import HistoryQuery, ListedSignature
from walltrack.discovery.transactions import RpcTransaction, Transaction
from walltrack.discovery.wallet_history import TIMES_SCHEMA, HistoryRows, history_rows
from walltrack.services.chain.purse import Purse, TapeCutError
from walltrack.services.chain.signature_stream import Fetching, fetched_transactions
from walltrack.services.faults import RefusedFault
from walltrack.services.helius.history import HeliusHistory, HistoryWalk, credits_of
from walltrack.services.helius.history import HistoryPage as Delivered
from walltrack.services.solana_rpc.received import received

_LOST_PLACE: Final = "invalid pagination"
_UNREADABLE: Final = (WallTrackError, LookupError, ValueError, TypeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class ReceivedPage:
    """What a provider delivered, oldest first, and the stretch as far as the delivery itself tells: how to go on.

    `listed` are the transactions that a list named, `items` only those of them that were asked for; without a list
    `items` are all. `missing` were never delivered.
    """

    stretch: Stretch
    items: Sequence[msgspec.Raw | RpcTransaction | None]
    listed: Sequence[ListedSignature] | None = None
    missing: int = 0


class PageSource(Protocol):
    """Where the pages of one wallet come from. Raises TapeCutError, and the faults of the provider."""

    async def next_page(self, stretch: Stretch, most: int) -> ReceivedPage:
        """The page after what a stretch holds, of `most` transactions at the most."""
        ...


class HistoryPages:
    """Pages by getTransactionsForAddress."""

    def __init__(self, client: HeliusHistory, wallet: str, purse: Purse) -> None:
        self._client = client
        self._wallet = wallet
        self._purse = purse
        self._walk: HistoryWalk | None = None

    async def next_page(self, stretch: Stretch, most: int) -> ReceivedPage:
        limit = min(PAGE, most)
        query = _query(stretch, limit, min(PAGE, limit + len(stretch.edge)))
        wanted = credits_of(query.limit)
        async with self._purse.paying(wanted, least=PER_100) as payment:
            if payment.reserved < wanted:
                # What is left buys a smaller page, and that is another query.
                room = payment.reserved // PER_100 * 100
                query = _query(stretch, room, room)
            token = stretch.token if query == stretch.query else None
            try:
                page = await self._page(query, token)
            except RefusedFault as fault:
                if token is None or _LOST_PLACE not in fault.said.lower():
                    raise
                query = _query(replace(stretch, token=None), query.limit, query.limit)
                page = await self._page(query, None)
            payment.used = page.credits
        after = replace(stretch, query=query, token=page.token, done=page.token is None)
        return ReceivedPage(after, page.items[::-1])

    async def _page(self, query: HistoryQuery, token: str | None) -> Delivered:
        if self._walk is None or self._walk.query != query or token is None:
            self._walk = HistoryWalk(self._client, self._wallet, query, token)
        return await self._walk.next_page()


def _query(stretch: Stretch, least: int, limit: int) -> HistoryQuery:
    """What to ask for next: the stretch's own query where it has a token to go on with and such a limit, else one from
    its oldest slot down. That may not be whole; what of it comes a second time counts in the limit.
    """
    query = stretch.query
    if query is not None and stretch.token is not None and least <= query.limit <= limit:
        return query
    return HistoryQuery(
        limit,
        after_slot=stretch.after_slot,
        from_time=stretch.from_time,
        to_time=stretch.to_time,
        to_slot=stretch.oldest_slot,
        of_wallet=True,
    )


@dataclass(slots=True)
class SignaturePages:
    """Pages by getSignaturesForAddress and getTransaction. Failed transactions are known from the list, and not asked
    for. Those that name no account but a token account of the wallet's are not listed.
    """

    session: Fetching
    wallet: str
    _of: tuple[int, int | None] | None = field(default=None, init=False)
    _left: deque[ListedSignature] = field(default_factory=deque, init=False)
    _before: str | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)
    _refused: int = field(default=0, init=False)

    async def next_page(self, stretch: Stretch, most: int) -> ReceivedPage:
        if self._of != (stretch.first, stretch.from_time):
            self._of, self._left, self._ended = (stretch.first, stretch.from_time), deque(), False
            self._before = stretch.edge[-1] if stretch.edge else None
        await self._list(stretch, most)
        page = await self._fetched(most)
        refused, self._refused = self._refused, 0
        after = replace(
            stretch,
            query=None,
            token=None,
            done=self._ended and not self._left,
            refused=stretch.refused + refused,
        )
        return replace(page, stretch=after)

    async def _list(self, stretch: Stretch, most: int) -> None:
        """List so many transactions that a page can be made of them, or to the stretch's end."""
        session = self.session
        price = session.rpc.historical_credits
        while not self._ended and len(whole := self._whole()) < most and _succeeded(whole) < BATCH:
            try:
                async with session.purse.paying(price) as payment:
                    page = await session.rpc.signatures(self.wallet, before=self._before)
                    payment.used = price
            except TapeCutError:
                if whole:
                    return
                raise
            self._before, self._ended = page.last or self._before, page.is_end
            self._refused += page.refused
            for one in page.named:
                if _is_beyond(one, stretch):
                    self._ended = True
                    break
                self._left.append(one)

    def _whole(self) -> list[ListedSignature]:
        """What is listed, without a slot of which more may follow: its places are not known yet."""
        if self._ended or not self._left:
            return list(self._left)
        last = self._left[-1].slot
        return [one for one in self._left if one.slot != last]

    async def _fetched(self, most: int) -> ReceivedPage:
        """The next transactions of the list, as many as the budget suffices for."""
        whole = self._whole()
        while True:
            asked = await self._affordable()
            chunk = _first_of(whole, most, asked)
            if whole and not chunk:
                chunk = _first_of(whole, most, 1)  # to be told that it cannot be paid
            signatures = [one.signature for one in chunk if not one.failed]
            try:
                fetched = await fetched_transactions(self.session, signatures)
                break
            except TapeCutError:
                if len(signatures) <= max(1, await self._affordable()):
                    raise
        found = dict(zip(signatures, fetched, strict=True))
        items: list[RpcTransaction | None] = []
        missing = 0
        for number in range(len(chunk) - 1, -1, -1):
            one = chunk[number]
            item = found.get(one.signature)
            if one.failed:
                continue
            if item is None:
                missing += 1
            elif isinstance(item, RpcTransaction) and item.transaction.signatures[:1] == [one.signature]:
                # Where a node does not say a transaction's place in its slot, the list's order does.
                item.transaction_index = _older_of_slot(whole, number)
                item.block_time = one.block_time if item.block_time is None else item.block_time
                items.append(item)
            else:
                items.append(None)
        for _ in chunk:
            self._left.popleft()
        return ReceivedPage(Stretch(0, 0), items, chunk[::-1], missing)

    async def _affordable(self) -> int:
        available = await self.session.purse.available()
        return BATCH if available is None else min(BATCH, available // self.session.rpc.historical_credits)


def _succeeded(listed: Sequence[ListedSignature]) -> int:
    return sum(not one.failed for one in listed)


def _first_of(listed: Sequence[ListedSignature], most: int, succeeded: int) -> list[ListedSignature]:
    chunk: list[ListedSignature] = []
    for one in listed[:most]:
        succeeded -= not one.failed
        if succeeded < 0:
            break
        chunk.append(one)
    return chunk


def _older_of_slot(listed: Sequence[ListedSignature], number: int) -> int:
    """How many of a list, newest first, stand behind one of them in the same slot."""
    end = number + 1
    while end < len(listed) and listed[end].slot == listed[number].slot:
        end += 1
    return end - number - 1


def _is_beyond(one: ListedSignature, stretch: Stretch) -> bool:
    if stretch.after_slot is not None and one.slot <= stretch.after_slot:
        return True
    return stretch.from_time is not None and one.block_time is not None and one.block_time < stretch.from_time


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """A page to be stored, with the stretch after it and the owners of escrows known then. None: it held nothing."""

    page: HistoryPage | None
    stretch: Stretch
    escrow_owners: Mapping[str, str]


def decode_page(wallet: str, given: ReceivedPage, escrow_owners: Mapping[str, str]) -> DecodedPage:
    """Decode a page. What the stretch holds already is left out; what is no transaction is counted as refused.

    Computation, for a thread.
    """
    stretch = given.stretch
    known = set(stretch.edge)
    page = received(given.items, "")
    transactions = _timed([tx for tx in page.transactions if tx.signature not in known], stretch)
    rows, transactions, unreadable = _rows(wallet, transactions, escrow_owners)
    failed = [one for one in given.listed or () if one.failed]
    places = (
        [(tx.signature, tx.slot, tx.block_time) for tx in transactions]
        if given.listed is None
        else [(one.signature, one.slot, one.block_time) for one in given.listed]
    )
    after = stretch.with_read(
        places,
        transactions=len(transactions) + len(failed),
        refused=page.refused + unreadable,
        missing=given.missing,
    )
    if not transactions and not failed:
        return DecodedPage(None, after, rows.escrow_owners)
    undecided = {tx.signature for tx in transactions if is_undecided(wallet, tx, rows.escrow_owners)}
    frame = rows.frame.filter(~pl.col("signature").is_in(_raw(undecided))) if undecided else rows.frame
    return DecodedPage(
        HistoryPage(
            stretch.first,
            frame,
            _times(rows.times, transactions, given, stretch),
            tuple(_json_of(given.items, undecided)),
        ),
        after,
        rows.escrow_owners,
    )


def _rows(
    wallet: str, transactions: list[Transaction], owners: Mapping[str, str]
) -> tuple[HistoryRows, list[Transaction], int]:
    """The rows, the transactions they are of, and how many had to be left out because they cannot be read."""
    try:
        return history_rows(wallet, transactions, owners), transactions, 0
    except _UNREADABLE:
        readable = [tx for tx in transactions if _is_readable(wallet, tx, owners)]
        return history_rows(wallet, readable, owners), readable, len(transactions) - len(readable)


def _is_readable(wallet: str, transaction: Transaction, owners: Mapping[str, str]) -> bool:
    try:
        history_rows(wallet, [transaction], owners)
    except _UNREADABLE:
        return False
    return True


def _timed(transactions: list[Transaction], stretch: Stretch) -> list[Transaction]:
    """The transactions, with a time where none of them has one: that of the stretch they continue."""
    time = _about(stretch)
    if time is None or any(tx.block_time is not None for tx in transactions):
        return transactions
    return [replace(tx, block_time=time) for tx in transactions]


def _times(
    times: pl.DataFrame, transactions: Sequence[Transaction], given: ReceivedPage, stretch: Stretch
) -> pl.DataFrame:
    """The times of all transactions of a page. Of failed ones a list does not say who signed: taken for the wallet."""
    if given.listed is None:
        return times
    of_read = dict(zip((tx.signature for tx in transactions), times.iter_rows(), strict=True))
    about = next((one.block_time for one in given.listed if one.block_time is not None), _about(stretch))
    rows = []
    for one in given.listed:
        about = about if one.block_time is None else one.block_time
        if one.failed and about is not None:
            rows.append((about, True, True))
        elif one.signature in of_read:
            rows.append(of_read[one.signature])
    return pl.DataFrame(rows, schema=TIMES_SCHEMA, orient="row")


def _about(stretch: Stretch) -> int | None:
    """A second near those that an address without times has next."""
    return stretch.from_time if stretch.oldest_time is None else stretch.oldest_time


def _raw(signatures: Iterable[str]) -> list[bytes]:
    return [bytes(Signature.from_string(one)) for one in signatures]


def _json_of(items: Iterable[msgspec.Raw | RpcTransaction | None], signatures: set[str]) -> Iterator[bytes]:
    for item in items if signatures else ():
        if isinstance(item, RpcTransaction):
            if item.transaction.signatures[0] in signatures:
                yield _encoded(item)
        elif item is not None and any(one.encode() in bytes(item) for one in signatures):
            yield bytes(item)


def _encoded(item: RpcTransaction) -> bytes:
    """JSON of a decoded transaction; a part that was absent is null, since nothing is no JSON."""
    meta, message = item.meta, item.transaction.message
    assert meta is not None
    meta.inner_instructions = meta.inner_instructions or msgspec.Raw(b"null")
    message.instructions = message.instructions or msgspec.Raw(b"null")
    return msgspec.json.encode(item)
