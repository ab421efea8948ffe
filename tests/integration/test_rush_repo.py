"""Who was in the rush of which launch, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet, address, listed
from tests.integration.profiles import begun
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import StaleClaimError
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.rush_repo import RushRepository
from walltrack.discovery.wallet_models import RushBuy, RushCount


def buy(number: int, slots: int | None = 0, seconds: int = 0) -> RushBuy:
    return RushBuy(address(number), slots, seconds, None if slots is None else "5" * 88)


async def launched(
    database: Database, mint: str, rush: Sequence[RushBuy] | None, *, demo: bool = False, hours: int = 0
) -> None:
    tokens, run = RunTokenRepository(database), await begun(database, demo=demo)
    await listed(database, run.id, [mint])
    attempt = await tokens.start_token(run.id, mint, now=NOW, lease_expires_at=LEASE)
    assert attempt is not None
    at = NOW + timedelta(hours=hours)
    await tokens.finish_token(run.id, mint, attempt, completed_at=at, summary=SUMMARY, wallets=[], rush=rush)


async def rows(database: Database, table: str) -> list[dict[str, Any]]:
    async with database.transaction() as connection:
        return await (await connection.execute(f"SELECT * FROM {table} ORDER BY mint")).fetchall()


def test_wallets_are_counted_over_all_launches_those_unknown_too(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        await launched(database, MINTS[0], [buy(1), buy(2, 3, 1), buy(3, None, 0)])
        await launched(database, MINTS[1], [buy(1, 1, 0), buy(3, None, 1)])
        await launched(database, MINTS[2], [])
        await launched(database, MINTS[3], None)
        asked = [address(number) for number in (1, 2, 3, 4)]
        counts = await RushRepository(database).rush_counts(asked)
        over_all = {"launches": 3, "rushers": 3, "appearances": 5}
        assert counts == {
            address(1): RushCount(launch_slot=1, sniped=1, **over_all),
            address(2): RushCount(launch_slot=0, sniped=1, **over_all),
            address(3): RushCount(launch_slot=1, sniped=1, **over_all),
            address(4): RushCount(launch_slot=0, sniped=0, **over_all),
        }
        assert await RushRepository(database).rush_counts([]) == {}

    in_database(scenario)


def test_launches_of_made_up_markets_are_counted_apart(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        await launched(database, MINTS[0], [buy(1)])
        await launched(database, MINTS[1], [buy(1), buy(2)], demo=True)
        counts = RushRepository(database).rush_counts
        assert await counts([address(1)], demo=False) == {address(1): RushCount(1, 0, 1, 1, 1)}
        assert await counts([address(1)], demo=True) == {address(1): RushCount(1, 0, 1, 2, 2)}
        assert await counts([address(1)]) == {address(1): RushCount(2, 0, 2, 2, 3)}

    in_database(scenario)


def test_a_launch_measured_again_replaces_its_rush_whole_and_keeps_its_first_time(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        await launched(database, MINTS[0], [buy(1), buy(2)])
        await launched(database, MINTS[0], [buy(2, 2, 1)], hours=5)
        (launch,) = await rows(database, "measured_launches")
        assert (launch["rushers"], launch["measured_at"]) == (1, NOW)
        assert (launch["launch_at"], launch["launch_slot"]) == (SUMMARY.launch_at, SUMMARY.launch_slot)
        (left,) = await rows(database, "launch_rushes")
        assert (left["wallet"], left["slots_after_launch"], left["signature"]) == (address(2), 2, "5" * 88)

    in_database(scenario)


def test_runs_that_measure_the_same_launch_at_once_leave_one_of_their_rushes(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        rushes = [[buy(number) for number in range(start, start + 50)] for start in (0, 25, 50, 75)]
        await asyncio.gather(*(launched(database, MINTS[0], rush) for rush in rushes))
        stored = {row["wallet"] for row in await rows(database, "launch_rushes")}
        assert stored in [{one.wallet for one in rush} for rush in rushes]

    in_database(scenario)


def test_a_refused_result_leaves_no_rush(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tokens, run = RunTokenRepository(database), await begun(database)
        await listed(database, run.id, MINTS[:1])
        attempt = await tokens.start_token(run.id, MINTS[0], now=NOW, lease_expires_at=LEASE)
        assert attempt is not None
        end = {"completed_at": NOW, "summary": SUMMARY}
        with pytest.raises(StaleClaimError):
            await tokens.finish_token(
                run.id,
                MINTS[0],
                attempt + 1,
                wallets=[],
                rush=[buy(1)],
                **end,  # type: ignore[arg-type]
            )
        with pytest.raises(ValueError, match="twice in the rush"):
            await tokens.finish_token(
                run.id,
                MINTS[0],
                attempt,
                wallets=[a_wallet(1)],
                rush=[buy(1), buy(1, 2)],
                **end,  # type: ignore[arg-type]
            )
        assert await rows(database, "measured_launches") == await rows(database, "launch_rushes") == []

    in_database(scenario)
