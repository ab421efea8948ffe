"""What runs found, in pages: every finding once, in every order, whatever has no value."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet, address, listed
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.finding_pages import FindingPages
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRunParams,
    FindingOrder,
    QualifiedWallet,
    StandingFinding,
    TriggerType,
    WalletFilters,
)
from walltrack.discovery.wallet_models import WalletStatus

WALLETS = 23


def found(number: int) -> QualifiedWallet:
    """Some have the same figures as others."""
    return a_wallet(
        number,
        MINTS[0],
        realized_pnl_sol=Decimal(number % 4),
        realized_pct=Decimal(number % 7),
        entry_rank=1 + number,
        first_buy_at=NOW + timedelta(seconds=number % 5),
    )


async def a_run(database: Database) -> UUID:
    runs, tokens = DiscoveryRepository(database), RunTokenRepository(database)
    run = await runs.create_run(
        TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=LEASE
    )
    await listed(database, run.id, MINTS[:1])
    attempt = await tokens.start_token(run.id, MINTS[0], now=NOW, lease_expires_at=LEASE)
    assert attempt is not None
    wallets = [found(number) for number in range(WALLETS)]
    await tokens.finish_token(run.id, MINTS[0], attempt, completed_at=NOW, summary=SUMMARY, wallets=wallets)
    async with database.transaction() as connection:
        # Two of three are profiled, and a row of an earlier version has no figures.
        await connection.execute(
            "UPDATE wallets SET score = abs(hashtext(address) % 5) / 10.0, status = 'active'"
            " WHERE hashtext(address) % 3 <> 0"
        )
        await connection.execute(
            "INSERT INTO discovery_run_wallets (run_id, wallet_address, source_token) VALUES (%s, %s, %s)",
            (run.id, address(0), MINTS[1]),
        )
    return run.id


def value_of(one: StandingFinding, order: FindingOrder) -> Any:
    if order is FindingOrder.SCORE:
        return one.standing.score
    return None if one.finding.found is None else getattr(one.finding.found, order.value)


def test_pages_of_a_run_have_every_finding_once_in_every_order(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run_id = await a_run(database)
        pages = FindingPages(database)
        for order, ascending in product(FindingOrder, (False, True)):
            listed: list[StandingFinding] = []
            cursor = None
            while True:
                page = await pages.of_run(run_id, order=order, ascending=ascending, limit=5, cursor=cursor)
                assert page.total == WALLETS + 1
                listed += page.findings
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert len({one.finding.id for one in listed}) == len(listed) == WALLETS + 1
            values = [value_of(one, order) for one in listed]
            known = [value for value in values if value is not None]
            assert values == sorted(known, reverse=not ascending) + [None] * (len(values) - len(known))

    in_database(scenario)


def test_filters_ask_for_the_standing_of_today(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run_id = await a_run(database)
        pages = FindingPages(database)
        active = await pages.of_run(run_id, WalletFilters(statuses=(WalletStatus.ACTIVE,)), limit=500)
        assert 0 < active.total < WALLETS
        assert {one.standing.status for one in active.findings} == {WalletStatus.ACTIVE}

    in_database(scenario)


def test_a_cursor_that_was_not_given_is_refused(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run_id = await a_run(database)
        for cursor in ("nonsense", "WyIxIiwgIngiXQ"):
            with pytest.raises(BadInputError, match="cursor"):
                await FindingPages(database).of_run(run_id, cursor=cursor)
            with pytest.raises(BadInputError, match="cursor"):
                await FindingPages(database).of_wallet(address(0), cursor=cursor)

    in_database(scenario)


def test_pages_of_a_wallet_have_every_finding_once_the_newest_first(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        for _ in range(3):
            await a_run(database)
        listed: list[StandingFinding] = []
        cursor = None
        while True:
            page = await FindingPages(database).of_wallet(address(0), limit=2, cursor=cursor)
            assert page.total == 6
            listed += page.findings
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len({one.finding.id for one in listed}) == 6
        assert len({one.finding.run_id for one in listed[:2]}) == 1

    in_database(scenario)
