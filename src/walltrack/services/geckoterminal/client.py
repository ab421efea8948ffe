"""Calls to GeckoTerminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from walltrack.discovery.market_mints import NEVER_PUMPED
from walltrack.discovery.pumps import Listing
from walltrack.services import rows
from walltrack.services.faults import ProviderFault
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.rows import BadRowError, Found

MOST_ADDRESSES: Final = 30
PAGES: Final[tuple[tuple[str, Mapping[str, str | int]], ...]] = (
    ("trending_pools", {"duration": "24h", "page": 1}),
    ("trending_pools", {"duration": "24h", "page": 2}),
    ("pools", {"sort": "h24_volume_usd_desc", "page": 1}),
    ("pools", {"sort": "h24_volume_usd_desc", "page": 2}),
    ("new_pools", {"page": 1}),
)
"""The lists that are read for candidates: few, since 30 calls a minute are all there is."""

_NAME: Final = "geckoterminal"
_NETWORK: Final = "networks/solana"
_ID_PREFIX: Final = "solana_"
_MOST_CANDLES: Final = 1000


class Related(msgspec.Struct):
    id: str


class Relation(msgspec.Struct):
    data: Related | None = None


class Relations(msgspec.Struct):
    base_token: Relation | None = None
    quote_token: Relation | None = None
    dex: Relation | None = None


class Windows(msgspec.Struct):
    """A figure by window; numbers are text."""

    m5: str | float | None = None
    m15: str | float | None = None
    m30: str | float | None = None
    h1: str | float | None = None
    h6: str | float | None = None
    h24: str | float | None = None


class Trades(msgspec.Struct):
    buys: int | None = None
    sells: int | None = None
    buyers: int | None = None
    sellers: int | None = None


class TradesByWindow(msgspec.Struct):
    h24: Trades | None = None


class PoolAttributes(msgspec.Struct):
    """All numbers are text, "NaN" among them; `pool_created_at` is ISO 8601."""

    address: str
    name: str | None = None
    pool_created_at: str | None = None
    base_token_price_usd: str | float | None = None
    quote_token_price_usd: str | float | None = None
    price_change_percentage: Windows | None = None
    transactions: TradesByWindow | None = None
    volume_usd: Windows | None = None
    reserve_in_usd: str | float | None = None


class Pool(msgspec.Struct):
    """A pool as JSON:API gives it."""

    attributes: PoolAttributes
    relationships: Relations


class Page(msgspec.Struct):
    data: list[msgspec.Raw]


class CandleAttributes(msgspec.Struct):
    ohlcv_list: list[list[float | None]]


class CandleData(msgspec.Struct):
    attributes: CandleAttributes


class Candles(msgspec.Struct):
    """Rows of [unix seconds, open, high, low, close, volume in US dollars], newest first, gaps left out."""

    data: CandleData


@dataclass(frozen=True, slots=True)
class PriceRange:
    """The first and the highest price of a token in a pool, in US dollars."""

    first: float
    highest: float


class GeckoTerminal:
    """Calls to GeckoTerminal."""

    def __init__(self, http: Http, provider: Provider) -> None:
        self._http = http
        self._provider = provider

    async def listed(self) -> Found:
        """Pools that trend, trade most or are new, and the calls that failed. Raises no provider's fault."""
        found = Found()
        for page in await asyncio.gather(*(self._page(path, params) for path, params in PAGES)):
            found.add(page)
        return found

    async def pools(self, addresses: Iterable[str]) -> Found:
        """The given pools, in batches of 30, and the calls that failed. Raises no provider's fault."""
        wanted = list(dict.fromkeys(addresses))
        found = Found()
        for start in range(0, len(wanted), MOST_ADDRESSES):
            batch = wanted[start : start + MOST_ADDRESSES]
            found.add(await self._page(f"pools/multi/{','.join(batch)}", {}, method="pools/multi"))
        return found

    async def price_range(self, pool: str, mint: str) -> PriceRange | None:
        """A token's first and highest price in a pool, by hourly candles; None where there is none.

        Candles of the last 1,000 hours, so the pool must be younger for its first. Raises ProviderFault.
        """
        answer = await self._http.get(
            self._provider,
            f"{_NETWORK}/pools/{pool}/ohlcv/hour",
            Candles,
            params={"aggregate": 1, "limit": _MOST_CANDLES, "currency": "usd", "token": mint},
            method="pools/ohlcv",
        )
        return range_of_candles(answer.data.attributes.ohlcv_list)

    async def _page(self, path: str, params: Mapping[str, str | int], method: str | None = None) -> Found:
        try:
            page = await self._http.get(
                self._provider, f"{_NETWORK}/{path}", Page, params=params, method=method or path
            )
        except ProviderFault as fault:
            return Found(faults=[fault])
        return read_pools(page.data)


def read_pools(data: Iterable[msgspec.Raw]) -> Found:
    """Pools of a page, each under the token that is traded in it."""
    listings, refused = rows.read_rows(data, Pool, _listing)
    return Found(listings, refused, answers=1)


def range_of_candles(candles: Iterable[list[float | None]]) -> PriceRange | None:
    """First open and highest high. Rows may come in any order, twice or broken."""
    whole = [
        (time, opened, high)
        for time, opened, high in ((row[0], row[1], row[2]) for row in candles if len(row) >= 3)
        if time is not None and opened is not None and high is not None and opened > 0 and high > 0
    ]
    if not whole:
        return None
    return PriceRange(min(whole)[1], max(high for _, _, high in whole))


def _listing(pool: Pool) -> Listing:
    said, sides = pool.attributes, pool.relationships
    base, quote = _mint(sides.base_token), _mint(sides.quote_token)
    is_reversed = base in NEVER_PUMPED and quote not in NEVER_PUMPED
    trades = (said.transactions and said.transactions.h24) or Trades()
    change = said.price_change_percentage or Windows()
    windows = (
        *((5 / 60, change.m5), (0.25, change.m15), (0.5, change.m30)),
        *((1, change.h1), (6, change.h6), (24, change.h24)),
    )
    ahead = Listing(
        provider=_NAME,
        mint=base,
        pool=rows.address(said.address),
        symbol=rows.symbol((said.name or "").partition(" / ")[0]),
        dex=_dex(pool),
        created_at=rows.moment(said.pool_created_at),
        price_usd=rows.usd(said.base_token_price_usd),
        changes_pct=rows.changes(windows),
        volume_usd=rows.usd(said.volume_usd.h24 if said.volume_usd else None),
        liquidity_usd=rows.usd(said.reserve_in_usd),
        buys=rows.count(trades.buys),
        sells=rows.count(trades.sells),
        buyers=rows.count(trades.buyers),
        sellers=rows.count(trades.sellers),
    )
    return _turned(ahead, quote, said) if is_reversed else ahead


def _turned(pool: Listing, mint: str, said: PoolAttributes) -> Listing:
    """The same pool from its quote side: who buys the base sells the token, and its changes are not the token's."""
    return Listing(
        provider=pool.provider,
        mint=mint,
        pool=pool.pool,
        symbol=rows.symbol((said.name or "").partition(" / ")[2]),
        dex=pool.dex,
        created_at=pool.created_at,
        price_usd=rows.usd(said.quote_token_price_usd),
        volume_usd=pool.volume_usd,
        liquidity_usd=pool.liquidity_usd,
        buys=pool.sells,
        sells=pool.buys,
        buyers=pool.sellers,
        sellers=pool.buyers,
    )


def _dex(pool: Pool) -> str:
    dex = pool.relationships.dex
    return rows.symbol(dex.data.id) if dex is not None and dex.data is not None else ""


def _mint(side: Relation | None) -> str:
    if side is None or side.data is None or not side.data.id.startswith(_ID_PREFIX):
        raise BadRowError("no token named")
    return rows.address(side.data.id.removeprefix(_ID_PREFIX))
