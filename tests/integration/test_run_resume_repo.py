"""Ended runs that go on: only what failed or was cancelled is done again, and what came late stays refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError, RunsBusyError, StaleClaimError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_engine_repo import (
    RunEngineRepository,
    RunStage,
    StaleStepError,
    StepClaim,
)
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_resume_repo import NotResumableError, RunResumeRepository
from walltrack.data.supabase.repositories.run_starts import NewRun, start_run
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.models import (
    DiscoveryRunParams,
    ListedToken,
    RunStatus,
    TokenStatus,
    TriggerType,
)

MINUTE = timedelta(minutes=1)


class Setting:
    """A run of the engine, over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs = DiscoveryRepository(database)
        self.tokens = RunTokenRepository(database)
        self.engine = RunEngineRepository(database)
        self.resuming = RunResumeRepository(database)

    async def start(self, *, stage: str | None = "listing") -> UUID:
        new = NewRun(DiscoveryRunParams(), TriggerType.MANUAL, NOW, stage=stage)
        async with self.database.transaction() as connection:
            return (await start_run(connection, new, at_most=9)).id

    async def step(self, run_id: UUID) -> StepClaim:
        claim = await self.engine.claim_step(run_id, lease=MINUTE)
        assert claim is not None
        return claim

    async def list_tokens(self, run_id: UUID, count: int = 4) -> None:
        claim = await self.step(run_id)
        tokens = [ListedToken(mint) for mint in MINTS[:count]]
        await RunListingRepository(self.database).store_plan(
            run_id, tokens=tokens, refusals=(), forecast=None, step=claim
        )

    async def claim(self, run_id: UUID, mint: str) -> int:
        started = await self.engine.claim_token(run_id, mint, started_at=NOW, lease=MINUTE)
        assert started is not None
        return started.attempt

    async def finish(self, run_id: UUID, mint: str, number: int = 1) -> None:
        await self.tokens.finish_token(
            run_id,
            mint,
            await self.claim(run_id, mint),
            completed_at=NOW,
            summary=SUMMARY,
            wallets=[a_wallet(number, mint)],
        )

    async def fail(self, run_id: UUID, mint: str) -> None:
        attempt = await self.claim(run_id, mint)
        await self.tokens.mark_token(run_id, mint, attempt, TokenStatus.FAILED, "no answer", completed_at=NOW)

    async def statuses(self, run_id: UUID) -> list[TokenStatus]:
        return [token.status for token in await self.tokens.get_run_tokens(run_id)]


def test_only_failed_and_cancelled_tokens_of_a_cancelled_run_are_done_again(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        here = Setting(database)
        run_id = await here.start()
        await here.list_tokens(run_id)
        await here.finish(run_id, MINTS[0])
        await here.fail(run_id, MINTS[1])
        late = await here.claim(run_id, MINTS[2])
        await here.runs.cancel_run(run_id, completed_at=NOW, reason="enough")
        resumed = await here.resuming.resume_run(run_id, at_most=1)
        assert resumed.mints == tuple(MINTS[1:4])
        run = resumed.run
        assert (run.status, run.stage, run.completed_at, run.errors) == (
            RunStatus.RUNNING,
            "tokens",
            None,
            [],
        )
        assert await here.engine.pending_tokens() == [(run_id, mint) for mint in MINTS[1:4]]
        again = (await here.tokens.get_run_tokens(run_id))[1]
        assert (again.reason, again.started_at, again.completed_at) == (None, None, None)
        with pytest.raises(StaleClaimError):
            await here.tokens.finish_token(
                run_id, MINTS[2], late, completed_at=NOW, summary=SUMMARY, wallets=[a_wallet(9, MINTS[2])]
            )
        for number, mint in enumerate(MINTS[1:4]):
            await here.finish(run_id, mint, number + 10)
        claim = await here.step(run_id)
        assert claim.stage is RunStage.PROFILING
        ended = await here.runs.complete_run(run_id, completed_at=NOW, attempt=claim.attempt)
        assert (ended.tokens_analyzed, ended.new_wallets) == (4, 4)

    in_database(scenario)


def test_who_held_a_step_before_the_run_was_resumed_can_no_longer_end_it(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        here = Setting(database)
        run_id = await here.start()
        late = await here.step(run_id)
        await here.runs.cancel_run(run_id, completed_at=NOW)
        resumed = await here.resuming.resume_run(run_id, at_most=1)
        assert (resumed.run.stage, resumed.mints) == ("listing", ())
        for word in (
            here.runs.complete_run(run_id, completed_at=NOW, attempt=late.attempt),
            here.runs.fail_run(run_id, "no market", completed_at=NOW, attempt=late.attempt),
            here.engine.renew_step(late, lease=MINUTE),
        ):
            with pytest.raises(StaleStepError):
                await word
        await here.list_tokens(run_id)
        assert await here.statuses(run_id) == [TokenStatus.PENDING] * 4

    in_database(scenario)


def test_a_run_that_was_given_up_gets_all_its_lives_back_and_a_stopped_provider_is_asked_again(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        here = Setting(database)
        providers = ProviderRepository(database)
        run_id = await here.start()
        await here.list_tokens(run_id, 1)
        await here.fail(run_id, MINTS[0])
        async with database.transaction() as connection:
            await connection.execute("UPDATE discovery_runs SET deaths = 5 WHERE id = %s", (run_id,))
            await connection.execute(
                "UPDATE discovery_run_tokens SET deaths = 5 WHERE run_id = %s", (run_id,)
            )
        await providers.add(run_id, "helius", requests=3, credits=30, errors=1, stopped_reason="bad key")
        await here.runs.fail_run(run_id, "given up", completed_at=NOW)
        await here.resuming.resume_run(run_id, at_most=1)
        (used,) = await providers.usage_of_run(run_id)
        assert (used.credits, used.stopped_reason) == (30, None)
        await here.finish(run_id, MINTS[0])
        assert (await here.step(run_id)).stage is RunStage.PROFILING

    in_database(scenario)


def test_what_cannot_go_on_is_refused_and_stays_as_it_is(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        here = Setting(database)

        async def refused(run_id: UUID, words: str) -> None:
            before = await here.runs.get_run(run_id)
            with pytest.raises(NotResumableError, match=words):
                await here.resuming.resume_run(run_id, at_most=9)
            assert await here.runs.get_run(run_id) == before

        with pytest.raises(RunNotFoundError):
            await here.resuming.resume_run(uuid4(), at_most=9)
        running = await here.start()
        await refused(running, "is running")
        whole = await here.start()
        await here.list_tokens(whole, 1)
        await here.finish(whole, MINTS[0])
        await here.runs.complete_run(whole, completed_at=NOW)
        await refused(whole, "none of its tokens failed")
        by_hand = await here.runs.create_run(
            TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=LEASE
        )
        await here.runs.cancel_run(by_hand.id, completed_at=NOW)
        await refused(by_hand.id, "by the command that started it")

    in_database(scenario)


def test_a_completed_run_goes_on_with_its_failed_tokens(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        here = Setting(database)
        run_id = await here.start()
        await here.list_tokens(run_id, 2)
        await here.finish(run_id, MINTS[0])
        await here.fail(run_id, MINTS[1])
        await here.runs.complete_run(run_id, completed_at=NOW, errors=["one failed"], warnings=["thin"])
        resumed = await here.resuming.resume_run(run_id, at_most=1)
        assert resumed.mints == (MINTS[1],)
        assert (resumed.run.errors, resumed.run.warnings) == ([], [])

    in_database(scenario)


def test_a_resumed_run_counts_among_those_that_may_run_at_once(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        here = Setting(database)
        ended = [await here.start(), await here.start()]
        for run_id in ended:
            await here.runs.cancel_run(run_id, completed_at=NOW)
        outcomes = await asyncio.gather(
            *(here.resuming.resume_run(run_id, at_most=1) for run_id in ended), return_exceptions=True
        )
        (busy,) = [outcome for outcome in outcomes if isinstance(outcome, RunsBusyError)]
        running = {run.id for run in (await here.runs.get_runs(statuses=[RunStatus.RUNNING])).runs}
        assert running == {busy.run_id}

    in_database(scenario)
