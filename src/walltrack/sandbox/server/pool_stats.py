"""The market's figures as the market data providers would compute them, at the market's newest moment."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final

from walltrack.sandbox.types import Market, SandboxPool, SandboxToken, SandboxTrade

WINDOWS: Final[Mapping[str, int]] = {
    "m5": 300,
    "m15": 900,
    "m30": 1800,
    "h1": 3600,
    "h6": 21600,
    "h24": 86400,
}

WSOL: Final = "So11111111111111111111111111111111111111112"
_STABLES: Final[Mapping[str, tuple[str, str]]] = {
    "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": ("USD Coin", "USDC"),
    "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB": ("USDT", "USDT"),
    "USD1ttGY1N17NEEHLmELoaybftRBUSErhqYiQzvEmuB": ("World Liberty Financial USD", "USD1"),
}
USDC: Final = next(iter(_STABLES))


@dataclass(frozen=True, slots=True)
class Coin:
    """One side of a pool. `usd` is None where no price is known."""

    address: str
    name: str
    symbol: str
    decimals: int
    usd: float | None
    supply_raw: int | None


@dataclass(frozen=True, slots=True)
class WindowStats:
    """One pool's trades in a window, seen from its token. `change_pct` is None without a trade in the window."""

    buys: int
    sells: int
    buyers: int
    sellers: int
    buy_usd: float
    sell_usd: float
    change_pct: float | None

    @property
    def volume_usd(self) -> float:
        return self.buy_usd + self.sell_usd


class PoolView:
    """A pool and its figures. `token` is the side that is no quote; `flipped` where the pool's base is the quote."""

    def __init__(self, market: Market, token: SandboxToken, pool: SandboxPool) -> None:
        self._market = market
        self.pool = pool
        self.token = token
        self.flipped = pool.base_mint != token.mint
        self.quote_mint = pool.base_mint if self.flipped else pool.quote_mint
        self._times = [trade.block_time for trade in pool.trades]

    @property
    def last(self) -> SandboxTrade | None:
        return self.pool.trades[-1] if self.pool.trades else None

    @property
    def token_usd(self) -> float | None:
        """USD per token by its newest trade."""
        trade = self.last
        return trade.price_usd if trade else None

    @cached_property
    def token_native(self) -> float | None:
        """Quote coins per token by its newest trade."""
        trade = self.last
        if trade is None or not trade.token_raw:
            return None
        return coins(trade.quote_raw, self.quote.decimals) / coins(trade.token_raw, self.token.decimals)

    @cached_property
    def coin(self) -> Coin:
        token = self.token
        return Coin(token.mint, token.name, token.symbol, token.decimals, self.token_usd, token.supply_raw)

    @cached_property
    def quote(self) -> Coin:
        return quote_coin(self._market, self.quote_mint)

    @cached_property
    def windows(self) -> Mapping[str, WindowStats]:
        return {name: self._window(seconds) for name, seconds in WINDOWS.items()}

    @property
    def sol_usd(self) -> float:
        """USD per SOL now."""
        return self._market.sol_usd(self._market.now)

    def reserves(self) -> tuple[float, float]:
        """Coins of the token and of the quote in the pool."""
        base, quote = self.pool.base_raw, self.pool.quote_raw
        token_raw, quote_raw = (quote, base) if self.flipped else (base, quote)
        return coins(token_raw, self.token.decimals), coins(quote_raw, self.quote.decimals)

    def fdv_usd(self) -> float | None:
        """USD of the whole supply."""
        supply = coins(self.token.supply_raw, self.token.decimals)
        return None if self.token_usd is None else self.token_usd * supply

    def quote_change_pct(self, window: str) -> float:
        """The quote coin's own change of price."""
        if self.quote_mint != WSOL:
            return 0.0
        now = self._market.now
        return 100 * (self._market.sol_usd(now) / self._market.sol_usd(now - WINDOWS[window]) - 1)

    def _window(self, seconds: int) -> WindowStats:
        first = bisect_left(self._times, self._market.now - seconds)
        trades = self.pool.trades[first:]
        sides = {kind: [t for t in trades if t.kind == kind] for kind in ("buy", "sell")}
        change = None
        if trades:
            # A pool younger than the window repeats its change since birth, as GeckoTerminal does.
            start = self.pool.trades[max(0, first - 1)].price_usd
            change = 100 * (trades[-1].price_usd / start - 1) if start else None
        return WindowStats(
            buys=len(sides["buy"]),
            sells=len(sides["sell"]),
            buyers=len({t.wallet for t in sides["buy"]}),
            sellers=len({t.wallet for t in sides["sell"]}),
            buy_usd=sum(t.volume_usd for t in sides["buy"]),
            sell_usd=sum(t.volume_usd for t in sides["sell"]),
            change_pct=change,
        )


class TokenView:
    """A token and its pools' figures."""

    def __init__(self, market: Market, token: SandboxToken) -> None:
        self.token = token
        self.pools = [PoolView(market, token, pool) for pool in token.pools]

    @cached_property
    def main(self) -> PoolView | None:
        """The pool that trades: the deepest, or where none has liquidity the one traded last."""
        traded = [pool for pool in self.pools if pool.last]
        return max(
            traded,
            key=lambda p: (p.pool.liquidity_usd or 0.0, p.last.block_time if p.last else 0),
            default=None,
        )

    @cached_property
    def volume_24h(self) -> float:
        return sum(pool.windows["h24"].volume_usd for pool in self.pools)

    @property
    def liquidity_usd(self) -> float:
        return sum(pool.pool.liquidity_usd or 0.0 for pool in self.pools)


class MarketView:
    """All tokens and pools, found by address."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.tokens = {token.mint: TokenView(market, token) for token in market.tokens}
        self.pools = {pool.pool.address: pool for token in self.tokens.values() for pool in token.pools}

    @cached_property
    def by_volume(self) -> Sequence[TokenView]:
        """Tokens, the most traded of the last 24 hours first."""
        return sorted(self.tokens.values(), key=lambda t: -t.volume_24h)

    @cached_property
    def by_age(self) -> Sequence[TokenView]:
        """Tokens, the youngest first."""
        return sorted(self.tokens.values(), key=lambda t: -t.token.created_at)


def coins(raw: int, decimals: int) -> float:
    """Whole coins of a raw amount."""
    return float(raw / 10**decimals)


def quote_coin(market: Market, mint: str) -> Coin:
    """What a pool is quoted in."""
    if mint == WSOL:
        return Coin(WSOL, "Wrapped SOL", "SOL", 9, market.sol_usd(market.now), None)
    name, symbol = _STABLES.get(mint, ("Unknown", "UNKNOWN"))
    return Coin(mint, name, symbol, 6, 1.0, None)


def chance(text: str, sides: int) -> int:
    """A number in [0, sides) that is always the same for a text: what a provider happens to know about a token."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % sides
