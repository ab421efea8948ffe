"""How every part of the system is, from what it left in the database: nobody is asked, nothing is spent."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

from walltrack.contract import (
    DetailedHealth,
    LastRun,
    Part,
    PartState,
    ProviderHealth,
    Readiness,
    SchedulerHealth,
)
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import SchemaOutdatedError
from walltrack.data.supabase.migrate import require_current_schema
from walltrack.data.supabase.repositories.health_repo import HealthRepository, SystemState
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.schedule import SchedulerConfig, starts_at
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler
from walltrack.scheduler.trigger import CODE_VERSION, MarketName

OVERDUE: Final = timedelta(minutes=10)
"""A due time that nobody has decided for so long: no process keeps the schedule."""

_OK: Final = Part(status=PartState.OK)
_UNKNOWN: Final = Part(status=PartState.FAILED, says="not known while the database does not answer")


class Parts(Protocol):
    """What is looked at: the API's context, or what a command has open."""

    @property
    def database(self) -> Database: ...

    @property
    def scheduler(self) -> DiscoveryScheduler: ...

    @property
    def market(self) -> MarketName: ...


async def readiness(context: Parts) -> Readiness:
    """Whether work can be taken: the database answers, has this version's tables, and a worker serves."""
    database, schema, workers = _OK, _OK, _UNKNOWN
    try:
        await require_current_schema(context.database)
    except SchemaOutdatedError:
        schema = Part(
            status=PartState.FAILED, says="the tables are of another version: run `walltrack migrate`"
        )
    except WallTrackError:
        database, schema = Part(status=PartState.FAILED, says="it does not answer"), _UNKNOWN
    if schema is _OK:
        try:
            workers = _workers(await HealthRepository(context.database).get_state())
        except WallTrackError:
            database = Part(status=PartState.FAILED, says="it does not answer")
    parts = {"database": database, "schema_version": schema, "workers": workers}
    failed = _failed(parts)
    return Readiness(status=PartState.FAILED if failed else PartState.OK, failed=failed, **parts)


async def detailed(context: Parts, *, to_known: bool) -> DetailedHealth:
    """How every part is. Counts and the providers' names only for callers who are known."""
    state, config, database = None, None, _OK
    try:
        state = await HealthRepository(context.database).get_state()
        config = await context.scheduler.load_config()
    except SchemaOutdatedError:
        database = Part(
            status=PartState.FAILED, says="the tables are of another version: run `walltrack migrate`"
        )
    except WallTrackError:
        database = Part(status=PartState.FAILED, says="it does not answer")
    parts = {
        "database": database,
        "workers": _UNKNOWN if state is None else _workers(state),
        "schedule": _UNKNOWN if config is None or state is None else _schedule(config, state),
    }
    failed = _failed(parts)
    return DetailedHealth(
        status=PartState.FAILED if failed else PartState.OK,
        failed=failed,
        version=CODE_VERSION,
        demo=context.market.demo,
        **parts,
        scheduler=_scheduler(config),
        last_result=None if config is None else config.last_result,
        last_discovery_run=_last_run(state),
        serving_workers=state.workers if state is not None and to_known else None,
        waiting_jobs=state.waiting if state is not None and to_known else None,
        running_jobs=state.doing if state is not None and to_known else None,
        providers=await _providers(context, state) if state is not None and to_known else None,
    )


def _workers(state: SystemState) -> Part:
    if state.workers:
        return _OK
    return Part(
        status=PartState.FAILED, says="none serves: runs wait until `walltrack serve --roles worker` runs"
    )


def _schedule(config: SchedulerConfig, state: SystemState) -> Part:
    if not config.schedule.enabled:
        return Part(status=PartState.OFF, says=config.note)
    due_at = config.next_run_at
    if due_at is not None and state.read_at - starts_at(config.schedule, due_at) > OVERDUE:
        return Part(
            status=PartState.FAILED,
            says="a run is overdue: no process keeps the schedule (`walltrack serve --roles scheduler`)",
        )
    return _OK


def _scheduler(config: SchedulerConfig | None) -> SchedulerHealth:
    if config is None:
        return SchedulerHealth(enabled=None, next_run=None, last_run=None)
    due_at = config.next_run_at
    return SchedulerHealth(
        enabled=config.schedule.enabled,
        next_run=None if due_at is None else starts_at(config.schedule, due_at),
        last_run=config.last_run_at,
    )


def _last_run(state: SystemState | None) -> LastRun | None:
    if state is None or state.last_run is None:
        return None
    last = state.last_run
    return LastRun(
        id=last.id,
        status=last.status,
        trigger_type=last.trigger_type,
        started_at=last.started_at,
        completed_at=last.completed_at,
    )


async def _providers(context: Parts, state: SystemState) -> list[ProviderHealth] | None:
    try:
        used = await ProviderRepository(context.database).usage_of_month(state.read_at)
    except WallTrackError:
        return None
    stopped = {} if state.last_run is None else dict(state.last_run.stopped)
    found = [
        ProviderHealth(
            provider=one.provider,
            requests=one.requests,
            credits=one.credits,
            errors=one.errors,
            says=stopped.pop(one.provider, None),
        )
        for one in used
    ]
    return found + [
        ProviderHealth(provider=name, requests=0, credits=0, errors=0, says=reason)
        for name, reason in stopped.items()
    ]


def _failed(parts: dict[str, Part]) -> list[str]:
    return [name for name, part in parts.items() if part.status is PartState.FAILED]
