"""Starting a run: its row is there at once, and whoever serves does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.repositories.job_queue_repo import JobQueueRepository
from walltrack.data.supabase.repositories.run_engine_repo import RunStage
from walltrack.data.supabase.repositories.run_request_repo import (
    RunRequestKey,
    claim_request,
    note_run,
)
from walltrack.data.supabase.repositories.run_starts import NewRun, start_run
from walltrack.discovery.clock import Clock
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, TriggerType

CODE_VERSION: Final = version("walltrack")


@dataclass(frozen=True, slots=True)
class MarketName:
    """What a run's record calls the market, and whether that is made up."""

    token_source: str
    demo: bool


class Trigger:
    """Starts runs that the engine does. Raises RunsBusyError where `at_most` are running already."""

    def __init__(self, database: Database, market: MarketName, *, at_most: int, clock: Clock) -> None:
        self._database = database
        self._queue = JobQueueRepository(database)
        self._market = market
        self._at_most = at_most
        self._clock = clock

    async def start(
        self,
        params: DiscoveryRunParams,
        *,
        triggered_by: str | None,
        trigger_type: TriggerType = TriggerType.MANUAL,
        mints: Sequence[str] = (),
        again_of: UUID | None = None,
        from_stored: bool = False,
        market: MarketName | None = None,
        once: RunRequestKey | None = None,
    ) -> DiscoveryRun:
        """Start a run and return at once. `mints` names tokens, `from_stored` takes the tapes that `again_of` used.

        `market` is what the run's record calls its tokens' source, where that is not this trigger's market. A request
        with the same `once` as an earlier one gets that one's run; raises KeyReusedError where it asks for another.
        """
        new = replace(
            self._new(params, trigger_type, triggered_by, self._clock.now(), market or self._market),
            mints=tuple(mints),
            again_of=again_of,
            from_stored=from_stored,
        )
        async with self._database.transaction() as connection:
            started = None if once is None else await claim_request(connection, once)
            run = started or await start_run(connection, new, at_most=self._at_most)
            if once is not None and started is None:
                await note_run(connection, once, run.id)
        if started is None:
            await self.created(run.id)
        return run

    async def create(
        self,
        connection: Connection,
        params: DiscoveryRunParams,
        trigger_type: TriggerType,
        triggered_by: str | None,
        *,
        started_at: datetime,
    ) -> UUID:
        """Insert the row of a run within the caller's transaction."""
        new = self._new(params, trigger_type, triggered_by, started_at, self._market)
        return (await start_run(connection, new, at_most=self._at_most)).id

    async def created(self, run_id: UUID) -> None:
        """Set the run to work, once its row is committed."""
        await self._queue.defer_run(run_id)

    def _new(
        self,
        params: DiscoveryRunParams,
        trigger_type: TriggerType,
        triggered_by: str | None,
        started_at: datetime,
        market: MarketName,
    ) -> NewRun:
        return NewRun(
            params,
            trigger_type,
            started_at,
            triggered_by=triggered_by,
            token_source=market.token_source,
            demo=market.demo,
            code_version=CODE_VERSION,
            stage=RunStage.LISTING.value,
        )
