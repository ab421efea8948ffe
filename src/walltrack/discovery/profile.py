"""A wallet's history over many tokens -> its figures, as they were known at a moment.

Only what happened in the lookback counts: `lookback_days` up to and including `as_of`. What lies outside is dropped
before anything else, so that a history read later, or begun earlier, gives the same figures. What was bought before
the lookback therefore has no known cost. The terms are those of `WalletProfile`; positions follow `average_cost`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

import polars as pl

from walltrack.discovery.average_cost import SOL_DECIMALS, as_decimal
from walltrack.discovery.gains import Gains, gains_of, median, ratio
from walltrack.discovery.holdings import MintPosition, events_by_mint, position_at
from walltrack.discovery.models import LAMPORTS_PER_SOL
from walltrack.discovery.positions import COMPLETE
from walltrack.discovery.wallet_history import WalletHistory, unix_seconds
from walltrack.discovery.wallet_models import WalletProfile

FAST_SECONDS: Final = 60
"""A closed position that was held for less cannot be followed by hand."""

DAY: Final = 86_400

HISTORY_CUT: Final = "history_cut"
BUDGET: Final = "budget"


class ProfileOutcome(StrEnum):
    """What a profile's `outcome` may be: figures, or why there are none. The first that is true."""

    NOT_READ = "not read"  # the history does not reach back to the profile's moment
    NO_TRANSACTIONS = "no transactions"
    ONLY_FAILED = "only failed transactions"
    ONLY_TRANSFERS_IN = "only transfers in"  # tokens came, and nothing else happened to any
    NO_TRADES = "no trades"  # of tokens: means of payment are none
    NOTHING_BASED = "nothing based"  # no purchase had a known cost
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class _Window:
    """What of a history lies in the lookback, and since when (Unix seconds) nothing of it is missing (None: nothing
    of it is known); `missing` are the reasons why not all of it is there.
    """

    frame: pl.DataFrame
    times: pl.DataFrame
    known_from: int | None
    end: int
    missing: tuple[str, ...]

    @property
    def trades(self) -> pl.DataFrame:
        return self.frame.filter(pl.col("kind").is_in(["buy", "sell"]))


def wallet_profile(history: WalletHistory, as_of: datetime) -> WalletProfile:
    """The wallet's figures at `as_of` (an aware time), of which nothing later changes any."""
    window = _window(history, unix_seconds(as_of))
    mints = [position_at(mint, window.end) for mint in events_by_mint(window.frame)]
    positions = [position for position in mints if position.trades]
    based = [position for position in positions if position.based]
    closed = [position for position in based if position.closed]
    abandoned = [position for position in based if position.abandoned]
    gains = gains_of(based)
    own = window.times.filter("signed")
    failed = int(own["failed"].sum())
    trades = sum(position.trades for position in positions)
    holds = sorted(p.hold_seconds for p in closed if p.hold_seconds is not None)
    return WalletProfile(
        wallet_address=history.wallet,
        as_of=as_of,
        lookback_days=history.lookback_days,
        transactions=window.times.height,
        failed=failed,
        positions=len(positions),
        based_positions=len(based),
        closed_positions=len(closed),
        abandoned_positions=len(abandoned),
        wins=gains.wins,
        trades=trades,
        fast_trades=sum(hold < FAST_SECONDS for hold in holds),
        realized_pnl_sol=gains.realized_pnl_sol,
        cost_of_sold_sol=gains.cost_of_sold_sol,
        lost_in_abandoned_sol=gains.lost_in_abandoned_sol,
        win_rate=_win_rate(gains, len(closed) + len(abandoned)),
        return_on_cost_pct=gains.return_on_cost_pct,
        profit_factor=gains.profit_factor,
        median_hold_seconds=holds[(len(holds) - 1) // 2] if holds else None,
        median_cost_sol=_median_sol([position.cost_lamports for position in based]),
        trades_per_day=_per_day(trades, window),
        largest_win_share=gains.largest_win_share,
        failed_share=ratio(Fraction(failed, own.height)) if own.height else None,
        last_active_at=_last_active(window),
        completeness=_completeness(window, positions),
        outcome=_outcome(window, positions),
    )


def _window(history: WalletHistory, end: int) -> _Window:
    start = end - history.lookback_days * DAY
    inside = pl.col("block_time").is_between(start, end)
    known_from = history.known_from
    missing: tuple[str, ...] = ()
    if history.cut is not None and (known_from is None or known_from > start):
        missing = tuple(dict.fromkeys(_cut_reason(part) for part in history.cut.split("; ")))
    elif known_from is None or known_from >= start + DAY or history.to_time <= end - DAY:
        missing = (HISTORY_CUT,)
    return _Window(
        frame=history.frame.filter(inside),
        times=history.times.filter(inside),
        known_from=None if known_from is None or known_from > end else max(known_from, start),
        end=end,
        missing=missing,
    )


def _cut_reason(part: str) -> str:
    return BUDGET if part.startswith(f"{BUDGET}:") else HISTORY_CUT


def _outcome(window: _Window, positions: Sequence[MintPosition]) -> str:
    if window.known_from is None:
        return ProfileOutcome.NOT_READ.value
    if window.times.is_empty():
        return ProfileOutcome.NO_TRANSACTIONS.value
    if window.times["failed"].all():
        return ProfileOutcome.ONLY_FAILED.value
    if not positions:
        kinds = set(window.frame["kind"].unique())
        return (
            ProfileOutcome.ONLY_TRANSFERS_IN if kinds == {"transfer_in"} else ProfileOutcome.NO_TRADES
        ).value
    if not any(position.based for position in positions):
        return ProfileOutcome.NOTHING_BASED.value
    return ProfileOutcome.MEASURED.value


def _completeness(window: _Window, positions: Iterable[MintPosition]) -> str:
    reasons = list(window.missing)
    if any(position.unpriced for position in positions):
        reasons.append("unpriced")
    if any(position.sums.unbased_sells for position in positions):
        reasons.append("unbased_sells")
    return "+".join(reasons) or COMPLETE


def _win_rate(gains: Gains, settled: int) -> Decimal | None:
    return ratio(Fraction(gains.wins, settled)) if settled else None


def _median_sol(lamports: Sequence[int]) -> Decimal | None:
    if not lamports:
        return None
    sol = median([Decimal(amount) for amount in lamports]) / LAMPORTS_PER_SOL
    return as_decimal(round(sol * 10**SOL_DECIMALS), SOL_DECIMALS)


def _per_day(trades: int, window: _Window) -> Decimal | None:
    """Over the time that is known, at least a day."""
    if window.known_from is None or window.times.is_empty():
        return None
    return ratio(Fraction(trades * DAY, max(DAY, window.end - window.known_from)))


def _last_active(window: _Window) -> datetime | None:
    """The last transaction that the wallet signed, failed ones included, or the last trade that was made for it. What
    others send to it is no activity of its own.
    """
    own = window.times.filter("signed")["block_time"]
    moments = [time for time in (own.max(), window.trades["block_time"].max()) if isinstance(time, int)]
    return datetime.fromtimestamp(max(moments), UTC) if moments else None
