"""Did they keep winning? What wallets did after a moment, and a control group to compare them with.

Only positions that were opened after the moment count: of each mint the holdings whose first purchase is later. What
was held before, and bought more of, does not count before it was sold off (see `holdings`); nor does what was bought
or sold in the very second of the moment, which could be known at it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

import polars as pl

from walltrack.discovery.addresses import no_wallets_of
from walltrack.discovery.gains import gains_of, median, ratio
from walltrack.discovery.holdings import MintEvents, MintPosition, events_by_mint, holdings, position_at
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.wallet_history import WalletHistory, unix_seconds

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """Figures of a group of wallets from positions opened after a moment, up to another.

    `wallets` are all; `unmeasurable` says why some are in no figure, and how many each. `positions` are those opened,
    `settled` the closed and abandoned ones among those with a known cost. The other terms are those of
    `WalletProfile`, over all wallets at once; `median_return_pct` is the median of the wallets' own returns on cost.
    Figures are None where there is nothing to compute them from.
    """

    wallets: int
    unmeasurable: Mapping[str, int]
    wallets_with_trades: int
    positions: int
    settled: int
    wins: int
    win_rate: Decimal | None
    realized_pnl_sol: Decimal
    cost_of_sold_sol: Decimal
    lost_in_abandoned_sol: Decimal
    return_on_cost_pct: Decimal | None
    median_return_pct: Decimal | None

    @property
    def measured(self) -> int:
        """Wallets that are in the figures."""
        return self.wallets - sum(self.unmeasurable.values())


def outcome_figures(
    histories: Sequence[WalletHistory | Unmeasurable], since: datetime, as_of: datetime
) -> GroupOutcome:
    """The figures of wallets from positions opened after `since`, up to and including `as_of` (aware times).

    A wallet whose history does not hold all from one to the other is unmeasurable, as is one whose history could not
    be read.
    """
    start, end = unix_seconds(since), unix_seconds(as_of)
    reasons: Counter[str] = Counter()
    by_wallet: list[list[MintPosition]] = []
    for history in histories:
        if isinstance(history, Unmeasurable):
            reasons[history.reason.partition(":")[0]] += 1  # what follows has figures, and differs by wallet
        elif (reason := _missing(history, start, end)) is not None:
            reasons[reason] += 1
        else:
            by_wallet.append(_opened(history, start, end))
    positions = [position for of_wallet in by_wallet for position in of_wallet]
    total = gains_of(positions)
    returns = [pct for one in by_wallet if (pct := gains_of(one).return_on_cost_pct) is not None]
    settled = sum(position.settled for position in positions)
    return GroupOutcome(
        wallets=len(histories),
        unmeasurable=dict(sorted(reasons.items())),
        wallets_with_trades=sum(bool(of_wallet) for of_wallet in by_wallet),
        positions=len(positions),
        settled=settled,
        wins=total.wins,
        win_rate=ratio(Fraction(total.wins, settled)) if settled else None,
        realized_pnl_sol=total.realized_pnl_sol,
        cost_of_sold_sol=total.cost_of_sold_sol,
        lost_in_abandoned_sol=total.lost_in_abandoned_sol,
        return_on_cost_pct=total.return_on_cost_pct,
        median_return_pct=ratio(median(returns)) if returns else None,
    )


def other_buyers(tape: Tape, found: Collection[str], until: datetime) -> list[str]:
    """Wallets that bought on the tape up to `until` (an aware time) and are not among `found`, in the order of their
    first purchase. Programs, pools and takers of fees are none.
    """
    bought = tape.events.filter(kind="buy").filter(pl.col("block_time") <= unix_seconds(until))
    none = no_wallets_of(tape.mint).keys() | set(found)
    return [wallet for wallet in bought["wallet"].unique(maintain_order=True) if wallet not in none]


def control_of(
    candidates: Mapping[str, Sequence[str]], found: Mapping[str, int], seed: str
) -> tuple[str, ...]:
    """A control group: for each token as many of its candidates as wallets were found on it, or all where there are
    fewer. `candidates` and `found` are by mint. No wallet is drawn twice; the draw follows from the seed alone,
    whatever order the candidates come in.
    """
    drawn: dict[str, None] = {}
    for mint in sorted(found):
        left = set(candidates.get(mint, ())) - drawn.keys()
        drawn |= dict.fromkeys(sorted(left, key=lambda wallet: _lot(seed, mint, wallet))[: found[mint]])
    return tuple(drawn)


def _lot(seed: str, mint: str, wallet: str) -> bytes:
    return hashlib.sha256("\n".join((seed, mint, wallet)).encode()).digest()


def _missing(history: WalletHistory, start: int, end: int) -> str | None:
    """Why a history does not tell what was opened after `start`. Its end may be a day early."""
    known_from = history.known_from
    if known_from is None or known_from > start:
        if history.cut is not None:
            return f"not all since then was read ({history.cut.partition(':')[0]})"
        return "its history begins later"
    if history.to_time <= end - _DAY:
        return "its history was last read more than a day before the end"
    return None


def _opened(history: WalletHistory, start: int, end: int) -> list[MintPosition]:
    frame = history.frame.filter(pl.col("block_time") <= end)
    later = frame.filter(pl.col("block_time") > start, kind="buy")["mint"].unique()
    positions = []
    for mint in events_by_mint(frame.filter(pl.col("mint").is_in(later.to_list()))):
        opened = _opened_after(mint, start)
        if opened is not None:
            positions.append(position_at(opened, end))
    return positions


def _opened_after(mint: MintEvents, start: int) -> MintEvents | None:
    parts = [
        part
        for part in holdings(mint.events)
        if part.first_buy is not None and mint.times[part.first_buy] > start
    ]
    return mint.of(parts) if parts else None
