"""Profiles of wallets as they are stored: by their date, once for each run, and the newest on the wallet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import MINTS, NOW, a_wallet, address
from tests.integration.profiles import PROFILE, begun, evidence, found, profiled, score
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunEndedError, RunNotFoundError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.discovery.models import WalletRecord
from walltrack.discovery.wallet_models import Flag, WalletStatus

HOUR = timedelta(hours=1)


async def record(database: Database, number: int) -> WalletRecord:
    wallet = await WalletRepository(database).get_wallet(address(number))
    assert wallet is not None
    return wallet


def test_a_profile_comes_back_exactly_as_it_was_stored(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = ProfileRepository(database)
        run = await begun(database)
        flags = (evidence(Flag.SNIPER), evidence(Flag.WASH, MINTS[0], of=None, signatures=(), wallets=()))
        given = score("0.4321", WalletStatus.DORMANT, "nothing for 40 days")
        for wallet, profile, computed_at in (
            (1, replace(PROFILE, wallet_address=address(1)), NOW + HOUR),
            (2, None, NOW),
        ):
            assert await repo.store_profile(
                run.id,
                address(wallet),
                computed_at=computed_at,
                as_of=computed_at,
                profile=profile,
                flags=flags,
                score=given,
            )
            stored = await repo.newest_profile(address(wallet))
            assert stored is not None
            assert (stored.wallet_address, stored.run_id, stored.computed_at) == (
                address(wallet),
                run.id,
                computed_at,
            )
            assert (stored.profile, stored.flags, stored.score) == (profile, flags, given)
        assert await repo.newest_profile(address(3)) is None

    in_database(scenario)


def test_the_same_wallet_of_a_run_again_changes_nothing(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await begun(database)
        await found(database, run.id, {MINTS[0]: [a_wallet(1)]})
        assert await profiled(database, run.id, address(1), score("0.5"))
        before = (
            await ProfileRepository(database).profiles_of(address(1)),
            await record(database, 1),
            await DiscoveryRepository(database).get_run(run.id),
            await DiscoveryRepository(database).get_run_wallets(run.id),
        )
        assert not await profiled(database, run.id, address(1), score("0.9"), computed_at=NOW + HOUR)
        assert before == (
            await ProfileRepository(database).profiles_of(address(1)),
            await record(database, 1),
            await DiscoveryRepository(database).get_run(run.id),
            await DiscoveryRepository(database).get_run_wallets(run.id),
        )

    in_database(scenario)


def test_a_wallet_shows_its_newest_profile_and_a_late_one_only_joins_the_history(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        repo = ProfileRepository(database)
        runs = [await begun(database, NOW + HOUR * number) for number in range(3)]
        for run in runs:
            await found(database, run.id, {MINTS[0]: [a_wallet(1, flags=())]})
        await profiled(database, runs[0].id, address(1), score("0.1"), computed_at=NOW)
        await profiled(
            database,
            runs[2].id,
            address(1),
            score("0.8"),
            computed_at=NOW + HOUR * 2,
            as_of=NOW + HOUR * 2,
            closed_positions=77,
            last_active_at=NOW + HOUR,
        )
        newest = await record(database, 1)
        assert (newest.score, newest.score_version, newest.status) == (
            Decimal("0.8"),
            1,
            WalletStatus.ACTIVE,
        )
        assert (newest.closed_positions, newest.last_active_at, newest.profiled_at) == (
            77,
            NOW + HOUR,
            NOW + HOUR * 2,
        )
        late = score("0.2", WalletStatus.EXCLUDED, "wash")
        await profiled(
            database,
            runs[1].id,
            address(1),
            late,
            [evidence(Flag.WASH)],
            as_of=NOW + HOUR,
            computed_at=NOW + HOUR * 3,
        )
        assert await record(database, 1) == newest
        values = [stored.score.value for stored in await repo.profiles_of(address(1))]
        assert values == [Decimal("0.8"), Decimal("0.2"), Decimal("0.1")]

    in_database(scenario)


def test_a_run_that_did_not_profile_a_wallet_takes_away_nothing_but_what_a_flag_does(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        repo = ProfileRepository(database)
        run = await begun(database)
        await found(database, run.id, {MINTS[0]: [a_wallet(1)]})

        async def unprofiled(hours: int, status: WalletStatus) -> WalletRecord:
            await repo.store_profile(
                None,
                address(1),
                computed_at=NOW + HOUR * hours,
                as_of=NOW + HOUR * hours,
                profile=None,
                flags=[],
                score=score(None, status, "why"),
            )
            shown, newest = await record(database, 1), await repo.newest_profile(address(1))
            assert newest is not None
            assert (shown.status, shown.profiled_at) == (newest.score.status, newest.computed_at)
            return shown

        assert (await unprofiled(5, WalletStatus.INSUFFICIENT_DATA)).status is WalletStatus.INSUFFICIENT_DATA
        await profiled(database, run.id, address(1), score("0.5"), computed_at=NOW + HOUR)
        kept = await unprofiled(6, WalletStatus.INSUFFICIENT_DATA)
        assert (kept.status, kept.score) == (WalletStatus.ACTIVE, Decimal("0.5"))
        gated = await unprofiled(7, WalletStatus.EXCLUDED)
        assert (gated.status, gated.score, gated.closed_positions) == (WalletStatus.EXCLUDED, None, None)
        assert (await unprofiled(8, WalletStatus.INSUFFICIENT_DATA)).status is WalletStatus.EXCLUDED
        assert len(await repo.profiles_of(address(1))) == 5

    in_database(scenario)


def test_what_was_known_at_a_time_is_what_had_been_computed_by_then(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = ProfileRepository(database)
        for hours, value in ((1, "0.1"), (3, "0.3")):
            await profiled(database, None, address(1), score(value), computed_at=NOW + HOUR * hours)
        await profiled(database, None, address(1), score("0.2"), as_of=NOW, computed_at=NOW + HOUR * 5)
        known = [await repo.profile_known_at(address(1), NOW + HOUR * hours) for hours in (0, 1, 2, 3, 6)]
        assert [stored and stored.score.value for stored in known] == [
            None,
            *map(Decimal, ("0.1", "0.1", "0.3", "0.3")),
        ]

    in_database(scenario)


def test_the_score_stands_with_the_findings_of_its_run_only(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = DiscoveryRepository(database)
        first, second = await begun(database), await begun(database, NOW + HOUR)
        for run in (first, second):
            await found(
                database, run.id, {mint: [a_wallet(1, mint), a_wallet(2, mint)] for mint in MINTS[:2]}
            )
        await profiled(database, second.id, address(1), score("0.75"))
        assert {row.initial_score for row in await repo.get_run_wallets(first.id)} == {None}
        of_second = {(row.wallet_address, row.initial_score) for row in await repo.get_run_wallets(second.id)}
        assert of_second == {(address(1), Decimal("0.75")), (address(2), None)}

    in_database(scenario)


def test_profiled_wallets_are_counted_from_rows_also_when_many_are_stored_at_once(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        run = await begun(database)
        await asyncio.gather(
            *(profiled(database, run.id, address(number % 20), score("0.5")) for number in range(40))
        )
        await ProfileRepository(database).store_profile(
            run.id,
            address(99),
            computed_at=NOW,
            as_of=NOW,
            profile=None,
            flags=[],
            score=score(None, WalletStatus.INSUFFICIENT_DATA, "budget"),
        )
        stored = await DiscoveryRepository(database).get_run(run.id)
        assert stored is not None
        assert stored.profiled_wallets == 20
        completed = await DiscoveryRepository(database).complete_run(run.id, completed_at=NOW + HOUR)
        assert completed.profiled_wallets == 20

    in_database(scenario)


def test_a_profile_that_comes_after_the_end_of_its_run_is_refused(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await begun(database)
        await DiscoveryRepository(database).cancel_run(run.id, completed_at=NOW)
        with pytest.raises(RunEndedError):
            await profiled(database, run.id, address(1), score("0.5"))
        with pytest.raises(RunNotFoundError):
            await profiled(database, uuid4(), address(1), score("0.5"))
        assert await ProfileRepository(database).profiles_of(address(1)) == []

    in_database(scenario)


def test_the_profile_of_another_wallet_is_refused(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        with pytest.raises(ValueError, match="the profile is that of"):
            await profiled(database, None, address(1), score("0.5"), wallet_address=address(2))

    in_database(scenario)


def test_unprofiled_wallets_come_by_sources_then_profit_then_address_with_the_evidence_of_all_tokens(
    in_database: InDatabase,
) -> None:
    def wallet(number: int, mint: str, pnl: str, *flags: Flag) -> object:
        shown = tuple(evidence(flag, mint) for flag in flags)
        return a_wallet(number, mint, realized_pnl_sol=Decimal(pnl), evidence=shown, flags=flags)

    async def scenario(database: Database) -> None:
        repo = ProfileRepository(database)
        run, other = await begun(database), await begun(database)
        on = {
            MINTS[0]: [wallet(5, MINTS[0], "9"), wallet(4, MINTS[0], "1"), wallet(3, MINTS[0], "9")],
            MINTS[1]: [wallet(4, MINTS[1], "1", Flag.BUNDLE, Flag.WASH), wallet(2, MINTS[1], "100")],
            MINTS[2]: [wallet(4, MINTS[2], "1", Flag.BUNDLE), wallet(1, MINTS[2], "0.5")],
            MINTS[3]: [wallet(1, MINTS[3], "0.5")],
        }
        await found(database, run.id, on)  # type: ignore[arg-type]
        await found(database, other.id, {MINTS[0]: [a_wallet(8)]})
        await profiled(database, other.id, address(5), score("0.5"))  # another run's profile does not count
        await profiled(database, run.id, address(2), score("0.5"))
        left = [one for one in await repo.wallets_of_run(run.id) if not one.is_profiled]
        assert [(one.wallet_address, one.source_tokens, one.realized_pnl_sol) for one in left] == [
            (address(4), 3, Decimal(3)),
            (address(1), 2, Decimal(1)),
            (address(3), 1, Decimal(9)),
            (address(5), 1, Decimal(9)),
        ]
        assert left[0].evidence == (
            evidence(Flag.BUNDLE, MINTS[1]),
            evidence(Flag.WASH, MINTS[1]),
            evidence(Flag.BUNDLE, MINTS[2]),
        )

    in_database(scenario)


def test_a_wallets_flags_are_those_of_all_its_findings_and_its_newest_profile(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        first, second = await begun(database), await begun(database)
        await found(database, first.id, {MINTS[0]: [a_wallet(1, flags=("fast_trade", "bundle"))]})
        assert (await record(database, 1)).flags == ("bundle", "fast_trade")
        await profiled(database, first.id, address(1), score("0.5"), [evidence(Flag.SNIPER)])
        await found(database, second.id, {MINTS[1]: [a_wallet(1, MINTS[1], flags=("wash", "bundle"))]})
        assert (await record(database, 1)).flags == ("bundle", "fast_trade", "sniper", "wash")
        await profiled(database, second.id, address(1), score("0.5"), computed_at=NOW + HOUR)
        assert (await record(database, 1)).flags == ("bundle", "fast_trade", "wash")

    in_database(scenario)


def test_a_deleted_run_leaves_its_profiles_which_never_change(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = ProfileRepository(database)
        runs = [await begun(database) for _ in range(2)]
        for run in runs:
            await profiled(database, run.id, address(1), score("0.5"))
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM discovery_runs WHERE id = %s", (runs[0].id,))
        assert {stored.run_id for stored in await repo.profiles_of(address(1))} == {None, runs[1].id}
        for change in ("wins = 30", "run_id = NULL, score = 1", f"run_id = '{runs[1].id}'", "flags = '[1]'"):
            with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
                async with database.transaction() as connection:
                    await connection.execute(f"UPDATE wallet_profiles SET {change}")
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM wallet_profiles")

    in_database(scenario)
