"""A slow, plain account of positions and early buyers, written from docs/how-it-counts.md to compare with.

It goes event by event and keeps fractions: quantity with a basis, quantity without, and the cost of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from walltrack.discovery.tape import TAPE_SCHEMA, Tape

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

Event = dict[str, Any]


def event(wallet: str, kind: str, tokens: int, quote: int = 0, **other: Any) -> Event:
    """A row of a tape; what is not given is as in a tape without slots."""
    row: Event = dict.fromkeys(TAPE_SCHEMA)
    row |= {"block_time": 0, "tx_index": 0, "fee_lamports": 0, "flags": 0}
    row |= {"wallet": wallet, "kind": kind, "token_raw": tokens, "quote_raw": quote}
    row["quote_mint"] = SOL if kind in ("buy", "sell") else None
    return row | other


def tape(events: Sequence[Event], **other: Any) -> Tape:
    """A tape of the events in their order, launched at second 0."""
    defaults: dict[str, Any] = {"mint": "mint", "decimals": 6, "launch_time": 0, "launch_slot": None}
    return Tape(events=pl.DataFrame(list(events), schema=TAPE_SCHEMA), **(defaults | other))


@dataclass
class Account:
    """What one wallet did; sums in lamports and base units."""

    based: Fraction = Fraction(0)
    unbased: Fraction = Fraction(0)
    basis: Fraction = Fraction(0)
    cost: int = 0
    proceeds: int = 0
    cost_of_sold: Fraction = Fraction(0)
    matched_proceeds: Fraction = Fraction(0)
    matched: Fraction = Fraction(0)
    gross: Fraction = Fraction(0)
    buys: int = 0
    sells: int = 0
    reasons: set[str] = field(default_factory=set)

    @property
    def held(self) -> Fraction:
        return self.based + self.unbased

    @property
    def realized(self) -> Fraction:
        return self.matched_proceeds - self.cost_of_sold

    @property
    def realized_pct(self) -> Fraction | None:
        return 100 * self.realized / self.cost_of_sold if self.cost_of_sold > 0 else None

    def take(self, tokens: Fraction) -> tuple[Fraction, Fraction, Fraction]:
        """Takes tokens out pro rata: (based, unbased, cost) that left."""
        if self.held == 0:
            return Fraction(0), Fraction(0), Fraction(0)
        part = tokens / self.held
        left = self.based * part, self.unbased * part, self.basis * part
        self.based, self.unbased, self.basis = (
            self.based - left[0],
            self.unbased - left[1],
            self.basis - left[2],
        )
        return left

    def add(self, row: Event) -> None:
        kind, tokens, priced = row["kind"], Fraction(row["token_raw"]), row["quote_mint"] == SOL
        if kind in ("buy", "sell") and not priced:
            self.reasons.add("unpriced")
        if kind == "buy":
            self.buys += 1
            if priced:
                cost = row["quote_raw"] + row["fee_lamports"]
                self.cost += cost
                self.based += tokens
                self.basis += cost if self.held else 0
            else:
                self.unbased += tokens
        elif kind == "transfer_in":
            self.reasons.add("tokens_by_transfer")
            self.unbased += tokens
        elif kind == "transfer_out":
            self.take(min(tokens, self.held))
        elif kind == "sell":
            self.sells += 1
            based, unbased, cost = self.take(min(tokens, self.held))
            if unbased or based + unbased < tokens:
                self.reasons.add("unbased_sells")
            if priced:
                proceeds = row["quote_raw"] - row["fee_lamports"]
                self.proceeds += proceeds
                self.cost_of_sold += cost
                self.matched += based
                self.matched_proceeds += proceeds * based / tokens if tokens else 0
                self.gross += abs(proceeds) * based / tokens if tokens else 0


def accounts(rows: Sequence[Event]) -> dict[str, Account]:
    """Every wallet's account, wallets in the order of their first event."""
    found: dict[str, Account] = {}
    for row in rows:
        found.setdefault(row["wallet"], Account()).add(row)
    return found


def completeness(account: Account, tape: Tape) -> str:
    reasons = []
    if tape.starts_late:
        reasons.append("tape_starts_late")
    if tape.cut is not None:
        reasons.append("tape_cut")
    reasons += [r for r in ("unbased_sells", "tokens_by_transfer", "unpriced") if r in account.reasons]
    return "+".join(reasons) or "complete"


def in_sol(lamports: Fraction | int) -> Decimal:
    """SOL with 18 decimals, rounded half to even as Python rounds fractions."""
    return Decimal(f"{round(Fraction(lamports) * 10**9)}E-18")


def early(
    rows: Sequence[Event],
    *,
    launch_time: int,
    launch_slot: int | None,
    window_minutes: int,
    least_pct: Fraction,
    with_launch_slot: bool,
) -> dict[str, tuple[int, int, Fraction, bool]]:
    """Wallets that qualify -> (entry rank, seconds after launch, percent, bought in the launch slot)."""
    found = {}
    held = accounts(rows)
    buyers = list(dict.fromkeys(row["wallet"] for row in rows if row["kind"] == "buy"))
    for rank, wallet in enumerate(buyers, 1):
        first = next(row for row in rows if row["wallet"] == wallet and row["kind"] == "buy")
        seconds = first["block_time"] - launch_time
        if launch_slot is not None and first["slot"] is not None:
            at_launch = first["slot"] == launch_slot
        else:
            at_launch = first["block_time"] == launch_time
        pct = held[wallet].realized_pct
        if (
            seconds > 60 * window_minutes
            or (at_launch and not with_launch_slot)
            or pct is None
            or pct < least_pct
        ):
            continue
        found[wallet] = (rank, seconds, pct, at_launch)
    return found
