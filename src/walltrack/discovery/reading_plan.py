"""How far to read a tape, what that costs, and what may be spent.

Everybody's trades are read through the early window. After it there are two ways to the same answer: the rest of the
tape up to now, or only the token accounts of the early buyers, each of which is its owner's ledger. The plan takes the
one that costs fewer credits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

import polars as pl

from walltrack.discovery.addresses import no_wallets_of
from walltrack.discovery.tape_streams import Route

PAGE: Final = 1000
"""Most transactions of a page by history, and signatures of a page by signatures."""

PROBE_PAGE: Final = 100
"""The first page of a tape of unknown or large size: a full one costs no more for each transaction than a large one."""

BATCH: Final = 100
"""Transactions that are asked for in one request by signatures."""

PER_100: Final = 10
"""Credits of 100 transactions by history, begun hundreds counted whole (docs/providers.md)."""

TRANSACTIONS_PER_TRADE: Final = 1.03
"""Successful transactions that name a mint, for each trade that the market counts: some move it without a trade."""

STAYING: Final = 0.2
"""How active early buyers are after the window, against all others, where in the window they were as active: most
leave soon.
"""

DAY: Final = 86_400

LAUNCH_RUSH: Final = 1.8
"""Of a token that pumps and is older than a day: transactions before the last 24 hours, for each one within them. Most
are those of the launch, which leaves the counted day within the LAUNCH_RUSH_SECONDS after its end.
"""

LAUNCH_RUSH_SECONDS: Final = 6 * 3600

FAILED_SHARE: Final = 0.15
"""Part of all signatures whose transaction failed: 6 to 23 % (docs/providers.md)."""

EARLY_SHARE: Final = 0.5
"""Part of a tape that lies in an early window as long as a tenth of the token's age; a shorter one holds less."""

BUYERS_PER_TRANSACTION: Final = 0.3
"""Early buyers for each transaction of the early window."""


@dataclass(frozen=True, slots=True)
class MarketCounts:
    """What the market says of a token. None: it does not say.

    `trades_24h` are buys and sells over all its pools, `age_seconds` the time since its launch.
    """

    trades_24h: int | None = None
    age_seconds: int | None = None

    @property
    def transactions(self) -> int | None:
        """Transactions of the tape, estimated. None where the market gives no counts."""
        if self.trades_24h is None:
            return None
        before = max(0, (self.age_seconds or 0) - DAY)
        rush = LAUNCH_RUSH * min(1.0, before / LAUNCH_RUSH_SECONDS)
        return math.ceil(self.trades_24h * TRANSACTIONS_PER_TRADE * (1 + rush))

    @property
    def cover_all(self) -> bool:
        """Whether the counts reach back to the launch, so that the estimate is good for more than a forecast."""
        return self.trades_24h is not None and self.age_seconds is not None and self.age_seconds <= DAY


@dataclass(frozen=True, slots=True)
class Tariff:
    """What reading costs: `historical` credits for each standard call about the past, on this key."""

    route: Route
    historical: int = 1

    def reading(self, transactions: float) -> int:
        """Credits of reading so many transactions of one address."""
        if self.route is Route.HISTORY:
            return PER_100 * max(1, math.ceil(transactions / 100))
        return self.historical * (self.listing(transactions) + math.ceil(transactions))

    def requests(self, transactions: float) -> int:
        """Requests of reading so many transactions of one address."""
        if self.route is Route.HISTORY:
            return max(1, math.ceil(transactions / PAGE))
        return self.listing(transactions) + math.ceil(transactions / BATCH)

    def listing(self, transactions: float) -> int:
        """Pages of signatures that list so many successful transactions."""
        return max(1, math.ceil(transactions / (1 - FAILED_SHARE) / PAGE))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a token's tape will probably cost. `transactions` is how many the plan reads."""

    mint: str
    requests: int
    credits: int
    transactions: int


def forecast(
    mint: str, counts: MarketCounts, tariff: Tariff, *, window_seconds: int, addresses: int = 1
) -> Forecast:
    """The cheaper of both ways by the market's counts.

    The tape has TRANSACTIONS_PER_TRADE transactions for each trade of the last 24 hours, and of a token that is older
    LAUNCH_RUSH times as many from before. The early window holds EARLY_SHARE of them, less where it is short against
    the token's age; each of its transactions brings BUYERS_PER_TRANSACTION early buyers, each with one account.
    `addresses` counts the mint and those of its pools that are read as well, over which the trades are spread. A token
    of which the market says nothing counts as one small page.
    """
    age = max(counts.age_seconds or DAY, 1)
    whole = (counts.transactions or 0) / addresses
    window = whole * EARLY_SHARE * min(1.0, 10 * window_seconds / age)
    buyers = math.ceil(addresses * window * BUYERS_PER_TRANSACTION)
    credits_whole = addresses * tariff.reading(whole)
    credits_accounts = addresses * tariff.reading(window) + buyers * tariff.reading(1)
    if tariff.route is Route.SIGNATURES:
        credits_accounts += addresses * tariff.historical * (tariff.listing(whole) - tariff.listing(window))
    if credits_whole <= credits_accounts:
        requests = addresses * tariff.requests(whole)
        return Forecast(mint, requests, credits_whole, math.ceil(addresses * whole))
    requests = addresses * tariff.requests(window) + buyers * tariff.requests(1)
    return Forecast(mint, requests, credits_accounts, math.ceil(addresses * window) + buyers)


def within_budget(
    forecasts: Iterable[Forecast], credits: int | None
) -> tuple[list[Forecast], list[Forecast]]:
    """(those that the credits suffice for, the cheapest first; the others). None: they suffice for all."""
    ordered = sorted(forecasts, key=lambda one: (one.credits, one.mint))
    if credits is None:
        return ordered, []
    left = credits
    for number, one in enumerate(ordered):
        if one.credits > left:
            return ordered[:number], ordered[number:]
        left -= one.credits
    return ordered, []


class CreditBudget:
    """Credits that may be spent, reserved before each call, so that they are never exceeded. None: no bound.

    Counts for one process; `spent` is what the others of the same run have used already.
    """

    def __init__(self, max_credits: int | None = None, *, spent: int = 0) -> None:
        if max_credits is not None and max_credits < 0:
            raise ValueError(f"a budget of {max_credits} credits: must be 0 or more")
        self.max_credits = max_credits
        self.spent = spent
        self.reserved = 0

    @property
    def available(self) -> int | None:
        """What can still be reserved; None without a bound."""
        return None if self.max_credits is None else max(0, self.max_credits - self.spent - self.reserved)

    def reserve(self, credits: int) -> bool:
        """Set credits aside for a call. False where there are not so many."""
        available = self.available
        if available is not None and credits > available:
            return False
        self.reserved += credits
        return True

    def settle(self, reserved: int, used: int) -> None:
        """Book what a call has used of what was set aside for it."""
        self.reserved -= reserved
        self.spent += used

    def __str__(self) -> str:
        return (
            f"{self.spent:,} of max_credits {self.max_credits:,}" if self.max_credits is not None else "none"
        )


@dataclass(frozen=True, slots=True)
class EarlyTrades:
    """The early part of a tape. Slots and times are those of the first trade; `buyers` bought within the window, each
    with the number of its transactions there.
    """

    launch_time: int
    launch_slot: int
    buyers: dict[str, int]

    @classmethod
    def of(
        cls,
        mint: str,
        frames: Sequence[pl.DataFrame],
        *,
        window_seconds: int,
        include_launch_slot: bool = False,
    ) -> EarlyTrades | None:
        """What rows (TAPE_SCHEMA, of any addresses of the mint) tell. None where they hold no trade."""
        trades = [_trades(frame) for frame in frames]
        merged = pl.concat(trades).sort("slot", "tx_index") if trades else None
        if merged is None or merged.is_empty():
            return None
        time, slot = merged["block_time"][0], merged["slot"][0]
        early = merged.filter(pl.col("block_time") <= time + window_seconds)
        buys = early.filter(pl.col("kind") == "buy").group_by("wallet", maintain_order=True).first()
        buys = buys.filter(~pl.col("wallet").is_in(list(no_wallets_of(mint))))
        if not include_launch_slot:
            buys = buys.filter(pl.col("slot") != slot)
        counted = early.join(buys.select("wallet"), on="wallet", how="semi").group_by("wallet").len()
        number = dict(counted.iter_rows())
        return cls(time, slot, {wallet: number[wallet] for wallet in buys["wallet"]})


class Extent(StrEnum):
    """What is read after the early window."""

    WHOLE = "the rest of the tape"
    ACCOUNTS = "the early buyers' accounts"
    NEWER = "what is newer than the stored tape"
    STORED = "nothing: the stored tape is whole"
    CUT = "nothing more"


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """How a token's tape is read, and why. Credits are estimates, None where they were not compared."""

    extent: Extent
    reason: str
    route: Route | None = None
    early_buyers: int | None = None
    credits_of_rest: int | None = None
    credits_of_accounts: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return f"{self.extent}: {self.reason}"


def accounts_cost(
    buyers: Iterable[int], tariff: Tariff, *, rest: int | None, window: int, known: int = 0
) -> int:
    """Credits of reading one account of each buyer, given the number of its transactions in the window, and of asking
    `known` accounts that were read before for what is newer.

    Of the `rest` transactions that come after the `window` ones, a buyer makes its share of the window's, times
    STAYING, and at least one. None: the rest is not known, and counts as nothing.
    """
    later = STAYING * (rest or 0) / max(window, 1)
    return sum(tariff.reading(max(1.0, count * later)) for count in buyers) + known * tariff.historical


def cheapest_extent(
    *, tariff: Tariff, early_buyers: int, rest_credits: int, accounts_credits: int
) -> ReadingPlan:
    """The way that costs fewer credits; the whole tape where both cost the same, since it tells more."""
    whole = rest_credits <= accounts_credits
    reason = (
        f"about {rest_credits:,} credits for the rest of the tape, {accounts_credits:,} for the accounts of "
        f"{early_buyers:,} early buyers"
    )
    return ReadingPlan(
        Extent.WHOLE if whole else Extent.ACCOUNTS,
        reason,
        tariff.route,
        early_buyers,
        rest_credits,
        accounts_credits,
    )


def first_page(transactions: int | None) -> int:
    """Transactions to ask for first. A tape that fits one page is asked for at once; of a larger or unknown one the
    first hundred tell its launch, hence where its early window ends.
    """
    return PAGE if transactions is not None and transactions <= PAGE else PROBE_PAGE


def _trades(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("slot", "tx_index", "block_time", "wallet", "kind").filter(
        pl.col("kind").is_in(["buy", "sell"])
    )
