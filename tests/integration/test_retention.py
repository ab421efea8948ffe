"""What retention removes, what it leaves, and what is said of it afterwards. The clock of the tests runs ahead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet, address
from tests.integration.engine_work import until
from tests.integration.scheduling import SetClock
from walltrack.api.run_view import run_view
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.retention_repo import (
    PAGES_AT_ONCE,
    RUNS_AT_ONCE,
    RetentionBusyError,
    RetentionLostError,
    RetentionRepository,
)
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.data.supabase.repositories.run_resume_repo import NotResumableError, RunResumeRepository
from walltrack.data.supabase.repositories.run_starts import NewRun, insert_run
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import RunStoppedError
from walltrack.discovery.models import (
    DiscoveryRunParams,
    ListedToken,
    RunStatus,
    TokenRefusal,
    TokenStatus,
    TriggerType,
)
from walltrack.discovery.retention import RetentionBounds
from walltrack.discovery.tape import Unmeasurable
from walltrack.scheduler.retention import Retention
from walltrack.scheduler.run_control import NothingToRepeatError, RunControl, TokensRemovedError
from walltrack.scheduler.stored_source import StoredTapes
from walltrack.scheduler.trigger import MarketName

DAY = timedelta(days=1)
AHEAD = SetClock(datetime.now(UTC) + 40 * DAY)
"""Everything that a test stores is 40 days old by this clock. Runs of the tests ended long before."""

LATER = NOW + timedelta(minutes=2)
ALL_STAYS = RetentionBounds(tapes=3650 * DAY, run_tokens=36500 * DAY, tapes_bytes=10**12)


def bounds(**more: Any) -> RetentionBounds:
    values = {name: getattr(ALL_STAYS, name) for name in ("tapes", "run_tokens", "tapes_bytes")}
    return RetentionBounds(**(values | more))


def retention(database: Database, **more: Any) -> Retention:
    return Retention(database, bounds(**more), AHEAD)


async def execute(database: Database, query: str, **values: object) -> list[dict[str, Any]]:
    async with database.transaction() as connection:
        cursor = await connection.execute(query, values)
        return await cursor.fetchall() if cursor.description else []


async def count(database: Database, table: str) -> int:
    (row,) = await execute(database, f"SELECT count(*) AS rows FROM {table}")
    return int(row["rows"])


async def a_stream(
    database: Database,
    mint: str,
    where: str = "own",
    *,
    age: timedelta = timedelta(0),
    pages: int = 2,
    size: int = 100,
) -> str:
    """A stream with pages of so many bytes and one of signatures (8 bytes a place), last used so long ago."""
    (row,) = await execute(
        database,
        """
        WITH stream AS (
            INSERT INTO tape_streams (mint, address, kind, updated_at)
            VALUES (%(mint)s, %(address)s, 'mint', clock_timestamp() - %(age)s) RETURNING id
        ), pages AS (
            INSERT INTO token_tapes (stream_id, mint, segment, rows, parquet, sha256)
            SELECT id, %(mint)s, page, 1, convert_to(repeat('x', %(size)s), 'UTF8'), sha256('x')
            FROM stream, generate_series(0, %(pages)s - 1) page
        ), listed AS (
            INSERT INTO tape_signatures (stream_id, walk, page, signatures, slots, times)
            SELECT id, 0, 0, '', '{}', '{}' FROM stream
        )
        SELECT id FROM stream
        """,
        mint=mint, address=where, age=age, pages=pages, size=size,
    )  # fmt: skip
    return str(row["id"])


async def a_history(database: Database, wallet: str, *, age: timedelta = timedelta(0)) -> None:
    await execute(
        database,
        """
        WITH history AS (
            INSERT INTO wallet_histories (wallet, pages, updated_at)
            VALUES (%(wallet)s, 1, clock_timestamp() - %(age)s) RETURNING wallet
        )
        INSERT INTO wallet_history_pages (wallet, page, stretch, transactions, rows, parquet, times, sha256)
        SELECT wallet, 0, 0, 1, 1, convert_to(repeat('x', 100), 'UTF8'), '', sha256('x') FROM history
        """,
        wallet=wallet,
        age=age,
    )


async def streams(database: Database) -> set[str]:
    rows = await execute(database, "SELECT id FROM tape_streams WHERE mint <> 'removed'")
    return {str(row["id"]) for row in rows}


async def a_run(
    database: Database,
    mints: list[str],
    *,
    done: int | None = None,
    segments: dict[str, int] | None = None,
    ended_at: datetime | None = LATER,
    again_of: UUID | None = None,
) -> UUID:
    """A run of the engine's that measured so many of its tokens, each with a wallet, and failed at the others."""
    done = len(mints) if done is None else done
    new = NewRun(DiscoveryRunParams(), TriggerType.MANUAL, NOW, stage="tokens", again_of=again_of)
    async with database.transaction() as connection:
        run_id = (await insert_run(connection, new)).id
    tokens = RunTokenRepository(database)
    await RunListingRepository(database).store_plan(
        run_id,
        tokens=[ListedToken(mint) for mint in mints],
        refusals=[TokenRefusal(MINTS[-1], "WASH", "washed")],
        forecast=None,
    )
    for number, mint in enumerate(mints):
        attempt = await tokens.start_token(run_id, mint, now=NOW, lease_expires_at=LEASE)
        assert attempt is not None
        if number < done:
            await tokens.finish_token(
                run_id, mint, attempt, completed_at=LATER, summary=SUMMARY,
                wallets=[a_wallet(number, mint)], segments=segments,
            )  # fmt: skip
        else:
            await tokens.mark_token(
                run_id, mint, attempt, TokenStatus.FAILED, "the provider was away", completed_at=LATER
            )
    if ended_at is not None:
        await DiscoveryRepository(database).complete_run(run_id, completed_at=ended_at)
    return run_id


def control(database: Database) -> RunControl:
    return RunControl(database, MarketName("a test's", True), at_most=9, clock=AHEAD)


def again(database: Database, run_id: UUID, *, fresh: bool = False) -> Any:
    return control(database).again(
        run_id, {}, fresh=fresh, trigger_type=TriggerType.MANUAL, triggered_by="a test"
    )


def test_what_was_not_used_for_so_long_goes_with_its_pages_and_what_is_in_use_stays(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        await a_run(database, [MINTS[1]])
        await execute(
            database, "UPDATE discovery_run_tokens SET created_at = clock_timestamp() - interval '25 days'"
        )
        await a_run(database, [MINTS[2]], ended_at=None)
        await execute(
            database,
            "UPDATE discovery_run_tokens SET created_at = now() - interval '100 days' WHERE mint = %(mint)s",
            mint=MINTS[2],
        )
        await execute(database, "UPDATE discovery_runs SET mints = %(mints)s WHERE status = 'running'",
                      mints=[MINTS[3]])  # fmt: skip
        old = await a_stream(database, MINTS[0], age=61 * DAY)
        kept = {
            await a_stream(database, MINTS[0], "read lately", age=59 * DAY),
            await a_stream(database, MINTS[1], "listed lately", age=100 * DAY),
            await a_stream(database, MINTS[2], "of a running run", age=100 * DAY),
            await a_stream(database, MINTS[3], "named by a running run", age=100 * DAY),
            held := await a_stream(database, MINTS[4], "held", age=100 * DAY),
        }
        lease = "UPDATE {} SET lease_expires_at = clock_timestamp() + interval '1 minute' WHERE {} = %(key)s"
        await execute(database, lease.format("tape_streams", "id::text"), key=held)
        for number, age in enumerate((61, 59, 100)):
            await a_history(database, address(number), age=age * DAY)
        await execute(database, lease.format("wallet_histories", "wallet"), key=address(2))

        kept_for = retention(database, tapes=100 * DAY)
        planned, stored = await kept_for.look(), await streams(database)
        assert (planned.dry_run, planned.streams, planned.histories, planned.in_use) == (True, 1, 1, 4)
        assert stored == kept | {old}

        report = await kept_for.run()
        assert (report.streams, report.histories, report.in_use) == (1, 1, 4)
        assert (report.tapes_bytes, report.kept_bytes) == (300, 5 * 200 + 2 * 100)
        assert await streams(database) == kept
        assert [await count(database, table) for table in ("token_tapes", "tape_signatures")] == [10, 5]
        rows = await execute(database, "SELECT wallet FROM wallet_histories ORDER BY wallet")
        assert {row["wallet"] for row in rows} == {address(1), address(2)}
        assert await count(database, "wallet_history_pages") == 2
        assert (await kept_for.run()).streams == 0

    in_database(scenario)


def test_beyond_the_size_the_longest_unused_go_until_the_rest_fits(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        _oldest, older, newer = [
            await a_stream(database, MINTS[number], age=(9 - 2 * number) * DAY) for number in range(3)
        ]
        await a_history(database, address(1), age=8 * DAY)
        await a_history(database, address(2), age=DAY)
        assert (await retention(database, tapes_bytes=800).run()).streams == 0
        report = await retention(database, tapes_bytes=500).run()
        assert (report.streams, report.histories, report.tapes_bytes, report.kept_bytes) == (1, 1, 300, 500)
        assert await streams(database) == {older, newer}
        await execute(
            database, "UPDATE tape_streams SET lease_expires_at = 'infinity' WHERE id = %(id)s", id=older
        )
        report = await retention(database, tapes_bytes=250).run()
        assert (report.streams, report.histories, report.in_use, report.kept_bytes) == (1, 1, 1, 200)
        assert await streams(database) == {older}

    in_database(scenario)


def test_a_stream_is_gone_at_once_and_its_pages_go_in_batches_by_whoever_comes_next(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        repository = RetentionRepository(database)
        stream = await a_stream(database, MINTS[0], age=DAY, pages=2 * PAGES_AT_ONCE + 10, size=1)
        attempt = await repository.claim("one that dies")
        gone = await repository.remove_streams(attempt, [stream], unused_since=datetime.now(UTC))
        assert gone == {stream}
        assert await streams(database) == set()
        whole = await count(database, "token_tapes")
        assert await repository.empty_streams(attempt)
        assert whole - await count(database, "token_tapes") == PAGES_AT_ONCE
        # The token is read anew meanwhile.
        new = await a_stream(database, MINTS[0])
        await repository.release(attempt, next_in=None)
        await retention(database).run()
        assert await streams(database) == {new}
        assert (await count(database, "token_tapes"), await count(database, "tape_streams")) == (2, 1)

    in_database(scenario)


def test_a_stream_that_was_used_since_the_plan_stays(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repository = RetentionRepository(database)
        named = [await a_stream(database, mint, age=DAY) for mint in MINTS[:3]]
        await a_history(database, address(1), age=DAY)
        attempt, planned_at = await repository.claim("me"), datetime.now(UTC)
        await execute(database, "UPDATE tape_streams SET updated_at = clock_timestamp() WHERE mint = %(mint)s",
                      mint=MINTS[0])  # fmt: skip
        await execute(database, "UPDATE wallet_histories SET updated_at = clock_timestamp()")
        await a_run(database, [MINTS[1]])
        assert await repository.remove_streams(attempt, named, unused_since=planned_at) == {named[2]}
        assert await repository.remove_histories(attempt, [address(1)], unused_since=planned_at) == set()

    in_database(scenario)


def test_rows_of_runs_long_ended_go_and_what_they_came_to_stays(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        old = await a_run(database, MINTS[:3], done=2)
        await execute(database, "UPDATE discovery_run_tokens SET requests = 3, credits = 5")
        recent = await a_run(database, MINTS[:2], ended_at=AHEAD.time - 364 * DAY)
        running = await a_run(database, MINTS[:1], ended_at=None)
        repeated = await a_run(database, MINTS[:1])
        repeating = await a_run(database, MINTS[:1], ended_at=None, again_of=repeated)
        before = await run_view(database, old)
        stats = await DiscoveryRepository(database).get_stats(now=AHEAD.time)

        clock = SetClock(LATER + 366 * DAY)
        kept_for = Retention(database, bounds(run_tokens=365 * DAY), clock)
        await execute(database, "UPDATE discovery_runs SET completed_at = %(at)s WHERE id = %(id)s",
                      at=clock.time - 364 * DAY, id=recent)  # fmt: skip
        assert (await kept_for.look()).rows.runs == 1
        report = await kept_for.run()
        assert (report.rows.runs, report.rows.tokens, report.rows.refusals) == (1, 3, 1)
        assert report.rows.events >= 7

        after = await run_view(database, old)
        assert (after.tokens, after.refusals) == ([], [])
        assert after.funnel == before.funnel
        assert after.progress.tokens == before.progress.tokens
        assert after.progress.wallets == before.progress.wallets == 2
        removed = after.run.removed
        assert removed is not None
        assert (removed.listed, removed.measured, removed.refused) == (3, 2, 1)
        assert removed.cost is not None
        assert (removed.cost.requests, removed.cost.credits) == (9, 15)
        assert after.run == before.run.model_copy(update={"removed": removed})
        assert len(await DiscoveryRepository(database).get_run_wallets(old)) == 2
        assert await RunProgressRepository(database).events_since(old) == []
        now = await DiscoveryRepository(database).get_stats(now=AHEAD.time)
        assert now == stats
        for run_id in (recent, running, repeated, repeating):
            assert (await run_view(database, run_id)).tokens != []
        assert (await kept_for.run()).rows.runs == 0

    in_database(scenario)


def test_runs_lose_their_rows_in_batches_the_longest_ended_first(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        runs = [await a_run(database, MINTS[:1]) for _ in range(RUNS_AT_ONCE + 1)]
        await execute(database, "UPDATE discovery_runs SET completed_at = %(at)s WHERE id = %(id)s",
                      at=NOW + DAY, id=runs[0])  # fmt: skip
        repository = RetentionRepository(database)
        attempt = await repository.claim("me")
        before = NOW + 2 * DAY
        assert (await repository.remove_run_rows(attempt, ended_before=before)).runs == RUNS_AT_ONCE
        (left,) = await execute(database, "SELECT DISTINCT run_id FROM discovery_run_tokens")
        assert left["run_id"] == runs[0]
        assert (await repository.remove_run_rows(attempt, ended_before=before)).tokens == 1

    in_database(scenario)


def test_one_process_at_a_time_does_it_once_a_day_and_takes_the_place_of_a_dead_one(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        repository = RetentionRepository(database)
        at_once = [repository.claim_due(f"process {number}", every=DAY) for number in range(5)]
        (attempt,) = [got for got in await asyncio.gather(*at_once) if got is not None]
        with pytest.raises(RetentionBusyError, match=r"process [0-4] is at it already"):
            await retention(database).run()
        await repository.release(attempt, next_in=DAY, done=True)
        assert await repository.claim_due("too early", every=DAY) is None
        dead = await repository.claim("asked for", lease=-DAY)
        # The day's pass was done before the dead one was asked for: only another wish comes in its place.
        assert await repository.claim_due("too early", every=DAY) is None
        living = await repository.claim("another")
        with pytest.raises(RetentionLostError, match=f"attempt {dead}"):
            await repository.remove_run_rows(dead, ended_before=NOW)
        await repository.release(dead, next_in=None)
        with pytest.raises(RetentionBusyError, match="another"):
            await repository.claim("a third")
        await repository.release(living, next_in=-DAY, done=True)
        assert await repository.claim_due("the next day", every=DAY, lease=-DAY) is not None
        # Restarted after it died in the middle, the day's pass is still to do.
        assert await repository.claim_due("after a restart", every=DAY) is not None

    in_database(scenario)


def test_a_pass_adds_up_the_changes_of_the_number_of_wallets(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        for number in range(5):
            await execute(
                database,
                "INSERT INTO wallets (address, first_seen_at, last_seen_at) VALUES (%(address)s, now(), now())",
                address=address(number),
            )
        assert await count(database, "wallet_counts") > 1
        await retention(database).run()
        assert await execute(database, "SELECT status, demo, wallets FROM wallet_counts") == [
            {"status": None, "demo": False, "wallets": 5}
        ]

    in_database(scenario)


def test_a_pass_that_fails_is_logged_and_tried_later(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        await a_stream(database, MINTS[0], age=DAY)
        daily = retention(database, tapes=DAY)
        await execute(database, "ALTER TABLE tape_signatures RENAME TO elsewhere")
        stop = asyncio.Event()
        with capture_logs() as logs:
            keeping = asyncio.create_task(daily.keep(stop))

            async def has_failed() -> bool:
                rows = await execute(database, "SELECT last_error FROM retention")
                return bool(rows and rows[0]["last_error"])

            await until(has_failed)
            stop.set()
            await keeping
        assert [entry["event"] for entry in logs] == ["retention_put_off"]
        assert "tape_signatures" in logs[0]["error"]
        await execute(database, "ALTER TABLE elsewhere RENAME TO tape_signatures")
        assert await daily.run_if_due(stop.is_set) is None
        (row,) = await execute(
            database, "SELECT due_at - now() < interval '1 hour' AS soon, done_at FROM retention"
        )
        assert (row["soon"], row["done_at"]) == (True, None)
        await execute(database, "UPDATE retention SET due_at = now()")
        # Told to stop, it is not done, and due at once where it is started again.
        report = await daily.run_if_due(lambda: True)
        assert report is not None
        assert not report.is_whole
        report = await daily.run_if_due(lambda: False)
        assert report is not None
        assert (report.is_whole, report.streams) == (True, 1)
        assert await daily.run_if_due(lambda: False) is None

    in_database(scenario)


def test_a_run_whose_tapes_are_gone_says_so_when_it_is_repeated_even_after_they_were_read_anew(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        both = await a_run(database, MINTS[:2], segments={"own": 2, "pool": 1})
        other = await a_run(database, MINTS[:1], segments={"pool": 1})
        await a_stream(database, MINTS[0], "own", age=DAY)
        await a_stream(database, MINTS[1], "own", age=-100 * DAY)
        await retention(database, tapes=DAY).run()
        (gone, stays) = await RunTokenRepository(database).get_run_tokens(both)
        assert gone.tape_removed_at is not None
        assert stays.tape_removed_at is None
        (untouched,) = await RunTokenRepository(database).get_run_tokens(other)
        assert untouched.tape_removed_at is None

        await a_stream(database, MINTS[0], "own")
        source = StoredTapes(database, both, AHEAD, description="")
        reading = await source.read_tape(ListedToken(MINTS[0]), DiscoveryRunParams())
        assert isinstance(reading.tape, Unmeasurable)
        assert f"retention removed its tape on {gone.tape_removed_at:%Y-%m-%d}" in reading.tape.reason
        assert (await again(database, both)).from_stored
        await execute(database, "UPDATE discovery_runs SET status = 'cancelled' WHERE status = 'running'")
        await execute(database, "DELETE FROM discovery_run_tokens WHERE run_id = %(id)s AND mint = %(mint)s",
                      id=both, mint=MINTS[1])  # fmt: skip
        with pytest.raises(
            NothingToRepeatError, match=r"tapes of all 1 .*WALLTRACK_RETAIN_TAPES_DAYS.*--fresh"
        ):
            await again(database, both)
        assert not (await again(database, both, fresh=True)).from_stored

    in_database(scenario)


def test_a_run_whose_tokens_are_gone_is_neither_repeated_nor_resumed_nor_compared(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        old, new = [await a_run(database, MINTS[:2], done=1) for _ in range(2)]
        await execute(database, "UPDATE discovery_runs SET completed_at = %(at)s WHERE id = %(id)s",
                      at=LATER - 30 * DAY, id=old)  # fmt: skip
        clock = SetClock(LATER)
        assert (await Retention(database, bounds(run_tokens=DAY), clock).run()).rows.runs == 1
        for fresh in (False, True):
            with pytest.raises(
                NothingToRepeatError, match=r"removed its 2 token.*WALLTRACK_RETAIN_RUN_TOKENS_DAYS"
            ):
                await again(database, old, fresh=fresh)
        with pytest.raises(NotResumableError, match=r"retention removed its 2 token"):
            await RunResumeRepository(database).resume_run(old, at_most=9)
        with pytest.raises(TokensRemovedError, match=r"retention removed its tokens"):
            await control(database).diff(new, old)
        source = StoredTapes(database, old, AHEAD, description="")
        with pytest.raises(RunStoppedError, match=r"retention has removed the tokens"):
            await source.list_tokens(DiscoveryRunParams())
        reading = await source.read_tape(ListedToken(MINTS[0]), DiscoveryRunParams())
        assert isinstance(reading.tape, Unmeasurable)
        assert "retention has removed the tokens" in reading.tape.reason

    in_database(scenario)


def test_a_run_that_failed_before_it_had_a_token_can_still_be_resumed(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        new = NewRun(DiscoveryRunParams(), TriggerType.MANUAL, NOW, stage="listing")
        async with database.transaction() as connection:
            run_id = (await insert_run(connection, new)).id
        await DiscoveryRepository(database).fail_run(run_id, "all markets are down", completed_at=LATER)
        assert (await retention(database, run_tokens=DAY).run()).rows.runs == 1
        with pytest.raises(NothingToRepeatError, match="listed no token"):
            await again(database, run_id)
        resumed = await RunResumeRepository(database).resume_run(run_id, at_most=9)
        assert (resumed.run.status, resumed.run.removed) == (RunStatus.RUNNING, None)

    in_database(scenario)
