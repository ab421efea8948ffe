"""The steps of a durable run: who does them, what is stored of them, and what is left to others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.test_discovery_task import Given, Stuck
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.notices import Notices
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.job_queue_repo import JobQueueRepository
from walltrack.data.supabase.repositories.run_budget_repo import RunBudget
from walltrack.data.supabase.repositories.run_engine_repo import RunEngineRepository, StaleStepError
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, RunStatus, TokenStatus, TriggerType
from walltrack.discovery.pipeline import TokenSource
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.scheduler.run_work import Leases, RunWork
from walltrack.scheduler.sources import Sources
from walltrack.scheduler.stores import stores_of
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName, Trigger
from walltrack.services.files import read_tapes, write_example_tapes

NOW = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
QUICK = Leases(timedelta(seconds=20), timedelta(seconds=0.02))


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tape]:
    folder = tmp_path_factory.mktemp("tapes")
    write_example_tapes(folder)
    return read_tapes(Path(folder)).tapes


def work_on(database: Database, source: Given, leases: Leases | None = None) -> RunWork:
    return RunWork(
        database, Sources(lambda run: source.opened(run.id)), SystemClock(), most_histories=0, leases=leases
    )


async def triggered(database: Database, **params: object) -> UUID:
    trigger = Trigger(database, MarketName("a test's", True), at_most=5, clock=SystemClock())
    run = await trigger.start(DiscoveryRunParams.model_validate(params), triggered_by="a test")
    return run.id


async def run_of(database: Database, run_id: UUID) -> DiscoveryRun:
    run = await DiscoveryRepository(database).get_run(run_id)
    assert run is not None
    return run


async def in_steps(database: Database, work: RunWork, run_id: UUID, mints: list[str]) -> DiscoveryRun:
    await work.advance_run(run_id)
    for mint in mints:
        await work.do_token(run_id, mint)
    await work.advance_run(run_id)
    return await run_of(database, run_id)


def test_a_run_is_done_in_steps_by_whoever_comes_and_jobs_that_come_twice_change_nothing(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        source = Given(dict(tapes) | {"broken": WallTrackError("the disk is gone")})
        one, other = work_on(database, source), work_on(database, source)
        run_id = await triggered(database)
        await asyncio.gather(one.advance_run(run_id), other.advance_run(run_id))
        for mint in source.outcomes:
            await asyncio.gather(one.do_token(run_id, mint), other.do_token(run_id, mint))
            await one.do_token(run_id, mint)
        await asyncio.gather(one.advance_run(run_id), other.advance_run(run_id), one.advance_run(run_id))
        ended = await run_of(database, run_id)
        assert (ended.status, ended.stage) == (RunStatus.COMPLETED, "ended")
        assert ended.errors == ["broken: the disk is gone"]
        found = await DiscoveryRepository(database).get_run_wallets(run_id)
        again = work_on(database, Given(dict(tapes)))
        second = await in_steps(database, again, await triggered(database), list(tapes))
        same = await DiscoveryRepository(database).get_run_wallets(second.id)
        assert [one.found for one in found] == [one.found for one in same]
        assert (ended.new_wallets, second.new_wallets) == (len({w.wallet_address for w in found}), 0)

    in_database(scenario)


def test_a_run_that_cannot_be_listed_or_measured_fails_with_the_reason(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        unlisted = await triggered(database)
        await work_on(database, Given({}, listing=WallTrackError("all markets are down"))).advance_run(
            unlisted
        )
        assert (await run_of(database, unlisted)).errors == ["all markets are down"]
        empty = Given({"mint": Unmeasurable("no trade of this mint was found")})
        ended = await in_steps(database, work_on(database, empty), await triggered(database), ["mint"])
        assert ended.status is RunStatus.FAILED
        assert ended.errors[0].startswith("none of 1 tokens could be measured")

    in_database(scenario)


def test_work_that_is_stopped_is_handed_over_with_its_job(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        mint = next(iter(tapes))
        stuck = Stuck({mint: tapes[mint]}, stuck_at=mint)
        work, run_id = work_on(database, stuck), await triggered(database)
        await work.advance_run(run_id)
        doing = asyncio.create_task(work.do_token(run_id, mint))
        await stuck.reached.wait()
        doing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doing
        (token,) = await RunTokenRepository(database).get_run_tokens(run_id)
        assert token.status is TokenStatus.PENDING
        assert (run_id, mint) in await JobQueueRepository(database).waiting_tokens()

    in_database(scenario)


def test_a_cancelled_run_stops_its_work_and_a_lost_claim_its_own(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        mint = next(iter(tapes))
        for lose in ("cancel", "claim"):
            stuck = Stuck({mint: tapes[mint]}, stuck_at=mint)
            work, run_id = work_on(database, stuck, QUICK), await triggered(database)
            await work.advance_run(run_id)
            async with Notices(database) as notices:
                watching = asyncio.create_task(work.watch(notices))
                doing = asyncio.create_task(work.do_token(run_id, mint))
                await stuck.reached.wait()
                if lose == "cancel":
                    await DiscoveryRepository(database).cancel_run(run_id, completed_at=NOW)
                else:
                    async with database.transaction() as connection:
                        await connection.execute("UPDATE discovery_run_tokens SET attempt = attempt + 1")
                await asyncio.wait([doing], timeout=30)
                assert doing.done()
                watching.cancel()
                await asyncio.wait([watching])
            (token,) = await RunTokenRepository(database).get_run_tokens(run_id)
            assert token.status is (TokenStatus.CANCELLED if lose == "cancel" else TokenStatus.RUNNING)

    in_database(scenario)


def test_the_dead_are_swept_and_their_late_results_are_refused(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        steps, queue = RunEngineRepository(database), JobQueueRepository(database)
        source, run_id = Given(dict(tapes)), await triggered(database)
        dead = await steps.claim_step(run_id, lease=timedelta(seconds=-1))
        assert dead is not None
        work = work_on(database, source)
        await work.sweep()
        assert run_id in await queue.waiting_runs()
        with pytest.raises(StaleStepError):
            await stores_of(database, dead).plans.store_plan(run_id, tokens=[], refusals=[], forecast=None)
        await work.advance_run(run_id)
        mint = next(iter(tapes))
        assert await steps.claim_token(run_id, mint, started_at=NOW, lease=timedelta(seconds=-1)) is not None
        await work.sweep()
        assert (run_id, mint) in await queue.waiting_tokens()
        for each in tapes:
            await work.do_token(run_id, each)
        last = await steps.claim_step(run_id, lease=timedelta(seconds=-1))
        assert last is not None
        await work.sweep()
        with pytest.raises(StaleStepError):
            await stores_of(database, last).runs.complete_run(
                run_id, completed_at=NOW, errors=[], warnings=[]
            )
        await work.advance_run(run_id)
        assert (await run_of(database, run_id)).status is RunStatus.COMPLETED

    in_database(scenario)


def test_a_run_that_a_command_left_behind_is_failed_so_that_the_schedule_goes_on(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        runs = DiscoveryRepository(database)
        left = await runs.create_run(
            TriggerType.MANUAL,
            DiscoveryRunParams(),
            started_at=NOW,
            lease_expires_at=NOW + timedelta(minutes=1),
        )
        await work_on(database, Given({})).sweep()
        assert (await run_of(database, left.id)).status is RunStatus.FAILED

    in_database(scenario)


def test_a_step_that_kills_everybody_who_does_it_fails_the_run(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        steps, run_id = RunEngineRepository(database), await triggered(database)
        work = work_on(database, Given({}))
        while await steps.claim_step(run_id, lease=timedelta(seconds=-1)) is not None:
            await work.sweep()
        ended = await run_of(database, run_id)
        assert ended.status is RunStatus.FAILED
        assert f"`walltrack runs resume {run_id}` tries again" in ended.errors[0]

    in_database(scenario)


def test_a_budget_is_never_exceeded_by_all_processes_together(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run_id = await triggered(database, max_credits=100)
        processes = [RunBudget(database, run_id, 100) for _ in range(4)]
        granted = await asyncio.gather(*(process.reserve(30) for process in processes))
        assert sum(granted) == 3
        (holder, *_) = [process for process, got in zip(processes, granted, strict=True) if got]
        assert await holder.others_may_give_back()
        await holder.settle(30, 10)
        assert await processes[0].available() == 30
        async with database.transaction() as connection:  # the process of one of them died long ago
            await connection.execute("UPDATE run_reservations SET expires_at = now() - interval '1 hour'")
        assert not await processes[0].others_may_give_back()
        assert await processes[0].available() == 30

    in_database(scenario)


def test_all_jobs_of_a_run_in_a_process_share_its_source_and_the_last_one_closes_it(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        opened: list[str] = []

        @asynccontextmanager
        async def source_of(run: DiscoveryRun) -> AsyncIterator[TokenSource]:
            opened.append("opened")
            yield Given({})
            opened.append("closed")

        sources, run = Sources(source_of), await run_of(database, await triggered(database))
        async with sources.opened(run) as one:
            async with sources.opened(run) as other:
                assert one is other
            assert opened == ["opened"]
        assert opened == ["opened", "closed"]
        async with sources.opened(run):
            assert opened == ["opened", "closed", "opened"]

    in_database(scenario)
