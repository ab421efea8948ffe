"""Claims of a run's steps, and what a sweep puts back: fenced, counted, and by the database's clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet, listed
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import StaleClaimError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_engine_repo import (
    PutBack,
    RunEngineRepository,
    RunStage,
    StaleStepError,
    StepClaim,
    hold_step,
)
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.models import DiscoveryRunParams, TokenStatus, TriggerType

MINUTE = timedelta(minutes=1)


async def new_run(database: Database, stage: str | None = "listing") -> UUID:
    run = await DiscoveryRepository(database).create_run(
        TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=LEASE
    )
    await change(
        database, "discovery_runs", "stage = %(stage)s, lease_expires_at = NULL", run.id, stage=stage
    )
    return run.id


async def change(database: Database, table: str, what: str, run_id: UUID, **values: object) -> None:
    column = "id" if table == "discovery_runs" else "run_id"
    async with database.transaction() as connection:
        await connection.execute(
            f"UPDATE {table} SET {what} WHERE {column} = %(run_id)s",
            {"run_id": run_id, **values},
        )


async def expire(database: Database, table: str, run_id: UUID) -> None:
    """Let the time of the leases be over."""
    await change(database, table, "lease_expires_at = now() - interval '1 second'", run_id)


async def claimed(engine: RunEngineRepository, run_id: UUID) -> StepClaim:
    claim = await engine.claim_step(run_id, lease=MINUTE, claimed_by="a worker")
    assert claim is not None
    return claim


async def hold_tokens(database: Database, run_id: UUID, mints: list[str]) -> dict[str, int]:
    """Claim tokens, far into the future. Returns the attempts."""
    tokens = RunTokenRepository(database)
    attempts = {}
    for mint in mints:
        attempt = await tokens.start_token(run_id, mint, now=NOW, lease_expires_at=NOW + timedelta(days=3650))
        assert attempt is not None
        attempts[mint] = attempt
    return attempts


async def statuses(database: Database, run_id: UUID) -> dict[str, TokenStatus]:
    return {token.mint: token.status for token in await RunTokenRepository(database).get_run_tokens(run_id)}


def test_a_run_goes_through_its_steps_each_held_by_one(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database)
        run_id = await new_run(database)
        assert await engine.runs_to_advance() == [run_id]
        both = await asyncio.gather(*(engine.claim_step(run_id, lease=MINUTE) for _ in range(2)))
        listing = next(claim for claim in both if claim is not None)
        assert both.count(None) == 1
        assert listing.stage is RunStage.LISTING
        assert await engine.runs_to_advance() == []
        assert await engine.pending_tokens() == []
        await listed(database, run_id, MINTS[:2], step=listing)
        assert await engine.pending_tokens() == [(run_id, MINTS[0]), (run_id, MINTS[1])]
        assert await engine.runs_to_advance() == []
        assert await engine.claim_step(run_id, lease=MINUTE) is None
        await change(database, "discovery_run_tokens", "status = 'done'", run_id)
        assert await engine.runs_to_advance() == [run_id]
        profiling = await claimed(engine, run_id)
        assert (profiling.stage, profiling.attempt) == (RunStage.PROFILING, listing.attempt + 1)
        await engine.release_step(profiling)
        again = await claimed(engine, run_id)
        assert again.stage is RunStage.PROFILING
        await DiscoveryRepository(database).complete_run(run_id, completed_at=NOW)
        assert await engine.runs_to_advance() == []
        assert await engine.claim_step(run_id, lease=MINUTE) is None
        with pytest.raises(StaleStepError):
            await engine.renew_step(again, lease=MINUTE)

    in_database(scenario)


def test_runs_that_are_not_the_engine_s_are_never_touched(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database)
        run_id = await new_run(database, stage=None)
        await listed(database, run_id, MINTS[:2])
        await hold_tokens(database, run_id, MINTS[:1])
        await expire(database, "discovery_run_tokens", run_id)
        await expire(database, "discovery_runs", run_id)
        assert await engine.claim_step(run_id, lease=MINUTE) is None
        assert await engine.put_back_tokens() == []
        assert await engine.put_back_steps() == []
        assert await engine.pending_tokens() == []
        assert await engine.runs_to_advance() == []

    in_database(scenario)


def test_a_step_of_a_dead_worker_is_put_back_and_its_late_word_refused(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database)
        run_id = await new_run(database)
        late = await claimed(engine, run_id)
        await engine.renew_step(late, lease=MINUTE)
        assert await engine.put_back_steps() == []
        await expire(database, "discovery_runs", run_id)
        assert await engine.runs_to_advance() == []
        assert await engine.put_back_steps() == [PutBack(run_id, None, deaths=1, given_up=False)]
        assert await engine.put_back_steps() == []
        assert await engine.runs_to_advance() == [run_id]
        current = await claimed(engine, run_id)
        for word in (
            engine.renew_step(late, lease=MINUTE),
            engine.release_step(late),
            listed(database, run_id, MINTS[:2], step=late),
        ):
            with pytest.raises(StaleStepError, match=f"attempt {late.attempt} no longer holds"):
                await word
        async with database.transaction() as connection:
            await hold_step(connection, current)
            with pytest.raises(StaleStepError):
                await hold_step(connection, late)

    in_database(scenario)


def test_what_is_held_is_not_lost_while_it_is_being_stored(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database)
        run_id = await new_run(database)
        claim = await claimed(engine, run_id)
        await expire(database, "discovery_runs", run_id)
        async with database.transaction() as connection:
            await hold_step(connection, claim)
            assert await engine.put_back_steps() == []
        assert [back.run_id for back in await engine.put_back_steps()] == [run_id]

    in_database(scenario)


def test_a_run_whose_steps_kill_their_workers_is_given_up_until_it_has_ended(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database, max_deaths=2)
        run_id = await new_run(database)
        for deaths, given_up in ((1, False), (2, True)):
            await claimed(engine, run_id)
            await expire(database, "discovery_runs", run_id)
            assert await engine.put_back_steps() == [PutBack(run_id, None, deaths, given_up)]
        assert await engine.claim_step(run_id, lease=MINUTE) is None
        assert await engine.runs_to_advance() == []
        assert await engine.put_back_steps() == [PutBack(run_id, None, 2, given_up=True)]
        await DiscoveryRepository(database).fail_run(run_id, "given up", completed_at=NOW)
        assert await engine.put_back_steps() == []

    in_database(scenario)


def test_deaths_in_one_step_do_not_count_in_the_next(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database, max_deaths=2)
        run_id = await new_run(database)
        await claimed(engine, run_id)
        await expire(database, "discovery_runs", run_id)
        await engine.put_back_steps()
        await listed(database, run_id, [], step=await claimed(engine, run_id))
        await claimed(engine, run_id)
        await expire(database, "discovery_runs", run_id)
        assert await engine.put_back_steps() == [PutBack(run_id, None, deaths=1, given_up=False)]

    in_database(scenario)


def test_tokens_of_a_dead_worker_are_put_back_and_failed_after_the_last_time(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database, max_deaths=2)
        run_id = await new_run(database, stage="tokens")
        tokens = RunTokenRepository(database)
        await listed(database, run_id, MINTS[:3])
        late = await hold_tokens(database, run_id, MINTS[:1])
        await expire(database, "discovery_run_tokens", run_id)
        assert await engine.put_back_tokens() == [PutBack(run_id, MINTS[0], deaths=1, given_up=False)]
        assert await engine.put_back_tokens() == []
        assert [mint for _, mint in await engine.pending_tokens()] == MINTS[:3]
        with pytest.raises(StaleClaimError):
            await tokens.finish_token(
                run_id, MINTS[0], late[MINTS[0]], completed_at=NOW, summary=SUMMARY, wallets=[a_wallet(1)]
            )
        with pytest.raises(StaleClaimError):
            await tokens.renew_token(run_id, MINTS[0], late[MINTS[0]], lease_expires_at=LEASE)
        held = await hold_tokens(database, run_id, MINTS[:2])
        assert held[MINTS[0]] == late[MINTS[0]] + 1
        await expire(database, "discovery_run_tokens", run_id)
        assert sorted(await engine.put_back_tokens(), key=lambda back: str(back.mint)) == [
            PutBack(run_id, MINTS[0], deaths=2, given_up=True),
            PutBack(run_id, MINTS[1], deaths=1, given_up=False),
        ]
        failed = (await tokens.get_run_tokens(run_id))[0]
        assert (failed.status, failed.reason) == (TokenStatus.FAILED, "given up: its worker died 2 times")
        assert failed.completed_at is not None

    in_database(scenario)


def test_a_token_that_is_handed_over_is_pending_and_counts_no_death(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database, max_deaths=1)
        run_id = await new_run(database, stage="tokens")
        await listed(database, run_id, MINTS[:1])
        for _ in range(3):
            attempt = (await hold_tokens(database, run_id, MINTS[:1]))[MINTS[0]]
            assert await engine.give_back_token(run_id, MINTS[0], attempt)
            assert not await engine.give_back_token(run_id, MINTS[0], attempt)
            assert await statuses(database, run_id) == {MINTS[0]: TokenStatus.PENDING}
        attempt = (await hold_tokens(database, run_id, MINTS[:1]))[MINTS[0]]
        assert not await engine.give_back_token(run_id, MINTS[0], attempt - 1)
        await DiscoveryRepository(database).cancel_run(run_id, completed_at=NOW)
        assert not await engine.give_back_token(run_id, MINTS[0], attempt)
        assert await statuses(database, run_id) == {MINTS[0]: TokenStatus.CANCELLED}

    in_database(scenario)


def test_sweeps_at_once_put_back_each_token_once(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database)
        run_id = await new_run(database, stage="tokens")
        await listed(database, run_id, MINTS)
        await hold_tokens(database, run_id, MINTS)
        await expire(database, "discovery_run_tokens", run_id)
        sweeps = await asyncio.gather(*(engine.put_back_tokens() for _ in range(4)))
        assert sorted(str(back.mint) for sweep in sweeps for back in sweep) == sorted(MINTS)
        assert {back.deaths for sweep in sweeps for back in sweep} == {1}

    in_database(scenario)


def test_ended_runs_are_told_from_those_that_go_on(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        engine = RunEngineRepository(database)
        going_on, cancelled = [await new_run(database) for _ in range(2)]
        unknown = uuid4()
        await DiscoveryRepository(database).cancel_run(cancelled, completed_at=NOW)
        assert await engine.ended_runs([going_on, cancelled, unknown]) == {cancelled, unknown}
        assert await engine.ended_runs([]) == set()

    in_database(scenario)
