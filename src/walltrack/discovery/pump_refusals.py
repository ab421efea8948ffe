"""Why a listed token is no pumped one: a closed set, each with its figure and the bound it missed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotACandidate:
    """A quote mint, stablecoin or staked SOL."""

    def __str__(self) -> str:
        return "a quote mint, stablecoin or staked SOL"


@dataclass(frozen=True, slots=True)
class UnknownAge:
    """No provider knows when it was launched, or the time is in the future."""

    def __str__(self) -> str:
        return "no provider knows when it was launched"


@dataclass(frozen=True, slots=True)
class UnknownLiquidity:
    """No provider knows the liquidity of any pool."""

    def __str__(self) -> str:
        return "no provider knows its liquidity"


@dataclass(frozen=True, slots=True)
class UnknownVolume:
    """No provider knows its volume."""

    def __str__(self) -> str:
        return "no provider knows its 24-hour volume"


@dataclass(frozen=True, slots=True)
class UnknownPriceChange:
    """No provider knows how its price changed."""

    def __str__(self) -> str:
        return "no provider knows how its price changed"


@dataclass(frozen=True, slots=True)
class TooOld:
    """Launched longer ago than `max_token_age_hours`."""

    age_hours: float
    max_token_age_hours: float

    def __str__(self) -> str:
        return f"launched {self.age_hours:,.1f} hours ago, at most {self.max_token_age_hours:g}"


@dataclass(frozen=True, slots=True)
class TooIlliquid:
    """The deepest pool has less than `min_liquidity_usd`."""

    liquidity_usd: float
    min_liquidity_usd: float

    def __str__(self) -> str:
        return f"${self.liquidity_usd:,.2f} in the deepest pool, at least ${self.min_liquidity_usd:,.2f}"


@dataclass(frozen=True, slots=True)
class TooQuiet:
    """Traded less than `min_volume_usd` in 24 hours."""

    volume_usd: float
    min_volume_usd: float

    def __str__(self) -> str:
        return f"${self.volume_usd:,.2f} traded in 24 hours, at least ${self.min_volume_usd:,.2f}"


@dataclass(frozen=True, slots=True)
class TooFlat:
    """Neither the 24-hour change nor the known rise from launch to peak reaches `min_price_change_pct`."""

    change_pct: float
    min_price_change_pct: float

    def __str__(self) -> str:
        return f"rose by {self.change_pct:,.1f} %, at least {self.min_price_change_pct:g} %"


@dataclass(frozen=True, slots=True)
class WashedTurnover:
    """Trades so much more than its deepest pool holds that no market would bear it. Infinite with an empty pool."""

    turnover: float
    max_turnover: float

    def __str__(self) -> str:
        return (
            f"traded {self.turnover:,.0f} times the deepest pool in 24 hours, at most {self.max_turnover:g}"
        )


@dataclass(frozen=True, slots=True)
class FewSellers:
    """Nearly nobody sells what so many buy: wash trading, or a token that cannot be sold."""

    sellers_per_buyer: float
    min_sellers_per_buyer: float

    def __str__(self) -> str:
        return f"{self.sellers_per_buyer:.3f} sellers for each buyer, at least {self.min_sellers_per_buyer:g}"


@dataclass(frozen=True, slots=True)
class FewTraders:
    """A few wallets make all the trades."""

    trades_per_trader: float
    max_trades_per_trader: float

    def __str__(self) -> str:
        return f"{self.trades_per_trader:,.1f} trades for each trader, at most {self.max_trades_per_trader:g}"


@dataclass(frozen=True, slots=True)
class Contradicted:
    """Two providers give figures for the same thing that cannot both be true. `factor` may be infinite."""

    figure: str
    providers: tuple[str, str]
    values: tuple[float, float]
    factor: float
    max_factor: float

    def __str__(self) -> str:
        said = " and ".join(f"{p} {v:,.6g}" for p, v in zip(self.providers, self.values, strict=True))
        return f"providers contradict each other on {self.figure}: {said}, at most {self.max_factor:g} times apart"


@dataclass(frozen=True, slots=True)
class BeyondMaxTokens:
    """Pumped, and ranked behind the `max_tokens` with the most volume."""

    rank: int
    max_tokens: int

    def __str__(self) -> str:
        return f"number {self.rank} by volume, the run takes {self.max_tokens}"


Reason = (
    NotACandidate
    | UnknownAge
    | UnknownLiquidity
    | UnknownVolume
    | UnknownPriceChange
    | TooOld
    | TooIlliquid
    | TooQuiet
    | TooFlat
    | WashedTurnover
    | FewSellers
    | FewTraders
    | Contradicted
    | BeyondMaxTokens
)
