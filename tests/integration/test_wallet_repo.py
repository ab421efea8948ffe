"""Wallets over all runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, a_wallet, address, listed
from tests.integration.profiles import account, begun, evidence, found, profiled, score
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.finding_pages import FindingPages
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    QualifiedWallet,
    TriggerType,
    WalletFilters,
    WalletOrder,
    WalletPage,
)
from walltrack.discovery.wallet_models import AddressList, Flag, WalletStatus

BY_SCORE = WalletFilters(order=WalletOrder.SCORE)


async def a_run(database: Database, hours: int, found: dict[str, list[QualifiedWallet]]) -> DiscoveryRun:
    """A completed run that started and found so many hours after NOW."""
    runs, tokens = DiscoveryRepository(database), RunTokenRepository(database)
    at = NOW + timedelta(hours=hours)
    run = await runs.create_run(
        TriggerType.MANUAL, DiscoveryRunParams(), started_at=at, lease_expires_at=LEASE
    )
    await listed(database, run.id, list(found))
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
        found = [one.finding for one in (await FindingPages(database).of_wallet(address(1))).findings]
        assert {(row.run_id, row.source_token) for row in found[:2]} == {
            (second.id, MINTS[0]),
            (second.id, MINTS[1]),
        }
        assert [(row.run_id, row.source_token) for row in found[2:]] == [(first.id, MINTS[0])]

    in_database(scenario)


def test_of_two_runs_that_overlap_the_finding_that_was_stored_last_counts(in_database: InDatabase) -> None:
    """Its tape was read last, whichever run started first."""

    async def scenario(database: Database) -> None:
        for hours, pnl in ((2, "9"), (0, "4")):
            wallet = a_wallet(1, realized_pnl_sol=Decimal(pnl))
            await a_run(database, hours, {MINTS[0]: [wallet]})
        shown = await WalletRepository(database).get_wallet(address(1))
        assert shown is not None
        assert (shown.runs, shown.sources, shown.total_realized_pnl_sol) == (2, 1, Decimal(4))

    in_database(scenario)


def test_a_wallet_that_no_run_found_is_none(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = WalletRepository(database)
        assert await repo.get_wallet(address(1)) is None
        assert (await FindingPages(database).of_wallet(address(1))).findings == []
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


async def known(database: Database) -> None:
    """Wallets 0-7 of one run: three ranked (5, 6 with the same score, 4), one with too little, one excluded by its
    profile, two not profiled, and one active that is made up.
    """
    run = await begun(database)
    wallets = [a_wallet(number, flags=("bundle",) if number % 2 else ()) for number in range(7)]
    await found(database, run.id, {MINTS[0]: wallets})
    await profiled(database, run.id, address(6), score("0.8"), closed_positions=5)
    await profiled(database, run.id, address(5), score("0.8"), [evidence(Flag.SNIPER)], closed_positions=9)
    dormant = score("0.3", WalletStatus.DORMANT, "nothing for 40 days")
    await profiled(
        database,
        run.id,
        address(4),
        dormant,
        [evidence(Flag.SNIPER)],
        last_active_at=NOW - timedelta(days=40),
    )
    too_little = score(None, WalletStatus.INSUFFICIENT_DATA, "2 closed positions")
    await profiled(database, run.id, address(3), too_little, closed_positions=2)
    await profiled(database, run.id, address(2), score("0.9", WalletStatus.EXCLUDED, "wash"))
    made_up = await begun(database, demo=True)
    await found(database, made_up.id, {MINTS[0]: [a_wallet(0), a_wallet(7)]})
    await profiled(database, made_up.id, address(7), score("0.1"))


def numbers(page: WalletPage) -> list[int]:
    places = {address(number): number for number in range(8)}
    assert page.total == len(page.wallets)
    return [places[wallet.address] for wallet in page.wallets]


def test_the_ranking_comes_first_then_those_not_ranked_and_none_that_is_excluded(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        repo = WalletRepository(database)
        await known(database)
        unranked = sorted((0, 1, 3), key=address)
        ranked = [*sorted((5, 6), key=address), 4, 7]
        page = await repo.get_wallets(BY_SCORE)
        assert numbers(page) == [*ranked, *unranked]
        assert [wallet.address for wallet in await repo.best_wallets(10)] == [address(n) for n in ranked]
        assert [wallet.address for wallet in await repo.best_wallets(1)] == [address(ranked[0])]
        assert set(numbers(await repo.get_wallets())) == {0, 1, 3, 4, 5, 6, 7}
        shown = {wallet.address: wallet for wallet in page.wallets}
        dormant = shown[address(4)]
        assert (dormant.status, dormant.status_reason) == (WalletStatus.DORMANT, "nothing for 40 days")
        assert (shown[address(5)].flags, shown[address(5)].score) == (("bundle", "sniper"), Decimal("0.8"))
        assert (shown[address(0)].status, shown[address(0)].profiled_at) == (None, None)

    in_database(scenario)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (WalletFilters(min_score=Decimal("0.3")), {4, 5, 6}),
        (WalletFilters(min_score=Decimal("0.3001")), {5, 6}),
        (WalletFilters(with_flags=("sniper",)), {4, 5}),
        (WalletFilters(with_flags=("sniper", "bundle")), {5}),
        (WalletFilters(without_flags=("sniper", "bundle")), {0, 6, 7}),
        (WalletFilters(active_within_days=2), {3, 5, 6, 7}),
        (WalletFilters(active_within_days=1), set()),
        (WalletFilters(min_closed_positions=9), {4, 5, 7}),
        (WalletFilters(statuses=(WalletStatus.EXCLUDED,)), {2}),
        (WalletFilters(statuses=(WalletStatus.EXCLUDED, WalletStatus.DORMANT)), {2, 4}),
        (WalletFilters(statuses=(WalletStatus.INSUFFICIENT_DATA,)), {3}),
        (WalletFilters(address_prefix=address(3)), {3}),
        (WalletFilters(address_prefix="W"), {0, 1, 3, 4, 5, 6, 7}),
        (WalletFilters(address_prefix="w"), set()),
        (WalletFilters(watched=True), set()),
        (WalletFilters(demo=True), {7}),
        (WalletFilters(demo=False), {0, 1, 3, 4, 5, 6}),
        (WalletFilters(min_score=Decimal("0.2"), without_flags=("bundle",), demo=False), {4, 6}),
    ],
)
def test_a_list_has_those_for_which_all_that_is_asked_holds(
    in_database: InDatabase, filters: WalletFilters, expected: set[int]
) -> None:
    async def scenario(database: Database) -> None:
        await known(database)
        for order in WalletOrder:
            page = await WalletRepository(database).get_wallets(replace(filters, order=order), now=NOW)
            assert set(numbers(page)) == expected

    in_database(scenario)


def test_the_operators_lists_count_at_once_whatever_the_profile_said(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo, lists = WalletRepository(database), AddressListRepository(database)
        run = await begun(database)
        first, second = account(1), account(2)
        on = [a_wallet(number, wallet_address=account(number)) for number in (1, 2)]
        await found(database, run.id, {MINTS[0]: on})
        for wallet in (first, second):
            await profiled(database, run.id, wallet, score("0.8"))
        await lists.add(AddressList.EXCLUDE, first, note="my own", added_at=NOW)
        for which in (AddressList.WATCH, AddressList.EXCHANGE):
            await lists.add(which, second, note=f"on {which}", added_at=NOW)
        for filters in (WalletFilters(), BY_SCORE, WalletFilters(statuses=(WalletStatus.ACTIVE,))):
            page = await repo.get_wallets(filters)
            assert ([wallet.address for wallet in page.wallets], page.total) == ([second], 1)
        everything = WalletFilters(statuses=tuple(WalletStatus))
        for ranking in (BY_SCORE, everything):
            assert [wallet.address for wallet in await repo.best_wallets(10, ranking)] == [second]
        (excluded,) = (await repo.get_wallets(WalletFilters(statuses=(WalletStatus.EXCLUDED,)))).wallets
        assert excluded == await repo.get_wallet(first)
        assert (excluded.status, excluded.status_reason) == (
            WalletStatus.EXCLUDED,
            "on the exclude list: my own",
        )
        assert (excluded.listed, excluded.note) == ((AddressList.EXCLUDE,), "my own")
        (watched,) = (await repo.get_wallets(WalletFilters(watched=True))).wallets
        assert watched.listed == (AddressList.EXCHANGE, AddressList.WATCH)
        assert watched.note == "on exchange; on watch"
        await lists.remove(AddressList.EXCLUDE, first)
        assert (await repo.get_wallets(BY_SCORE)).total == 2

    in_database(scenario)


def test_pages_by_score_list_every_wallet_once_also_where_scores_are_equal(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = WalletRepository(database)
        run = await begun(database)
        await found(database, run.id, {MINTS[0]: [a_wallet(number) for number in range(13)]})
        for number in range(9):
            await profiled(database, run.id, address(number), score(f"0.{number // 3}"))
        whole = [wallet.address for wallet in (await repo.get_wallets(BY_SCORE)).wallets]
        assert len(whole) == 13
        for limit in range(1, 15):
            listed: list[str] = []
            cursor = None
            while True:
                page = await repo.get_wallets(BY_SCORE, limit=limit, cursor=cursor)
                listed += [wallet.address for wallet in page.wallets]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert listed == whole
        other_order = (await repo.get_wallets(limit=1)).next_cursor
        by_score = (await repo.get_wallets(BY_SCORE, limit=1)).next_cursor
        for filters, cursor in ((BY_SCORE, other_order), (WalletFilters(), by_score), (BY_SCORE, "W10")):
            with pytest.raises(BadInputError, match="cursor: is none that WallTrack gave for this list"):
                await repo.get_wallets(filters, cursor=cursor)

    in_database(scenario)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (WalletFilters(min_score=Decimal("1.1")), r"min_score: 1\.1 is out of bounds, 0 to 1"),
        (WalletFilters(min_score=Decimal("NaN")), "min_score: NaN is out of bounds"),
        (WalletFilters(active_within_days=-1), "active_within_days: -1 is out of bounds, 0 to 36500"),
        (WalletFilters(min_closed_positions=-1), "min_closed_positions: -1 is out of bounds"),
        (WalletFilters(address_prefix="W%"), "address_prefix: 'W%' begins no address"),
        (WalletFilters(address_prefix="W" * 45), "address_prefix: .* begins no address"),
    ],
)
def test_a_bound_that_cannot_be_is_refused_by_its_name(
    in_database: InDatabase, filters: WalletFilters, message: str
) -> None:
    async def scenario(database: Database) -> None:
        with pytest.raises(BadInputError, match=message):
            await WalletRepository(database).get_wallets(filters, now=NOW)
        with pytest.raises(BadInputError, match="limit: 10001 is out of bounds, 1 to 10000"):
            await WalletRepository(database).best_wallets(10_001)

    in_database(scenario)


def test_totals_of_wallets_are_those_of_the_rows_whatever_was_written(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = WalletRepository(database)
        await a_run(database, 0, {MINTS[0]: [a_wallet(number) for number in range(40)]})

        async def check() -> None:
            for statuses, demo in product(
                ((), (WalletStatus.ACTIVE,), (WalletStatus.EXCLUDED,), tuple(WalletStatus)),
                (None, True, False),
            ):
                filters = WalletFilters(statuses=statuses, demo=demo)
                page = await repo.get_wallets(filters, limit=500)
                assert (page.total, page.total_is_at_least) == (len(page.wallets), False), filters

        await check()
        statements = (
            "UPDATE wallets SET status = (ARRAY['active', 'dormant', 'insufficient_data', 'excluded', NULL])"
            "[1 + abs(hashtext(address) % 5)], score = 0.5",
            "UPDATE wallets SET demo = TRUE WHERE hashtext(address) % 2 = 0",
            "INSERT INTO address_lists (list, address, added_at) SELECT 'exclude', address, now() FROM wallets"
            " ORDER BY address LIMIT 9",
            "DELETE FROM wallets WHERE address IN (SELECT address FROM wallets ORDER BY address DESC LIMIT 7)",
            "SELECT compact_wallet_counts()",
            "UPDATE wallets SET status = 'active' WHERE status = 'dormant'",
            "SELECT rebuild_wallet_counts()",
            "TRUNCATE wallets",
        )
        for statement in statements:
            async with database.transaction() as connection:
                await connection.execute(statement)
            await check()
        await a_run(database, 3, {MINTS[0]: [a_wallet(number) for number in range(4)]})
        await check()

    in_database(scenario)
