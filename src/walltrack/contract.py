"""What the HTTP API's requests and answers hold beside the domain's own objects: one shape for server and clients.

Amounts in SOL, scores and percentages that are exact travel as JSON strings; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model

from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    ReadingCost,
    RemovedTokens,
    RunStatus,
    RunToken,
    StoredParams,
    TokenRefusal,
    TriggerType,
    WalletRecord,
)
from walltrack.discovery.pumps import Pumps
from walltrack.discovery.run_progress import ProviderUsage, RunProgress
from walltrack.discovery.schedule import (
    LONGEST_HOURS,
    LONGEST_NOTE,
    SHORTEST_HOURS,
    SchedulerConfig,
    starts_at,
)
from walltrack.discovery.wallet_models import ListedAddress, StoredProfile

BASE_PATH: Final = "/api/discovery"
LARGEST_PAGE: Final = 500
PARAMETERS: Final = tuple(DiscoveryRunParams.model_fields)

Mint = Annotated[str, Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{32,44}$", description="base58 address of a mint")]


class Scope(StrEnum):
    """What an API key may do. `operate` includes `read`."""

    READ = "read"
    OPERATE = "operate"


class Body(BaseModel):
    """A body of a request: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, strict=True)


class _Given(Body):
    def given(self) -> dict[str, Any]:
        """The parameters that were given, by name."""
        return {name: getattr(self, name) for name in PARAMETERS if name in self.model_fields_set}


def _optional(name: str) -> tuple[Any, Any]:
    field = DiscoveryRunParams.model_fields[name]
    bounds = {
        kind: getattr(one, kind) for one in field.metadata for kind in ("ge", "le") if hasattr(one, kind)
    }
    return field.annotation, Field(None, description=field.description, **bounds)


if TYPE_CHECKING:

    class GivenParams(_Given):
        """Some of a run's parameters, each within its bounds."""

else:
    GivenParams = create_model(
        "GivenParams",
        __base__=_Given,
        __doc__="Some of a run's parameters, each within its bounds.",
        **{name: _optional(name) for name in PARAMETERS},
    )


class RunRequest(GivenParams):
    """A run to start. What is left out has the value of the stored configuration; `mints` names tokens instead of
    taking those that the market lists.
    """

    mints: Annotated[list[Mint], Field(max_length=100)] = Field(default_factory=list)


class AgainRequest(GivenParams):
    """An earlier run to repeat. What is left out has that run's value; `fresh` reads the tapes up to now first."""

    fresh: bool = False


class CancelRequest(Body):
    """Why a run is cancelled, for its record."""

    reason: str | None = Field(None, max_length=500)


class Me(BaseModel):
    """Who is calling, what that caller may do, and which market runs are made on."""

    name: str
    scope: Scope
    asks_for_keys: bool
    market: str
    demo: bool


class RunStarted(BaseModel):
    """A run that was started or goes on, and how many workers serve: without one, it waits."""

    run_id: UUID
    status: RunStatus
    run: DiscoveryRun
    workers: int


class RunResumed(RunStarted):
    """A run that goes on, and its tokens that are measured once more; none: it begins with listing them."""

    tokens: list[str]


class RunsPage(BaseModel):
    """One page of runs, newest first. `page` is None where a cursor was given; `total` counts all pages."""

    runs: list[DiscoveryRun]
    total: int
    page: int | None
    page_size: int
    has_more: bool
    next_cursor: str | None = None


class RunFunnel(BaseModel):
    """How many were left at each step of a run. Wallets are counted once for each token, `qualified` and `kept` once.

    `kept` are those that are not excluded today.
    """

    tokens_listed: int
    tokens_measured: int
    buyers: int
    early: int
    qualified: int
    kept: int


class RunView(BaseModel):
    """All of a run but its wallets. `tokens` are in the order in which they were listed; where retention removed them
    and the refusals, `run.removed` says what they came to.
    """

    run: DiscoveryRun
    progress: RunProgress
    funnel: RunFunnel
    usage: list[ProviderUsage]
    tokens: list[RunToken]
    refusals: list[TokenRefusal]


class RunTokens(BaseModel):
    """The outcome of each token of a run, and the tokens that it left out. `removed`: retention removed both, and this
    is what they came to.
    """

    tokens: list[RunToken]
    refusals: list[TokenRefusal]
    removed: RemovedTokens | None = None


class ConfigView(BaseModel):
    """The configuration and where the schedule stands. `version` is also the ETag."""

    enabled: bool
    schedule_hours: int
    schedule_cron: str | None
    schedule_timezone: str
    jitter_seconds: int
    params: StoredParams
    note: str | None
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_run_id: UUID | None
    last_result: RunStatus | None
    updated_at: datetime | None
    updated_by: str | None
    version: int

    @classmethod
    def of(cls, config: SchedulerConfig) -> ConfigView:
        """The stored configuration as it is shown: `next_run_at` with its jitter."""
        schedule, due_at = config.schedule, config.next_run_at
        return cls(
            enabled=schedule.enabled,
            schedule_hours=schedule.hours,
            schedule_cron=schedule.cron,
            schedule_timezone=schedule.timezone,
            jitter_seconds=schedule.jitter_seconds,
            params=config.params,
            note=config.note,
            next_run_at=None if due_at is None else starts_at(schedule, due_at),
            last_run_at=config.last_run_at,
            last_run_id=config.last_run_id,
            last_result=config.last_result,
            updated_at=config.updated_at,
            updated_by=config.updated_by,
            version=config.version,
        )


class ConfigChanges(Body):
    """A change of the schedule: what is left out, or null, stays as it is. An empty `schedule_cron` or `note` takes it
    away; hours without an expression take the expression away. Values are checked all together, against each other too.
    """

    enabled: bool | None = None
    schedule_hours: int | None = Field(None, ge=SHORTEST_HOURS, le=LONGEST_HOURS)
    schedule_cron: str | None = Field(None, max_length=200)
    schedule_timezone: str | None = Field(None, max_length=100)
    jitter_seconds: int | None = Field(None, ge=0)


class ConfigUpdate(ConfigChanges):
    """A change of the configuration, with the parameters that scheduled runs start with."""

    params: GivenParams | None = None
    note: str | None = Field(None, max_length=LONGEST_NOTE)


class PreviewRequest(ConfigChanges):
    """What to look ahead for. With `forecast`, the market is asked what a run with `params` would cost now."""

    params: GivenParams | None = None
    count: int = Field(5, ge=1, le=100)
    forecast: bool = False


class CostForecast(BaseModel):
    """What a run would cost now: reading its tokens, and at most what the found wallets' histories come to."""

    tokens: int
    reading: ReadingCost
    histories_at_most: ReadingCost
    max_credits: int | None


class ConfigPreview(BaseModel):
    """What saving a change would do. `forecast_problem` says why there is no forecast where one was asked for."""

    at_once: bool
    times: list[datetime]
    forecast: CostForecast | None = None
    forecast_problem: str | None = None


class PumpView(BaseModel):
    """A token that pumped, with the figures by which it did. `pools` are (DEX id, address), the deepest first."""

    mint: str
    symbol: str
    launched_at: datetime
    price_change_24h_pct: float | None
    rise_to_peak_pct: float | None
    volume_24h_usd: float
    liquidity_usd: float
    transactions_24h: int | None
    pools: list[tuple[str, str]]
    providers: list[str]


class PumpsView(BaseModel):
    """What the markets list, as they were asked at `as_of`: tokens that pumped, and why the others are left out."""

    as_of: datetime
    source: str
    demo: bool
    pumped: list[PumpView]
    refused: list[TokenRefusal]
    warnings: list[str]

    @classmethod
    def of(
        cls, pumps: Pumps, warnings: Sequence[str], as_of: datetime, *, source: str, demo: bool
    ) -> PumpsView:
        """What the markets listed, as it is shown."""
        return cls(
            as_of=as_of,
            source=source,
            demo=demo,
            pumped=[
                PumpView(
                    mint=token.mint,
                    symbol=token.symbol,
                    launched_at=token.launched_at,
                    price_change_24h_pct=token.price_change_24h_pct,
                    rise_to_peak_pct=token.rise_to_peak_pct,
                    volume_24h_usd=token.volume_24h_usd,
                    liquidity_usd=token.liquidity_usd,
                    transactions_24h=token.transactions_24h,
                    pools=list(token.pools),
                    providers=list(token.providers),
                )
                for token in pumps.pumped
            ],
            refused=[
                TokenRefusal(mint=token.mint, name=token.symbol, reason=str(token.reason))
                for token in pumps.refused
            ],
            warnings=list(warnings),
        )


class SolPriceView(BaseModel):
    """USD for one SOL at the close of the `hour` that begins then; both None where no provider tells."""

    usd: Decimal | None = None
    hour: datetime | None = None


class WalletView(BaseModel):
    """All that is known of a wallet but its findings and runs, which come in pages. `profiles` are newest first."""

    wallet: WalletRecord
    profiles: list[StoredProfile]
    lists: list[ListedAddress]


class PartState(StrEnum):
    """How a part of the system is."""

    OK = "ok"
    FAILED = "failed"
    OFF = "off"


class SchedulerHealth(BaseModel):
    """When runs start by themselves."""

    enabled: bool | None
    next_run: datetime | None
    last_run: datetime | None


class LastRun(BaseModel):
    """The run that started last."""

    id: UUID
    status: RunStatus
    trigger_type: TriggerType
    started_at: datetime
    completed_at: datetime | None


class Part(BaseModel):
    """One part of the system. `says` is why it failed."""

    status: PartState
    says: str | None = None


class ProviderHealth(BaseModel):
    """What a provider was used for this month (UTC). `says` is why the last run left it alone, where it did."""

    provider: str
    requests: int
    credits: int
    errors: int
    says: str | None = None


class DetailedHealth(BaseModel):
    """How every part is. What counts or names anything is None to those without a key."""

    status: PartState
    failed: list[str]
    version: str
    demo: bool
    database: Part
    workers: Part
    schedule: Part
    scheduler: SchedulerHealth
    last_result: RunStatus | None
    last_discovery_run: LastRun | None
    serving_workers: int | None = None
    waiting_jobs: int | None = None
    running_jobs: int | None = None
    providers: list[ProviderHealth] | None = None


class Liveness(BaseModel):
    """The process answers."""

    status: PartState = PartState.OK
    version: str


class Readiness(BaseModel):
    """Whether work can be taken; every part that it hangs on."""

    status: PartState
    failed: list[str]
    database: Part
    schema_version: Part
    workers: Part


class FieldError(BaseModel):
    """A value that was refused: where it stood, and the bound that it breaks."""

    field: str
    detail: str


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it (`application/problem+json`).

    `errors` names fields, `run_id` the run in the way, `error_id` the entry of the server's log.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)
    run_id: UUID | None = None
    error_id: str | None = None
