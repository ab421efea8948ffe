"""The price of SOL by the hour, asked once for each hour and kept for ever."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from walltrack.services.geckoterminal.client import Candles
from walltrack.services.http import Http
from walltrack.services.providers import Provider

SOL_USDC_POOL: Final = "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE"
"""Orca's pool of SOL and USDC, whose candles give the price. Source: GeckoTerminal's list of SOL's pools."""

SOURCE: Final = f"GeckoTerminal, hourly close of pool {SOL_USDC_POOL}"

_MOST_CANDLES: Final = 1000
_HOUR: Final = timedelta(hours=1)


class PriceStore(Protocol):
    """Where prices are kept."""

    async def get_prices(self, hours: Collection[datetime]) -> dict[datetime, Decimal]: ...

    async def add_prices(self, prices: Mapping[datetime, Decimal], source: str) -> None: ...


class SolPrices:
    """Prices of SOL in US dollars: the close of each hour."""

    def __init__(self, http: Http, geckoterminal: Provider, store: PriceStore) -> None:
        self._http = http
        self._provider = geckoterminal
        self._store = store

    async def prices(self, hours: Collection[datetime], now: datetime) -> dict[datetime, Decimal]:
        """USD for one SOL, by the beginning of the hour. Hours for which there is no candle are left out.

        Only hours that are over at `now` are kept: a running one still changes. Raises ProviderFault, and what the
        store raises.
        """
        found = await self._store.get_prices(hours)
        missing = sorted(set(hours) - set(found))
        while missing:
            before = missing[-1] + _HOUR
            asked = await self._candles(before)
            over = {hour: price for hour, price in asked.items() if hour + _HOUR <= now}
            await self._store.add_prices(over, SOURCE)
            found |= {hour: asked[hour] for hour in missing if hour in asked}
            reached = min(asked, default=before)
            missing = [hour for hour in missing if hour < min(reached, before - _MOST_CANDLES * _HOUR)]
        return {hour: found[hour] for hour in hours if hour in found}

    async def _candles(self, before: datetime) -> dict[datetime, Decimal]:
        answer = await self._http.get(
            self._provider,
            f"networks/solana/pools/{SOL_USDC_POOL}/ohlcv/hour",
            Candles,
            params={
                "aggregate": 1,
                "limit": _MOST_CANDLES,
                "before_timestamp": int(before.timestamp()),
                "currency": "usd",
                "token": "base",
            },
            method="pools/ohlcv",
        )
        closes = {}
        for row in answer.data.attributes.ohlcv_list:
            time, close = (row[0], row[4]) if len(row) > 4 else (None, None)
            if time is not None and close is not None and close > 0:
                closes[datetime.fromtimestamp(time, before.tzinfo)] = Decimal(repr(close))
        return closes
