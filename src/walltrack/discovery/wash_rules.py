"""How a washed token is told from its figures alone.

Set on captures of October 2026: pools of wash schemes turned over millions of times what they held, with 33 to 65
sellers for 2,000 to 5,000 buyers and up to 59 trades for each trader. The bounds leave room for a hot launch, and are a
judgement: nobody knows how hot an honest one can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product
from math import inf
from typing import Final, Protocol

from walltrack.discovery.pump_refusals import Contradicted, FewSellers, FewTraders, WashedTurnover

MAX_TURNOVER: Final = 200.0
"""Most 24-hour volume, in times of what the deepest pool holds."""

MIN_SELLERS_PER_BUYER: Final = 0.2
MAX_TRADES_PER_TRADER: Final = 40.0
MAX_FACTOR: Final = 10.0
"""Most that two providers may be apart on one pool's price, volume or liquidity, or on the growth of its price."""

_FEWEST_BUYERS: Final = 100
_FEWEST_TRADES: Final = 1_000
_LEAST_VOLUME: Final = 10_000.0
_LEAST_LIQUIDITY: Final = 1_000.0


class Figures(Protocol):
    """What the rules look at; the fields of `walltrack.discovery.pumps.Listing`."""

    @property
    def provider(self) -> str: ...
    @property
    def pool(self) -> str | None: ...
    @property
    def price_usd(self) -> float | None: ...
    @property
    def change_24h_pct(self) -> float | None: ...
    @property
    def volume_usd(self) -> float | None: ...
    @property
    def liquidity_usd(self) -> float | None: ...
    @property
    def buys(self) -> int | None: ...
    @property
    def sells(self) -> int | None: ...
    @property
    def buyers(self) -> int | None: ...
    @property
    def sellers(self) -> int | None: ...


def wash_reason(
    deepest: Iterable[Figures], volume_usd: float, liquidity_usd: float
) -> WashedTurnover | FewSellers | FewTraders | None:
    """Why a token is washed, by its volume and what is said of its deepest pool; None where nothing speaks for it."""
    turnover = volume_usd / liquidity_usd if liquidity_usd > 0 else (inf if volume_usd > 0 else 0.0)
    if turnover > MAX_TURNOVER:
        return WashedTurnover(turnover, MAX_TURNOVER)
    for said in deepest:
        few = _few_sellers(said.buyers, said.sellers) or _few_sellers(said.buys, said.sells)
        few_traders = _few_traders(said)
        if few or few_traders:
            return few or few_traders
    return None


def contradiction(deepest: Sequence[Figures], listings: Iterable[Figures]) -> Contradicted | None:
    """Two providers that give figures of the deepest pool which cannot both be true; None where there are none.

    A provider that speaks of tokens as a whole is held against the others' sum of volumes: theirs may not be many
    times its own.
    """
    for first, second in combinations(deepest, 2):
        for figure, one, other, floor in _figures(first, second):
            found = _apart(figure, (first.provider, second.provider), (one, other), floor)
            if found is not None:
                return found
    return _more_than_all_know(list(listings))


def _few_sellers(buying: int | None, selling: int | None) -> FewSellers | None:
    if buying is None or selling is None or buying < _FEWEST_BUYERS:
        return None
    ratio = selling / buying
    return FewSellers(ratio, MIN_SELLERS_PER_BUYER) if ratio < MIN_SELLERS_PER_BUYER else None


def _few_traders(said: Figures) -> FewTraders | None:
    trades, traders = (said.buys or 0) + (said.sells or 0), max(said.buyers or 0, said.sellers or 0)
    if traders == 0 or trades < _FEWEST_TRADES:
        return None
    each = trades / traders
    return FewTraders(each, MAX_TRADES_PER_TRADER) if each > MAX_TRADES_PER_TRADER else None


def _figures(first: Figures, second: Figures) -> Iterator[tuple[str, float | None, float | None, float]]:
    yield "price", first.price_usd, second.price_usd, 0.0
    yield "growth in 24 hours", _growth(first), _growth(second), 0.0
    yield "liquidity", first.liquidity_usd, second.liquidity_usd, _LEAST_LIQUIDITY
    yield "24-hour volume", first.volume_usd, second.volume_usd, _LEAST_VOLUME


def _growth(said: Figures) -> float | None:
    return None if said.change_24h_pct is None else 1 + said.change_24h_pct / 100


def _apart(
    figure: str, providers: tuple[str, str], values: tuple[float | None, float | None], floor: float
) -> Contradicted | None:
    one, other = values
    if one is None or other is None:
        return None
    more, less = max(one, other), min(one, other)
    factor = more / less if less > 0 else inf
    if more < floor or more <= 0 or factor <= MAX_FACTOR:
        return None
    return Contradicted(figure, providers, (one, other), factor, MAX_FACTOR)


def _more_than_all_know(listings: Sequence[Figures]) -> Contradicted | None:
    sums: dict[str, float] = {}
    for said in listings:
        if said.pool is not None and said.volume_usd is not None:
            sums[said.provider] = sums.get(said.provider, 0.0) + said.volume_usd
    of_wholes = [said for said in listings if said.pool is None and said.volume_usd is not None]
    for whole, (provider, volume) in product(of_wholes, sums.items()):
        if volume > (whole.volume_usd or 0.0):
            providers = (provider, whole.provider)
            found = _apart("24-hour volume", providers, (volume, whole.volume_usd), _LEAST_VOLUME)
            if found is not None:
                return found
    return None
