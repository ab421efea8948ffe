"""The way into a run: creates its record, does it, and records its end whatever happens."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import structlog

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunEndedError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.at_once import for_each, stopped
from walltrack.discovery.clock import Clock
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, ListedToken, TriggerType
from walltrack.discovery.pipeline import (
    Progress,
    StartedToken,
    TokenSource,
    Unwatched,
    conclude,
    measure_token,
    plan,
)
from walltrack.discovery.profiling import profile_wallets
from walltrack.scheduler.stores import budget_of, stores_of
from walltrack.scheduler.trigger import CODE_VERSION
from walltrack.services.chain.purse import Budget

log = structlog.get_logger()

TOKEN_LEASE: Final = timedelta(minutes=5)
"""How long a token may be worked on without a sign of life before its run counts as abandoned."""

MOST_HISTORIES: Final = 100
"""Wallets of a run whose own histories are read, where nothing else is set."""


class TokenSourceOf(Protocol):
    """What opens a source for a run, and closes it after."""

    @property
    def description(self) -> str:
        """What the run's record calls the source."""

    @property
    def demo(self) -> bool:
        """Whether the market is made up."""

    def opened(self, run_id: UUID, budget: Budget | None = None) -> AbstractAsyncContextManager[TokenSource]:
        """The source for one run."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


async def run_discovery_task(
    params: DiscoveryRunParams,
    *,
    source: TokenSourceOf,
    database: Database,
    trigger_type: TriggerType = TriggerType.MANUAL,
    triggered_by: str | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
    most_histories: int = MOST_HISTORIES,
) -> DiscoveryRun:
    """Do one run and return it as stored: completed, or failed with its error.

    Runs that a dead process left behind are failed first. Where this one is cancelled, it is recorded as cancelled
    with what it had found, and the cancellation goes on. Raises WallTrackError where not even the record could be
    written.
    """
    clock = clock or SystemClock()
    runs = DiscoveryRepository(database)
    for abandoned in await runs.fail_abandoned_runs(clock.now()):
        log.warning("abandoned_run_failed", run_id=str(abandoned.id))
    started_at = clock.now()
    run = await runs.create_run(
        trigger_type,
        params,
        triggered_by=triggered_by,
        started_at=started_at,
        lease_expires_at=started_at + TOKEN_LEASE,
        token_source=source.description,
        demo=source.demo,
        code_version=CODE_VERSION,
        claimed_by=f"process {os.getpid()} on {platform.node()}",
    )
    sign_of_life = asyncio.create_task(_renew(runs, run.id, clock))
    warnings: Sequence[str] = ()
    try:
        async with source.opened(run.id, budget_of(database, run)) as tokens:
            warnings = tokens.warnings
            return await _discover(
                run,
                tokens,
                database,
                clock=clock,
                progress=progress or Unwatched(),
                most_histories=most_histories,
            )
    except asyncio.CancelledError:
        with _unless_ended(run.id):
            await runs.cancel_run(run.id, completed_at=clock.now(), warnings=warnings)
        raise
    except WallTrackError as error:
        with _unless_ended(run.id):
            return await runs.fail_run(run.id, str(error), completed_at=clock.now(), warnings=warnings)
        raise
    except Exception as error:
        with _unless_ended(run.id):
            reason = f"a defect: {error!r}"
            await runs.fail_run(run.id, reason, completed_at=clock.now(), warnings=warnings)
        raise
    finally:
        await stopped(sign_of_life)


async def _discover(
    run: DiscoveryRun,
    source: TokenSource,
    database: Database,
    *,
    clock: Clock,
    progress: Progress,
    most_histories: int,
) -> DiscoveryRun:
    """All steps of a run, one after the other, in this process."""
    stores, tokens = stores_of(database), RunTokenRepository(database)
    listed = await plan(run.id, run.params, source=source, plans=stores.plans)
    progress.tokens_listed([token.mint for token in listed])

    async def measure(token: ListedToken) -> None:
        now = clock.now()
        attempt = await tokens.start_token(run.id, token.mint, now=now, lease_expires_at=now + TOKEN_LEASE)
        if attempt is None:
            return
        outcome = await measure_token(
            run.id, StartedToken(attempt, token), run.params, source=source, tokens=tokens, clock=clock
        )
        progress.token_finished(token.mint, outcome.status, outcome.wallets)

    await for_each(listed, measure, at_once=source.at_once)
    profiled = await profile_wallets(
        run.id,
        run.params,
        histories=source,
        stores=stores.profiling,
        clock=clock,
        progress=progress,
        most=most_histories,
        demo=run.demo,
    )
    return await conclude(
        run.id, stores=stores, clock=clock, warnings=source.warnings, more_errors=profiled.errors
    )


@contextmanager
def _unless_ended(run_id: UUID) -> Iterator[None]:
    """A run that came to its end before this reached it keeps that end."""
    try:
        yield
    except RunEndedError as error:
        log.info("run_had_ended", run_id=str(run_id), status=error.status)


async def _renew(runs: DiscoveryRepository, run_id: UUID, clock: Clock) -> None:
    """Renew the run's lease while its process lives, however long one token takes."""
    while True:
        await asyncio.sleep(TOKEN_LEASE.total_seconds() / 5)
        try:
            await runs.heartbeat(run_id, clock.now() + TOKEN_LEASE)
        except RunEndedError:
            return
        except WallTrackError as error:
            log.warning("no_sign_of_life", run_id=str(run_id), error=str(error))
