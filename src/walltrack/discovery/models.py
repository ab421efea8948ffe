"""Runs, their parameters and their results, under the names of the operators' stories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from walltrack.discovery.wallet_models import AddressList, FlagEvidence, Standing, WalletStatus

LAMPORTS_PER_SOL = 1_000_000_000


class RunStatus(StrEnum):
    """Where a run stands. Only `running` is not final."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TriggerType(StrEnum):
    """What started a run."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    API = "api"


class TokenStatus(StrEnum):
    """Where one token of a run stands. `unmeasurable` is an outcome, `failed` a fault."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    UNMEASURABLE = "unmeasurable"
    FAILED = "failed"
    CANCELLED = "cancelled"


Count = Annotated[int, Field(strict=True)]

_BEYOND: Final = ("greater_than_equal", "less_than_equal")
"""The validator's names for a value beyond a bound."""


def _without_bounds(schema: dict[str, Any]) -> None:
    """Answers have stored parameters, which need not be within today's bounds."""
    for shown in schema["properties"].values():
        for one in (shown, *shown.get("anyOf", ())):
            one.pop("minimum", None)
            one.pop("maximum", None)


class DiscoveryRunParams(BaseModel):
    """Parameters of a run, each with its bounds (inclusive). NaN and infinity are refused.

    `min_price_change_pct`, `min_volume_usd`, `min_liquidity_usd`, `max_token_age_hours` and `max_tokens` choose
    the tokens where a market lists them; tokens that are named, by tape files for one, are taken as they are.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=_without_bounds
    )

    min_price_change_pct: float = Field(100.0, ge=0, le=1000, description="least rise of the price, percent")
    min_volume_usd: float = Field(50_000.0, ge=0, description="least 24-hour volume, USD")
    max_token_age_hours: Count = Field(72, ge=1, le=168, description="most hours since the token's launch")
    early_window_minutes: Count = Field(
        30, ge=5, le=120, description="minutes after launch that count as early"
    )
    min_profit_pct: float = Field(50.0, ge=0, le=500, description="least realized profit, percent of cost")
    max_tokens: Count = Field(20, ge=1, le=100, description="most tokens of a run")
    profile_immediately: StrictBool = Field(True, description="profile the found wallets within the run")
    min_liquidity_usd: float = Field(10_000.0, ge=0, description="least liquidity of the deepest pool, USD")
    include_launch_slot: StrictBool = Field(False, description="keep buyers of the launch slot")
    max_credits: Count | None = Field(
        None, ge=0, le=1_000_000_000_000, description="most provider credits of a run"
    )


def _stored(given: object, validated: ValidatorFunctionWrapHandler) -> DiscoveryRunParams:
    try:
        params: DiscoveryRunParams = validated(given)
    except ValidationError as error:
        if not isinstance(given, Mapping) or any(one["type"] not in _BEYOND for one in error.errors()):
            raise
        params = DiscoveryRunParams.model_construct(**given)
    return params


StoredParams = Annotated[DiscoveryRunParams, WrapValidator(_stored)]
"""Parameters as they were stored. History stays readable when bounds change: here they may be beyond today's."""

CHOOSING: Final = (
    "min_price_change_pct",
    "min_volume_usd",
    "max_token_age_hours",
    "max_tokens",
    "min_liquidity_usd",
)
"""The parameters that choose tokens where a market lists them."""


@dataclass(frozen=True, slots=True)
class ReadingCost:
    """What reading from providers costs: requests, and credits of the key's plan."""

    requests: int
    credits: int

    def __add__(self, other: ReadingCost) -> ReadingCost:
        return ReadingCost(self.requests + other.requests, self.credits + other.credits)


@dataclass(frozen=True, slots=True)
class RemovedTokens:
    """What is known of a run's tokens after retention removed their rows, with its refusals and events, at `at`.

    `measured` tokens had a tape; `buyers` and `early` count wallets once for each token; `cost` is what reading the
    tapes came to, None where that was not noted.
    """

    at: datetime
    listed: int
    measured: int
    buyers: int
    early: int
    refused: int
    statuses: Mapping[TokenStatus, int]
    cost: ReadingCost | None = None


class DiscoveryRun(BaseModel):
    """One run as it is stored. Times are aware, in UTC. `used` is what it asked of providers up to now, over all its
    processes; None where that was not looked up.
    """

    id: UUID
    started_at: datetime
    completed_at: datetime | None = None
    status: RunStatus = RunStatus.RUNNING

    trigger_type: TriggerType
    triggered_by: str | None = None
    token_source: str | None = None
    demo: bool = False
    code_version: str | None = None

    # Where the engine does it: the step it stands at. None: it lives and ends with the process that started it.
    stage: str | None = None
    # Tokens that are named, and the run whose stored tapes are used again.
    mints: tuple[str, ...] = ()
    again_of: UUID | None = None
    from_stored: bool = False

    params: StoredParams = Field(default_factory=DiscoveryRunParams)

    tokens_analyzed: int = 0
    new_wallets: int = 0
    updated_wallets: int = 0
    profiled_wallets: int = 0
    duration_seconds: float = 0.0

    errors: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    forecast: ReadingCost | None = None
    used: ReadingCost | None = None

    # None: its rows by token are there.
    removed: RemovedTokens | None = None


@dataclass(frozen=True, slots=True)
class QualifiedWallet:
    """A wallet that was early in one token and took profit, with what proves it.

    Amounts in SOL are exact and rounded once, to 18 decimals; `held_tokens` is in UI units of the mint.
    `cost_sol` and `proceeds_sol` are totals over all buys and all sells; `realized_pnl_sol` is what the matched
    part of the sells brought above `cost_of_sold_sol`. `completeness` is "complete", or the reasons why the
    figures may not be whole, joined by "+". `signatures` are base58, oldest first, of this wallet's trades.
    """

    wallet_address: str
    source_token: str
    entry_rank: int
    seconds_after_launch: int
    first_buy_at: datetime
    first_buy_slot: int | None
    buys: int
    sells: int
    cost_sol: Decimal
    proceeds_sol: Decimal
    cost_of_sold_sol: Decimal
    realized_pnl_sol: Decimal
    realized_pct: Decimal
    held_tokens: Decimal
    held_cost_sol: Decimal
    completeness: str
    flags: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    evidence: tuple[FlagEvidence, ...] = ()


@dataclass(frozen=True, slots=True)
class DiscoveryRunWallet:
    """A qualified wallet as one run stored it: one per run, wallet and source token.

    `found` is None on rows of an earlier version, which kept no figures.
    """

    id: UUID
    run_id: UUID
    wallet_address: str
    source_token: str
    is_new: bool
    initial_score: Decimal | None
    found: QualifiedWallet | None


@dataclass(frozen=True, slots=True)
class TokenSummary:
    """What was measured on one token of a run."""

    launch_at: datetime
    launch_slot: int | None
    first_event_at: datetime
    last_event_at: datetime
    events: int
    wallets_seen: int
    wallets_early: int
    tape_cut: str | None = None


@dataclass(frozen=True, slots=True)
class TokenMarket:
    """What the market said of a token when it was listed. `pools` are (DEX id, address)."""

    pools: tuple[tuple[str, str], ...]
    transactions_24h: int | None
    launched_at: datetime


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A token that a run will look at, and what reading it is forecast to cost (None: nothing is read for it).

    `left_unread` says why its tape is not to be read, where it is not.
    """

    mint: str
    forecast: ReadingCost | None = None
    market: TokenMarket | None = None
    left_unread: str | None = None


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """A token that a market listed and a run left out. `reason` has the figures and the bound."""

    mint: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunToken:
    """One token's part of a run. `reason` says why it is unmeasurable, or what failed; `plan` how its tape was read.

    `segments` are as in `TapeReading`; None where they were not noted. `tape_removed_at` is when retention removed tape
    of which it was made.
    """

    run_id: UUID
    mint: str
    status: TokenStatus
    reason: str | None = None
    wallets_found: int = 0
    summary: TokenSummary | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    forecast: ReadingCost | None = None
    cost: ReadingCost | None = None
    plan: str | None = None
    segments: Mapping[str, int] | None = None
    tape_removed_at: datetime | None = None


class RunFigures(BaseModel):
    """Figures of the runs that started from `starts_at` on and before `ends_at`, both in UTC.

    Wallets discovered are those that no run had found before, wallets updated those found again. The success rate is
    completed / (completed + failed), None while there is neither. `credits` are what these runs spent, whenever.
    """

    starts_at: datetime
    ends_at: datetime
    total_runs: int = 0
    successful_runs: int = 0
    failed_runs: int = 0
    cancelled_runs: int = 0
    wallets_discovered: int = 0
    wallets_updated: int = 0
    success_rate: float | None = None
    avg_wallets_per_run: float | None = None
    credits: int = 0


class DayFigures(RunFigures):
    """Figures of one day (UTC), or of the part of it that was asked for."""

    day: date


class WeekFigures(RunFigures):
    """Figures of one ISO week (UTC), or of a part of it."""

    week: str


class WeekTrend(BaseModel):
    """Week over week. `current` is the running week, partial; `previous_same_part` the last one up to the same
    moment of the week; `weeks` whole weeks, oldest first. A change is None where there is nothing to divide by.
    """

    current: WeekFigures
    previous_same_part: WeekFigures
    runs_change_pct: float | None = None
    wallets_change_pct: float | None = None
    weeks: list[WeekFigures] = Field(default_factory=list)


class DiscoveryStats(BaseModel):
    """Figures over a period. Averages are over completed runs; the success rate is completed / (completed + failed),
    None while there is neither.

    `daily` and `weekly` have every UTC day and ISO week of the period, the oldest first, those without a run as zeros;
    the first and the last go only as far as the period does. `daily` is None where the period has more than 400 days,
    `weekly` where it has more than 1,100 weeks. A period without a start begins with the day or week of the first run;
    one without an end goes on to today or the last run, whichever is later.
    """

    total_runs: int = 0
    successful_runs: int = 0
    failed_runs: int = 0
    cancelled_runs: int = 0
    running_runs: int = 0
    success_rate: float | None = None
    total_wallets_discovered: int = 0
    total_wallets_updated: int = 0
    avg_wallets_per_run: float = 0.0
    avg_duration_seconds: float = 0.0
    credits: int = 0
    last_run_at: datetime | None = None
    trend: WeekTrend | None = None
    daily: list[DayFigures] | None = None
    weekly: list[WeekFigures] | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of runs, newest first. `next_cursor` is opaque, None on the last page; `total` counts all pages."""

    runs: list[DiscoveryRun]
    total: int
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """A wallet over all runs. `sources` counts the tokens on which it was found.

    `demo`: only runs on a made-up market found it. `score` to `status_reason`, `closed_positions` and `last_active_at`
    are of its newest profile, made at `profiled_at`, and None before there is one; a wallet on the operator's exclude
    list is `excluded` whatever its profile said. `flags` are the names over all findings and that profile. `listed`
    are the operator's lists it is on, `note` what he noted there.
    """

    address: str
    first_seen_at: datetime
    last_seen_at: datetime
    runs: int
    sources: int
    best_realized_pct: Decimal | None = None
    total_realized_pnl_sol: Decimal | None = None
    demo: bool = False
    score: Decimal | None = None
    score_version: int | None = None
    status: WalletStatus | None = None
    status_reason: str | None = None
    flags: tuple[str, ...] = ()
    closed_positions: int | None = None
    last_active_at: datetime | None = None
    profiled_at: datetime | None = None
    listed: tuple[AddressList, ...] = ()
    note: str | None = None


class WalletOrder(StrEnum):
    """How lists of wallets are ordered."""

    FIRST_SEEN = "first_seen"  # the last found for the first time first
    SCORE = "score"  # the ranking, the best first; then those that are not ranked


@dataclass(frozen=True, slots=True)
class WalletFilters:
    """Which wallets a list shows, and in which order. All that is given must hold; bounds are inclusive.

    The default view (no `statuses`) has every wallet but the excluded ones: those not profiled yet too, and those with
    too little to go by. `with_flags` are had all, `without_flags` none. `active_within_days` counts back from the
    caller's `now`. `address_prefix` is as in the address: base58 knows upper and lower case. `demo`: only wallets that
    nothing but made-up markets showed (True), or only the others (False).
    """

    min_score: Decimal | None = None
    with_flags: tuple[str, ...] = ()
    without_flags: tuple[str, ...] = ()
    active_within_days: int | None = None
    min_closed_positions: int | None = None
    statuses: tuple[WalletStatus, ...] = ()
    watched: bool = False
    address_prefix: str | None = None
    demo: bool | None = None
    order: WalletOrder = WalletOrder.FIRST_SEEN


@dataclass(frozen=True, slots=True)
class WalletPage:
    """One page of wallets. `next_cursor` is opaque, None on the last page.

    `total` counts all pages; where `total_is_at_least`, there are more than were counted.
    """

    wallets: list[WalletRecord] = field(default_factory=list)
    total: int = 0
    next_cursor: str | None = None
    total_is_at_least: bool = False


class FindingOrder(StrEnum):
    """How the findings of a run are ordered. What has no value comes last, either way."""

    REALIZED_PNL_SOL = "realized_pnl_sol"
    REALIZED_PCT = "realized_pct"
    SCORE = "score"
    ENTRY_RANK = "entry_rank"
    FIRST_BUY_AT = "first_buy_at"


@dataclass(frozen=True, slots=True)
class StandingFinding:
    """What a run found, and where the wallet stands today."""

    finding: DiscoveryRunWallet
    standing: Standing


@dataclass(frozen=True, slots=True)
class FindingPage:
    """One page of findings. `next_cursor` is opaque, None on the last page; `total` counts all pages."""

    findings: list[StandingFinding] = field(default_factory=list)
    total: int = 0
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class WalletToProfile:
    """A wallet that a run found. `evidence` is that of its flags on all tokens of the run."""

    wallet_address: str
    source_tokens: int
    realized_pnl_sol: Decimal | None
    evidence: tuple[FlagEvidence, ...]
    is_profiled: bool = False


@dataclass(frozen=True, slots=True)
class AddressEntry:
    """What the operator gives for one of his lists."""

    address: str
    label: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run's wallets (`found`) went on after it, up to `as_of`, and other buyers of the same tokens (`control`).

    The figures are values of JSON, by name.
    """

    run_id: UUID
    computed_at: datetime
    as_of: datetime
    found: Mapping[str, object]
    control: Mapping[str, object]
    control_wallets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParametersOutcome:
    """The newest outcome of each run with these parameters, of the newest run first. Made-up markets stand apart."""

    params: StoredParams
    demo: bool
    outcomes: tuple[RunOutcome, ...]
