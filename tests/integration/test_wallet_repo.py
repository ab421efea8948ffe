"""Wallets over all runs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet, address
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, QualifiedWallet, TriggerType


async def a_run(database: Database, hours: int, found: dict[str, list[QualifiedWallet]]) -> DiscoveryRun:
    """A completed run that started and found so many hours after NOW."""
    runs, tokens = DiscoveryRepository(database), RunTokenRepository(database)
    at = NOW + timedelta(hours=hours)
    run = await runs.create_run(
        TriggerType.MANUAL, DiscoveryRunParams(), started_at=at, lease_expires_at=LEASE
    )
    await tokens.add_tokens(run.id, list(found))
    for mint, wallets in found.items():
        attempt = await tokens.start_token(run.id, mint, now=at, lease_expires_at=LEASE)
        assert attempt is not None
        await tokens.finish_token(run.id, mint, attempt, completed_at=at, summary=SUMMARY, wallets=wallets)
    return await runs.complete_run(run.id, completed_at=at)


def test_a_wallet_sums_the_newest_figures_of_each_of_its_tokens(in_database: InDatabase) -> None:
    def figures(mint: str, pnl: str, pct: str) -> QualifiedWallet:
        return a_wallet(1, mint, realized_pnl_sol=Decimal(pnl), realized_pct=Decimal(pct))

    async def scenario(database: Database) -> None:
        repo = WalletRepository(database)
        first = await a_run(database, 0, {MINTS[0]: [figures(MINTS[0], "9", "900")]})
        second = await a_run(
            database,
            2,
            {MINTS[0]: [figures(MINTS[0], "4", "400")], MINTS[1]: [figures(MINTS[1], "0.5", "50")]},
        )
        wallet = await repo.get_wallet(address(1))
        assert wallet is not None
        assert (wallet.runs, wallet.sources) == (2, 2)
        assert (wallet.best_realized_pct, wallet.total_realized_pnl_sol) == (Decimal(400), Decimal("4.5"))
        assert (wallet.first_seen_at, wallet.last_seen_at) == (NOW, NOW + timedelta(hours=2))
        assert [run.id for run in await repo.get_wallet_runs(address(1))] == [second.id, first.id]
        findings = await repo.get_wallet_findings(address(1))
        assert [(row.run_id, row.source_token) for row in findings] == [
            (second.id, MINTS[0]),
            (second.id, MINTS[1]),
            (first.id, MINTS[0]),
        ]

    in_database(scenario)


def test_a_wallet_that_no_run_found_is_none(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = WalletRepository(database)
        assert await repo.get_wallet(address(1)) is None
        assert await repo.get_wallet_runs(address(1)) == []
        page = await repo.get_wallets()
        assert (page.wallets, page.total, page.next_cursor) == ([], 0, None)

    in_database(scenario)


def test_pages_list_every_wallet_once_also_when_some_are_found_again_meanwhile(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        repo = WalletRepository(database)
        for hours, numbers in ((0, range(5)), (1, range(5, 12))):
            await a_run(database, hours, {MINTS[0]: [a_wallet(number) for number in numbers]})
        listed: list[str] = []
        cursor = None
        for place in range(3):
            page = await repo.get_wallets(limit=5, cursor=cursor)
            assert page.total == 12
            listed += [wallet.address for wallet in page.wallets]
            cursor = page.next_cursor
            await a_run(database, 2 + place, {MINTS[1]: [a_wallet(place, MINTS[1])]})
        assert cursor is None
        assert listed == sorted(map(address, range(5, 12))) + sorted(map(address, range(5)))
        with pytest.raises(BadInputError, match="cursor"):
            await repo.get_wallets(cursor="nonsense")

    in_database(scenario)
