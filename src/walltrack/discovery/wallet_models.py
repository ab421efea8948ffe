"""What is said of a wallet: flags with their evidence, its profile, its score and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class Flag(StrEnum):
    """What a wallet may be marked with. Flags describe; none changes who qualifies."""

    LAUNCH_SLOT = "launch_slot"  # first buy in the slot of the launch
    SNIPER = "sniper"  # first buy in one of the three slots after it
    BUNDLE = "bundle"  # bought as one of several wallets of one hand
    PASSES_ON = "passes_on"  # gave bought tokens away before it sold any
    TOKENS_IN = "tokens_in"  # was given tokens before it sold any
    INSIDER = "insider"  # was given tokens by the creator, a buyer of the launch slot or a bundle before it sold any
    WASH = "wash"  # traded round in a ring, net about zero
    ROUND_TRIP = "round_trip"  # bought and sold in one transaction, or around another's trade
    FAST_TRADE = "fast_trade"  # held for less than a minute
    INFRASTRUCTURE = "infrastructure"  # at an improbable share of all launches
    NO_TRADER = "no_trader"  # a router, a program, a taker of fees
    EXCHANGE = "exchange"  # on the operator's list of exchanges


@dataclass(frozen=True, slots=True)
class FlagEvidence:
    """One flag of one wallet, on the token `mint`, or over all tokens where that is None.

    `count` says how often it was seen, `of` out of how many (None where there is no such number). `signatures` are
    base58, oldest first, at most `EVIDENCE_SIGNATURES`; `wallets` the others involved, at most as many. `detail` is a
    sentence for people.
    """

    flag: Flag
    mint: str | None
    count: int
    detail: str
    of: int | None = None
    signatures: tuple[str, ...] = ()
    wallets: tuple[str, ...] = ()


EVIDENCE_SIGNATURES = 5


@dataclass(frozen=True, slots=True)
class RushBuy:
    """A wallet's first buy of a token, in the slot of the launch or one of the three after it.

    `slots_after_launch` is None where the tape has no slots; then the second of the launch and the next one count.
    """

    wallet: str
    slots_after_launch: int | None
    seconds_after_launch: int
    signature: str | None


@dataclass(frozen=True, slots=True)
class RushCount:
    """In how many of all stored launches (`launches`) a wallet bought in the rush: in the launch slot, or sniped in the
    three slots after it. `rushers` is how many wallets did so anywhere, `appearances` how often all of them did.
    """

    launch_slot: int
    sniped: int
    launches: int
    rushers: int
    appearances: int


@dataclass(frozen=True, slots=True)
class WalletProfile:
    """A wallet's trading over many tokens, as it was known at `as_of`, within `lookback_days` before.

    A position is one token that the wallet bought or sold. It is based where a purchase had a known cost, closed where
    it is based and at most 2 % of its largest holding is left, and abandoned where it is based, more is left and the
    wallet did nothing with the token for seven days (what others sent it does not count). Settled are those that are
    closed or abandoned; what an abandoned one still holds counts as worth nothing. A settled position is a win where
    more came out than went in: matched proceeds - cost of what was sold - cost of what lies abandoned > 0. Tokens that
    were given away leave with their cost, so a position closed by giving all away is no win and no loss of SOL.

    `transactions` are all that name the wallet; `failed` those it signed that failed, `failed_share` their share of
    all it signed. `trades` are purchases and sales. A position's hold is the longest of its holdings, from its first
    purchase to where at most 2 % of it was left; `median_hold_seconds` is over closed positions (the lower of two in
    the middle), `fast_trades` are those held for less than a minute. `median_cost_sol` is over based positions, what
    their purchases cost in all. `trades_per_day` is over the part of the lookback that was read, at least a day.
    `return_on_cost_pct` is 100 * (realized - lost in abandoned) / (cost of sold + lost in abandoned). `profit_factor`
    is the sum of the gains of settled positions over that of the losses, None where there were no losses, and
    `largest_win_share` the largest gain over the sum of them. `last_active_at` is the last transaction it signed, or
    the last trade made for it.

    Figures are None where there is nothing to compute them from, and sums of nothing are 0. SOL amounts are exact,
    rounded once to 18 decimals, the other figures to 12, half to even; shares are 0-1.

    `completeness` is "complete", or reasons joined by "+": "history_cut" (there was more than was read), "budget"
    (reading stopped for want of credits), "unpriced", "unbased_sells". `outcome` is "measured", or why there are no
    figures (`profile.ProfileOutcome`).
    """

    wallet_address: str
    as_of: datetime
    lookback_days: int
    transactions: int
    failed: int
    positions: int
    based_positions: int
    closed_positions: int
    abandoned_positions: int
    wins: int
    trades: int
    fast_trades: int
    realized_pnl_sol: Decimal
    cost_of_sold_sol: Decimal
    lost_in_abandoned_sol: Decimal
    win_rate: Decimal | None
    return_on_cost_pct: Decimal | None
    profit_factor: Decimal | None
    median_hold_seconds: int | None
    median_cost_sol: Decimal | None
    trades_per_day: Decimal | None
    largest_win_share: Decimal | None
    failed_share: Decimal | None
    last_active_at: datetime | None
    completeness: str
    outcome: str

    @property
    def settled_positions(self) -> int:
        return self.closed_positions + self.abandoned_positions


class WalletStatus(StrEnum):
    """Where a wallet stands. Only `active` and `dormant` are ranked."""

    ACTIVE = "active"
    DORMANT = "dormant"
    INSUFFICIENT_DATA = "insufficient_data"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class ScorePart:
    """One part of a score: its value 0-1, its weight (weights sum to 1), and what it was made of."""

    name: str
    value: Decimal
    weight: Decimal
    explanation: str


@dataclass(frozen=True, slots=True)
class WalletScore:
    """A wallet's score, 0-1 with 4 decimals, None where there is nothing to compute it from.

    `reason` says why the status is not `active`.
    """

    value: Decimal | None
    version: int
    parts: tuple[ScorePart, ...]
    status: WalletStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A wallet's profile, flags and score as a run stored them, at `computed_at`."""

    id: UUID
    wallet_address: str
    run_id: UUID | None
    computed_at: datetime
    profile: WalletProfile | None
    flags: tuple[FlagEvidence, ...]
    score: WalletScore


@dataclass(frozen=True, slots=True)
class Standing:
    """A wallet's score and status. Both are None where nobody has profiled it."""

    score: Decimal | None = None
    status: WalletStatus | None = None
    reason: str | None = None

    @property
    def is_ranked(self) -> bool:
        return self.score is not None and self.status in (WalletStatus.ACTIVE, WalletStatus.DORMANT)


class AddressList(StrEnum):
    """The operator's own lists of addresses."""

    WATCH = "watch"
    EXCLUDE = "exclude"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class ListedAddress:
    """One address on one of the operator's lists."""

    list: AddressList
    address: str
    label: str | None
    note: str | None
    added_at: datetime
    added_by: str | None
