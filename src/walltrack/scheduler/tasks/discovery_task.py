"""The way into a run: creates its record, does it, and records its end whatever happens."""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final
from uuid import UUID

import structlog

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunEndedError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, TriggerType
from walltrack.discovery.pipeline import (
    TOKEN_LEASE,
    Clock,
    Progress,
    Stores,
    TokenSource,
    Unwatched,
    discover,
)

log = structlog.get_logger()

CODE_VERSION: Final = version("walltrack")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


async def run_discovery_task(
    params: DiscoveryRunParams,
    *,
    source: TokenSource,
    database: Database,
    trigger_type: TriggerType = TriggerType.MANUAL,
    triggered_by: str | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
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
        code_version=CODE_VERSION,
        claimed_by=f"process {os.getpid()} on {platform.node()}",
    )
    sign_of_life = asyncio.create_task(_renew(runs, run.id, clock))
    try:
        return await discover(
            run.id,
            params,
            source=source,
            stores=Stores(runs, RunTokenRepository(database), RunListingRepository(database)),
            clock=clock,
            progress=progress or Unwatched(),
        )
    except asyncio.CancelledError:
        await _record_cancelled(runs, run.id, clock, source)
        raise
    except WallTrackError as error:
        return await runs.fail_run(run.id, str(error), completed_at=clock.now(), warnings=source.warnings)
    except Exception as error:
        reason = f"a defect: {error!r}"
        await runs.fail_run(run.id, reason, completed_at=clock.now(), warnings=source.warnings)
        raise
    finally:
        sign_of_life.cancel()


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


async def _record_cancelled(
    runs: DiscoveryRepository, run_id: UUID, clock: Clock, source: TokenSource
) -> None:
    """Record a run as cancelled, unless it had come to its end before the cancellation reached it."""
    try:
        await runs.cancel_run(run_id, completed_at=clock.now(), warnings=source.warnings)
    except RunEndedError as error:
        log.info("cancelled_after_its_end", run_id=str(run_id), status=error.status)
