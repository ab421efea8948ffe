"""Runs and their tokens as they are stored: beginning, claims, findings, every way to end, history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet, address, listed, settings_for
from tests.integration.profiles import evidence, profiled, score
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import (
    RunEndedError,
    RunNotFoundError,
    RunUnfinishedError,
    StaleClaimError,
)
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    QualifiedWallet,
    ReadingCost,
    RunStatus,
    TokenStatus,
    TriggerType,
    WalletFilters,
    WalletOrder,
)
from walltrack.discovery.wallet_models import Flag, WalletStatus

LATER = NOW + timedelta(seconds=90.5)


async def begun(database: Database, started_at: datetime = NOW, **more: object) -> DiscoveryRun:
    values: dict[str, object] = {"started_at": started_at, "lease_expires_at": started_at + (LEASE - NOW)}
    return await DiscoveryRepository(database).create_run(
        TriggerType.MANUAL,
        DiscoveryRunParams(),
        **(values | more),  # type: ignore[arg-type]
    )


async def claimed(database: Database, run_id: UUID, mint: str) -> int:
    tokens = RunTokenRepository(database)
    await listed(database, run_id, [mint])
    attempt = await tokens.start_token(run_id, mint, now=NOW, lease_expires_at=LEASE, claimed_by="me")
    assert attempt is not None
    return attempt


async def found_on(database: Database, run_id: UUID, mint: str, wallets: Sequence[QualifiedWallet]) -> None:
    attempt = await claimed(database, run_id, mint)
    await RunTokenRepository(database).finish_token(
        run_id, mint, attempt, completed_at=LATER, summary=SUMMARY, wallets=wallets
    )


any_amount = st.floats(0, allow_nan=False, allow_infinity=False)


@example_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    params=st.builds(
        DiscoveryRunParams,
        min_price_change_pct=st.floats(0, 1000),
        min_volume_usd=any_amount,
        max_token_age_hours=st.integers(1, 168),
        early_window_minutes=st.integers(5, 120),
        min_profit_pct=st.floats(0, 500),
        max_tokens=st.integers(1, 100),
        profile_immediately=st.booleans(),
        min_liquidity_usd=any_amount,
        include_launch_slot=st.booleans(),
    )
)
def test_every_parameter_within_its_bounds_comes_back_as_it_was(
    in_database: InDatabase, params: DiscoveryRunParams
) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        run = await repo.create_run(TriggerType.API, params, started_at=NOW, lease_expires_at=LEASE)
        stored = await repo.get_run(run.id)
        assert stored is not None
        assert stored.params == run.params == params
        DiscoveryRunParams.model_validate(stored.params.model_dump())

    in_database(scenario)


def test_a_run_comes_back_with_all_it_was_given(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        run = await repo.create_run(
            TriggerType.SCHEDULED,
            DiscoveryRunParams(max_tokens=7),
            "ada " * 50,
            started_at=NOW,
            lease_expires_at=LEASE,
            token_source="files in /tapes",
            code_version="1.2.3",
        )
        assert run.status is RunStatus.RUNNING
        await found_on(database, run.id, MINTS[0], [a_wallet(1), a_wallet(2)])
        completed = await repo.complete_run(
            run.id, completed_at=LATER, errors=["bad \x00 text \ud800"], warnings=["9 rows refused"]
        )
        assert await repo.get_run(run.id) == completed.model_copy(update={"used": ReadingCost(0, 0)})
        assert completed == run.model_copy(
            update={
                "status": RunStatus.COMPLETED,
                "completed_at": LATER,
                "duration_seconds": 90.5,
                "tokens_analyzed": 1,
                "new_wallets": 2,
                "errors": ["bad \\x00 text \\ud800"],
                "warnings": ["9 rows refused"],
            }
        )
        assert completed.started_at.tzinfo is UTC

    in_database(scenario)


def test_findings_come_back_exactly_as_they_were_found(in_database: InDatabase) -> None:
    odd = a_wallet(
        3,
        first_buy_slot=None,
        flags=(),
        signatures=(),
        realized_pnl_sol=Decimal("-0.000000000000000001"),
        proceeds_sol=Decimal("1e30"),
        evidence=(evidence(Flag.BUNDLE, MINTS[0]), evidence(Flag.SNIPER, of=None, signatures=(), wallets=())),
    )

    async def scenario(database: Database) -> None:
        run = await begun(database)
        await found_on(database, run.id, MINTS[0], [a_wallet(1), odd, a_wallet(2)])
        found = await DiscoveryRepository(database).get_run_wallets(run.id)
        assert [row.found for row in found] == [a_wallet(2), a_wallet(1), odd]
        assert {row.is_new for row in found} == {True}
        tokens = await RunTokenRepository(database).get_run_tokens(run.id)
        assert [(t.mint, t.status, t.wallets_found, t.summary) for t in tokens] == [
            (MINTS[0], TokenStatus.DONE, 3, SUMMARY)
        ]

    in_database(scenario)


def test_a_wallet_found_on_two_tokens_is_one_wallet_with_two_sources(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        first = await begun(database)
        for mint in MINTS[:2]:
            await found_on(database, first.id, mint, [a_wallet(1, mint), a_wallet(2, mint)])
        await found_on(database, first.id, MINTS[2], [])
        first = await repo.complete_run(first.id, completed_at=LATER)
        assert (first.new_wallets, first.updated_wallets, first.tokens_analyzed) == (2, 0, 3)
        assert [row.is_new for row in await repo.get_run_wallets(first.id)] == [True] * 4

        second = await begun(database, LATER)
        for mint in MINTS[:2]:
            await found_on(database, second.id, mint, [a_wallet(2, mint), a_wallet(3, mint)])
        second = await repo.complete_run(second.id, completed_at=LATER)
        assert (second.new_wallets, second.updated_wallets) == (1, 1)
        is_new = {(row.wallet_address, row.is_new) for row in await repo.get_run_wallets(second.id)}
        assert is_new == {(address(2), False), (address(3), True)}

    in_database(scenario)


def test_a_runs_wallets_can_be_filtered_by_what_is_known_of_them_today(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        run = await begun(database)
        await found_on(database, run.id, MINTS[0], [a_wallet(number) for number in range(4)])
        for number, value in enumerate(("0.1", "0.9")):
            await profiled(database, run.id, address(number), score(value))
        await profiled(database, run.id, address(2), score("0.5", WalletStatus.EXCLUDED, "wash"))

        async def shown(filters: WalletFilters | None) -> list[str]:
            return [row.wallet_address for row in await repo.get_run_wallets(run.id, filters, now=NOW)]

        assert await shown(None) == [address(number) for number in (3, 2, 1, 0)]
        assert await shown(WalletFilters()) == [address(number) for number in (3, 1, 0)]
        assert await shown(WalletFilters(order=WalletOrder.SCORE)) == [address(n) for n in (1, 0, 3)]
        assert await shown(WalletFilters(min_score=Decimal("0.1"), active_within_days=2)) == [
            address(1),
            address(0),
        ]
        assert await shown(WalletFilters(statuses=(WalletStatus.EXCLUDED,))) == [address(2)]

    in_database(scenario)


def test_wallets_can_be_added_one_by_one_while_the_run_lasts(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        run = await begun(database)
        await repo.add_wallet_to_run(run.id, a_wallet(1), seen_at=NOW)
        await repo.add_wallet_to_run(run.id, a_wallet(1, MINTS[1]), seen_at=NOW)
        assert (await repo.complete_run(run.id, completed_at=LATER)).new_wallets == 1
        with pytest.raises(RunEndedError):
            await repo.add_wallet_to_run(run.id, a_wallet(2), seen_at=NOW)

    in_database(scenario)


def test_a_failed_run_keeps_its_duration_and_what_it_found(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo, tokens = DiscoveryRepository(database), RunTokenRepository(database)
        run = await begun(database)
        await found_on(database, run.id, MINTS[0], [a_wallet(1)])
        await listed(database, run.id, MINTS[1:4])
        await tokens.start_token(run.id, MINTS[1], now=NOW, lease_expires_at=LEASE)
        failed = await repo.fail_run(run.id, "the market went away", completed_at=LATER, warnings=["slow"])
        assert (failed.status, failed.duration_seconds) == (RunStatus.FAILED, 90.5)
        assert (failed.new_wallets, failed.tokens_analyzed) == (1, 1)
        assert (failed.errors, failed.warnings) == (["the market went away"], ["slow"])
        assert len(await repo.get_run_wallets(run.id)) == 1
        states = [token.status for token in await tokens.get_run_tokens(run.id)]
        assert states == [TokenStatus.DONE] + [TokenStatus.CANCELLED] * 3

    in_database(scenario)


def test_errors_are_added_and_never_overwritten(settings: Settings, in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await begun(database)
        async with database.transaction() as connection:
            await connection.execute("UPDATE discovery_runs SET errors = '[\"earlier\"]'")
        failed = await DiscoveryRepository(database).fail_run(run.id, "later", completed_at=LATER)
        assert failed.errors == ["earlier", "later"]

    in_database(scenario)


@pytest.mark.parametrize("first", ["complete", "fail", "cancel"])
@pytest.mark.parametrize("second", ["complete", "fail", "cancel", "heartbeat", "add", "start"])
def test_a_final_status_is_never_overwritten(in_database: InDatabase, first: str, second: str) -> None:
    async def scenario(database: Database) -> None:
        repo, tokens = DiscoveryRepository(database), RunTokenRepository(database)
        run = await begun(database)

        async def act(what: str) -> None:
            match what:
                case "complete":
                    await repo.complete_run(run.id, completed_at=LATER)
                case "fail":
                    await repo.fail_run(run.id, "reason", completed_at=LATER)
                case "cancel":
                    await repo.cancel_run(run.id, completed_at=LATER, reason="stopped by ada")
                case "heartbeat":
                    await repo.heartbeat(run.id, LEASE)
                case "add":
                    await listed(database, run.id, MINTS)
                case "start":
                    await tokens.start_token(run.id, MINTS[0], now=NOW, lease_expires_at=LEASE)

        await act(first)
        before = await repo.get_run(run.id)
        with pytest.raises(RunEndedError, match="an ended run is never changed"):
            await act(second)
        assert await repo.get_run(run.id) == before

    in_database(scenario)


def test_a_run_does_not_complete_while_tokens_are_open(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await begun(database)
        attempt = await claimed(database, run.id, MINTS[0])
        repo = DiscoveryRepository(database)
        with pytest.raises(RunUnfinishedError, match=r"1 token\(s\) pending or running"):
            await repo.complete_run(run.id, completed_at=LATER)
        await RunTokenRepository(database).mark_token(
            run.id, MINTS[0], attempt, TokenStatus.UNMEASURABLE, "tape starts late", completed_at=LATER
        )
        assert (await repo.complete_run(run.id, completed_at=LATER)).tokens_analyzed == 0
        (token,) = await RunTokenRepository(database).get_run_tokens(run.id)
        assert (token.status, token.reason) == (TokenStatus.UNMEASURABLE, "tape starts late")
        assert (token.started_at, token.completed_at, token.summary) == (NOW, LATER, None)

    in_database(scenario)


def test_a_run_that_is_not_there_is_told(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo, unknown = DiscoveryRepository(database), uuid4()
        assert await repo.get_run(unknown) is None
        for attempt in (
            repo.complete_run(unknown, completed_at=NOW),
            repo.fail_run(unknown, "x", completed_at=NOW),
            repo.cancel_run(unknown, completed_at=NOW),
            repo.heartbeat(unknown, LEASE),
        ):
            with pytest.raises(RunNotFoundError, match=str(unknown)):
                await attempt

    in_database(scenario)


def test_a_token_is_claimed_by_one_and_again_when_the_lease_has_expired(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tokens = RunTokenRepository(database)
        run = await begun(database)
        assert await claimed(database, run.id, MINTS[0]) == 1

        async def claim(mint: str, now: datetime) -> int | None:
            return await tokens.start_token(
                run.id, mint, now=now, lease_expires_at=now + timedelta(minutes=5)
            )

        assert await claim(MINTS[0], LEASE - timedelta(seconds=1)) is None
        assert await claim(MINTS[1], LEASE) is None
        assert await claim(MINTS[0], LEASE) == 2

    in_database(scenario)


def test_the_late_result_of_a_lost_claim_is_refused_and_leaves_nothing(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo, tokens = DiscoveryRepository(database), RunTokenRepository(database)
        run = await begun(database)
        lost = await claimed(database, run.id, MINTS[0])
        held = await tokens.start_token(
            run.id, MINTS[0], now=LEASE, lease_expires_at=LEASE + timedelta(minutes=5)
        )
        assert held is not None
        end = {"completed_at": LATER, "summary": SUMMARY}
        with pytest.raises(StaleClaimError, match="attempt 1 no longer holds it"):
            await tokens.finish_token(run.id, MINTS[0], lost, wallets=[a_wallet(1)], **end)  # type: ignore[arg-type]
        with pytest.raises(StaleClaimError):
            await tokens.renew_token(run.id, MINTS[0], lost, lease_expires_at=LEASE)
        with pytest.raises(StaleClaimError):
            await tokens.mark_token(run.id, MINTS[0], lost, TokenStatus.FAILED, "x", completed_at=LATER)
        assert await repo.get_run_wallets(run.id) == []
        await tokens.renew_token(run.id, MINTS[0], held, lease_expires_at=LEASE + timedelta(hours=1))
        await tokens.finish_token(run.id, MINTS[0], held, wallets=[a_wallet(2)], **end)  # type: ignore[arg-type]
        with pytest.raises(StaleClaimError):  # delivered twice
            await tokens.finish_token(run.id, MINTS[0], held, wallets=[a_wallet(3)], **end)  # type: ignore[arg-type]
        assert [row.wallet_address for row in await repo.get_run_wallets(run.id)] == [address(2)]

    in_database(scenario)


def test_a_result_that_comes_after_the_cancellation_is_refused(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        run = await begun(database)
        await found_on(database, run.id, MINTS[0], [a_wallet(1)])
        attempt = await claimed(database, run.id, MINTS[1])
        cancelled = await repo.cancel_run(run.id, completed_at=LATER, reason="stopped by ada")
        assert (cancelled.status, cancelled.new_wallets) == (RunStatus.CANCELLED, 1)
        assert cancelled.errors == ["stopped by ada"]
        with pytest.raises(StaleClaimError):
            await RunTokenRepository(database).finish_token(
                run.id,
                MINTS[1],
                attempt,
                completed_at=LATER,
                summary=SUMMARY,
                wallets=[a_wallet(2, MINTS[1])],
            )

    in_database(scenario)


def test_findings_of_another_token_or_twice_the_same_are_refused_whole(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await begun(database)
        attempt = await claimed(database, run.id, MINTS[0])
        for wallets in ([a_wallet(1), a_wallet(2, MINTS[1])], [a_wallet(1), a_wallet(1)]):
            with pytest.raises(ValueError, match="findings"):
                await RunTokenRepository(database).finish_token(
                    run.id, MINTS[0], attempt, completed_at=LATER, summary=SUMMARY, wallets=wallets
                )
        assert await DiscoveryRepository(database).get_run_wallets(run.id) == []

    in_database(scenario)


def test_runs_that_store_the_same_wallets_at_once_wait_for_each_other(in_database: InDatabase) -> None:
    forwards = [a_wallet(number) for number in range(800)]

    async def scenario(database: Database) -> None:
        runs = [await begun(database) for _ in range(4)]
        await asyncio.gather(
            *(
                found_on(database, run.id, MINTS[0], forwards if place % 2 else forwards[::-1])
                for place, run in enumerate(runs)
            )
        )
        ended = [await DiscoveryRepository(database).complete_run(run.id, completed_at=LATER) for run in runs]
        assert sorted((run.new_wallets, run.updated_wallets) for run in ended) == [(0, 800)] * 3 + [(800, 0)]

    in_database(scenario)


def test_one_of_two_who_end_a_run_at_once_is_refused(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        run = await begun(database)
        both = await asyncio.gather(
            repo.complete_run(run.id, completed_at=LATER),
            repo.cancel_run(run.id, completed_at=LATER),
            return_exceptions=True,
        )
        assert sorted(type(result) is RunEndedError for result in both) == [False, True]

    in_database(scenario)


def test_the_runs_of_a_dead_process_are_failed_and_keep_what_they_found(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo, tokens = DiscoveryRepository(database), RunTokenRepository(database)
        dead = await begun(database, claimed_by="process 7 on box")
        await found_on(database, dead.id, MINTS[0], [a_wallet(1)])
        await claimed(database, dead.id, MINTS[1])
        alive = await begun(database)
        await repo.heartbeat(alive.id, LEASE + timedelta(hours=1))
        working = await begun(database)
        await listed(database, working.id, MINTS[:1])
        await tokens.start_token(working.id, MINTS[0], now=NOW, lease_expires_at=LEASE + timedelta(hours=1))
        assert await repo.fail_abandoned_runs(LEASE - timedelta(seconds=1)) == []
        (ended,) = await repo.fail_abandoned_runs(LEASE)
        assert (ended.id, ended.status, ended.completed_at) == (dead.id, RunStatus.FAILED, LEASE)
        assert (ended.new_wallets, ended.tokens_analyzed, ended.duration_seconds) == (1, 1, 300.0)
        assert ended.errors[0].startswith("abandoned: its process (process 7 on box) gave no sign of life")
        assert [token.status for token in await tokens.get_run_tokens(dead.id)] == [
            TokenStatus.DONE,
            TokenStatus.CANCELLED,
        ]
        with pytest.raises(RunEndedError):  # it wakes up again
            await repo.heartbeat(dead.id, LEASE)

    in_database(scenario)


def test_pages_list_every_run_once_newest_first_also_where_times_are_equal(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        made = [await begun(database, NOW - timedelta(hours=number // 3)) for number in range(11)]
        for run in made[:4]:
            await repo.complete_run(run.id, completed_at=LATER)
        expected = sorted(made, key=lambda run: (run.started_at, run.id), reverse=True)
        listed: list[UUID] = []
        cursor = None
        while True:
            page = await repo.get_runs(limit=4, cursor=cursor)
            assert page.total == 11
            listed += [run.id for run in page.runs]
            cursor = page.next_cursor
            await begun(database, NOW + timedelta(days=1))  # one that starts meanwhile moves no page
            async with database.transaction() as connection:
                await connection.execute("DELETE FROM discovery_runs WHERE started_at > %s", (NOW,))
            if cursor is None:
                break
        assert listed == [run.id for run in expected]
        completed = await repo.get_runs(statuses=[RunStatus.COMPLETED])
        assert {run.id for run in completed.runs} == {run.id for run in made[:4]}
        assert (completed.total, completed.next_cursor) == (4, None)
        both = await repo.get_runs(statuses=[RunStatus.COMPLETED, RunStatus.RUNNING], limit=11)
        assert (both.total, both.next_cursor) == (11, None)
        within = await repo.get_runs(NOW - timedelta(hours=2), NOW)
        assert within.total == 6
        assert {run.started_at for run in within.runs} == {NOW - timedelta(hours=back) for back in (1, 2)}

    in_database(scenario)


def test_pages_of_kinds_of_runs_are_the_same_by_offset_and_by_cursor(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        made = []
        for number in range(24):
            run = await repo.create_run(
                list(TriggerType)[number % 3],
                DiscoveryRunParams(),
                started_at=NOW - timedelta(hours=number // 2),
                lease_expires_at=LEASE,
            )
            if number % 4 == 0:
                await repo.complete_run(run.id, completed_at=LATER)
            made.append(run)
        await ProviderRepository(database).add(
            made[0].id, "helius", requests=3, credits=40, errors=0, stopped_reason=None
        )
        completed = {run.id for run in made[::4]}
        for statuses, triggers in product(
            ((), (RunStatus.COMPLETED,), (RunStatus.RUNNING, RunStatus.COMPLETED), (RunStatus.FAILED,)),
            ((), (TriggerType.API,), (TriggerType.API, TriggerType.MANUAL)),
        ):
            matching = [
                run
                for run in sorted(made, key=lambda run: (run.started_at, run.id), reverse=True)
                if (not triggers or run.trigger_type in triggers)
                and (
                    not statuses
                    or (RunStatus.COMPLETED if run.id in completed else RunStatus.RUNNING) in statuses
                )
            ]
            cursor = None
            for offset in range(0, len(matching) + 1, 5):
                by_offset = await repo.get_runs(statuses=statuses, triggers=triggers, limit=5, offset=offset)
                by_cursor = await repo.get_runs(statuses=statuses, triggers=triggers, limit=5, cursor=cursor)
                cursor = by_cursor.next_cursor
                expected = [run.id for run in matching[offset : offset + 5]]
                assert [run.id for run in by_offset.runs] == expected
                assert by_offset.total == len(matching)
                if expected:
                    assert by_cursor == by_offset
                if cursor is None:
                    break
        used = {run.id: run.used for run in (await repo.get_runs()).runs}
        assert used.pop(made[0].id) == ReadingCost(3, 40)
        assert set(used.values()) == {ReadingCost(0, 0)}

    in_database(scenario)


def test_bad_pages_are_refused_with_their_bound(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        for limit in (0, -1, 501):
            with pytest.raises(BadInputError, match=rf"limit: {limit} is out of bounds, 1 to 500"):
                await repo.get_runs(limit=limit)
        for cursor in ("", "x", "!!", "W10", "WyIyMDI2IiwgMV0", "ö", "[" * 10_000, "bnVsbA"):
            with pytest.raises(BadInputError, match="cursor: is none that WallTrack gave"):
                await repo.get_runs(cursor=cursor)
        for offset in (-1, 10_001):
            with pytest.raises(
                BadInputError, match=rf"offset: {offset} is out of bounds, 0 to 10000; .* next_cursor"
            ):
                await repo.get_runs(offset=offset)
        for number in range(2):
            await begun(database, NOW - timedelta(hours=number))
        with pytest.raises(BadInputError, match="offset: a page begins at an offset or at a cursor"):
            await repo.get_runs(offset=1, cursor=(await repo.get_runs(limit=1)).next_cursor)

    in_database(scenario)


def test_a_time_without_its_zone_is_refused(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        with pytest.raises(ValueError, match="must carry its time zone"):
            await begun(database, NOW.replace(tzinfo=None))

    in_database(scenario)


def test_a_deleted_run_takes_its_rows_and_leaves_its_wallets(
    settings: Settings, in_database: InDatabase
) -> None:
    async def scenario(database: Database) -> None:
        run = await begun(database)
        await found_on(database, run.id, MINTS[0], [a_wallet(1)])
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM discovery_runs")
            counts = [
                (await (await connection.execute(query)).fetchone() or {}).get("n")
                for query in (
                    "SELECT count(*) AS n FROM discovery_run_wallets",
                    "SELECT count(*) AS n FROM discovery_run_tokens",
                    "SELECT count(*) AS n FROM wallets",
                )
            ]
        assert counts == [0, 0, 1]
        later = await begun(database)
        await found_on(database, later.id, MINTS[0], [a_wallet(1)])
        assert [row.is_new for row in await DiscoveryRepository(database).get_run_wallets(later.id)] == [
            False
        ]

    in_database(scenario)


def test_an_unknown_status_cannot_be_stored(migrated_url: str) -> None:
    with (
        psycopg.connect(settings_for(migrated_url).database_url.get_secret_value()) as connection,  # type: ignore[union-attr]
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        connection.execute(
            "INSERT INTO discovery_runs (started_at, status, trigger_type) VALUES (now(), 'x', 'api')"
        )
