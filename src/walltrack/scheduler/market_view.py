"""What the market says now, for people who look: which tokens pumped, and what a run would cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from async_lru import alru_cache

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.sol_price_repo import SolPriceRepository
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.discovery.clock import Clock
from walltrack.discovery.models import CHOOSING, DiscoveryRunParams, ReadingCost
from walltrack.discovery.pumps import Pumps
from walltrack.discovery.reading_plan import Tariff
from walltrack.scheduler.live_source import chain_of, forecasts_of
from walltrack.scheduler.trigger import MarketName
from walltrack.services.http import Http
from walltrack.services.markets import LiveMarkets
from walltrack.services.metering import Meter
from walltrack.services.providers import geckoterminal
from walltrack.services.retries import RetryPolicy
from walltrack.services.sol_prices import SolPrices
from walltrack.services.wire import HttpBounds

KEPT_SECONDS: Final = 60
_QUESTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class ServedMarket:
    """The market that runs are made on: settings with its addresses, its clock, and its name on the runs' records."""

    settings: Settings
    clock: Clock
    name: MarketName


@dataclass(frozen=True, slots=True)
class PumpsSeen:
    """What the markets listed at `as_of`, and what the operator should know of it."""

    pumps: Pumps
    warnings: tuple[str, ...]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class RunForecast:
    """What a run would cost now: reading its `tokens`, and what the wallets' own histories come to at most."""

    tokens: int
    reading: ReadingCost
    histories_at_most: ReadingCost


class MarketView:
    """Asks the market, the same question once a minute at most. What it costs is booked outside of runs.

    Raises NoMarketError and the faults of `walltrack.services.faults` where nobody answers; that is not kept.
    """

    def __init__(self, database: Database, market: ServedMarket) -> None:
        self._database = database
        self._market = market
        self._asked = alru_cache(maxsize=_QUESTIONS, ttl=KEPT_SECONDS)(self._ask)
        self._priced = alru_cache(maxsize=1, ttl=KEPT_SECONDS)(self._price)

    async def pumps(self, params: DiscoveryRunParams) -> PumpsSeen:
        """The tokens that pumped by these parameters, and the others with their reasons."""
        # The others choose no token, so they make no other question.
        chosen = {name: getattr(params, name) for name in CHOOSING}
        return await self._asked(DiscoveryRunParams(**chosen))

    async def sol_price(self) -> tuple[datetime, Decimal] | None:
        """USD for one SOL at the close of the hour that was over last, with that hour; None without a trade."""
        hour = self._market.clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        price = await self._priced(hour)
        return None if price is None else (hour, price)

    async def forecast(self, params: DiscoveryRunParams) -> RunForecast:
        """What a run with these parameters would cost now."""
        settings = self._market.settings
        seen = await self.pumps(params)
        listed = {token.mint: token for token in seen.pumps.pumped}
        tariff = await self._tariff()
        forecasts = forecasts_of(listed, tariff, params, seen.as_of).values()
        reading = ReadingCost(sum(one.requests for one in forecasts), sum(one.credits for one in forecasts))
        wallets = settings.profile_max_wallets if params.profile_immediately and listed else 0
        each = settings.profile_max_transactions
        histories = ReadingCost(wallets * tariff.requests(each), wallets * tariff.reading(each))
        return RunForecast(len(listed), reading, histories)

    async def _ask(self, params: DiscoveryRunParams) -> PumpsSeen:
        async with self._http() as http:
            now = self._market.clock.now()
            pumps, warnings = await LiveMarkets(http, self._market.settings).pumped(params, now)
        return PumpsSeen(pumps, tuple(warnings), now)

    async def _price(self, hour: datetime) -> Decimal | None:
        async with self._http() as http:
            provider = geckoterminal(self._market.settings)
            prices = SolPrices(http, provider, SolPriceRepository(self._database))
            return (await prices.prices([hour], self._market.clock.now())).get(hour)

    async def _tariff(self) -> Tariff:
        async with self._http() as http:
            return await chain_of(http, self._market.settings, TapeRepository(self._database)).tariff()

    def _http(self) -> Http:
        rows, settings = ProviderRepository(self._database), self._market.settings
        # What a made-up market takes is nobody's spending.
        meter = Meter() if self._market.name.demo else Meter(None, rows)
        retries = RetryPolicy(tries=settings.http_tries)
        return Http(quotas=rows, meter=meter, bounds=HttpBounds.of(settings), retries=retries)
