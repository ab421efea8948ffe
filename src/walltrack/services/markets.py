"""The markets, asked together: what every provider lists, with one that is down a warning and no end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from walltrack.config.provider_settings import ProviderSettings
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.pump_refusals import TooFlat, UnknownPriceChange
from walltrack.discovery.pumps import Listing, PumpedToken, Pumps, pumped_tokens
from walltrack.services import providers
from walltrack.services.dexscreener.client import DexScreener
from walltrack.services.faults import ProviderFault
from walltrack.services.geckoterminal.client import GeckoTerminal
from walltrack.services.http import Http
from walltrack.services.jupiter.client import Jupiter
from walltrack.services.rows import Found

_ENOUGH_PCT: Final = 1e9  # more than any run asks for


class NoMarketError(WallTrackError):
    """No provider listed anything, since all of them failed."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the markets hold. `rises_pct` are rises from launch to peak, by mint, where they were measured."""

    listings: tuple[Listing, ...]
    warnings: tuple[str, ...] = ()
    rises_pct: Mapping[str, float] = field(default_factory=dict)


class LiveMarkets:
    """The providers of listings that the settings configure: DexScreener, GeckoTerminal, and Jupiter with a key."""

    def __init__(self, http: Http, settings: ProviderSettings) -> None:
        self._dexscreener = DexScreener(http, providers.dexscreener(settings))
        self._geckoterminal = GeckoTerminal(http, providers.geckoterminal(settings))
        self._jupiter = None
        if settings.jupiter_api_key is not None:
            self._jupiter = Jupiter(http, providers.jupiter(settings))

    async def pumped(self, params: DiscoveryRunParams, now: datetime) -> tuple[Pumps, tuple[str, ...]]:
        """The tokens that pumped and the refused ones; warnings. Raises NoMarketError where no provider answered."""
        listed = await self.listed(params, now)
        return pumped_tokens(listed.listings, params, now, listed.rises_pct), listed.warnings

    async def listed(self, params: DiscoveryRunParams, now: datetime) -> Listed:
        """What all providers list. `params` and `now` only choose of which tokens more is asked: the pools of those
        that would pass are looked up where only one provider knows them, and candles of those that are flat today.

        Raises NoMarketError where no provider answered.
        """
        (candidates, feeds), pools, tokens = await asyncio.gather(
            self._dexscreener.candidates(), self._geckoterminal.listed(), self._of_jupiter()
        )
        mints = dict.fromkeys([*candidates, *(x.mint for x in (*tokens.listings, *pools.listings))])
        feeds.add(await self._dexscreener.pools(mints))
        found: dict[str, Found] = {"dexscreener": feeds, "geckoterminal": pools, "jupiter": tokens}
        _check_answered(found, mints)
        listings = [listing for said in found.values() for listing in said.listings]
        pools.add(await self._geckoterminal.pools(_known_to_one(listings, params, now)))
        listings = [listing for said in found.values() for listing in said.listings]
        rises, faults = await self._rises(listings, params, now)
        pools.faults += faults
        return Listed(tuple(listings), tuple(_warnings(found)), rises)

    async def _of_jupiter(self) -> Found:
        return Found() if self._jupiter is None else await self._jupiter.listed()

    async def _rises(
        self, listings: Sequence[Listing], params: DiscoveryRunParams, now: datetime
    ) -> tuple[dict[str, float], list[ProviderFault]]:
        """Rises from launch to peak of tokens that only their price refuses, as far down the ranks by volume as they
        can still be among `max_tokens`.
        """
        refused = pumped_tokens(listings, params, now).refused
        flat = {token.mint for token in refused if isinstance(token.reason, TooFlat | UnknownPriceChange)}
        everyone = params.model_copy(update={"max_tokens": len(listings)})
        ranked = pumped_tokens(listings, everyone, now, dict.fromkeys(flat, _ENOUGH_PCT)).pumped
        rises: dict[str, float] = {}
        passed = 0
        for token in ranked:
            if passed >= params.max_tokens:
                break
            if token.mint in flat:
                try:
                    rise = await self._rise(token, listings, params.min_price_change_pct)
                except ProviderFault as fault:
                    return rises, [fault]
                if rise is None:
                    continue
                rises[token.mint] = rise
                passed += rise >= params.min_price_change_pct
            else:
                passed += 1
        return rises, []

    async def _rise(self, token: PumpedToken, listings: Sequence[Listing], enough_pct: float) -> float | None:
        """From the first price in the oldest pool to the highest there; where that is not enough, in the deepest."""
        born = [
            (x.created_at, x.pool)
            for x in listings
            if x.mint == token.mint and x.pool is not None and x.created_at is not None
        ]
        if not born:
            return None
        _, oldest = min(born)
        launched = await self._geckoterminal.price_range(oldest, token.mint)
        if launched is None:
            return None
        rise = (launched.highest / launched.first - 1) * 100
        if rise < enough_pct and token.pools and token.pools[0][1] != oldest:
            deepest = await self._geckoterminal.price_range(token.pools[0][1], token.mint)
            if deepest is not None:
                rise = max(rise, (deepest.highest / launched.first - 1) * 100)
        return rise


def _check_answered(found: Mapping[str, Found], mints: Collection[str]) -> None:
    """Nothing listed is an honest answer only where somebody listed it, and nothing of it was lost on the way."""
    faults = _once_each(fault for said in found.values() for fault in said.faults)
    listings = any(said.listings for said in found.values())
    answers = any(said.answers for said in found.values())
    if faults and not listings and (mints or not answers):
        raise NoMarketError("no market answered, so no token is listed: " + "; ".join(map(str, faults)))


def _known_to_one(listings: Sequence[Listing], params: DiscoveryRunParams, now: datetime) -> list[str]:
    """Deepest pools of tokens that would pass, which GeckoTerminal, who counts traders, has not spoken of."""
    spoken_of = {listing.pool for listing in listings if listing.provider == "geckoterminal"}
    everyone = params.model_copy(update={"max_tokens": len(listings)})
    deepest = [token.pools[0][1] for token in pumped_tokens(listings, everyone, now).pumped if token.pools]
    return [pool for pool in deepest if pool not in spoken_of]


def _warnings(found: Mapping[str, Found]) -> Iterable[str]:
    for provider, said in found.items():
        for fault in _once_each(said.faults):
            yield f"{provider} did not answer, the others' listings count: {fault}"
        if said.refused_rows:
            yield f"{provider}: {said.refused_rows} rows could not be read and were left out"


def _once_each(faults: Iterable[ProviderFault]) -> list[ProviderFault]:
    """The first fault of each kind and provider."""
    return list({(fault.provider, type(fault)): fault for fault in reversed(list(faults))}.values())[::-1]
