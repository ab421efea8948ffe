"""Wallets' own histories read from a chain that is served over HTTP in the providers' formats, and stored."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import SecretStr

from tests.integration.chain_market import TOKENS, Account, MadeTransaction, Trade, chain, made, market
from tests.integration.conftest import InDatabase
from tests.integration.databases import Server
from tests.unit import solana
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import DatabaseStorageError
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.data.supabase.repositories.wallet_history_repo import WalletHistoryRepository
from walltrack.discovery.history_stretches import HistoryClaim, HistoryPage, HistoryState
from walltrack.discovery.reading_plan import CreditBudget
from walltrack.discovery.tape import Unmeasurable
from walltrack.discovery.transactions import from_rpc
from walltrack.discovery.wallet_history import HistoryRows, WalletHistory, history_rows
from walltrack.sandbox.server import Faults, Plan, SandboxServer, serve
from walltrack.services.chain import Bounds
from walltrack.services.chain.purse import LocalBudget
from walltrack.services.chain.wallet_histories import HistoryRead, WalletHistoryReader
from walltrack.services.faults import RefusedFault, RetryableFault
from walltrack.services.helius import HeliusHistory
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.quota import Quota
from walltrack.services.retries import RetryPolicy
from walltrack.services.solana_rpc import SolanaRpc

WALLET = solana.wallet("the wallet")
OTHER = solana.wallet("another wallet")
MINTS = [solana.wallet(f"history mint {number}") for number in range(3)]
HISTORY = "getTransactionsForAddress"
NOTHING_FRESH = timedelta(0)
BY_EITHER_ROUTE = pytest.mark.parametrize("history", [True, False], ids=["by history", "by signatures"])
SECONDS = 200


@pytest.fixture
def server(embedded_server: Server) -> Server:
    """One database server will do: the SQL is tested on both elsewhere."""
    return embedded_server


def past(count: int, *, every_failed: int = 9, wallet: str = WALLET) -> list[MadeTransaction]:
    """So many trades of a wallet in three tokens, one of each in a slot, so that pages cut slots."""
    of_mint = []
    for place, mint in enumerate(MINTS):
        numbers = range(place, count, 3)
        trades = [
            Trade(
                wallet,
                -TOKENS if number // 3 % 3 == 2 else TOKENS,
                solana.SOL // 100 + number,
                number // 3 * SECONDS,
                failed=number % every_failed == every_failed - 1,
            )
            for number in numbers
        ]
        found = chain(mint, trades)
        for one in found:
            one.index = place
        of_mint.append(found)
    return sorted((one for found in of_mint for one in found), key=lambda one: (one.slot, one.index))


def now_of(transactions: Sequence[MadeTransaction]) -> datetime:
    return datetime.fromtimestamp(transactions[-1].block_time + 60, UTC)


def expected(transactions: Iterable[MadeTransaction], wallet: str = WALLET) -> HistoryRows:
    """What these transactions give without any reading."""
    decoded = []
    for one in transactions:
        assert one.result is not None
        decoded.append(from_rpc(json.dumps({**one.result, "transactionIndex": one.index})))
    return history_rows(wallet, decoded)


def history_of(read: HistoryRead) -> WalletHistory:
    assert isinstance(read.history, WalletHistory), read.history
    return read.history


def assert_holds(history: WalletHistory, transactions: Sequence[MadeTransaction]) -> None:
    rows = expected(transactions)
    assert_frame_equal(history.frame, rows.frame)
    assert_frame_equal(history.times, rows.times)


@asynccontextmanager
async def reader(
    database: Database,
    server: SandboxServer,
    *,
    history: bool = True,
    max_transactions: int = 5_000,
    lookback_days: int = 90,
    fresh_for: timedelta = NOTHING_FRESH,
    lease: timedelta = timedelta(seconds=60),
    store: WalletHistoryRepository | None = None,
    key: str | None = None,
    tries: int = 12,
) -> AsyncIterator[WalletHistoryReader]:
    helius = Provider(
        name="helius",
        base_url=server.urls.helius,
        quotas={"default": Quota(10_000, burst=10_000)},
        key=SecretStr(key or server.key),
        key_query="api-key",
        first_wait_when_limited=0.001,
    )
    retries = RetryPolicy(tries=tries, first_wait_seconds=0.001, longest_wait_seconds=0.002)
    async with Http(retries=retries) as http:
        yield WalletHistoryReader(
            SolanaRpc(http, helius),
            store or WalletHistoryRepository(database),
            TapeRepository(database),
            history=HeliusHistory(http, helius) if history else None,
            lookback_days=lookback_days,
            max_transactions=max_transactions,
            fresh_for=fresh_for,
            bounds=Bounds(null_wait=0.001, null_tries=12, lease=lease),
        )


QUIRKS = Faults(
    seed=4,
    too_many=0.1,
    server_error=0.05,
    reset=0.03,
    truncated=0.02,
    duplicate_rows=0.5,
    empty_page=0.3,
    last_page_token=1.0,
    null_transaction=0.05,
)


@pytest.mark.parametrize("faults", [Faults(), QUIRKS], ids=["calm", "every quirk"])
@BY_EITHER_ROUTE
def test_a_history_is_whole_and_in_order_by_either_route_whatever_goes_wrong(
    in_database: InDatabase, faults: Faults, history: bool
) -> None:
    transactions = past(1_250)
    others = [solana.pda(f"pool {mint[:20]}") for mint in MINTS]

    async def scenario(database: Database) -> None:
        with serve(market(transactions), faults=faults, rate_factor=10_000) as server:
            async with reader(database, server, history=history) as histories:
                read = await histories.read(WALLET, now=now_of(transactions))
            assert_holds(history_of(read), transactions)
            assert history_of(read).cut is None
            assert set(history_of(read).frame["wallet"]) == {WALLET}.difference(others)
            if not faults.duplicate_rows:
                assert read.cost.credits == server.credits_used()
        stored = await WalletHistoryRepository(database).stored(WALLET)
        assert stored is not None
        assert_holds(stored, transactions)
        assert await WalletHistoryRepository(database).stored(OTHER) is None

    in_database(scenario)


@BY_EITHER_ROUTE
def test_a_later_read_pays_only_for_what_is_newer(in_database: InDatabase, history: bool) -> None:
    transactions = past(342, every_failed=10**6)
    first = transactions[:303]

    async def scenario(database: Database) -> None:
        for part, minutes, credits in [
            (first, 0, 40 if history else 1 + 303),
            (first, 9, 0),
            (first, 10, 10 if history else 1),
            (transactions, 0, 10 if history else 1 + 39),
        ]:
            with serve(market(part), rate_factor=10_000) as server:
                async with reader(
                    database, server, history=history, fresh_for=timedelta(minutes=10)
                ) as histories:
                    now = now_of(part) + timedelta(minutes=minutes)
                    read = await histories.read(WALLET, now=now)
                probe = 10 if history and credits else 0  # each server is another provider
                assert read.cost.credits == server.credits_used() == credits + probe
                assert_holds(history_of(read), part)
                assert history_of(read).cut is None

    in_database(scenario)


@pytest.mark.parametrize("max_credits", [0, 15, 25, 70, 200])
@BY_EITHER_ROUTE
def test_a_budget_is_never_exceeded_and_what_it_left_out_is_read_when_there_is_more(
    in_database: InDatabase, max_credits: int, history: bool
) -> None:
    transactions = past(250)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            budget = CreditBudget(max_credits)
            async with reader(database, server, history=history) as histories:
                read = await histories.read(WALLET, now=now_of(transactions), budget=LocalBudget(budget))
            assert server.credits_used() == budget.spent == read.cost.credits <= max_credits
            assert budget.reserved == 0
            if isinstance(read.history, Unmeasurable):
                assert read.history.reason.startswith("budget: ")
                assert max_credits < (20 if history else 2)
            elif max_credits < (40 if history else 224):
                assert read.history.cut is not None
                assert read.history.cut.startswith("budget: ")
                count = read.history.transactions
                assert count >= (100 if history else 4)
                assert_holds(read.history, transactions[-count:])
                stored = await WalletHistoryRepository(database).stored(WALLET)
                assert stored is not None
                assert stored.cut == read.history.cut
            async with reader(
                database, server, history=history, fresh_for=timedelta(minutes=10)
            ) as histories:
                whole = history_of(await histories.read(WALLET, now=now_of(transactions)))
            assert whole.cut is None
            assert_holds(whole, transactions)
            if history:  # pages of a hundred cut slots, of which a later page holds a part again
                items = sum(one.items or 0 for one in server.requests(method=HISTORY))
                assert items - len(transactions) <= 4
            else:
                paid = sum(one.items or 0 for one in server.requests(method="getTransaction"))
                assert paid == sum(one.err is None for one in transactions)

    in_database(scenario)


class Dying(WalletHistoryRepository):
    """Dies, as if killed, before it can store a certain page or, `after` it, give anything back."""

    left = 2
    after = True

    async def store_page(
        self, claim: HistoryClaim, state: HistoryState, page: HistoryPage | None, *, lease: timedelta
    ) -> HistoryClaim:
        self.left -= 1
        if not self.left and not self.after:
            raise asyncio.CancelledError
        stored = await super().store_page(claim, state, page, lease=lease)
        if not self.left:
            raise asyncio.CancelledError
        return stored

    async def release(self, claim: HistoryClaim, *, error: str | None = None) -> None:
        """Nothing: a killed process gives nothing back."""


@pytest.mark.parametrize("after", [True, False], ids=["after storing", "before storing"])
@BY_EITHER_ROUTE
def test_a_killed_reader_is_continued_and_no_stored_page_is_paid_for_again(
    in_database: InDatabase, after: bool, history: bool
) -> None:
    transactions = past(2_300 if history else 330)

    async def scenario(database: Database) -> None:
        dying = Dying(database)
        dying.after = after
        lease = timedelta(seconds=0.3)
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server, history=history, store=dying, lease=lease) as histories:
                with pytest.raises(asyncio.CancelledError):
                    await histories.read(WALLET, now=now_of(transactions))
            half = await WalletHistoryRepository(database).stored(WALLET)
            assert half is not None
            assert 0 < half.transactions < len(transactions)
            assert half.cut is not None
            assert_holds(half, transactions[-half.transactions :])
            server.clear_requests()
            async with reader(
                database, server, history=history, fresh_for=timedelta(minutes=10)
            ) as histories:
                read = await histories.read(WALLET, now=now_of(transactions))
            assert_holds(history_of(read), transactions)
            rest = transactions[: -half.transactions]
            method = HISTORY if history else "getTransaction"
            paid = sum(one.items or 0 for one in server.requests(method=method))
            assert paid == (len(rest) if history else sum(one.err is None for one in rest))

    in_database(scenario)


@BY_EITHER_ROUTE
def test_two_readers_at_once_pay_for_each_page_once(in_database: InDatabase, history: bool) -> None:
    transactions = past(1_300 if history else 250)
    fresh = timedelta(minutes=10)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), faults=Faults(latency_ms=5), rate_factor=10_000) as server:
            async with (
                reader(database, server, history=history, fresh_for=fresh) as one,
                reader(database, server, history=history, fresh_for=fresh) as other,
            ):
                reads = await asyncio.gather(
                    *(each.read(WALLET, now=now_of(transactions)) for each in (one, other, one))
                )
            assert sum(read.cost.credits for read in reads) == server.credits_used()
            method = HISTORY if history else "getTransaction"
            asked = sum(one.items or 0 for one in server.requests(method=method) if one.address == WALLET)
            assert asked == (len(transactions) if history else 0)
        assert sorted(read.cost.credits > 15 for read in reads) == [False, False, True]
        for read in reads:
            assert_holds(history_of(read), transactions)

    in_database(scenario)


@BY_EITHER_ROUTE
def test_a_wallet_without_transactions_and_one_whose_all_failed_have_histories_that_say_so(
    in_database: InDatabase, history: bool
) -> None:
    transactions = past(30, every_failed=1)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server, history=history) as histories:
                for _ in range(2):
                    none = history_of(await histories.read(OTHER, now=now_of(transactions)))
                    assert (none.transactions, none.failed, none.cut) == (0, 0, None)
                    failed = history_of(await histories.read(WALLET, now=now_of(transactions)))
                    assert (failed.transactions, failed.failed, failed.cut) == (30, 30, None)
                    assert failed.frame.is_empty()
                    assert failed.last_time == transactions[-1].block_time
                nobody = await histories.read("no address", now=now_of(transactions))
                assert nobody.history == Unmeasurable("'no address' is no Solana address")
                assert nobody.cost.credits == 0

    in_database(scenario)


@BY_EITHER_ROUTE
def test_behind_a_gap_nothing_is_used_until_it_is_closed(in_database: InDatabase, history: bool) -> None:
    transactions = past(390)
    first = transactions[:150]
    cut = "history_cut: only its newest {} transactions of the last 90 days were read"

    async def scenario(database: Database) -> None:
        for part, most in [(first, 100), (transactions, 120), (transactions, 360), (transactions, 1_000)]:
            with serve(market(part), rate_factor=10_000) as server:
                async with reader(database, server, history=history, max_transactions=most) as histories:
                    read = history_of(await histories.read(WALLET, now=now_of(part)))
                assert_holds(read, part[-most:])
                assert read.cut == (None if most > len(part) else cut.format(most))
                if most == 1_000:
                    method = HISTORY if history else "getTransaction"
                    paid = sum(one.items or 0 for one in server.requests(method=method))
                    assert paid <= 30 + 6  # parts of two slots come again

    in_database(scenario)


@BY_EITHER_ROUTE
def test_the_lookback_bounds_what_is_paid_for_and_a_longer_one_reads_only_what_is_older(
    in_database: InDatabase, history: bool
) -> None:
    transactions = past(3 * 432 + 300, every_failed=10**6)  # two days and a half
    now = now_of(transactions)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            paid = []
            for days in (1, 2, 90, 1):
                before = server.credits_used()
                earliest = now.timestamp() - 86_400 * days
                within = [one for one in transactions if one.block_time >= earliest]
                async with reader(
                    database, server, history=history, lookback_days=days, fresh_for=timedelta(minutes=10)
                ) as histories:
                    read = history_of(await histories.read(WALLET, now=now))
                assert_holds(read, within)
                assert read.cut is None
                paid.append(server.credits_used() - before)
        assert paid[-1] == 0
        assert sum(paid) <= (10 + 160 + 30 if history else len(transactions) + 10)

    in_database(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_read_when_and_how_a_history_is_the_newest_part_of_the_past(
    in_database: InDatabase, seed: int
) -> None:
    transactions = past(420)
    chance = random.Random(seed)

    async def scenario(database: Database) -> None:
        known = 3  # whole slots: a finalised one does not change
        for _ in range(12):
            known = min(len(transactions), known + chance.choice([0, 0, 6, 60, 150]))
            part = transactions[:known]
            days = chance.choice([1, 90])
            with serve(market(part), rate_factor=10_000) as server:
                async with reader(
                    database,
                    server,
                    history=chance.random() < 0.5,
                    max_transactions=chance.choice([100, 250, 1_000]),
                    lookback_days=days,
                    fresh_for=chance.choice([timedelta(0), timedelta(minutes=10)]),
                ) as histories:
                    budget = CreditBudget(chance.choice([20, 30, 60, 10_000]))
                    read = await histories.read(WALLET, now=now_of(part), budget=LocalBudget(budget))
                assert server.credits_used() == read.cost.credits
            if isinstance(read.history, Unmeasurable):
                continue
            history = read.history
            assert history.lookback_days == days
            within = [one for one in part if history.from_time <= one.block_time <= history.to_time]
            assert history.transactions == len(within) or history.cut is not None
            assert_holds(history, within[len(within) - history.transactions :])

    in_database(scenario)


def test_a_plan_that_loses_the_method_is_read_on_by_signatures(in_database: InDatabase) -> None:
    transactions = past(350)
    plans = {
        "key-with-it": Plan("developer", 50, 10, 1_000_000),
        "key-without-it": Plan("free", 10, 2, 1_000_000, transactions_for_address=False, gated_as="http"),
    }

    async def scenario(database: Database) -> None:
        with serve(market(transactions), keys=plans, rate_factor=10_000) as server:
            for key, budget in [("key-with-it", CreditBudget(30)), ("key-without-it", CreditBudget())]:
                if key == "key-without-it":
                    helius = Provider("helius", server.urls.helius, {}, SecretStr(key), "api-key")
                    methods = TapeRepository(database)
                    await methods.remember_method(helius.key_hash("default"), HISTORY, available=True)
                async with reader(database, server, key=key) as histories:
                    read = history_of(
                        await histories.read(WALLET, now=now_of(transactions), budget=LocalBudget(budget))
                    )
        assert read.cut is None
        assert_holds(read, transactions)

    in_database(scenario)


@BY_EITHER_ROUTE
def test_what_is_no_transaction_is_refused_and_the_history_says_so(
    in_database: InDatabase, history: bool
) -> None:
    transactions = past(240, every_failed=10**6)
    spoilt = [40, 41, 100]
    whole = expected(one for number, one in enumerate(transactions) if number not in spoilt)
    changes: list[dict[str, object]] = [{"meta": None}, {"slot": -5}, {"meta": {"fee": "much"}}]
    for number, change in zip(spoilt, changes, strict=True):
        one = transactions[number]
        assert one.result is not None
        one.result = {**one.result, **change}

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server, history=history) as histories:
                for _ in range(2):
                    read = history_of(await histories.read(WALLET, now=now_of(transactions)))
                    assert read.cut == "history_cut: 3 transactions could not be had from the provider"
                    assert_frame_equal(read.frame, whole.frame)
                    assert_frame_equal(read.times, whole.times)

    in_database(scenario)


def test_a_fault_is_raised_as_what_it_is_and_leaves_the_history_to_the_next_reader(
    in_database: InDatabase,
) -> None:
    transactions = past(50)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server, key="a-wrong-planted-key") as histories:
                with pytest.raises(RefusedFault, match="Unauthorized"):
                    await histories.read(WALLET, now=now_of(transactions))
            with serve(market(transactions), faults=Faults(down=frozenset({"helius"}))) as down:
                async with reader(database, down, tries=2) as histories:
                    with pytest.raises(RetryableFault):
                        await histories.read(WALLET, now=now_of(transactions))
            async with reader(database, server) as histories:
                read = await histories.read(WALLET, now=now_of(transactions))
        assert_holds(history_of(read), transactions)
        async with database.transaction() as connection:
            row = await (await connection.execute("SELECT * FROM wallet_histories")).fetchone()
        assert row is not None
        assert (row["claimed_by"], row["last_error"]) == (None, None)
        assert "planted" not in repr(row)

    in_database(scenario)


DCA = "DCA265Vj8a9CEuX1eb1LWRnDT7uK6q1xMipnNyatn23M"
KEEPER, ESCROW, POOL, FEES = (solana.wallet(name) for name in ("keeper", "escrow", "pool", "fees"))


def orders(times: Sequence[MadeTransaction]) -> list[MadeTransaction]:
    """A deposit into escrow before these transactions, and after them a fill whose proceeds stay there."""
    deposit = solana.rpc_result(
        [WALLET],
        {WALLET: -solana.SOL - solana.RENT, ESCROW: 0},
        [Account(ESCROW, solana.WSOL, None, solana.SOL)],
        [(DCA, (WALLET, ESCROW, MINTS[0]))],
        label="deposit",
        slot=times[0].slot - 5,
        block_time=times[0].block_time,
    )
    fill = solana.rpc_result(
        [KEEPER],
        {},
        [
            Account(ESCROW, solana.WSOL, solana.SOL, solana.SOL // 2),
            Account(ESCROW, MINTS[0], 0, 499),
            Account(FEES, MINTS[0], 0, 1),
            Account(POOL, solana.WSOL, 0, solana.SOL // 2),
            Account(POOL, MINTS[0], 500, 0),
        ],
        [(DCA, (KEEPER, ESCROW, solana.WSOL, MINTS[0], FEES, WALLET))],
        label="fill",
        slot=times[-1].slot + 5,
        block_time=times[-1].block_time,
    )
    found = [made(one, one["slot"], 0, one["blockTime"]) for one in (deposit, fill)]
    return [found[0], *times, found[1]]


@BY_EITHER_ROUTE
def test_an_order_that_an_older_page_explains_is_the_wallets_trade(
    in_database: InDatabase, history: bool
) -> None:
    transactions = orders(past(250))

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            for credits in (20, 1_000):
                async with reader(
                    database, server, history=history, fresh_for=timedelta(minutes=10)
                ) as histories:
                    read = await histories.read(
                        WALLET, now=now_of(transactions), budget=LocalBudget(CreditBudget(credits))
                    )
                history_read = history_of(read)
                filled = history_read.frame.filter(pl.col("slot") == transactions[-1].slot)
                assert filled.height == (0 if credits == 20 else 1)
        assert_holds(history_read, transactions)
        assert filled["kind"].to_list() == ["buy"]

    in_database(scenario)


def test_what_changes_only_a_token_account_of_the_wallet_is_in_its_history(in_database: InDatabase) -> None:
    transactions = past(30)
    sent = solana.rpc_result(
        [OTHER],
        {},
        [Account(OTHER, MINTS[0], 700, 0), Account(WALLET, MINTS[0], 0, 700)],
        label="sent",
        slot=transactions[-1].slot + 5,
        block_time=transactions[-1].block_time,
    )
    one = made(sent, sent["slot"], 0, sent["blockTime"], hidden=[WALLET])
    one.token_owners = (WALLET, OTHER)
    transactions.append(one)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server) as histories:
                read = history_of(await histories.read(WALLET, now=now_of(transactions)))
        assert_holds(read, transactions)
        assert read.frame["kind"].to_list()[-1] == "transfer_in"

    in_database(scenario)


def test_a_page_that_is_not_what_was_stored_is_an_error_that_says_what_to_do(in_database: InDatabase) -> None:
    transactions = past(30)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server) as histories:
                await histories.read(WALLET, now=now_of(transactions))
        async with database.transaction() as connection:
            await connection.execute("UPDATE wallet_history_pages SET parquet = times")
        with pytest.raises(DatabaseStorageError, match="delete its row of wallet_histories"):
            await WalletHistoryRepository(database).stored(WALLET)

    in_database(scenario)
