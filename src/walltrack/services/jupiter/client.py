"""Calls to Jupiter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from walltrack.discovery.pumps import Listing
from walltrack.services import rows
from walltrack.services.faults import ProviderFault
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.rows import Found

LISTS: Final = ("toptrending", "toptraded")

_NAME: Final = "jupiter"


class FirstPool(msgspec.Struct, rename="camel"):
    created_at: str | None = None


class Stats(msgspec.Struct, rename="camel"):
    """Figures of one window."""

    price_change: float | None = None
    buy_volume: float | None = None
    sell_volume: float | None = None
    num_buys: int | None = None
    num_sells: int | None = None


class Token(msgspec.Struct, rename="camel"):
    """A token. Nearly every field can be null or missing."""

    id: str
    symbol: str | None = None
    created_at: str | None = None
    first_pool: FirstPool | None = None
    usd_price: float | None = None
    liquidity: float | None = None
    stats5m: Stats | None = None
    stats1h: Stats | None = None
    stats6h: Stats | None = None
    stats24h: Stats | None = None


class Jupiter:
    """Calls to Jupiter."""

    def __init__(self, http: Http, provider: Provider) -> None:
        self._http = http
        self._provider = provider

    async def listed(self) -> Found:
        """Tokens that trend or trade most, and the calls that failed. Raises no provider's fault."""
        found = Found()
        for answer in await asyncio.gather(*(self._list(name) for name in LISTS)):
            found.add(answer)
        return found

    async def _list(self, name: str) -> Found:
        try:
            answer = await self._http.get(
                self._provider, f"tokens/v2/{name}/24h", list[msgspec.Raw], params={"limit": 100}
            )
        except ProviderFault as fault:
            return Found(faults=[fault])
        return read_tokens(answer)


def read_tokens(answer: Iterable[msgspec.Raw]) -> Found:
    """Tokens of a list, each as a whole: Jupiter's figures are over all pools."""
    listings, refused = rows.read_rows(answer, Token, _listing)
    return Found(listings, refused, answers=1)


def _listing(token: Token) -> Listing:
    day = token.stats24h or Stats()
    windows = ((5 / 60, token.stats5m), (1.0, token.stats1h), (6.0, token.stats6h), (24.0, token.stats24h))
    bought, sold = rows.usd(day.buy_volume), rows.usd(day.sell_volume)
    return Listing(
        provider=_NAME,
        mint=rows.address(token.id),
        symbol=rows.symbol(token.symbol),
        created_at=rows.moment(token.first_pool.created_at if token.first_pool else None),
        token_created_at=rows.moment(token.created_at),
        price_usd=rows.usd(token.usd_price),
        changes_pct=rows.changes([(hours, stats.price_change) for hours, stats in windows if stats]),
        volume_usd=None if bought is None and sold is None else (bought or 0.0) + (sold or 0.0),
        liquidity_usd=rows.usd(token.liquidity),
        buys=rows.count(day.num_buys),
        sells=rows.count(day.num_sells),
    )
