"""How the wallets of past runs went on, as it is stored."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, NOW
from tests.integration.profiles import account
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.outcome_repo import OutcomeRepository
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, RunOutcome, TriggerType

HOUR = timedelta(hours=1)
STRICT = DiscoveryRunParams(min_profit_pct=200.0, max_credits=1000)


async def a_run(
    database: Database, hours: int, params: DiscoveryRunParams = STRICT, *, demo: bool = False
) -> DiscoveryRun:
    return await DiscoveryRepository(database).create_run(
        TriggerType.MANUAL,
        params,
        started_at=NOW + HOUR * hours,
        lease_expires_at=LEASE,
        demo=demo,
    )


async def came_of(database: Database, run: DiscoveryRun, won: int, hours: int = 24) -> RunOutcome:
    outcome = RunOutcome(
        run_id=run.id,
        computed_at=NOW + HOUR * (hours + 1),
        as_of=NOW + HOUR * hours,
        found={"won": won, "realized_pnl_sol": "1.000000000000000001", "win_rate": None},
        control={"won": 1},
        control_wallets=(account(2), account(1)),
    )
    await OutcomeRepository(database).store(
        run.id,
        computed_at=outcome.computed_at,
        as_of=outcome.as_of,
        found=outcome.found,
        control=outcome.control,
        control_wallets=outcome.control_wallets,
    )
    return outcome


def test_the_newest_outcome_of_a_run_comes_back_as_it_was_stored(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo, run = OutcomeRepository(database), await a_run(database, 0)
        assert await repo.newest(run.id) is None
        newest = await came_of(database, run, 3, hours=48)
        await came_of(database, run, 2, hours=24)
        assert await repo.newest(run.id) == newest
        with pytest.raises(RunNotFoundError):
            await repo.store(uuid4(), computed_at=NOW, as_of=NOW, found={}, control={}, control_wallets=[])

    in_database(scenario)


def test_outcomes_stand_together_by_the_parameters_of_their_runs(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        loose = DiscoveryRunParams(min_profit_pct=20.0)
        runs = [
            await a_run(database, 0, STRICT),
            await a_run(database, 1, loose),
            await a_run(database, 2, STRICT),
            await a_run(database, 3, STRICT, demo=True),
        ]
        await a_run(database, 9, STRICT)  # without an outcome
        await came_of(database, runs[0], 0)
        newest = [await came_of(database, run, number, hours=30) for number, run in enumerate(runs)]
        groups = await OutcomeRepository(database).by_parameters()
        assert [(group.params, group.demo, group.outcomes) for group in groups] == [
            (STRICT, True, (newest[3],)),
            (STRICT, False, (newest[2], newest[0])),
            (loose, False, (newest[1],)),
        ]

    in_database(scenario)


def test_a_deleted_run_takes_its_outcomes(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await a_run(database, 0)
        await came_of(database, run, 1)
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM discovery_runs")
        assert await OutcomeRepository(database).newest(run.id) is None
        assert await OutcomeRepository(database).by_parameters() == []

    in_database(scenario)
