"""Calls to DexScreener."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from walltrack.discovery.pumps import Listing
from walltrack.services import rows
from walltrack.services.faults import ProviderFault
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.rows import BadRowError, Found

FEEDS: Final = (
    "token-boosts/latest/v1",
    "token-boosts/top/v1",
    "token-profiles/latest/v1",
    "token-profiles/recent-updates/v1",
)
MOST_ADDRESSES: Final = 30
ROWS_WHERE_CUT: Final = 30
"""`/tokens/v1` stops silently after so many rows."""

_NAME: Final = "dexscreener"
_CHAIN: Final = "solana"


class FeedRow(msgspec.Struct, rename="camel"):
    """A row of boosts or profiles, all chains mixed."""

    chain_id: str
    token_address: str


class Token(msgspec.Struct):
    """One side of a pair."""

    address: str | None = None
    symbol: str | None = None


class Trades(msgspec.Struct):
    """Trades of one window."""

    buys: int | None = None
    sells: int | None = None


class TradesByWindow(msgspec.Struct):
    h24: Trades | None = None


class Windows(msgspec.Struct):
    """A figure by window. Keys are missing where there is nothing to say."""

    m5: float | None = None
    h1: float | None = None
    h6: float | None = None
    h24: float | None = None


class Liquidity(msgspec.Struct):
    usd: float | None = None


class Pair(msgspec.Struct, rename="camel"):
    """A pool. `liquidity` is null or missing for bonding curves; `pair_created_at` is in milliseconds."""

    chain_id: str
    pair_address: str
    base_token: Token
    dex_id: str = ""
    labels: list[str] | None = None
    price_usd: str | None = None
    txns: TradesByWindow | None = None
    volume: Windows | None = None
    price_change: Windows | None = None
    liquidity: Liquidity | None = None
    pair_created_at: float | None = None


class DexScreener:
    """Calls to DexScreener. Methods put failed calls beside what the others brought; they raise no provider's fault."""

    def __init__(self, http: Http, provider: Provider) -> None:
        self._http = http
        self._provider = provider

    async def candidates(self) -> tuple[list[str], Found]:
        """Mints on Solana that are boosted or have a profile, in the feeds' order, and what went wrong.

        The provider is down where every feed failed.
        """
        answers = await asyncio.gather(*(self._feed(feed) for feed in FEEDS))
        found = Found()
        mints: dict[str, None] = {}
        for listed, said in answers:
            mints.update(dict.fromkeys(listed))
            found.add(said)
        return list(mints), found

    async def pools(self, mints: Iterable[str]) -> Found:
        """All pools of the given tokens.

        Asked for in batches, which are halved where the answer was cut, since a token with many pools pushes others
        out, and doubled again where it was nearly empty.
        """
        found = Found()
        left, size = list(dict.fromkeys(mints)), MOST_ADDRESSES
        while left:
            batch = left[:size]
            try:
                answer = await self._tokens(batch)
                if len(answer) >= ROWS_WHERE_CUT and len(batch) > 1:
                    size = max(1, len(batch) // 2)
                    continue
                if len(answer) >= ROWS_WHERE_CUT:
                    answer = await self._pairs(batch[0])
            except ProviderFault as fault:
                found.faults.append(fault)
            else:
                found.add(read_pairs(answer, batch))
                if 2 * len(answer) < ROWS_WHERE_CUT:
                    size = min(MOST_ADDRESSES, 2 * size)
            left = left[len(batch) :]
        return found

    async def _feed(self, feed: str) -> tuple[list[str], Found]:
        try:
            answer = await self._http.get(self._provider, feed, list[msgspec.Raw], bucket="feeds")
        except ProviderFault as fault:
            return [], Found(faults=[fault])
        mints, refused = read_feed(answer)
        return mints, Found(refused_rows=refused, answers=1)

    async def _tokens(self, mints: Sequence[str]) -> list[msgspec.Raw]:
        path = f"tokens/v1/{_CHAIN}/{','.join(mints)}"
        return await self._http.get(self._provider, path, list[msgspec.Raw], method="tokens/v1")

    async def _pairs(self, mint: str) -> list[msgspec.Raw]:
        path = f"token-pairs/v1/{_CHAIN}/{mint}"
        return await self._http.get(self._provider, path, list[msgspec.Raw], method="token-pairs/v1")


def read_feed(answer: Iterable[msgspec.Raw]) -> tuple[list[str], int]:
    """Mints on Solana in a feed, and how many rows were refused."""
    return rows.read_rows(
        answer, FeedRow, lambda row: rows.address(row.token_address) if row.chain_id == _CHAIN else None
    )


def read_pairs(answer: Iterable[msgspec.Raw], asked: Iterable[str] | None = None) -> Found:
    """Pools whose base is a token that was asked for; of any token where `asked` is None."""
    wanted = None if asked is None else frozenset(asked)

    def read(pair: Pair) -> Listing | None:
        mint = rows.address(pair.base_token.address)
        if pair.chain_id != _CHAIN or (wanted is not None and mint not in wanted):
            return None
        return _listing(pair, mint)

    listings, refused = rows.read_rows(answer, Pair, read)
    return Found(listings, refused, answers=1)


def _listing(pair: Pair, mint: str) -> Listing:
    trades = (pair.txns and pair.txns.h24) or Trades()
    change = pair.price_change or Windows()
    if pair.pair_created_at is not None and pair.pair_created_at < 0:
        raise BadRowError("a time before 1970")
    return Listing(
        provider=_NAME,
        mint=mint,
        pool=rows.address(pair.pair_address),
        symbol=rows.symbol(pair.base_token.symbol),
        dex=rows.symbol("-".join([pair.dex_id, *(label.lower() for label in pair.labels or ())])),
        created_at=rows.moment_of_milliseconds(pair.pair_created_at),
        price_usd=rows.usd(pair.price_usd),
        changes_pct=rows.changes([(5 / 60, change.m5), (1, change.h1), (6, change.h6), (24, change.h24)]),
        volume_usd=rows.usd(pair.volume.h24 if pair.volume else None),
        liquidity_usd=rows.usd(pair.liquidity.usd if pair.liquidity else None),
        buys=rows.count(trades.buys),
        sells=rows.count(trades.sells),
    )
