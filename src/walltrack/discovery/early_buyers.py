"""Positions + parameters -> the wallets that qualify, with what proves it, and why each of the others does not.

The rule (docs/how-it-counts.md): the first buy at most `early_window_minutes` after launch, and a realized profit of at
least `min_profit_pct` percent of the cost of what was sold, both bounds inclusive and decided on unrounded figures.
Buyers of the launch slot are left out unless asked for. Programs, pools, takers of fees and tips are never wallets:
they are not counted and have no rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Final

import polars as pl
from solders.signature import Signature

from walltrack.discovery.addresses import no_wallets_of
from walltrack.discovery.average_cost import (
    BUY,
    PCT_DECIMALS,
    SELL,
    WalletEvents,
    as_decimal,
    profit_at_least,
)
from walltrack.discovery.models import DiscoveryRunParams, QualifiedWallet
from walltrack.discovery.positions import Position, position_of, positions_of, wallet_events, wallet_rows
from walltrack.discovery.tape import Tape

LAUNCH_SLOT: Final = "launch_slot"
"""Flag of a wallet whose first buy stands in the launch slot, or in the launch second where there are no slots."""

# How far, in percent of the amounts that a profit is made of, the float pass may err and still not lose a wallet. Its
# true error is below 1e-7.
_SLACK_PCT: Final = 1e-4

_HALF_STEP: Final = as_decimal(1, PCT_DECIMALS)


@dataclass(frozen=True, slots=True)
class EarlyBuyers:
    """What one tape holds. `wallets` by entry rank. `wallets_seen` counts every wallet of the tape, `wallets_early`
    those that bought within the window, buyers of the launch slot included. Times are None for an empty tape.
    """

    wallets: list[QualifiedWallet]
    events: int
    wallets_seen: int
    wallets_early: int
    first_event_at: datetime | None
    last_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class NeverTraded:
    """No buy or sell of the wallet is on the tape."""

    def __str__(self) -> str:
        return "never traded this token"


@dataclass(frozen=True, slots=True)
class NeverBought:
    """The wallet only sells on the tape."""

    def __str__(self) -> str:
        return "never bought this token, only sold it"


@dataclass(frozen=True, slots=True)
class NotAWallet:
    """The address belongs to no trader. `what` says what it is."""

    what: str

    def __str__(self) -> str:
        return f"not a wallet: {self.what}"


@dataclass(frozen=True, slots=True)
class TooLate:
    """The first buy came after the window."""

    seconds: int
    bound_seconds: int

    def __str__(self) -> str:
        return f"bought {self.seconds} s after launch, the window is {self.bound_seconds} s"


@dataclass(frozen=True, slots=True)
class LaunchSlotBuyer:
    """The first buy stands in the launch slot, and such buyers are left out."""

    def __str__(self) -> str:
        return "bought in the launch slot"


@dataclass(frozen=True, slots=True)
class NothingBasedSold:
    """No profit can be told: nothing that has a cost was sold at a price."""

    def __str__(self) -> str:
        return "sold nothing that has a known cost"


@dataclass(frozen=True, slots=True)
class ProfitBelow:
    """The realized profit, in percent of cost, is below the bound."""

    realized_pct: Decimal
    bound_pct: Decimal

    def __str__(self) -> str:
        return f"realized {self.realized_pct:.2f} %, at least {self.bound_pct} % are asked for"


Reason = NeverTraded | NeverBought | NotAWallet | TooLate | LaunchSlotBuyer | NothingBasedSold | ProfitBelow


@dataclass(frozen=True, slots=True)
class Refused:
    """A wallet that does not qualify, with every reason that holds, and its position where it has one."""

    wallet: str
    reasons: tuple[Reason, ...]
    position: Position | None = None


Verdict = QualifiedWallet | Refused


def early_buyers(tape: Tape, params: DiscoveryRunParams) -> EarlyBuyers:
    """The wallets of the tape that qualify under `early_window_minutes`, `min_profit_pct` and `include_launch_slot`."""
    wallets = wallet_rows(tape)
    wallets = wallets.filter(~pl.col("wallet").is_in(list(no_wallets_of(tape.mint))))
    buyers = _buyers(tape, wallets)
    early = buyers.filter(pl.col("seconds") <= _window_seconds(params))
    candidates = early if params.include_launch_slot else early.filter(~pl.col("at_launch"))
    times = tape.events["block_time"]
    return EarlyBuyers(
        wallets=_qualified(tape, params, candidates),
        events=tape.events.height,
        wallets_seen=wallets.height,
        wallets_early=early.height,
        first_event_at=_time(times[0]) if len(times) else None,
        last_event_at=_time(times[-1]) if len(times) else None,
    )


def explain(tape: Tape, params: DiscoveryRunParams, wallet: str) -> Verdict:
    """Whether this wallet qualifies on this tape, and if not, every reason why."""
    what = no_wallets_of(tape.mint).get(wallet)
    if what is not None:
        return Refused(wallet, (NotAWallet(what),))
    wallets = wallet_rows(tape)
    of_wallet = wallets.filter(pl.col("wallet") == wallet)
    if of_wallet.is_empty():
        return Refused(wallet, (NeverTraded(),))
    (events,) = wallet_events(tape, of_wallet)
    position = position_of(tape, events)
    if not position.buys:
        return Refused(wallet, (NeverBought() if position.sells else NeverTraded(),), position)
    others = wallets.filter(~pl.col("wallet").is_in(list(no_wallets_of(tape.mint))))
    (buyer,) = _buyers(tape, others).filter(pl.col("wallet") == wallet).iter_rows(named=True)
    reasons: list[Reason] = []
    if buyer["seconds"] > _window_seconds(params):
        reasons.append(TooLate(buyer["seconds"], _window_seconds(params)))
    if buyer["at_launch"] and not params.include_launch_slot:
        reasons.append(LaunchSlotBuyer())
    bound = _least_pct(params)
    if position.realized_pct is None:
        reasons.append(NothingBasedSold())
    elif not _is_profitable(events, position, bound):
        reasons.append(ProfitBelow(position.realized_pct, bound))
    if reasons:
        return Refused(wallet, tuple(reasons), position)
    return _wallet(tape, position, buyer, tape.events["signature"].gather(_trades(events)).to_list())


def _buyers(tape: Tape, wallets: pl.DataFrame) -> pl.DataFrame:
    """The wallets (rows of `wallet_rows`) that bought, in the order of their first buys, with `entry_rank`,
    `first_buy_row`, `time`, `slot`, `seconds` after launch, and `at_launch`: in the launch slot.
    """
    rows = wallets.with_row_index("at").select("at", "rows").explode("rows")
    kinds = tape.events.select(pl.col("kind").to_physical()).to_series().gather(rows["rows"])
    first_buys = rows.filter(kinds == BUY).group_by("at").agg(pl.col("rows").min().alias("first_buy_row"))
    first_buys = first_buys.sort("first_buy_row").with_row_index("entry_rank", offset=1)
    at_first_buy = tape.events.select(time="block_time", slot="slot")[first_buys["first_buy_row"]]
    in_launch_second = pl.col("time") == tape.launch_time
    at_launch = (
        in_launch_second
        if tape.launch_slot is None
        else pl.when(pl.col("slot").is_null())
        .then(in_launch_second)
        .otherwise(pl.col("slot") == tape.launch_slot)
    )
    return pl.concat(
        [wallets[first_buys["at"]], first_buys.select("entry_rank", "first_buy_row"), at_first_buy],
        how="horizontal",
    ).with_columns(seconds=pl.col("time") - tape.launch_time, at_launch=at_launch)


def _qualified(tape: Tape, params: DiscoveryRunParams, candidates: pl.DataFrame) -> list[QualifiedWallet]:
    """Those of the candidates (rows of `_buyers`) that are profitable. Floats choose, exact figures decide."""
    bound = _least_pct(params)
    figures = positions_of(tape, _sellers(tape, candidates))
    error = _SLACK_PCT * (pl.col("cost_of_sold_sol") + pl.col("matched_gross_sol"))
    likely = figures.filter(
        pl.col("realized_pct").is_not_null()
        & (100 * pl.col("realized_pnl_sol") + error >= float(bound) * pl.col("cost_of_sold_sol"))
    )
    chosen = candidates.join(likely.select("wallet"), on="wallet", how="semi", maintain_order="left")
    found: list[tuple[Position, Mapping[str, int], list[int]]] = []
    for buyer, events in zip(chosen.iter_rows(named=True), wallet_events(tape, chosen), strict=True):
        position = position_of(tape, events)
        if _is_profitable(events, position, bound):
            found.append((position, buyer, _trades(events)))
    # All signatures in one gather: one for each wallet would cost more than everything else here.
    rows = pl.Series([row for _, _, trades in found for row in trades], dtype=pl.UInt32)
    signatures = iter(tape.events["signature"].gather(rows).to_list())
    return [
        _wallet(tape, position, buyer, list(islice(signatures, len(trades))))
        for position, buyer, trades in found
    ]


def _sellers(tape: Tape, wallets: pl.DataFrame) -> pl.DataFrame:
    """Those of the wallets that sold."""
    rows = wallets.with_row_index("at").select("at", "rows").explode("rows")
    kinds = tape.events.select(pl.col("kind").to_physical()).to_series().gather(rows["rows"])
    return wallets[rows.filter(kinds == SELL)["at"].unique(maintain_order=True)]


def _is_profitable(events: WalletEvents, position: Position, bound: Decimal) -> bool:
    if position.realized_pct is None:
        return False
    # A rounded figure decides wherever rounding cannot have carried it over the bound.
    if abs(position.realized_pct - bound) > _HALF_STEP:
        return position.realized_pct > bound
    return profit_at_least(events, bound)


def _wallet(
    tape: Tape, position: Position, buyer: Mapping[str, int], signatures: list[bytes | None]
) -> QualifiedWallet:
    assert position.realized_pct is not None
    return QualifiedWallet(
        wallet_address=position.wallet,
        source_token=tape.mint,
        entry_rank=buyer["entry_rank"],
        seconds_after_launch=buyer["seconds"],
        first_buy_at=_time(buyer["time"]),
        first_buy_slot=buyer["slot"],
        buys=position.buys,
        sells=position.sells,
        cost_sol=position.cost_sol,
        proceeds_sol=position.proceeds_sol,
        cost_of_sold_sol=position.cost_of_sold_sol,
        realized_pnl_sol=position.realized_pnl_sol,
        realized_pct=position.realized_pct,
        held_tokens=as_decimal(position.held_raw, tape.decimals),
        held_cost_sol=position.held_cost_sol,
        completeness=position.completeness,
        flags=(LAUNCH_SLOT,) if buyer["at_launch"] else (),
        # Once each, also where one transaction holds several trades of the wallet.
        signatures=tuple(
            str(Signature.from_bytes(one)) for one in dict.fromkeys(signatures) if one is not None
        ),
    )


def _trades(events: WalletEvents) -> list[int]:
    return [row for row, kind in zip(events.rows, events.kinds, strict=True) if kind in (BUY, SELL)]


def _least_pct(params: DiscoveryRunParams) -> Decimal:
    return Decimal(str(params.min_profit_pct))  # the number as it was written: 33.3 means 333/10


def _window_seconds(params: DiscoveryRunParams) -> int:
    return params.early_window_minutes * 60


def _time(unix_seconds: int) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
