"""Moving weighted-average cost of one wallet's events, in exact arithmetic.

Let q be the quantity held, k the average cost of a held unit, r the share of q that has a cost basis:
- something comes in, b units that cost x: k' = (k q + x) / (q + b), r' = (r q + based b) / (q + b), q' = q + b;
- something goes out, m = min(s, q) of s units: k and r stay, q' = q - m. A priced sell that brings p also adds k m to
  the cost of what was sold, r m to the matched quantity, and p r m / s to the matched proceeds.
Escrow moves change nothing: funds in escrow still belong to the wallet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from walltrack.discovery.models import LAMPORTS_PER_SOL
from walltrack.discovery.tape import KINDS

SOL_DECIMALS: Final = 18
PCT_DECIMALS: Final = 12

BUY: Final = KINDS.index("buy")  # 0, and
SELL: Final = KINDS.index("sell")  # 1: they also index pairs of sums
TRANSFER_IN: Final = KINDS.index("transfer_in")
TRANSFER_OUT: Final = KINDS.index("transfer_out")

# Fractional bits of the quick walk. Its error stays below 2^(30+94-256) lamports for 2^30 events of 64-bit amounts,
# so that a rounding it leaves undecided is next to always a true tie.
_FRACTION_BITS: Final = 256


@dataclass(frozen=True, slots=True)
class WalletEvents:
    """One wallet's events in tape order. `kinds` index `KINDS`; `values` are lamports paid by a buy or received by a
    sell, network fee included, and None where the event has no price in SOL. `rows` are rows of the tape.
    """

    wallet: str
    rows: Sequence[int]
    kinds: Sequence[int]
    raws: Sequence[int]
    values: Sequence[int | None]


def profit_at_least(events: WalletEvents, pct: Decimal) -> bool:
    """Whether the profit, unrounded, is at least `pct` percent (0 or more) of the cost of what was sold. False where
    that cost is 0.
    """
    factor = 1 + Fraction(pct) / 100
    for sums_of in (quick_sums, exact_sums):
        sums = sums_of(events)
        most = sums.cost + sums.cost_error
        if most <= 0 or sums.proceeds + sums.proceeds_error < factor * sums.cost:
            return False
        if sums.cost > 0 and sums.proceeds - sums.proceeds_error >= factor * most:
            return True
    raise AssertionError("exact sums leave nothing undecided")


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over one wallet's events, in units of 1/`unit` lamport or base unit, floored. The true values lie within
    [cost, cost + cost_error], [matched, matched + matched_error], [held_cost, held_cost + held_cost_error] and
    [proceeds - proceeds_error, proceeds + proceeds_error].
    """

    unit: int
    cost: int
    proceeds: int
    matched: int
    held_cost: int
    held_raw: int
    unbased_sells: bool
    cost_error: int = 0
    proceeds_error: int = 0
    matched_error: int = 0
    held_cost_error: int = 0


def quick_sums(events: WalletEvents) -> Sums:
    """The sums with k and r floored to 256 fractional bits wherever something comes in. As that also shrinks an
    earlier error, by q / (q + b), each is too small by at most one unit for every time. Linear in the events.
    """
    unit = 1 << _FRACTION_BITS
    held = k = 0
    r = unit
    cost = proceeds = matched = whole_proceeds = whole_matched = 0
    has_cost = unbased_sells = False
    floored = cost_reach = proceeds_reach = matched_reach = 0
    for kind, raw, value in zip(events.kinds, events.raws, events.values, strict=True):
        if kind in (BUY, TRANSFER_IN):
            total = held + raw
            if not total:
                continue
            if kind == BUY and value is not None:
                k = (k * held + (value << _FRACTION_BITS)) // total
                has_cost = has_cost or value != 0
                if r != unit:
                    r = (r * held + (raw << _FRACTION_BITS)) // total
            else:
                k = k * held // total
                r = r * held // total
            floored += 1
            held = total
        elif kind in (SELL, TRANSFER_OUT):
            leaving = min(raw, held)
            if kind == SELL:
                unbased_sells = unbased_sells or leaving < raw or (leaving > 0 and r < unit)
                if value is not None and leaving:
                    cost += k * leaving
                    cost_reach += leaving if has_cost else 0
                    if r == unit and leaving == raw:
                        whole_proceeds += value
                        whole_matched += leaving
                    else:
                        proceeds += value * r * leaving // raw
                        proceeds_reach += abs(value) + 1 if r < unit else 1
                        matched += r * leaving
                        matched_reach += leaving if r < unit else 0
            held -= leaving
            if not held:
                k, r = 0, unit
                has_cost = False
    proceeds += whole_proceeds << _FRACTION_BITS
    matched += whole_matched << _FRACTION_BITS
    return Sums(
        unit,
        cost,
        proceeds,
        matched,
        k * held,
        held,
        unbased_sells,
        cost_error=floored * cost_reach,
        proceeds_error=(floored + 1) * proceeds_reach,
        matched_error=floored * matched_reach,
        held_cost_error=floored * held if has_cost else 0,
    )


def exact_sums(events: WalletEvents) -> Sums:
    """The sums as rationals: k, r and the sums over one denominator. Where b units come in, all is multiplied by
    q + b, so that nothing is divided and nothing needs reducing; when a holding is gone, its sums are put aside and
    the denominator begins at 1 again. Quadratic in the times that something comes into one holding.
    """
    unit, held, k, r = 1, 0, 0, 0
    cost = proceeds = matched = 0
    unbased_sells = False
    past: list[_Parts] = []
    for kind, raw, value in zip(events.kinds, events.raws, events.values, strict=True):
        if kind in (BUY, TRANSFER_IN):
            total = held + raw
            if not total:
                continue
            priced = kind == BUY and value is not None
            k = k * held + (value * unit if priced and value else 0)
            r = r * held + (raw * unit if priced else 0)
            unit, cost, proceeds, matched = unit * total, cost * total, proceeds * total, matched * total
            held = total
        elif kind in (SELL, TRANSFER_OUT):
            leaving = min(raw, held)
            if kind == SELL:
                unbased_sells = unbased_sells or leaving < raw or (leaving > 0 and r < unit)
                if value is not None and leaving:
                    cost += k * leaving
                    matched += r * leaving
                    if leaving < raw:  # all that was held goes: the new factor ends with this holding, below
                        proceeds = proceeds * raw + value * r * leaving
                        unit, cost, matched = unit * raw, cost * raw, matched * raw
                    else:
                        proceeds += value * r
            held -= leaving
            if not held:
                past.append((unit, cost, proceeds, matched, 0))
                unit, k, r, cost, proceeds, matched = 1, 0, 0, 0, 0, 0
    past.append((unit, cost, proceeds, matched, k * held))
    unit, cost, proceeds, matched, held_cost = _sum_of_parts(past)
    return Sums(unit, cost, proceeds, matched, held_cost, held, unbased_sells)


_Parts = tuple[int, int, int, int, int]


def _sum_of_parts(parts: list[_Parts]) -> _Parts:
    """The sum of (denominator, numerators...). In pairs: equally long numbers meet, and thousands of short holdings
    do not make one ever longer number thousands of times.
    """
    while len(parts) > 1:
        paired = [
            (a * b, a1 * b + b1 * a, a2 * b + b2 * a, a3 * b + b3 * a, a4 * b + b4 * a)
            for (a, a1, a2, a3, a4), (b, b1, b2, b3, b4) in zip(parts[::2], parts[1::2], strict=False)
        ]
        parts = paired + parts[2 * len(paired) :]
    return parts[0]


def rounded(sums: Sums) -> tuple[int, int, int, int, int, int | None] | None:
    """Cost of sold, matched proceeds, realized and held cost in 1e-18 SOL, matched quantity and percent in 1e-12.
    None where the ends of an interval do not round to the same.
    """
    least_cost, most_cost = sums.cost, sums.cost + sums.cost_error
    least_proceeds, most_proceeds = sums.proceeds - sums.proceeds_error, sums.proceeds + sums.proceeds_error
    sol, part = 10**SOL_DECIMALS // LAMPORTS_PER_SOL, 10**PCT_DECIMALS
    cost = _agreed(least_cost * sol, most_cost * sol, sums.unit)
    proceeds = _agreed(least_proceeds * sol, most_proceeds * sol, sums.unit)
    realized = _agreed((least_proceeds - most_cost) * sol, (most_proceeds - least_cost) * sol, sums.unit)
    held_cost = _agreed(sums.held_cost * sol, (sums.held_cost + sums.held_cost_error) * sol, sums.unit)
    matched = _agreed(sums.matched * part, (sums.matched + sums.matched_error) * part, sums.unit)
    if cost is None or proceeds is None or realized is None or held_cost is None or matched is None:
        return None
    if most_cost <= 0:
        return cost, proceeds, realized, held_cost, matched, None
    if least_cost <= 0:
        return None
    # Proceeds over cost grow with the cost where they are negative.
    over = most_cost if least_proceeds >= 0 else least_cost
    pct = _half_even(100 * part * (least_proceeds - over), over)
    over = least_cost if most_proceeds >= 0 else most_cost
    if sums.cost_error or sums.proceeds_error:
        highest = _half_even(100 * part * (most_proceeds - over), over)
        if highest != pct:
            return None
    return cost, proceeds, realized, held_cost, matched, pct


def _agreed(least: int, most: int, unit: int) -> int | None:
    """least / unit rounded, or None where most / unit rounds to something else."""
    found = _half_even(least, unit)
    return found if least == most or _half_even(most, unit) == found else None


def _half_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole % 2 == 1))


def as_decimal(units: int, places: int) -> Decimal:
    return Decimal(f"{units}E-{places}")  # from text: arithmetic would round to the context's 28 digits


def as_sol(lamports: int) -> Decimal:
    return as_decimal(lamports * (10**SOL_DECIMALS // LAMPORTS_PER_SOL), SOL_DECIMALS)
