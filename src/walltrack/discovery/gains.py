"""What a set of positions gained and lost together: exact rational arithmetic, rounded once, half to even.

The sums of `average_cost` come as intervals of integers, which add up fast; a figure both of whose ends round to the
same is exact. Where one does not, all is computed again in fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from walltrack.discovery.average_cost import SOL_DECIMALS, Sums, as_decimal, exact_sums
from walltrack.discovery.holdings import MintPosition
from walltrack.discovery.models import LAMPORTS_PER_SOL

RATIO_DECIMALS: Final = 12

Number = int | Fraction


@dataclass(frozen=True, slots=True)
class Gains:
    """Figures of a set of positions. SOL amounts have 18 decimals, the others 12.

    `realized_pnl_sol` is matched proceeds - `cost_of_sold_sol`, over all positions. `lost_in_abandoned_sol` is what
    the abandoned ones still hold, at cost. `return_on_cost_pct` is 100 * (realized - lost in abandoned) / (cost of
    sold + lost in abandoned), None where nothing with a cost was sold or abandoned. A settled position gained its own
    realized - lost in abandoned: `wins` counts those that gained more than 0; `profit_factor` is the sum of the gains
    over that of the losses, None where there were no losses; `largest_win_share` the largest gain over the sum of
    them, None where there were none.
    """

    wins: int
    realized_pnl_sol: Decimal
    cost_of_sold_sol: Decimal
    lost_in_abandoned_sol: Decimal
    return_on_cost_pct: Decimal | None
    profit_factor: Decimal | None
    largest_win_share: Decimal | None


def gains_of(positions: Sequence[MintPosition]) -> Gains:
    """The figures of positions of one wallet or of many."""
    quick = [_amounts(position, position.sums) for position in positions]
    signs = [_sign(p, amounts) if p.settled else 0 for p, amounts in zip(positions, quick, strict=True)]
    try:
        return _gains(quick, signs)
    except _UndecidedError:
        return _gains([_exact(position) for position in positions], signs)


def ratio(value: Fraction) -> Decimal:
    """A ratio as it is stored: 12 decimals, half to even."""
    return as_decimal(round(value * 10**RATIO_DECIMALS), RATIO_DECIMALS)


def median(values: Sequence[Decimal]) -> Fraction:
    """The middle one, or the mean of the two in the middle. ValueError where there are none."""
    if not values:
        raise ValueError("nothing has no median")
    ordered = sorted(values)
    return (Fraction(ordered[(len(ordered) - 1) // 2]) + Fraction(ordered[len(ordered) // 2])) / 2


class _UndecidedError(Exception):
    """The ends of an interval do not round to the same."""


class _Between(NamedTuple):
    """A number between two others, both included, in the unit of what it belongs to."""

    least: Number
    most: Number


class _Amounts(NamedTuple):
    """A position's cost of sold, realized profit and cost lost by abandoning it, in 1/`unit` lamports."""

    unit: int
    cost: _Between
    realized: _Between
    lost: _Between

    @property
    def gain(self) -> _Between:
        return _Between(self.realized.least - self.lost.most, self.realized.most - self.lost.least)


_NOTHING: Final = _Between(0, 0)


def _amounts(position: MintPosition, sums: Sums) -> _Amounts:
    cost = _Between(sums.cost, sums.cost + sums.cost_error)
    realized = _Between(
        sums.proceeds - sums.proceeds_error - cost.most, sums.proceeds + sums.proceeds_error - cost.least
    )
    held = _Between(sums.held_cost, sums.held_cost + sums.held_cost_error)
    return _Amounts(sums.unit, cost, realized, held if position.abandoned else _NOTHING)


def _exact(position: MintPosition) -> _Amounts:
    """Points instead of intervals, as fractions of a lamport."""
    unit, *spans = _amounts(position, exact_sums(position.events))
    cost, realized, lost = (_Between(f := Fraction(span.least, unit), f) for span in spans)
    return _Amounts(1, cost, realized, lost)


def _sign(position: MintPosition, amounts: _Amounts) -> int:
    """1 where the position gained, -1 where it lost, 0 where it came out even."""
    gain = amounts.gain
    if not (gain.least > 0 or gain.most < 0 or gain.least == gain.most):
        gain = _exact(position).gain
    return (gain.least > 0) - (gain.most < 0)


def _gains(amounts: Sequence[_Amounts], signs: Sequence[int]) -> Gains:
    unit = amounts[0].unit if amounts else 1  # one for all: that of the quick sums, or 1
    cost = _total([a.cost for a in amounts])
    realized = _total([a.realized for a in amounts])
    lost = _total([a.lost for a in amounts])
    won = [a.gain for a, sign in zip(amounts, signs, strict=True) if sign > 0]
    gained = _total(won)
    given = _total([_negative(a.gain) for a, sign in zip(amounts, signs, strict=True) if sign < 0])
    result = _Between(realized.least - lost.most, realized.most - lost.least)
    spent = _Between(cost.least + lost.least, cost.most + lost.most)
    largest = _Between(max(g.least for g in won), max(g.most for g in won)) if won else _NOTHING
    return Gains(
        wins=len(won),
        realized_pnl_sol=_sol(realized, unit),
        cost_of_sold_sol=_sol(cost, unit),
        lost_in_abandoned_sol=_sol(lost, unit),
        return_on_cost_pct=_quotient(_Between(100 * result.least, 100 * result.most), spent),
        profit_factor=_quotient(gained, given),
        largest_win_share=_quotient(largest, gained),
    )


def _negative(value: _Between) -> _Between:
    return _Between(-value.most, -value.least)


def _total(values: Sequence[_Between]) -> _Between:
    """The sum, in pairs, so that fractions with long denominators meet their like."""
    left = list(values) or [_NOTHING]
    while len(left) > 1:
        paired = [
            _Between(a.least + b.least, a.most + b.most) for a, b in zip(left[::2], left[1::2], strict=False)
        ]
        left = paired + left[2 * len(paired) :]
    return left[0]


def _sol(lamports: _Between, unit: int) -> Decimal:
    whole = _Between(unit * LAMPORTS_PER_SOL, unit * LAMPORTS_PER_SOL)
    return as_decimal(_rounded(lamports, whole, SOL_DECIMALS), SOL_DECIMALS)


def _quotient(value: _Between, by: _Between) -> Decimal | None:
    """None where `by` is not positive."""
    if by.most <= 0:
        return None
    if by.least <= 0:
        raise _UndecidedError
    return as_decimal(_rounded(value, by, RATIO_DECIMALS), RATIO_DECIMALS)


def _rounded(value: _Between, by: _Between, places: int) -> int:
    """value / by, `by` being positive, in units of 10 ** -places. The extremes of a quotient are at the ends."""
    scale = 10**places
    found = {round(Fraction(v * scale) / Fraction(b)) for v in set(value) for b in set(by)}
    if len(found) > 1:
        raise _UndecidedError
    return found.pop()
