"""Market listings and a run's parameters -> the tokens that pumped, and why the others were refused.

Providers list pools, or tokens as a whole; what they say of one mint is put together first. The rules are those of
"pumped" in the design: parameters are bounds and inclusive. The oldest known pool is the launch, the deepest pool
speaks for price and liquidity, and what nobody knows is a refusal of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from walltrack.discovery.market_mints import NEVER_PUMPED
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.pump_refusals import (
    BeyondMaxTokens,
    NotACandidate,
    Reason,
    TooFlat,
    TooIlliquid,
    TooOld,
    TooQuiet,
    UnknownAge,
    UnknownLiquidity,
    UnknownPriceChange,
    UnknownVolume,
)
from walltrack.discovery.wash_rules import contradiction, wash_reason

_CLOCKS_APART = timedelta(minutes=10)
_SAME_BIRTH = timedelta(minutes=1)
_ALMOST_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Listing:
    """What one provider says of one pool, or of a token as a whole where `pool` is None. None: it does not say.

    Money is in US dollars, counts are of the last 24 hours, changes are in percent. `changes_pct` maps hours to the
    change of the price over them. `dex` is the provider's id of the venue. `created_at` is the pool's (or first pool's)
    creation, `token_created_at` the mint's, which may be days before its first trade. Times are aware.
    """

    provider: str
    mint: str
    pool: str | None = None
    symbol: str = ""
    dex: str = ""
    created_at: datetime | None = None
    token_created_at: datetime | None = None
    price_usd: float | None = None
    changes_pct: Mapping[float, float] | None = None
    volume_usd: float | None = None
    liquidity_usd: float | None = None
    buys: int | None = None
    sells: int | None = None
    buyers: int | None = None
    sellers: int | None = None

    @property
    def change_24h_pct(self) -> float | None:
        return None if self.changes_pct is None else self.changes_pct.get(24.0)

    @property
    def transactions(self) -> int | None:
        """Buys and sells of 24 hours; None where neither is known."""
        return None if self.buys is None and self.sells is None else (self.buys or 0) + (self.sells or 0)


@dataclass(frozen=True, slots=True)
class PumpedToken:
    """A token that pumped, and the figures by which it did.

    `pools` are the known pools as (dex, address), the deepest first; `transactions_24h` are buys and sells over all of
    them, None where no provider counts them.
    """

    mint: str
    symbol: str
    launched_at: datetime
    price_change_24h_pct: float | None
    rise_to_peak_pct: float | None
    volume_24h_usd: float
    liquidity_usd: float
    transactions_24h: int | None
    pools: tuple[tuple[str, str], ...]
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RefusedToken:
    """A listed token that a run leaves out, and the first rule that says so."""

    mint: str
    symbol: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Pumps:
    """What the listings hold: tokens to look at, by 24-hour volume, and every other one with its reason."""

    pumped: tuple[PumpedToken, ...]
    refused: tuple[RefusedToken, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    """One mint, as all providers together know it."""

    mint: str
    listings: tuple[Listing, ...]

    @property
    def symbol(self) -> str:
        return next((listing.symbol for listing in self.listings if listing.symbol), "")

    @property
    def launched_at(self) -> datetime | None:
        """The oldest creation of a pool or curve; the mint's own where none is known."""
        pools = [x.created_at for x in self.listings if x.created_at is not None]
        mints = [x.token_created_at for x in self.listings if x.token_created_at is not None]
        return min(pools or mints, default=None)

    @property
    def pools(self) -> list[tuple[str, list[Listing]]]:
        """Pools and what is said of each; the deepest first. A pool is as deep as the least that is said of it."""
        by_pool: dict[str, list[Listing]] = defaultdict(list)
        for listing in self.listings:
            if listing.pool is not None:
                by_pool[listing.pool].append(listing)
        return sorted(by_pool.items(), key=lambda item: (-(_least_liquidity(item[1]) or 0.0), item[0]))

    @property
    def deepest(self) -> list[Listing]:
        """What is said of the deepest pool; of the token as a whole where no pool is known by its liquidity."""
        of_pools = [said for _, said in self.pools if _least_liquidity(said) is not None]
        if of_pools:
            return of_pools[0]
        whole = [listing for listing in self.listings if listing.pool is None]
        return whole or list(self.listings)

    @property
    def liquidity_usd(self) -> float | None:
        return _least_liquidity(self.deepest)

    @property
    def volume_usd(self) -> float | None:
        return max(self._sums("volume_usd").values(), default=None)

    @property
    def transactions(self) -> int | None:
        found = max(self._sums("transactions").values(), default=None)
        return None if found is None else round(found)

    @property
    def change_24h_pct(self) -> float | None:
        """The least that is said of the deepest pool, else of the token as a whole."""
        known = [x.change_24h_pct for x in self.deepest if x.change_24h_pct is not None]
        if not known:
            known = [
                x.change_24h_pct for x in self.listings if x.pool is None and x.change_24h_pct is not None
            ]
        return min(known, default=None)

    def rise_to_peak_pct(self, now: datetime) -> float | None:
        """The least rise from launch to peak that the changes of the oldest pool prove, where they reach back to the
        launch: a pool that is younger than a window shows its change since birth there.
        """
        launched_at = self.launched_at
        if launched_at is None or now - launched_at > timedelta(hours=24):
            return None
        born_with = [x for x in self.listings if x.created_at and x.created_at - launched_at <= _SAME_BIRTH]
        return max((rise for x in born_with if (rise := _rise_within(x)) is not None), default=None)

    def _sums(self, figure: str) -> dict[str, float]:
        """The figure over all pools, by provider; providers that do not give it are left out."""
        sums: dict[str, float] = {}
        for listing in self.listings:
            value = getattr(listing, figure)
            if value is not None:
                sums[listing.provider] = sums.get(listing.provider, 0.0) + value
        return sums


def pumped_tokens(
    listings: Iterable[Listing],
    params: DiscoveryRunParams,
    now: datetime,
    rises_pct: Mapping[str, float] | None = None,
) -> Pumps:
    """Which of the listed tokens pumped by the parameters at a time, at most `max_tokens`, and why the others not.

    `rises_pct` gives rises from launch to peak that were measured otherwise, by mint. Of several listings of one
    provider for one pool the last counts.
    """
    measured = rises_pct or {}
    pumped: list[PumpedToken] = []
    refused: list[RefusedToken] = []
    for token in _tokens(listings):
        found = _judged(token, params, now, measured.get(token.mint))
        if isinstance(found, PumpedToken):
            pumped.append(found)
        else:
            refused.append(RefusedToken(token.mint, token.symbol, found))
    pumped.sort(key=lambda token: (-token.volume_24h_usd, token.mint))
    for rank, over in enumerate(pumped[params.max_tokens :], params.max_tokens + 1):
        refused.append(RefusedToken(over.mint, over.symbol, BeyondMaxTokens(rank, params.max_tokens)))
    return Pumps(tuple(pumped[: params.max_tokens]), tuple(refused))


def _tokens(listings: Iterable[Listing]) -> Sequence[_Token]:
    latest = {(listing.mint, listing.provider, listing.pool): listing for listing in listings}
    by_mint: dict[str, list[Listing]] = defaultdict(list)
    for (mint, _, _), listing in sorted(latest.items(), key=lambda item: (item[0][:2], item[0][2] or "")):
        by_mint[mint].append(listing)
    return [_Token(mint, tuple(said)) for mint, said in by_mint.items()]


def _judged(
    token: _Token, params: DiscoveryRunParams, now: datetime, measured_rise: float | None
) -> PumpedToken | Reason:
    known = _known(token, now, measured_rise)
    if not isinstance(known, PumpedToken):
        return known
    reason = (
        _age_reason(known.launched_at, params, now)
        or _size_reason(known.liquidity_usd, known.volume_24h_usd, params)
        or _price_reason(known, params)
        or contradiction(token.deepest, token.listings)
        or wash_reason(token.deepest, known.volume_24h_usd, known.liquidity_usd)
    )
    return known if reason is None else reason


def _known(token: _Token, now: datetime, measured_rise: float | None) -> PumpedToken | Reason:
    """The token with its figures, before any bound is applied; or what of it is not known."""
    launched_at, liquidity, volume = token.launched_at, token.liquidity_usd, token.volume_usd
    change, proved_rise = token.change_24h_pct, token.rise_to_peak_pct(now)
    if token.mint in NEVER_PUMPED:
        return NotACandidate()
    if launched_at is None or launched_at - now > _CLOCKS_APART:
        return UnknownAge()
    if liquidity is None:
        return UnknownLiquidity()
    if volume is None:
        return UnknownVolume()
    if change is None and proved_rise is None and measured_rise is None:
        return UnknownPriceChange()
    return PumpedToken(
        mint=token.mint,
        symbol=token.symbol,
        launched_at=launched_at,
        price_change_24h_pct=change,
        rise_to_peak_pct=max((r for r in (proved_rise, measured_rise) if r is not None), default=None),
        volume_24h_usd=volume,
        liquidity_usd=liquidity,
        transactions_24h=token.transactions,
        pools=tuple((_dex(said), pool) for pool, said in token.pools),
        providers=tuple(sorted({listing.provider for listing in token.listings})),
    )


def _dex(said: Iterable[Listing]) -> str:
    return next((listing.dex for listing in said if listing.dex), "")


def _age_reason(launched_at: datetime, params: DiscoveryRunParams, now: datetime) -> Reason | None:
    age = now - launched_at
    if age > timedelta(hours=params.max_token_age_hours):
        return TooOld(age.total_seconds() / 3600, params.max_token_age_hours)
    return None


def _size_reason(liquidity: float, volume: float, params: DiscoveryRunParams) -> Reason | None:
    if liquidity < params.min_liquidity_usd:
        return TooIlliquid(liquidity, params.min_liquidity_usd)
    if volume < params.min_volume_usd:
        return TooQuiet(volume, params.min_volume_usd)
    return None


def _price_reason(token: PumpedToken, params: DiscoveryRunParams) -> Reason | None:
    rise = max(x for x in (token.price_change_24h_pct, token.rise_to_peak_pct) if x is not None)
    return TooFlat(rise, params.min_price_change_pct) if rise < params.min_price_change_pct else None


def _least_liquidity(said: Iterable[Listing]) -> float | None:
    return min((x.liquidity_usd for x in said if x.liquidity_usd is not None), default=None)


def _rise_within(listing: Listing) -> float | None:
    """The largest rise, in percent, from the price 24 hours ago to that at the start of another window or now."""
    changes = listing.changes_pct or {}
    grown = {hours: 1 + change / 100 for hours, change in changes.items()}
    if grown.get(24.0, 0.0) <= _ALMOST_NOTHING:
        return None
    # Price now / price then is `grown`; the price then, measured in the price at launch, is the quotient.
    relative = [grown[24.0] / factor for factor in grown.values() if factor > _ALMOST_NOTHING]
    highest = max([*relative, grown[24.0]])
    return (highest - 1) * 100 if highest < inf else None
