"""Tapes read from a chain that is served over HTTP in the providers' formats, and stored in a real database."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import SecretStr

from tests.integration.chain_market import (
    TOKENS,
    MadeTransaction,
    Trade,
    associated,
    chain,
    crowd,
    market,
)
from tests.integration.conftest import InDatabase
from tests.integration.databases import Server
from tests.unit import solana
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.discovery.chain_tape import assemble_tape, tape_rows
from walltrack.discovery.early_buyers import early_buyers
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.reading_plan import CreditBudget, Extent, MarketCounts
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.tape_streams import Route, StreamKind
from walltrack.discovery.transactions import from_rpc
from walltrack.sandbox.server import Faults, Plan, SandboxServer, serve
from walltrack.services.chain import Bounds, ChainReader, TapeRead
from walltrack.services.chain.purse import LocalBudget
from walltrack.services.faults import RefusedFault
from walltrack.services.helius import HeliusHistory
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.quota import Quota
from walltrack.services.retries import RetryPolicy
from walltrack.services.solana_rpc import SolanaRpc

MINT = solana.wallet("the mint")
WINDOW = 1_800


@pytest.fixture
def server(embedded_server: Server) -> Server:
    """One database server will do: the SQL is tested on both elsewhere."""
    return embedded_server


HISTORY = "getTransactionsForAddress"
SIGNATURES = "getSignaturesForAddress"
AT_ONCE = Bounds(null_wait=0.001, fresh_for=timedelta(0), null_tries=12)
EAGER = RetryPolicy(tries=12, first_wait_seconds=0.001, longest_wait_seconds=0.002)


def provider(server: SandboxServer, key: str | None = None) -> Provider:
    return Provider(
        name="helius",
        base_url=server.urls.helius,
        quotas={"default": Quota(10_000, burst=10_000)},
        key=SecretStr(key or server.key),
        key_query="api-key",
        first_wait_when_limited=0.001,
    )


@asynccontextmanager
async def reader(
    database: Database,
    server: SandboxServer,
    *,
    history: bool = True,
    bounds: Bounds = AT_ONCE,
    historical_credits: int = 1,
    key: str | None = None,
) -> AsyncIterator[ChainReader]:
    async with Http(retries=EAGER) as http:
        helius = provider(server, key)
        yield ChainReader(
            SolanaRpc(http, helius, historical_credits=historical_credits),
            TapeRepository(database),
            history=HeliusHistory(http, helius) if history else None,
            bounds=bounds,
        )


def expected(transactions: Sequence[MadeTransaction], mint: str = MINT) -> Tape:
    """The tape of all these transactions, without any reading."""
    decoded = []
    for one in sorted(transactions, key=lambda tx: (tx.slot, tx.index)):
        assert one.result is not None
        decoded.append(from_rpc(json.dumps({**one.result, "transactionIndex": one.index})))
    tape = assemble_tape(mint, [tape_rows(mint, decoded).frame], decimals=6)
    assert isinstance(tape, Tape)
    return tape


def tape_of(read: TapeRead) -> Tape:
    assert isinstance(read.tape, Tape), read.tape
    return read.tape


def assert_same(tape: Tape, other: Tape, *, indexes: bool = True) -> None:
    columns = pl.all() if indexes else pl.exclude("tx_index")
    assert_frame_equal(tape.events.select(columns), other.events.select(columns))
    assert (tape.launch_time, tape.launch_slot, tape.decimals) == (
        other.launch_time,
        other.launch_slot,
        other.decimals,
    )


def pages(server: SandboxServer, method: str = HISTORY) -> list[str]:
    """What was asked of the history, and answered: one text for each."""
    return [
        msgspec.json.encode([one.address, one.options], order="sorted").decode()
        for one in server.requests(method=method)
        if one.status == 200 and not one.error and not one.fault
    ]


def whole_counts(transactions: Sequence[MadeTransaction]) -> MarketCounts:
    return MarketCounts(trades_24h=len(transactions), age_seconds=86_000)


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
@pytest.mark.parametrize("history", [True, False], ids=["by history", "by signatures"])
def test_the_tape_is_whole_and_in_order_by_either_route_whatever_goes_wrong(
    in_database: InDatabase, faults: Faults, history: bool
) -> None:
    # By signatures an account costs little, so a crowd that trades on after the window would be read by accounts.
    transactions = chain(MINT, crowd(2_300, seconds=86_400 if history else 1_700))

    async def scenario(database: Database) -> None:
        with serve(market(transactions), faults=faults, rate_factor=10_000) as server:
            async with reader(database, server, history=history) as chain_reader:
                read = await chain_reader.read(MINT, window_seconds=WINDOW, counts=whole_counts(transactions))
        assert_same(tape_of(read), expected(transactions), indexes=history)
        assert tape_of(read).cut is None
        assert (read.refused, read.missing) == (0, 0)
        assert read.plan.extent is Extent.WHOLE
        assert read.plan.route is (Route.HISTORY if history else Route.SIGNATURES)
        if not faults.duplicate_rows:
            assert read.credits == server.credits_used()

    in_database(scenario)


def test_a_killed_reader_is_continued_and_no_stored_page_is_asked_for_again(
    settings: Settings, in_database: InDatabase
) -> None:
    transactions = chain(MINT, crowd(3_300))

    async def scenario(database: Database) -> None:
        with serve(market(transactions), faults=Faults(latency_ms=40), rate_factor=10_000) as server:
            command = [
                sys.executable,
                "-m",
                "tests.integration.read_tape",
                server.urls.helius,
                server.key,
                MINT,
                str(len(transactions)),
            ]
            url = settings.database_url
            assert url is not None
            killed = await asyncio.create_subprocess_exec(
                *command,
                env={"DATABASE_URL": url.get_secret_value()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            assert killed.stdout is not None
            for _ in range(2):
                assert await killed.stdout.readline() == b"stored\n"
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            repository = TapeRepository(database)
            stored = (await repository.streams(MINT))[0].place
            assert not stored.exhausted
            async with reader(database, server) as chain_reader:
                read = await chain_reader.read(MINT, window_seconds=WINDOW, counts=whole_counts(transactions))
            # A page may have been on its way when the reader was killed; it was not stored.
            asked = Counter(pages(server))
            assert sum(asked.values()) - len(asked) <= 1
            paid = sum(one.place.transactions for one in await repository.streams(MINT))
            # After the first hundred another query begins, with the rest of the slot that they ended in.
            assert paid - sum(one.err is None for one in transactions) in range(3)
        assert_same(tape_of(read), expected(transactions))

    in_database(scenario)


def test_two_readers_at_once_ask_for_each_page_once(in_database: InDatabase) -> None:
    transactions = chain(MINT, crowd(2_500))

    async def scenario(database: Database) -> None:
        fresh = Bounds(null_wait=0.001, fresh_for=timedelta(seconds=60))
        with serve(market(transactions), faults=Faults(latency_ms=5), rate_factor=10_000) as server:
            async with (
                reader(database, server, bounds=fresh) as one,
                reader(database, server, bounds=fresh) as other,
            ):
                counts = whole_counts(transactions)
                both = await asyncio.gather(
                    *(each.read(MINT, window_seconds=WINDOW, counts=counts) for each in (one, other, one))
                )
            listed = [page for page in pages(server) if MINT in page]
            assert max(Counter(listed).values()) == 1
            assert sum(read.credits for read in both) == server.credits_used()
        for read in both:
            assert_same(tape_of(read), expected(transactions))

    in_database(scenario)


@pytest.mark.parametrize("history", [True, False], ids=["by history", "by signatures"])
def test_a_later_run_pays_only_for_what_is_new(in_database: InDatabase, history: bool) -> None:
    transactions = chain(MINT, crowd(2_300, every_failed=10**6, seconds=86_400 if history else 1_700))
    first, newer = transactions[:2_000], transactions

    async def scenario(database: Database) -> None:
        for number, (part, credits, extent) in enumerate(
            [
                (first, None, Extent.WHOLE),
                (first, 1, Extent.STORED),
                (newer, 1 + 30 if history else 1 + 300, Extent.NEWER if history else Extent.WHOLE),
                (newer, 1, Extent.STORED),
            ]
        ):
            with serve(market(part), rate_factor=10_000) as server:
                async with reader(database, server, history=history) as chain_reader:
                    read = await chain_reader.read(MINT, window_seconds=WINDOW, counts=whole_counts(part))
                assert_same(tape_of(read), expected(part), indexes=history)
                assert read.plan.extent is extent, (number, read.plan)
                probe = 10 if history else 0  # each server is another provider
                assert credits is None or read.credits == server.credits_used() == credits + probe

    in_database(scenario)


@pytest.mark.parametrize("max_credits", [0, 5, 10, 20, 45, 100, 163, 200, 10_000])
def test_a_budget_is_never_exceeded_and_the_tape_says_that_it_was_cut(
    in_database: InDatabase, max_credits: int
) -> None:
    transactions = chain(MINT, crowd(2_000, every_failed=10**6))

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            budget = CreditBudget(max_credits)
            async with reader(database, server) as chain_reader:
                read = await chain_reader.read(
                    MINT, window_seconds=WINDOW, counts=whole_counts(transactions), budget=LocalBudget(budget)
                )
            assert server.credits_used() == budget.spent == read.credits <= max_credits
            assert budget.reserved == 0
            if max_credits == 10_000:
                assert tape_of(read).cut is None
            elif isinstance(read.tape, Tape):
                assert read.tape.cut is not None
                assert read.tape.cut.startswith("budget: ")
                assert read.credits > max_credits - 20
            else:
                assert read.tape.reason.startswith("budget: ")
                assert max_credits < 20

    in_database(scenario)


def test_tokens_that_share_a_budget_wait_for_each_others_change(in_database: InDatabase) -> None:
    mints = [solana.wallet(f"mint {number}") for number in range(6)]
    transactions = [one for mint in mints for one in chain(mint, crowd(95, every_failed=10**6))]
    by_place = {(one.slot, one.index): one for one in transactions}
    for one in transactions:
        while by_place[one.slot, one.index] is not one:
            one.index += 1
            by_place.setdefault((one.slot, one.index), one)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), faults=Faults(latency_ms=5), rate_factor=10_000) as server:
            budget = CreditBudget(110)
            async with reader(database, server) as chain_reader:
                reads = await asyncio.gather(
                    *(
                        chain_reader.read(
                            mint,
                            window_seconds=WINDOW,
                            counts=MarketCounts(95, 3_600),
                            budget=LocalBudget(budget),
                        )
                        for mint in mints
                    )
                )
            # Each page may cost 100 and costs 10: all six are read, one after the other.
            assert [tape_of(read).cut for read in reads] == [None] * 6
            assert server.credits_used() == budget.spent == 70

    in_database(scenario)


def pumped() -> list[Trade]:
    """Five early buyers, one of them in the launch slot and one with an odd account, then a crowd for a day."""
    early = [solana.wallet(f"early {number}") for number in range(5)]
    trades = [
        Trade(wallet, 9 * TOKENS, solana.SOL, 60 * n, odd_account=n == 3) for n, wallet in enumerate(early)
    ]
    rest = [
        Trade(trade.wallet, trade.tokens, trade.lamports, 2_000 + trade.seconds)
        for trade in crowd(6_000, every_failed=10**6, offset=100)
    ]
    for number, wallet in enumerate(early):
        at = 1_000 * (number + 1)
        rest.insert(at, Trade(wallet, -5 * TOKENS, 3 * solana.SOL, rest[at].seconds, odd_account=number == 3))
    return trades + rest


@pytest.mark.parametrize("history", [True, False], ids=["by history", "by signatures"])
def test_a_few_early_buyers_are_read_by_their_accounts_and_their_figures_are_those_of_the_whole_tape(
    in_database: InDatabase, history: bool
) -> None:
    transactions = chain(MINT, pumped())
    params = DiscoveryRunParams(early_window_minutes=30)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            for credits in (200, 1):
                before = server.credits_used()
                async with reader(database, server, history=history) as chain_reader:
                    read = await chain_reader.read(
                        MINT, window_seconds=WINDOW, counts=MarketCounts(len(transactions), 86_000)
                    )
                assert server.credits_used() - before == read.credits <= credits
                assert read.plan.extent is (Extent.ACCOUNTS if credits > 1 else Extent.STORED)
                tape = tape_of(read)
                assert tape.cut is None
                assert (
                    early_buyers(tape, params).wallets == early_buyers(expected(transactions), params).wallets
                )
                assert len(early_buyers(tape, params).wallets) == 4
        kinds = Counter(stream.kind for stream in await TapeRepository(database).streams(MINT))
        # The odd account's owner may come to use the usual one.
        assert kinds == {StreamKind.MINT: 1, StreamKind.ACCOUNT: 5}

    in_database(scenario)


def test_account_ledgers_are_extended_only_where_something_is_new(in_database: InDatabase) -> None:
    transactions = chain(MINT, pumped())
    part = transactions[:3_500]

    async def scenario(database: Database) -> None:
        for some in (part, transactions):
            with serve(market(some), rate_factor=10_000) as server:
                async with reader(database, server) as chain_reader:
                    read = await chain_reader.read(
                        MINT, window_seconds=WINDOW, counts=MarketCounts(len(transactions), 86_000)
                    )
                params = DiscoveryRunParams()
                found = early_buyers(tape_of(read), params).wallets
                assert found == early_buyers(expected(some), params).wallets
                paid = [one for one in server.requests(method=HISTORY) if one.items]
        # Two of the four had traded since.
        assert len(paid) == 2
        assert read.credits == server.credits_used() <= 40

    in_database(scenario)


def test_pools_that_do_not_name_the_mint_are_read_beside_it(in_database: InDatabase) -> None:
    pool = solana.pda(f"pool {MINT[:20]}")
    trades = [
        Trade(one.wallet, one.tokens, one.lamports, one.seconds, names_mint=number % 2 == 0)
        for number, one in enumerate(crowd(1_500, every_failed=10**6))
    ]
    transactions = chain(MINT, trades)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server) as chain_reader:
                without = await chain_reader.read(
                    MINT, window_seconds=WINDOW, counts=MarketCounts(1_500, 3_600)
                )
                read = await chain_reader.read(
                    MINT, pools=[pool], window_seconds=WINDOW, counts=MarketCounts(1_500, 3_600)
                )
        assert tape_of(without).events.height == 750
        assert_same(tape_of(read), expected(transactions))

    in_database(scenario)


def test_what_is_no_token_has_a_clear_outcome_and_costs_next_to_nothing(in_database: InDatabase) -> None:
    transactions = chain(MINT, crowd(1_500))
    wallet, pool = solana.wallet("trader 1"), solana.pda(f"pool {MINT[:20]}")

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server) as chain_reader:
                await chain_reader.tariff()
                for address, words in [
                    ("not an address", "is no Solana address"),
                    ("1" * 34_000, "is no Solana address"),
                    (solana.wallet("nobody"), "there is no such account"),
                    (wallet, "is no mint"),
                    (pool, "is no mint"),
                ]:
                    before = server.credits_used()
                    read = await chain_reader.read(address, window_seconds=WINDOW)
                    assert isinstance(read.tape, Unmeasurable)
                    assert words in read.tape.reason
                    assert len(read.tape.reason) < 200
                    assert server.credits_used() - before == read.credits <= 1
                # With counts nobody looks the account up first; then the first page tells.
                other = await chain_reader.read(
                    associated(pool, MINT), window_seconds=WINDOW, counts=MarketCounts(5_000, 3_600)
                )
                assert isinstance(other.tape, Tape | Unmeasurable)

    in_database(scenario)


def test_a_plan_without_the_method_is_noticed_once_and_remembered_without_the_key(
    in_database: InDatabase,
) -> None:
    transactions = chain(MINT, crowd(400, seconds=1_700))

    async def scenario(database: Database) -> None:
        free = Plan("free", 10, 2, 1_000_000, transactions_for_address=False)
        with serve(market(transactions), keys={"a-planted-key": free}, rate_factor=10_000) as server:
            for _ in range(2):
                async with reader(database, server) as chain_reader:
                    read = await chain_reader.read(
                        MINT, window_seconds=WINDOW, counts=whole_counts(transactions)
                    )
                    assert_same(tape_of(read), expected(transactions), indexes=False)
            assert len(server.requests(method=HISTORY)) == 1
        async with database.transaction() as connection:
            cursor = await connection.execute("SELECT * FROM provider_methods")
            (row,) = await cursor.fetchall()
        assert row["available"] is False
        assert row["checked_at"] is not None
        assert "a-planted-key" not in repr(row)

    in_database(scenario)


def test_a_plan_that_loses_the_method_is_read_by_signatures_from_where_the_pages_ended(
    in_database: InDatabase,
) -> None:
    transactions = chain(MINT, crowd(2_600, seconds=1_700))
    plans = {
        "key-with-it": Plan("developer", 50, 10, 1_000_000),
        "key-without-it": Plan("free", 10, 2, 1_000_000, transactions_for_address=False, gated_as="http"),
    }

    async def scenario(database: Database) -> None:
        with serve(market(transactions), keys=plans, rate_factor=10_000) as server:
            async with reader(database, server, key="key-with-it") as chain_reader:
                cut = await chain_reader.read(
                    MINT,
                    window_seconds=WINDOW,
                    counts=whole_counts(transactions),
                    budget=LocalBudget(CreditBudget(130)),
                )
            assert tape_of(cut).cut is not None
            store = TapeRepository(database)
            without = provider(server, "key-without-it")
            await store.remember_method(without.key_hash("default"), HISTORY, available=True)
            server.clear_requests()
            async with reader(database, server, key="key-without-it") as chain_reader:
                read = await chain_reader.read(MINT, window_seconds=WINDOW, counts=whole_counts(transactions))
        assert tape_of(read).cut is None
        assert_same(tape_of(read), expected(transactions), indexes=False)

    in_database(scenario)


def test_a_page_cap_cuts_the_tape_and_the_next_run_goes_on(in_database: InDatabase) -> None:
    transactions = chain(MINT, crowd(3_300))

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            capped = Bounds(max_pages=2, fresh_for=timedelta(0))
            async with reader(database, server, bounds=capped) as chain_reader:
                cuts = []
                for _ in range(4):
                    read = await chain_reader.read(
                        MINT, window_seconds=WINDOW, counts=whole_counts(transactions)
                    )
                    cuts.append(tape_of(read).cut)
            assert cuts[0] == "page cap: 2 pages of one reading"
            assert cuts[-1] is None
            assert max(Counter(pages(server)).values()) == 1
        assert_same(tape_of(read), expected(transactions))

    in_database(scenario)


def spoil(transactions: Sequence[MadeTransaction]) -> None:
    """Seven transactions lose the shape of one, each in another way."""
    changes: list[dict[str, object]] = [
        {"meta": None},
        {"slot": -5},
        {"slot": 2**70},
        {"transaction": None},
        {"blockTime": 10**15},
        {"transaction": {"signatures": ["?" * 34_000], "message": {"accountKeys": []}}},
        {"meta": {"fee": "much"}},
    ]
    for number, change in enumerate(changes):
        one = transactions[100 + 20 * number]
        assert one.result is not None
        one.result = {**one.result, **change}


@pytest.mark.parametrize("history", [True, False], ids=["by history", "by signatures"])
def test_what_is_no_transaction_is_refused_and_counted_and_the_tape_says_so(
    in_database: InDatabase, history: bool
) -> None:
    transactions = chain(MINT, crowd(500, every_failed=10**6, seconds=1_700))
    intact = [one for n, one in enumerate(transactions) if n not in range(100, 240, 20)]
    whole = expected(intact)
    spoil(transactions)

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server, history=history) as chain_reader:
                read = await chain_reader.read(MINT, window_seconds=WINDOW, counts=whole_counts(transactions))
        assert read.refused + read.missing in (6, 7)
        assert tape_of(read).cut == f"{read.refused} transactions could not be had from the provider"
        held = tape_of(read).events.filter(pl.col("signature").is_in(whole.events["signature"].implode()))
        assert_frame_equal(held.select(pl.exclude("tx_index")), whole.events.select(pl.exclude("tx_index")))

    in_database(scenario)


def test_a_wrong_key_is_a_fault_that_names_no_key(in_database: InDatabase) -> None:
    transactions = chain(MINT, crowd(50))

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server, key="a-wrong-planted-key") as chain_reader:
                with pytest.raises(RefusedFault, match="Unauthorized") as caught:
                    await chain_reader.read(MINT, window_seconds=WINDOW, counts=MarketCounts(50, 3_600))
        assert "planted" not in str(caught.value)

    in_database(scenario)


def test_a_mint_without_a_trade_is_unmeasurable(in_database: InDatabase) -> None:
    transactions = chain(MINT, [Trade(solana.wallet("one"), TOKENS, 0, 0, failed=True)])

    async def scenario(database: Database) -> None:
        with serve(market(transactions), rate_factor=10_000) as server:
            async with reader(database, server) as chain_reader:
                read = await chain_reader.read(MINT, window_seconds=WINDOW, counts=MarketCounts(0, 3_600))
        assert read.tape == Unmeasurable("no transaction of this mint was found")

    in_database(scenario)
