"""The engine: what is deferred is done, once for each time it is asked for, in bounded slots, and stops in time."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
from structlog.testing import capture_logs

from tests.integration.conftest import InDatabase
from tests.integration.engine_work import (
    MINTS,
    RUN,
    SOON,
    WatchedWork,
    jobs_in,
    until_empty,
    worked_on,
    working,
)
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import DatabaseUnreachableError
from walltrack.data.supabase.repositories.job_queue_repo import JobQueueRepository


def test_what_is_deferred_is_done_and_leaves_nothing_in_the_queue(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        async with worked_on(settings, work) as (running, database):
            await running.engine.defer_run(RUN)
            await running.engine.defer_tokens(RUN, MINTS)
            await work.until(lambda: len(work.ended) == len(MINTS) and work.runs == [RUN])
            await until_empty(database)
            async with database.transaction() as connection:
                cursor = await connection.execute(
                    "SELECT (SELECT count(*) FROM walltrack_jobs.procrastinate_events)"
                    " + (SELECT count(*) FROM walltrack_jobs.procrastinate_periodic_defers) AS left_over"
                )
                assert await cursor.fetchone() == {"left_over": 0}
        assert sorted(work.ended) == MINTS

    asyncio.run(scenario())


def test_deferring_again_what_waits_changes_nothing(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        queue = JobQueueRepository(database)
        other = uuid4()
        await queue.defer_tokens(RUN, ["b", "a", "b"])
        await asyncio.gather(
            *(queue.defer_tokens(RUN, order) for order in (["a", "b", "c"], ["c", "b", "a"])),
            queue.defer_run(RUN),
            queue.defer_run(RUN),
            queue.defer_run(other),
        )
        await queue.defer_tokens(RUN, [])
        assert await queue.waiting_tokens() == {(RUN, "a"), (RUN, "b"), (RUN, "c")}
        assert await queue.waiting_runs() == {RUN, other}
        assert len(await jobs_in(database)) == 5

    in_database(scenario)


def test_what_is_being_done_can_be_deferred_again(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"a"}
        async with worked_on(settings, work) as (running, _):
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.started == ["a"])
            assert await running.engine.waiting_tokens() == set()
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.started == ["a", "a"])
            work.let_go.set()

    asyncio.run(scenario())


def test_tokens_are_done_in_their_order_and_steps_of_runs_before_them(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        seen: list[object] = []
        async with Database(settings) as database:
            queue = JobQueueRepository(database)
            await queue.defer_tokens(RUN, reversed(MINTS))
            await queue.defer_run(RUN)

            async def token(_run_id: UUID, mint: str) -> None:
                seen.append((list(work.runs), mint))

            work.token = token
            async with working(settings, database, work, slots=1):
                await work.until(lambda: len(work.ended) == len(MINTS))
        assert seen == [([RUN], mint) for mint in reversed(MINTS)]

    asyncio.run(scenario())


def test_no_more_is_done_at_once_than_there_are_slots(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = set(MINTS)
        async with worked_on(settings, work, slots=3) as (running, database):
            await running.engine.defer_tokens(RUN, MINTS)
            await work.until(lambda: work.at_once == 3)
            assert [job.split()[0] for job in await jobs_in(database)] == ["doing"] * 3 + ["todo"] * 3
            work.let_go.set()
            await work.until(lambda: len(work.ended) == len(MINTS))
        assert work.most_at_once == 3

    asyncio.run(scenario())


def test_an_error_of_the_work_is_logged_with_its_run_and_token_and_stops_nothing(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()

        async def token(_run_id: UUID, mint: str) -> None:
            if mint == "bad":
                raise ValueError("a defect")

        work.token = token
        async with worked_on(settings, work) as (running, database):
            await running.engine.defer_tokens(RUN, ["bad", "good"])
            await work.until(lambda: work.ended == ["good"])
            await until_empty(database)
        assert sorted(work.started) == ["bad", "good"]

    with capture_logs() as logs:
        asyncio.run(scenario())
    failed = [entry for entry in logs if entry["event"] == "job_failed"]
    assert [(entry["run_id"], entry["mint"], entry["log_level"]) for entry in failed] == [
        (str(RUN), "bad", "error")
    ]


def test_a_fault_of_the_database_is_tried_again(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()

        async def token(_run_id: UUID, _mint: str) -> None:
            if len(work.started) == 1:
                raise DatabaseUnreachableError("it is gone")

        work.token = token
        async with worked_on(settings, work) as (running, database):
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.ended == ["a"])
            await until_empty(database)
        assert work.started == ["a", "a"]

    asyncio.run(scenario())


def test_a_job_that_met_a_fault_gives_way_to_one_for_the_same_that_waits(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"a"}

        async def token(_run_id: UUID, _mint: str) -> None:
            if len(work.started) == 1:
                raise DatabaseUnreachableError("it is gone")

        work.token = token
        async with worked_on(settings, work, slots=1) as (running, database):
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.started == ["a"])
            await running.engine.defer_tokens(RUN, ["a"])
            work.let_go.set()
            await work.until(lambda: work.ended == ["a"])
            await until_empty(database)
        assert work.started == ["a", "a"]

    asyncio.run(scenario())


def test_a_stop_lets_finish_what_finishes_in_time_and_starts_nothing_more(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"a"}
        async with worked_on(settings, work, slots=1) as (running, database):
            await running.engine.defer_tokens(RUN, ["a", "b"])
            await work.until(lambda: work.started == ["a"])
            stopping = asyncio.create_task(running.stop())
            await asyncio.sleep(0)
            work.let_go.set()
            await stopping
            assert (work.started, work.ended, work.cancelled) == (["a"], ["a"], [])
            assert await jobs_in(database) == [f"todo token:{RUN}:b"]

    asyncio.run(scenario())


def test_work_that_a_stop_cancels_is_handed_to_another_process(settings: Settings) -> None:
    async def scenario() -> None:
        first, second = WatchedWork(), WatchedWork()
        async with Database(settings) as database:
            queue = JobQueueRepository(database)

            async def held_for_ever(run_id: UUID, mint: str) -> None:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    await queue.defer_tokens(run_id, [mint])
                    raise

            first.token = held_for_ever
            async with working(settings, database, first, grace=timedelta(0)) as running:
                await queue.defer_tokens(RUN, ["a"])
                await first.until(lambda: first.started == ["a"])
                await running.stop()
            assert first.cancelled == ["a"]
            assert await jobs_in(database) == [f"todo token:{RUN}:a"]
            async with working(settings, database, second):
                await second.until(lambda: second.ended == ["a"])

    asyncio.run(scenario())


def test_a_stop_does_not_wait_for_work_that_does_not_let_go(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        let_go = asyncio.Event()

        async def stubborn(_run_id: UUID, _mint: str) -> None:
            while not let_go.is_set():
                with suppress(asyncio.CancelledError):
                    await let_go.wait()

        work.token = stubborn
        async with worked_on(settings, work, grace=timedelta(0)) as (running, _):
            await running.engine.defer_tokens(RUN, ["a"])
            await work.until(lambda: work.started == ["a"])
            await running.stop()
            assert work.ended == []
            let_go.set()
            await work.until(lambda: work.ended == ["a"])

    asyncio.run(scenario())


def test_work_whose_caller_is_cancelled_is_cancelled_too(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"a"}
        async with Database(settings) as database:
            async with working(settings, database, work) as running:
                await running.engine.defer_tokens(RUN, ["a"])
                await work.until(lambda: work.started == ["a"])
                running.task.cancel()
                await asyncio.wait({running.task}, timeout=SOON)
                assert running.task.cancelled()
                running.task = asyncio.create_task(asyncio.sleep(0))
            assert work.cancelled == ["a"]

    asyncio.run(scenario())


def test_the_signals_of_the_process_are_left_to_it(settings: Settings) -> None:
    async def scenario() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        work = WatchedWork()
        async with worked_on(settings, work) as (running, _):
            await running.engine.defer_run(RUN)
            await work.until(lambda: work.runs == [RUN])
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    asyncio.run(scenario())


def test_a_process_at_work_leaves_one_of_six_connections_for_notices(settings: Settings) -> None:
    counted: list[int] = []

    async def scenario() -> None:
        work = WatchedWork()
        async with worked_on(settings, work, slots=6) as (running, database):

            async def token(_run_id: UUID, _mint: str) -> None:
                async with database.transaction() as connection:
                    await connection.execute("SELECT pg_advisory_xact_lock_shared(1)")

            work.token = token
            assert settings.database_url is not None
            async with await psycopg.AsyncConnection.connect(
                settings.database_url.get_secret_value(), application_name="the test"
            ) as blocker:
                await blocker.execute("SELECT pg_advisory_lock(1)")
                await running.engine.defer_tokens(RUN, MINTS)
                await work.until(lambda: work.at_once == 6)
                async with asyncio.timeout(SOON):
                    while True:
                        row = await (
                            await blocker.execute(
                                "SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock')"
                                " FROM pg_stat_activity"
                                " WHERE datname = current_database() AND application_name = 'walltrack'"
                            )
                        ).fetchone()
                        await blocker.rollback()
                        assert row is not None
                        if row[1] == 3:
                            break
                counted.append(row[0])
                await blocker.execute("SELECT pg_advisory_unlock_all()")
            await work.until(lambda: len(work.ended) == 6)

    asyncio.run(scenario())
    assert counted == [5]


def test_a_sweep_that_hangs_or_fails_does_not_keep_others_from_sweeping(settings: Settings) -> None:
    async def scenario() -> None:
        hanging, failing = WatchedWork(), WatchedWork()

        async def hangs() -> None:
            await asyncio.Event().wait()

        async def fails() -> None:
            raise ValueError("a defect")

        hanging.sweeping, failing.sweeping = hangs, fails
        every = timedelta(milliseconds=1)
        async with Database(settings) as database, working(settings, database, hanging, sweep_every=every):
            await hanging.until(lambda: hanging.sweeps == 1)
            async with working(settings, database, failing, sweep_every=every):
                await failing.until(lambda: failing.sweeps == 2)
            assert hanging.sweeps == 1

    asyncio.run(scenario())


def test_one_of_several_processes_sweeps_also_after_the_server_s_clock_was_put_back(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        queue = JobQueueRepository(database)
        every = timedelta(seconds=30)
        assert sum(await asyncio.gather(*(queue.claim_sweep(every) for _ in range(4)))) == 1
        for since in ("now() - interval '31 seconds'", "now() + interval '1 day'"):
            async with database.transaction() as connection:
                await connection.execute(f"UPDATE walltrack_jobs.sweeps SET swept_at = {since}")
            assert [await queue.claim_sweep(every), await queue.claim_sweep(every)] == [True, False]

    in_database(scenario)


def test_jobs_of_a_worker_that_is_silent_are_removed_and_no_others(settings: Settings) -> None:
    async def scenario() -> None:
        work = WatchedWork()
        work.hold = {"alive"}
        async with worked_on(settings, work, slots=1) as (running, database):
            await running.engine.defer_tokens(RUN, ["alive"])
            await work.until(lambda: work.started == ["alive"])
            await running.engine.defer_tokens(RUN, ["dead", "waiting"])
            async with database.transaction() as connection:
                await connection.execute(
                    "INSERT INTO walltrack_jobs.procrastinate_workers (last_heartbeat)"
                    " VALUES (now() - interval '1 minute')"
                )
                await connection.execute(
                    "UPDATE walltrack_jobs.procrastinate_jobs SET status = 'doing',"
                    " worker_id = (SELECT max(id) FROM walltrack_jobs.procrastinate_workers)"
                    " WHERE queueing_lock LIKE '%dead'"
                )
            assert await running.engine.remove_stalled(timedelta(seconds=20)) == 1
            assert await jobs_in(database) == [f"doing token:{RUN}:alive", f"todo token:{RUN}:waiting"]
            work.let_go.set()
            await work.until(lambda: "waiting" in work.ended)

    asyncio.run(scenario())
