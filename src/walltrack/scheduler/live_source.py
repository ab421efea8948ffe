"""The live market and chain as the source of a run's tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.sol_price_repo import SolPriceRepository
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.data.supabase.repositories.wallet_history_repo import WalletHistoryRepository
from walltrack.discovery.clock import Clock
from walltrack.discovery.models import (
    DiscoveryRunParams,
    ListedToken,
    ReadingCost,
    TokenMarket,
    TokenRefusal,
)
from walltrack.discovery.pipeline import TapeReading, TokenList
from walltrack.discovery.profiling import HistoryReading
from walltrack.discovery.pumps import PumpedToken
from walltrack.discovery.reading_plan import (
    CreditBudget,
    Forecast,
    MarketCounts,
    Tariff,
    forecast,
    within_budget,
)
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.valuation import hours_to_value, in_sol
from walltrack.discovery.wallet_history import stable_hours, valued
from walltrack.services import providers
from walltrack.services.chain import Bounds, ChainReader
from walltrack.services.chain.purse import Budget, LocalBudget
from walltrack.services.chain.reader import pools_to_read
from walltrack.services.chain.wallet_histories import WalletHistoryReader
from walltrack.services.faults import ProviderFault
from walltrack.services.helius import HeliusHistory
from walltrack.services.http import Http
from walltrack.services.markets import LiveMarkets
from walltrack.services.metering import Meter
from walltrack.services.retries import RetryPolicy
from walltrack.services.sol_prices import SolPrices
from walltrack.services.solana_rpc import SolanaRpc
from walltrack.services.wire import Client, HttpBounds

TOKENS_AT_ONCE: Final = 8
"""Tokens that are read at the same time: enough to keep a plan's rate busy while each waits for its pages."""


class LiveMarket:
    """Tokens that the markets list, or those that are named, read from the chain.

    `clock` is the market's: a sandbox has its own time. A `client` that is given is used for every source, so that
    connections outlive each of them.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        description: str,
        demo: bool = False,
        mints: Sequence[str] = (),
        client: Client | None = None,
    ) -> None:
        self.description = description
        self.demo = demo
        self._settings = settings
        self._database = database
        self._clock = clock
        self._mints = mints
        self._client = client

    @asynccontextmanager
    async def opened(self, run_id: UUID, budget: Budget | None = None) -> AsyncIterator[LiveTokens]:
        """The source, for one run: what it spends is metered under that run, out of the budget where there is one."""
        settings = self._settings
        provider_rows = ProviderRepository(self._database)
        meter = Meter(run_id, provider_rows)
        retries = RetryPolicy(tries=settings.http_tries)
        bounds = _bounds(settings)
        async with Http(
            quotas=provider_rows,
            meter=meter,
            bounds=HttpBounds.of(settings),
            retries=retries,
            client=self._client,
        ) as http:
            tapes = TapeRepository(self._database)
            rpc, history = _nodes(http, settings)
            yield LiveTokens(
                run_id,
                markets=LiveMarkets(http, settings),
                chain=chain_of(http, settings, tapes),
                histories=WalletHistoryReader(
                    rpc,
                    WalletHistoryRepository(self._database),
                    tapes,
                    history=history,
                    lookback_days=settings.profile_lookback_days,
                    max_transactions=settings.profile_max_transactions,
                    bounds=bounds,
                ),
                prices=SolPrices(http, providers.geckoterminal(settings), SolPriceRepository(self._database)),
                listings=RunListingRepository(self._database),
                clock=self._clock,
                budget=budget or LocalBudget(CreditBudget()),
                description=self.description,
                mints=self._mints,
            )


class LiveTokens:
    """The tokens of one run."""

    def __init__(
        self,
        run_id: UUID,
        *,
        markets: LiveMarkets,
        chain: ChainReader,
        histories: WalletHistoryReader,
        prices: SolPrices,
        listings: RunListingRepository,
        clock: Clock,
        budget: Budget,
        description: str,
        mints: Sequence[str],
    ) -> None:
        self.description = description
        self.warnings: list[str] = []
        self._run_id = run_id
        self._markets = markets
        self._chain = chain
        self._histories = histories
        self._prices = prices
        self._listings = listings
        self._clock = clock
        self._mints = mints
        self._budget = budget

    @property
    def at_once(self) -> int:
        return TOKENS_AT_ONCE

    async def list_tokens(self, params: DiscoveryRunParams) -> TokenList:
        """Named tokens as they are, else those that pumped; the cheapest to read first where credits are bounded."""
        if self._mints:
            return TokenList([ListedToken(mint) for mint in dict.fromkeys(self._mints)])
        pumps, warnings = await self._markets.pumped(params, self._clock.now())
        self.warnings += warnings
        listed = {token.mint: token for token in pumps.pumped}
        refused = [TokenRefusal(token.mint, token.symbol, str(token.reason)) for token in pumps.refused]
        if not listed:
            return TokenList([], refused)
        tariff = await self._chain.tariff(self._budget)
        forecasts = forecasts_of(listed, tariff, params, self._clock.now())
        affordable, others = within_budget(forecasts.values(), await self._budget.available())
        in_order = forecasts.values() if params.max_credits is None else (*affordable, *others)
        too_dear = {one.mint: _too_dear(one, params.max_credits) for one in others}
        return TokenList(
            [
                ListedToken(
                    one.mint,
                    ReadingCost(one.requests, one.credits),
                    _market(listed[one.mint]),
                    too_dear.get(one.mint),
                )
                for one in in_order
            ],
            refused,
        )

    async def read_tape(self, token: ListedToken, params: DiscoveryRunParams) -> TapeReading:
        """A token's tape, its stablecoin trades valued in SOL."""
        market = token.market
        read = await self._chain.read(
            token.mint,
            pools=pools_to_read(market.pools) if market else (),
            window_seconds=_window_seconds(params),
            counts=_counts(market, self._clock.now()) if market else None,
            budget=self._budget,
            include_launch_slot=params.include_launch_slot,
        )
        tape = read.tape if isinstance(read.tape, Unmeasurable) else await self._valued(read.tape)
        return TapeReading(tape, ReadingCost(read.requests, read.credits), str(read.plan), read.segments)

    def now(self) -> datetime:
        """The market's time."""
        return self._clock.now()

    async def read_history(self, wallet: str) -> HistoryReading:
        """A wallet's own history, its stablecoin trades valued in SOL, out of the same budget as the tapes."""
        read = await self._histories.read(wallet, now=self._clock.now(), budget=self._budget)
        history = read.history
        if not isinstance(history, Unmeasurable):
            history = valued(history, await self._sol_prices(stable_hours(history), wallet))
        return HistoryReading(history, read.cost)

    async def _valued(self, tape: Tape) -> Tape:
        prices = await self._sol_prices(hours_to_value(tape), tape.mint)
        return in_sol(tape, prices) if prices else tape

    async def _sol_prices(self, hours: Collection[datetime], whose: str) -> Mapping[datetime, Decimal]:
        """The hours' SOL prices; none, with a warning, where they cannot be had."""
        if not hours:
            return {}
        try:
            prices = await self._prices.prices(hours, self._clock.now())
        except ProviderFault as fault:
            self.warnings.append(f"{whose}: trades against stablecoins are unpriced: {fault}")
            return {}
        await self._listings.store_sol_prices(self._run_id, prices)
        return prices


def chain_of(http: Http, settings: Settings, tapes: TapeRepository) -> ChainReader:
    """What reads tapes with the operator's keys: by histories where the key's plan has them."""
    rpc, history = _nodes(http, settings)
    return ChainReader(rpc, tapes, history=history, bounds=_bounds(settings))


def forecasts_of(
    listed: Mapping[str, PumpedToken], tariff: Tariff, params: DiscoveryRunParams, now: datetime
) -> dict[str, Forecast]:
    """What reading the tape of each listed token is forecast to cost, by its mint."""
    return {
        mint: forecast(
            mint,
            _counts(_market(token), now),
            tariff,
            window_seconds=_window_seconds(params),
            addresses=1 + len(pools_to_read(token.pools)),
        )
        for mint, token in listed.items()
    }


def _nodes(http: Http, settings: Settings) -> tuple[SolanaRpc, HeliusHistory | None]:
    """The node that is asked, and whole histories where there is a key for them."""
    if settings.helius_api_key is None:
        return SolanaRpc(http, providers.solana_rpc(settings)), None
    helius = providers.helius_rpc(settings)
    rpc = SolanaRpc(http, helius, historical_credits=settings.helius_historical_credits)
    return rpc, HeliusHistory(http, helius)


def _bounds(settings: Settings) -> Bounds:
    # Who takes over a dead process's token waits for that process's hold on the streams too.
    return Bounds(lease=timedelta(seconds=settings.lease_seconds))


def _counts(market: TokenMarket, now: datetime) -> MarketCounts:
    age = now - market.launched_at
    return MarketCounts(market.transactions_24h, max(0, int(age.total_seconds())))


def _window_seconds(params: DiscoveryRunParams) -> int:
    return 60 * params.early_window_minutes


def _market(token: PumpedToken) -> TokenMarket:
    return TokenMarket(tuple(token.pools), token.transactions_24h, token.launched_at)


def _too_dear(forecast: Forecast, max_credits: int | None) -> str:
    return (
        f"budget: reading it is forecast to cost {forecast.credits:,} credits, and max_credits {max_credits:,} does"
        " not suffice for it beside cheaper tokens"
    )
