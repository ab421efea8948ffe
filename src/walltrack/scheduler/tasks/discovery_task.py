"""The way into a run: creates its record, does it, and records its end whatever happens."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, Protocol
from uuid import UUID

import structlog

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunEndedError
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.rush_repo import RushRepository
from walltrack.discovery.clock import Clock
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, TriggerType
from walltrack.discovery.pipeline import (
    TOKEN_LEASE,
    Progress,
    Stores,
    TokenSource,
    Unwatched,
    discover,
)
from walltrack.discovery.profiling import ProfileStores

log = structlog.get_logger()

CODE_VERSION: Final = version("walltrack")

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

    def opened(self, run_id: UUID) -> AbstractAsyncContextManager[TokenSource]:
        """The source for one run."""


def stores_of(database: Database) -> Stores:
    """Where runs are kept in a database."""
    return Stores(
        DiscoveryRepository(database),
        RunTokenRepository(database),
        RunListingRepository(database),
        ProfileStores(ProfileRepository(database), RushRepository(database), AddressListRepository(database)),
    )


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
        async with source.opened(run.id) as tokens:
            warnings = tokens.warnings
            return await discover(
                run.id,
                params,
                source=tokens,
                stores=stores_of(database),
                clock=clock,
                progress=progress or Unwatched(),
                demo=source.demo,
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
        sign_of_life.cancel()


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
