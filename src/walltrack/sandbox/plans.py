"""What is to become of each token of a market: where and when it starts, and where its price and volume go.

Times are seconds after the launch, multiples are of the launch price, sizes are SOL a trade.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from walltrack.sandbox.addresses import TOKEN, TOKEN_2022

HOUR: Final = 3600
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Segment:
    """Trades spread evenly up to `until`, which lead the price to `multiple`."""

    until: float
    trades: int
    multiple: float
    size: float
    noise: float = 0.16


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """`venue` is "curve", "cpmm", "v4" or "reversed". `fails` are the criteria of the default parameters that it is to
    miss, none for a pumped one. `liquidity` is the SOL that a pool is opened with. `rug` is when the liquidity goes, or
    the developer's tokens are sold.
    """

    kinds: tuple[str, ...]
    age: float
    segments: tuple[Segment, ...]
    fails: tuple[str, ...] = ()
    venue: str = "curve"
    usdc: bool = False
    token_program: str = TOKEN
    fee_bps: int = 0
    mint_age: float = 0.0
    liquidity: float = 0.0
    bundle: int = 0
    snipers: int = 0
    rug: float = 0.0
    wash: int = 0
    wash_size: float = 0.0


def _pumped(rng: random.Random, age: float, *, usd: float, peak: float, last: float) -> tuple[Segment, ...]:
    """Up in the first hours, then alive, with this volume in the last 24 hours at about 160 USD for 1 SOL."""
    climb = max(min(6 * HOUR, age * rng.uniform(0.3, 0.5)), 2400)
    trades = rng.randrange(170, 215)
    lately = min(age - climb, DAY)
    size = usd / 160 / trades
    opening = rng.uniform(2.5, 6)
    segments = [Segment(1800, rng.randrange(120, 150), opening, 0.6), Segment(climb, 100, peak, 2.2)]
    if age - climb > DAY:
        segments.append(Segment(age - DAY, 40, peak * 0.8, 2.0))
    segments.append(Segment(age - lately / 2, trades // 2, peak * rng.uniform(0.5, 1.1), size))
    segments.append(Segment(age, trades - trades // 2, peak * last, size))
    return tuple(segments)


def _curve_pump(rng: random.Random, *, age: float, usd: float, **more: object) -> TokenPlan:
    segments = _pumped(rng, age, usd=usd, peak=rng.uniform(22, 45), last=rng.uniform(0.5, 1.0))
    kinds = ("pumped", "migrated")
    fields = {"bundle": 4, "snipers": 4, "kinds": kinds} | more
    return TokenPlan(age=age, segments=segments, **fields)  # type: ignore[arg-type]


def _pool_pump(rng: random.Random, *, age: float, usd: float, **more: object) -> TokenPlan:
    segments = _pumped(rng, age, usd=usd, peak=rng.uniform(5, 9), last=rng.uniform(0.6, 1.0))
    fields = {"snipers": 2, "liquidity": rng.uniform(40, 60)} | more
    return TokenPlan(age=age, segments=segments, **fields)  # type: ignore[arg-type]


def _hours(rng: random.Random, least: float, most: float) -> float:
    return rng.uniform(least, most) * HOUR


def _usd(rng: random.Random) -> float:
    return rng.uniform(130_000, 320_000)


_Maker = Callable[[random.Random], TokenPlan]


def _pump(least: float, most: float, **more: object) -> _Maker:
    return lambda rng: _curve_pump(rng, age=_hours(rng, least, most), usd=_usd(rng), **more)


def _pool(least: float, most: float, **more: object) -> _Maker:
    return lambda rng: _pool_pump(rng, age=_hours(rng, least, most), usd=_usd(rng), **more)


def _flat(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 1, 150)
    segments = (Segment(1800, 30, 1.25, 0.25), Segment(age, 35, rng.uniform(1.1, 1.35), 0.15))
    return TokenPlan(("flat", "never_migrated"), age, segments, ("price", "volume", "liquidity"))


def _dead(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 30, 170)
    alive = rng.uniform(0.5, 4) * HOUR
    segments = (
        Segment(900, 45, rng.uniform(2, 4), 0.6),
        Segment(alive, 50, 0.9, 0.5),
        Segment(alive + 4 * HOUR, 6, 0.8, 0.1),
    )
    return TokenPlan(
        ("dead", "never_migrated"),
        age,
        segments,
        ("volume", "liquidity"),
        bundle=2 if rng.random() < 0.5 else 0,
        snipers=2,
    )


def _rugged_curve(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 26, 120)
    segments = (Segment(1500, 70, rng.uniform(3, 5), 0.8), Segment(4000, 10, 0.6, 0.3))
    return TokenPlan(
        ("rugged", "never_migrated"),
        age,
        segments,
        ("volume", "liquidity"),
        bundle=5,
        snipers=2,
        rug=1550,
    )


def _rugged_pool(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 26, 70)
    segments = (Segment(5000, 110, rng.uniform(4, 7), 1.2),)
    fails = ("volume", "liquidity")
    return TokenPlan(("rugged", "raydium"), age, segments, fails, "cpmm", liquidity=35, rug=5100)


def _faded(rng: random.Random) -> TokenPlan:
    """Migrated, once hot, now sold off: nothing but age and volume are wrong."""
    age = _hours(rng, 100, 168)
    segments = (
        Segment(1800, 80, 5, 0.7),
        Segment(5 * HOUR, 60, 25, 2.5),
        Segment(age - DAY, 40, 6, 1.5),
        Segment(age, 15, 5, 0.4),
    )
    return TokenPlan(("faded", "migrated"), age, segments, ("age", "volume"), snipers=3, bundle=3)


def _quiet(rng: random.Random) -> TokenPlan:
    age = rng.uniform(9, 30) * DAY
    segments = (Segment(2 * HOUR, 30, 1.5, 0.5), Segment(age, 35, 1.2, 0.3))
    return TokenPlan(("quiet", "raydium"), age, segments, ("age", "volume", "price"), "cpmm", liquidity=80)


def _too_old(rng: random.Random) -> TokenPlan:
    return _curve_pump(
        rng, age=_hours(rng, 84, 130), usd=_usd(rng), kinds=("too_old", "migrated"), fails=("age",)
    )


def _migrated_late(rng: random.Random) -> TokenPlan:
    """Its pool is young, its launch is not: the age that counts is the launch's."""
    age, size = _hours(rng, 90, 110), _usd(rng) / 160 / 140
    segments = (
        Segment(1800, 60, 3, 0.5),
        Segment(age - 34 * HOUR, 50, 6, 0.6),
        Segment(age - DAY, 60, 24, 2.5),
        Segment(age, 140, 28, size),
    )
    return TokenPlan(("too_old", "migrated", "late_migration"), age, segments, ("age",), snipers=2)


def _too_little_volume(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 40, 60)
    segments = (
        Segment(1800, 80, 4, 0.7),
        Segment(4 * HOUR, 80, 25, 2.5),
        Segment(age - DAY - HOUR, 40, 24, 2),
        Segment(age, 60, 22, rng.uniform(1.6, 2.2)),
    )
    return TokenPlan(("low_volume", "migrated"), age, segments, ("volume",), snipers=2)


def _too_little_liquidity(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 8, 20)
    segments = (Segment(1800, 60, 3, 0.8), Segment(age, 500, 3.4, 1.4))
    return TokenPlan(("low_liquidity", "raydium"), age, segments, ("liquidity",), "cpmm", liquidity=9)


def _hot_curve(rng: random.Random) -> TokenPlan:
    """Rises and trades well, but never leaves its curve: no provider shows a liquidity."""
    age = _hours(rng, 6, 12)
    segments = (Segment(1800, 100, 5, 0.9), Segment(age, 330, 8, 2.0))
    return TokenPlan(("low_liquidity", "never_migrated"), age, segments, ("liquidity",), snipers=2)


def _too_little_change(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 10, 60)
    size = _usd(rng) / 160 / 150
    segments = (Segment(age - min(age / 2, DAY), 60, 1.15, 1.5, 0.05), Segment(age, 150, 1.2, size, 0.05))
    return TokenPlan(("low_change", "raydium"), age, segments, ("price",), "cpmm", liquidity=300)


def _washed(liquidity: float, size: float, fails: tuple[str, ...]) -> _Maker:
    def plan(rng: random.Random) -> TokenPlan:
        age = _hours(rng, 20, 23)
        segments = (Segment(1800, 20, 2, 0.3), Segment(age, 25, 2.5, 0.3))
        return TokenPlan(
            ("washed", "raydium"),
            age,
            segments,
            fails,
            "cpmm",
            liquidity=liquidity,
            wash=rng.randrange(320, 380),
            wash_size=size,
        )

    return plan


def _usdc_dead(rng: random.Random) -> TokenPlan:
    age = _hours(rng, 30, 100)
    segments = (Segment(1800, 40, 2.5, 0.6), Segment(3 * HOUR, 40, 0.9, 0.4))
    return TokenPlan(("dead", "never_migrated", "usdc"), age, segments, ("volume", "liquidity"), usdc=True)


_T22 = {"token_program": TOKEN_2022}

_ORDER: Final[tuple[_Maker, ...]] = (
    _pump(18, 22),
    _dead,
    _pump(2.5, 4, usdc=True, kinds=("pumped", "migrated", "usdc")),
    _pool(20, 30, venue="cpmm", kinds=("pumped", "raydium", "transfer_fee"), fee_bps=300, **_T22),
    _rugged_curve,
    _pool(14, 20, venue="v4", kinds=("pumped", "raydium", "raydium_v4")),
    _flat,
    _washed(55, 150, ("washed",)),
    _pump(30, 40, kinds=("pumped", "migrated", "token_2022"), **_T22),
    _pool(20, 30, venue="reversed", kinds=("pumped", "reversed")),
    _too_old,
    _dead,
    _pool(16, 24, venue="cpmm", kinds=("pumped", "raydium", "old_mint"), mint_age=9 * DAY),
    _too_little_volume,
    _pump(5, 8),
    _quiet,
    _too_little_liquidity,
    _pump(60, 66),
    _flat,
    _too_little_change,
    _rugged_pool,
    _pump(40, 50),
    _washed(4, 14, ("liquidity", "washed")),
    _dead,
    _pump(9, 12, kinds=("pumped", "migrated", "token_2022"), **_T22),
    _faded,
    _hot_curve,
    _usdc_dead,
    _pump(1.2, 1.6),
    _flat,
    _pump(44, 56, usdc=True, kinds=("pumped", "migrated", "usdc")),
    _dead,
    _migrated_late,
    _rugged_curve,
    _pump(24, 28, kinds=("pumped", "migrated", "second_pool")),
    _quiet,
    _faded,
    _pump(12, 18),
    _dead,
    _too_little_volume,
    _pool(30, 60, venue="cpmm", kinds=("pumped", "raydium")),
    _rugged_pool,
    _flat,
    _pump(34, 44, kinds=("pumped", "migrated", "token_2022"), **_T22),
    _too_little_change,
    _dead,
    _pump(26, 36),
    _washed(55, 150, ("washed",)),
    _quiet,
    _faded,
    _too_old,
    _pump(50, 58),
    _flat,
    _dead,
    _rugged_curve,
    _too_little_liquidity,
    _usdc_dead,
    _quiet,
    _flat,
    _dead,
    _washed(4, 14, ("liquidity", "washed")),
    _rugged_pool,
    _quiet,
    _dead,
    _faded,
    _flat,
    _dead,
)

DEFAULT_TOKENS: Final = len(_ORDER)


def token_plans(rng: random.Random, count: int) -> list[TokenPlan]:
    """The plans of so many tokens: the first ones are of many kinds already."""
    return [_ORDER[at % len(_ORDER)](rng) for at in range(count)]
