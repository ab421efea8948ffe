"""What the engine's jobs do: the steps of a run, each by whoever claims it, in any process.

The rows decide. A claim has a lease that is renewed while its work goes on, and a fence with which everything of it is
stored; so work that comes twice, late or from the dead changes nothing, and what a dead process held is put back.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunEndedError, RunNotFoundError, StaleClaimError
from walltrack.data.supabase.notices import Notices, run_of
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.job_queue_repo import JobQueueRepository
from walltrack.data.supabase.repositories.run_engine_repo import (
    RunEngineRepository,
    RunStage,
    StaleStepError,
    StepClaim,
)
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.at_once import stopped
from walltrack.discovery.clock import Clock
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRun, RunStatus, TokenStatus
from walltrack.discovery.pipeline import TokenSource, Unwatched, conclude, measure_token, plan
from walltrack.discovery.profiling import profile_wallets
from walltrack.scheduler.sources import Sources
from walltrack.scheduler.stores import stores_of

log = structlog.get_logger()

_LATE: Final = (StaleClaimError, StaleStepError, RunEndedError, RunNotFoundError)
"""Somebody else has it, or the run has ended: there is nothing left to do."""

_LOOK_SECONDS: Final = 1.0
"""How often it is looked whether runs that are worked on have ended, beside the notices that say so."""


@dataclass(frozen=True, slots=True)
class Leases:
    """How long a claim holds without a sign of life, and how often one is given."""

    length: timedelta = timedelta(seconds=20)
    renewed_every: timedelta = timedelta(seconds=5)


class RunWork:
    """The engine's `Work`. One for each process."""

    def __init__(
        self,
        database: Database,
        sources: Sources,
        clock: Clock,
        *,
        most_histories: int,
        leases: Leases | None = None,
    ) -> None:
        self._database = database
        self._sources = sources
        self._clock = clock
        self._most_histories = most_histories
        self._leases = leases or Leases()
        self._runs = DiscoveryRepository(database)
        self._tokens = RunTokenRepository(database)
        self._steps = RunEngineRepository(database)
        self._queue = JobQueueRepository(database)
        self._name = f"process {os.getpid()} on {platform.node()}"
        self._busy: dict[asyncio.Task[None], UUID] = {}

    async def advance_run(self, run_id: UUID) -> None:
        """Do the run's own next step: list its tokens, or profile its wallets and complete it."""
        with self._noted(run_id), _late(run_id):
            claim = await self._steps.claim_step(run_id, lease=self._leases.length, claimed_by=self._name)
            if claim is None:
                return
            run = await self._runs.get_run(run_id)
            if run is None:
                return
            try:
                async with (
                    self._sources.opened(run) as source,
                    self._kept(lambda: self._steps.renew_step(claim, lease=self._leases.length)),
                ):
                    if claim.stage is RunStage.LISTING:
                        await self._list(run, claim, source)
                    else:
                        await self._profile(run, claim, source)
            except asyncio.CancelledError:
                with suppress(WallTrackError):
                    await asyncio.shield(self._give_back_step(claim))
                raise
            except _LATE:
                raise
            except WallTrackError as error:
                if error.passes:
                    await self._give_back_step(claim)
                    raise
                await self._fail(claim, str(error))
            except Exception as error:
                await self._fail(claim, _as_reason(error))
                raise

    async def do_token(self, run_id: UUID, mint: str) -> None:
        """Measure one token of a run. The last one lets the run's last step follow."""
        with self._noted(run_id), _late(run_id):
            run = await self._runs.get_run(run_id)
            if run is None or run.status is not RunStatus.RUNNING:
                return
            started = await self._steps.claim_token(
                run_id,
                mint,
                started_at=self._clock.now(),
                lease=self._leases.length,
                claimed_by=self._name,
            )
            if started is None:
                return
            try:
                async with (
                    self._sources.opened(run) as source,
                    self._kept(
                        lambda: self._steps.renew_token(
                            run_id, mint, started.attempt, lease=self._leases.length
                        )
                    ),
                ):
                    await measure_token(
                        run_id, started, run.params, source=source, tokens=self._tokens, clock=self._clock
                    )
            except asyncio.CancelledError:
                with suppress(WallTrackError):
                    await asyncio.shield(self._give_back_token(run_id, mint, started.attempt))
                raise
            except Exception as error:
                if isinstance(error, _LATE):
                    raise
                if isinstance(error, WallTrackError) and error.passes:
                    await self._give_back_token(run_id, mint, started.attempt)
                    raise
                await self._fail_token(run_id, mint, started.attempt, _as_reason(error))
                if not isinstance(error, WallTrackError):
                    raise
            if not await self._steps.has_open_tokens(run_id):
                await self._queue.defer_run(run_id)

    async def sweep(self) -> None:
        """Put back what the dead held, give up what nobody survives, and see that everything open has a job.

        Runs that a command or an earlier version left behind are failed: the schedule would wait for them for ever.
        """
        for abandoned in await self._runs.fail_abandoned_runs(self._clock.now()):
            log.warning("abandoned_run_failed", run_id=str(abandoned.id))
        for gone in await self._steps.put_back_tokens():
            log.warning("token_put_back", run_id=str(gone.run_id), mint=gone.mint, deaths=gone.deaths)
        for gone in await self._steps.put_back_steps():
            log.warning("step_put_back", run_id=str(gone.run_id), deaths=gone.deaths)
            if gone.given_up:
                with _late(gone.run_id):
                    await self._runs.fail_run(
                        gone.run_id,
                        f"given up: {gone.deaths} workers died over it; `walltrack runs resume {gone.run_id}` tries"
                        " again",
                        completed_at=self._clock.now(),
                    )
        waiting_tokens = await self._queue.waiting_tokens()
        lacking: dict[UUID, list[str]] = {}
        for run_id, mint in await self._steps.pending_tokens():
            if (run_id, mint) not in waiting_tokens:
                lacking.setdefault(run_id, []).append(mint)
        for run_id, mints in lacking.items():
            await self._queue.defer_tokens(run_id, mints)
        waiting_runs = await self._queue.waiting_runs()
        for run_id in await self._steps.runs_to_advance():
            if run_id not in waiting_runs:
                await self._queue.defer_run(run_id)

    async def watch(self, notices: Notices) -> None:
        """Stop the work on runs that have ended elsewhere: at their notice, and by looking. Never returns."""
        heard = asyncio.Event()

        async def listen() -> None:
            async for notice in notices.listen():
                if run_of(notice) in self._busy.values():
                    heard.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), _LOOK_SECONDS)
                heard.clear()
                await self._stop_ended()

    async def _stop_ended(self) -> None:
        if not self._busy:
            return
        try:
            ended = await self._steps.ended_runs(set(self._busy.values()))
        except WallTrackError as error:
            log.warning("ended_runs_unknown", error=str(error))
            return
        for task, run_id in list(self._busy.items()):
            if run_id in ended:
                task.cancel()

    async def _list(self, run: DiscoveryRun, claim: StepClaim, source: TokenSource) -> None:
        listed = await plan(run.id, run.params, source=source, plans=stores_of(self._database, claim).plans)
        if listed:
            await self._queue.defer_tokens(run.id, [token.mint for token in listed])
        else:
            await self._queue.defer_run(run.id)

    async def _profile(self, run: DiscoveryRun, claim: StepClaim, source: TokenSource) -> None:
        stores = stores_of(self._database, claim)
        profiled = await profile_wallets(
            run.id,
            run.params,
            histories=source,
            stores=stores.profiling,
            clock=self._clock,
            progress=Unwatched(),
            most=self._most_histories,
            demo=run.demo,
        )
        await conclude(
            run.id,
            stores=stores,
            clock=self._clock,
            warnings=source.warnings,
            more_errors=profiled.errors,
        )

    async def _fail(self, claim: StepClaim, reason: str) -> None:
        await self._runs.fail_run(claim.run_id, reason, completed_at=self._clock.now(), attempt=claim.attempt)

    async def _fail_token(self, run_id: UUID, mint: str, attempt: int, reason: str) -> None:
        await self._tokens.mark_token(
            run_id, mint, attempt, TokenStatus.FAILED, reason, completed_at=self._clock.now()
        )
        if not await self._steps.has_open_tokens(run_id):
            await self._queue.defer_run(run_id)

    async def _give_back_step(self, claim: StepClaim) -> None:
        """Let another go on with the step. Where the database does not take it, its lease runs out."""
        await self._steps.release_step(claim)
        await self._queue.defer_run(claim.run_id)

    async def _give_back_token(self, run_id: UUID, mint: str, attempt: int) -> None:
        if await self._steps.give_back_token(run_id, mint, attempt):
            await self._queue.defer_tokens(run_id, [mint])

    @asynccontextmanager
    async def _kept(self, renew: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """A claim for as long as the block takes. Where it is lost, the block is cancelled, and that is raised.

        The block ends with what ends the claim: after that there is nothing to lose.
        """
        lost: list[WallTrackError] = []
        is_over = False
        body = asyncio.current_task()
        assert body is not None

        async def keep() -> None:
            while True:
                await asyncio.sleep(self._leases.renewed_every.total_seconds())
                try:
                    await renew()
                except _LATE as error:
                    if not is_over:
                        lost.append(error)
                        body.cancel()
                    return
                except WallTrackError as error:
                    log.warning("claim_not_renewed", error=str(error))

        keeping = asyncio.create_task(keep(), name="keep a claim")
        try:
            yield
        except asyncio.CancelledError:
            if lost:
                body.uncancel()
                raise lost[0] from None
            raise
        finally:
            is_over = True
            await stopped(keeping)

    @contextmanager
    def _noted(self, run_id: UUID) -> Iterator[None]:
        """What this process works on, so that it can be stopped."""
        task = asyncio.current_task()
        assert task is not None
        self._busy[task] = run_id
        try:
            yield
        finally:
            del self._busy[task]


@contextmanager
def _late(run_id: UUID) -> Iterator[None]:
    """Nothing is left to do where somebody else has it, or the run has ended."""
    try:
        yield
    except _LATE as error:
        log.info("work_came_late", run_id=str(run_id), error=str(error))


def _as_reason(error: Exception) -> str:
    return str(error) if isinstance(error, WallTrackError) else f"a defect: {error!r}"
