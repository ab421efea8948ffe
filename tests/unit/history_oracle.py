"""A slow, plain account of a wallet's profile and of what a group did later, to compare with.

It is written from the docstrings of `WalletProfile` and `GroupOutcome`, goes token by token and event by event, and
keeps fractions. An event is a row of a history, as a dict.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import polars as pl

from tests.unit.oracle import SOL, Account, Event, event, in_sol
from walltrack.discovery.wallet_history import HISTORY_SCHEMA, TIMES_SCHEMA, WalletHistory

DAY = 86_400
NOW = 1_700_000_000
LAMPORTS = 10**9


def at(seconds: int) -> datetime:
    """The time so many seconds after NOW."""
    return datetime.fromtimestamp(NOW + seconds, UTC)


def of_mint(mint: str, kind: str, tokens: int, sol: float = 0, *, time: int, **other: object) -> Event:
    """A row of a history, `time` seconds after NOW."""
    row = event("w", kind, tokens, round(sol * LAMPORTS), block_time=NOW + time)
    return row | {"mint": mint, "decimals": 6} | other


def history(
    rows: Sequence[Event],
    others: Sequence[tuple[int, bool, bool]] = (),
    *,
    from_time: int = -90 * DAY,
    to_time: int = 0,
    lookback_days: int = 90,
    cut: str | None = None,
    wallet: str = "w",
) -> WalletHistory:
    """A history of rows, a transaction each, which others signed where tokens came by transfer, and of other
    transactions (seconds after NOW, failed, signed).
    """
    times = [(row["block_time"], False, row["kind"] != "transfer_in") for row in rows]
    times += [(NOW + time, failed, signed) for time, failed, signed in others]
    return WalletHistory(
        wallet=wallet,
        frame=pl.DataFrame(list(rows), schema=HISTORY_SCHEMA),
        times=pl.DataFrame(sorted(times), schema=TIMES_SCHEMA, orient="row"),
        from_time=NOW + from_time,
        to_time=NOW + to_time,
        lookback_days=lookback_days,
        cut=cut,
    )


@dataclass
class Token:
    """One token's events and what they make."""

    rows: list[Event]
    end: int

    def __post_init__(self) -> None:
        self.account = Account()
        self.trades = 0
        self.based = False
        self.peak = Fraction(0)
        self.holds: list[int] = []
        last_own = None
        began: int | None = None  # of the running holding: its first purchase
        running, peak = False, Fraction(0)
        for row in self.rows:
            before = self.account.held
            if row["kind"] in ("buy", "transfer_in") and not running:
                running, peak, began = True, Fraction(0), None
            self.account.add(row)
            held = self.account.held
            assert row["kind"] not in ("escrow_in", "escrow_out") or held == before
            peak = max(peak, held)
            self.peak = max(self.peak, held)
            if row["kind"] in ("buy", "sell"):
                self.trades += 1
            if row["kind"] == "buy":
                self.based = self.based or row["quote_mint"] == SOL
                began = row["block_time"] if began is None else began
            if row["kind"] in ("sell", "transfer_out") and running and held <= peak / 50:
                running = False
                if began is not None:
                    self.holds.append(row["block_time"] - began)
            if row["kind"] != "transfer_in":
                last_own = row["block_time"]
        self.closed = self.based and self.account.held <= self.peak / 50
        self.abandoned = (
            self.based and not self.closed and last_own is not None and self.end - last_own >= 7 * DAY
        )
        self.settled = self.closed or self.abandoned
        self.lost = self.account.basis if self.abandoned else Fraction(0)
        self.gain = self.account.realized - self.lost


def tokens(rows: Sequence[Event], end: int) -> list[Token]:
    by_mint: dict[str, list[Event]] = {}
    for row in rows:
        by_mint.setdefault(row["mint"], []).append(row)
    return [Token(of_mint_rows, end) for of_mint_rows in by_mint.values()]


def money(found: Sequence[Token]) -> dict[str, object]:
    """Figures that a profile and a group's outcome share."""
    realized = sum((t.account.realized for t in found), Fraction(0))
    cost = sum((t.account.cost_of_sold for t in found), Fraction(0))
    lost = sum((t.lost for t in found), Fraction(0))
    settled = [t.gain for t in found if t.settled]
    return {
        "wins": sum(gain > 0 for gain in settled),
        "realized_pnl_sol": in_sol(realized),
        "cost_of_sold_sol": in_sol(cost),
        "lost_in_abandoned_sol": in_sol(lost),
        "win_rate": share(sum(gain > 0 for gain in settled), len(settled)),
        "return_on_cost_pct": share(100 * (realized - lost), cost + lost),
    }


def share(part: Fraction | int, of: Fraction | int) -> Decimal | None:
    return Decimal(f"{round(Fraction(part) * 10**12 / of)}E-12") if of > 0 else None


def profile(
    rows: Sequence[Event], others: Sequence[tuple[int, bool, bool]], end: int, lookback_days: int
) -> dict[str, object]:
    """Every figure of a profile of a history that reaches back far enough."""
    start = end - lookback_days * DAY
    rows = [row for row in rows if start <= row["block_time"] <= end]
    others = [(NOW + time, failed, signed) for time, failed, signed in others if start <= NOW + time <= end]
    found = [token for token in tokens(rows, end) if token.trades]
    based = [token for token in found if token.based]
    closed = [token for token in based if token.closed]
    gains = [t.gain for t in based if t.settled and t.gain > 0]
    losses = [-t.gain for t in based if t.settled and t.gain < 0]
    holds = [max(token.holds) for token in closed if token.holds]
    own = [row["block_time"] for row in rows if row["kind"] != "transfer_in"]
    signed = len(own) + sum(by_self for _, _, by_self in others)
    failed = sum(bad and by_self for _, bad, by_self in others)
    active = own + [time for time, _, by_self in others if by_self]
    trades = sum(token.trades for token in found)
    seen = len(rows) + len(others)
    return money(based) | {
        "transactions": seen,
        "failed": failed,
        "positions": len(found),
        "based_positions": len(based),
        "closed_positions": len(closed),
        "abandoned_positions": sum(token.abandoned for token in based),
        "trades": trades,
        "fast_trades": sum(hold < 60 for hold in holds),
        "profit_factor": share(sum(gains), sum(losses)),
        "median_hold_seconds": statistics.median_low(holds) if holds else None,
        "median_cost_sol": in_sol(statistics.median(Fraction(t.account.cost) for t in based))
        if based
        else None,
        "trades_per_day": share(trades, lookback_days) if seen else None,
        "largest_win_share": share(max(gains), sum(gains)) if gains else None,
        "failed_share": share(failed, signed),
        "last_active_at": datetime.fromtimestamp(max(active), UTC) if active else None,
        "completeness": _completeness(found),
        "outcome": _outcome(rows, others, found, based),
    }


def _completeness(found: Sequence[Token]) -> str:
    reasons = [r for r in ("unpriced", "unbased_sells") if any(r in t.account.reasons for t in found)]
    return "+".join(reasons) or "complete"


def _outcome(
    rows: Sequence[Event],
    others: Sequence[tuple[int, bool, bool]],
    found: Sequence[Token],
    based: Sequence[Token],
) -> str:
    if not rows and not others:
        return "no transactions"
    if not rows and all(failed for _, failed, _ in others):
        return "only failed transactions"
    if not found:
        only_in = rows and all(row["kind"] == "transfer_in" for row in rows)
        return "only transfers in" if only_in else "no trades"
    return "measured" if based else "nothing based"


def opened(rows: Sequence[Event], start: int, end: int) -> list[Token]:
    """The tokens of a wallet, with the events of holdings whose first purchase is after `start`."""
    by_mint: dict[str, list[list[Event]]] = {}
    state: dict[str, tuple[bool, int, int]] = {}  # mint -> holding runs, held, its peak
    for row in rows:
        if row["block_time"] > end:
            continue
        parts = by_mint.setdefault(row["mint"], [[]])
        runs, held, peak = state.get(row["mint"], (False, 0, 0))
        if row["kind"] in ("buy", "transfer_in"):
            if not runs:
                parts.append([])
                runs, peak = True, 0
            held += row["token_raw"]
            peak = max(peak, held)
        elif row["kind"] in ("sell", "transfer_out"):
            held = max(held - row["token_raw"], 0)
            runs = runs and held * 50 > peak
        parts[-1].append(row)
        state[row["mint"]] = (runs, held, peak)
    found = []
    for parts in by_mint.values():
        later = []
        for part in parts:
            buys = [row["block_time"] for row in part if row["kind"] == "buy"]
            if buys and buys[0] > start:
                later += part
        if later:
            found.append(Token(later, end))
    return found
