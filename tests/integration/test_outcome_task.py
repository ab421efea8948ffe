"""What became of a run's wallets, and that nothing after the run leaks into what was known at it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import polars as pl
import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import MINTS, Server, a_wallet, address
from tests.integration.profiles import begun, found, profiled, score
from tests.unit.history_oracle import DAY, NOW, at, history, of_mint
from tests.unit.oracle import Event, event
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.outcome_repo import OutcomeRepository
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.data.supabase.repositories.wallet_history_repo import WalletHistoryRepository
from walltrack.discovery.errors import BadInputError, WallTrackError
from walltrack.discovery.history_stretches import HistoryPage, HistoryState, Stretch
from walltrack.discovery.models import DiscoveryRun, ReadingCost
from walltrack.discovery.outcome import GroupOutcome
from walltrack.discovery.profile import wallet_profile
from walltrack.discovery.profiling import HistoryReading
from walltrack.discovery.tape import TAPE_SCHEMA
from walltrack.discovery.tape_streams import Place, StreamKind
from walltrack.discovery.wallet_history import WalletHistory
from walltrack.discovery.wallet_models import WalletStatus
from walltrack.scheduler.stored import NOT_STORED, StoredHistories
from walltrack.scheduler.tasks.outcome_task import (
    OutcomeReport,
    figures_as_json,
    figures_from_json,
    run_outcome_task,
    together,
)

SINCE = -20 * DAY
END = at(0)
LATER_EACH_TIME = itertools.count()
LEASE = timedelta(minutes=5)
MINT = MINTS[0]
BEST, GOOD, UNRANKED, INSIDER = (address(number) for number in range(4))
OTHERS = [address(number) for number in range(10, 16)]
LATER = [address(number) for number in range(20, 40)]


@dataclass(frozen=True)
class AtTheEnd:
    """A clock that stands still."""

    def now(self) -> datetime:
        return END


@pytest.fixture
def server(embedded_server: Server) -> Server:
    """One database server will do: the SQL is tested on both elsewhere."""
    return embedded_server


@dataclass
class Given:
    """Histories that the test gives."""

    histories: Mapping[str, WalletHistory]
    time: datetime = END
    asked: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    async def read_history(self, wallet: str) -> HistoryReading:
        self.asked.append(wallet)
        if wallet not in self.histories:
            raise WallTrackError("the provider is away")
        return HistoryReading(self.histories[wallet], ReadingCost(2, 200))


def bought(wallet: str, seconds: int) -> Event:
    """A purchase on the token's tape, so many seconds after the run's end."""
    time = NOW + SINCE + seconds
    return event(
        wallet,
        "buy",
        100,
        10**9,
        block_time=time,
        slot=time,
        signature=hashlib.sha512(wallet.encode()).digest(),
    )


async def extend_tape(database: Database, rows: Sequence[Event]) -> None:
    tapes = TapeRepository(database)
    claim = await tapes.claim(MINT, MINT, StreamKind.MINT, claimed_by="a test", lease=LEASE)
    frame = pl.DataFrame(list(rows), schema=TAPE_SCHEMA)
    await tapes.release(await tapes.store_page(claim, Place(transactions=1, decimals=6), frame, lease=LEASE))


async def a_run(database: Database) -> DiscoveryRun:
    """Ended at SINCE: BEST and GOOD ranked, UNRANKED with too little to go by, INSIDER excluded by its flags."""
    run = await begun(database, at(SINCE - 3600))
    then = at(SINCE - 60)
    wallets = [a_wallet(number, flags=()) for number in range(4)]
    await found(database, run.id, {MINT: wallets}, at=then)
    for wallet, value in (
        (BEST, score("0.8")),
        (GOOD, score("0.6")),
        (UNRANKED, score(None, WalletStatus.INSUFFICIENT_DATA, "2 settled positions")),
        (INSIDER, score("0.9", WalletStatus.EXCLUDED, "was supplied from the inside")),
    ):
        await profiled(database, run.id, wallet, value, computed_at=then)
    bought_before = [bought(wallet, -100 - n) for n, wallet in enumerate([*OTHERS, BEST, GOOD])][::-1]
    await extend_tape(database, bought_before)
    return await DiscoveryRepository(database).complete_run(run.id, completed_at=at(SINCE))


def one_before_one_after(gain: float) -> list[Event]:
    """A position that was closed with a huge gain before the run's end, and one opened after it."""
    return [
        of_mint("before", "buy", 100, 1, time=SINCE - 500),
        of_mint("before", "sell", 100, 90, time=SINCE - 400),
        of_mint("after", "buy", 100, 1, time=SINCE + 500),
        of_mint("after", "sell", 100, 1 + gain, time=SINCE + 900),
    ]


AFTER_THE_END = [of_mint("end", "buy", 100, 1, time=50), of_mint("end", "sell", 100, 70, time=90)]


def histories(more: Sequence[Event] = (), to_time: int = 0) -> dict[str, WalletHistory]:
    gains = {BEST: 2.0, GOOD: -0.5, UNRANKED: 1.0} | dict.fromkeys(OTHERS, -0.25) | dict.fromkeys(LATER, 50.0)
    return {
        wallet: history([*one_before_one_after(gain), *more], wallet=wallet, to_time=to_time)
        for wallet, gain in gains.items()
    }


async def came_of(database: Database, run_id: UUID, source: Given, *, most: int = 50) -> OutcomeReport:
    return await run_outcome_task(
        run_id,
        database=database,
        histories=source,
        computed_at=at(DAY + next(LATER_EACH_TIME)),
        most=most,
    )


def figures(group: GroupOutcome) -> tuple[object, ...]:
    return group.wallets, group.settled, group.wins, group.realized_pnl_sol


def test_positions_opened_after_the_run_count_beside_those_of_other_buyers(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await a_run(database)
        report = await came_of(database, run.id, Given(histories()))
        assert report.since == at(SINCE)
        assert report.chosen.found == (BEST, GOOD, UNRANKED)
        assert (report.chosen.excluded, report.chosen.beyond, report.chosen.without_tape) == (1, 0, {})
        assert figures(report.found) == (3, 3, 2, Decimal("2.5"))
        assert len(report.chosen.control) == 3
        assert set(report.chosen.control) <= set(OTHERS)
        assert figures(report.control) == (3, 3, 0, Decimal("-0.75"))
        assert report.cost == ReadingCost(12, 1200)
        stored = await OutcomeRepository(database).newest(run.id)
        assert stored is not None
        assert figures_from_json(stored.found) == report.found
        assert figures_from_json(stored.control) == report.control
        assert stored.control_wallets == report.chosen.control
        fewer = await came_of(database, run.id, Given(histories()), most=1)
        assert (fewer.chosen.found, fewer.chosen.beyond) == ((BEST,), 2)

    in_database(scenario)


def test_nothing_after_a_run_changes_what_was_known_at_it_or_who_is_looked_at(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        run = await a_run(database)
        profiles = ProfileRepository(database)
        known = {
            wallet: await profiles.profile_known_at(wallet, at(SINCE))
            for wallet in (BEST, GOOD, UNRANKED, INSIDER)
        }
        before = await came_of(database, run.id, Given(histories()))

        # The token is traded on, by wallets that do splendidly.
        await extend_tape(database, [bought(wallet, 1 + n) for n, wallet in enumerate(LATER)])
        # A later run thinks otherwise of every wallet, and finds one more on the same token.
        later = await begun(database, at(SINCE + DAY))
        await found(
            database, later.id, {MINT: [a_wallet(n, flags=()) for n in (0, 2, 3, 20)]}, at=at(SINCE + DAY)
        )
        opinions = {
            BEST: score("0.1", WalletStatus.EXCLUDED, "wash"),
            UNRANKED: score("0.99"),
            INSIDER: score("0.98"),
            LATER[0]: score("0.97"),
        }
        for wallet, value in opinions.items():
            await profiled(database, later.id, wallet, value, computed_at=at(SINCE + DAY))
        # The operator leaves out who lost.
        for wallet in (GOOD, before.chosen.control[0]):
            async with database.transaction() as connection:
                await connection.execute(
                    "INSERT INTO address_lists (list, address, note, added_at) VALUES ('exclude', %s, 'lost', now())",
                    (wallet,),
                )
        assert set(await AddressListRepository(database).excluded()) == {GOOD, before.chosen.control[0]}
        # And the wallets trade on after the end of what is looked at.
        source = Given(histories(AFTER_THE_END, to_time=DAY))
        after = await came_of(database, run.id, source)

        assert after.chosen == before.chosen
        assert (after.found, after.control) == (before.found, before.control)
        assert set(source.asked).isdisjoint(LATER)
        for wallet, profile in known.items():
            assert await profiles.profile_known_at(wallet, at(SINCE)) == profile
        for wallet, whole in histories(AFTER_THE_END, to_time=DAY).items():
            at_the_run = history(one_before_one_after(0)[:2], wallet=wallet, to_time=SINCE)
            assert wallet_profile(whole, at(SINCE)) == wallet_profile(at_the_run, at(SINCE))

    in_database(scenario)


async def store_history(database: Database, whole: WalletHistory) -> None:
    repo = WalletHistoryRepository(database)
    claim = await repo.claim(whole.wallet, claimed_by="a test", lease=LEASE)
    stretch = Stretch(
        0,
        0,
        from_time=whole.from_time,
        to_time=whole.to_time,
        done=True,
        newest_slot=2,
        newest_time=whole.last_time,
        oldest_slot=1,
        oldest_time=whole.first_time,
        transactions=whole.transactions,
    )
    state = HistoryState((stretch,), checked_at=at(0), lookback_days=90)
    signed = whole.frame.with_row_index("n").with_columns(
        slot=pl.col("n").cast(pl.UInt64), signature=pl.col("n").cast(pl.String).cast(pl.Binary)
    )
    page = HistoryPage(0, signed.drop("n"), whole.times)
    await repo.release(await repo.store_page(claim, state, page, lease=LEASE))


def test_without_reading_stored_histories_are_used_and_the_others_are_counted(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        run = await a_run(database)
        ask = StoredHistories(database, AtTheEnd())
        nothing = await run_outcome_task(run.id, database=database, histories=ask, computed_at=at(DAY))
        assert nothing.found.unmeasurable == {NOT_STORED: 3}
        assert not nothing.stored
        assert await OutcomeRepository(database).newest(run.id) is None
        await store_history(database, histories()[BEST])
        some = await run_outcome_task(run.id, database=database, histories=ask, computed_at=at(DAY))
        assert some.stored
        assert some.found.unmeasurable == {NOT_STORED: 2}
        assert figures(some.found) == (3, 1, 1, Decimal(2))
        assert some.control.measured == 0

    in_database(scenario)


def test_a_history_that_cannot_be_read_is_counted_with_its_reason(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await a_run(database)
        known = histories()
        del known[GOOD]
        report = await came_of(database, run.id, Given(known))
        assert report.found.unmeasurable == {"its history could not be read": 1}
        assert figures(report.found) == (3, 2, 2, Decimal(3))

    in_database(scenario)


def test_a_token_without_a_stored_tape_has_no_control_and_says_so(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await a_run(database)
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM tape_streams")
        report = await came_of(database, run.id, Given(histories()))
        assert report.chosen.without_tape == {MINT: "no tape of it is stored"}
        assert (report.control.wallets, report.found.wallets) == (0, 3)

    in_database(scenario)


def test_an_outcome_needs_a_run_that_ended_and_found_something(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        run = await a_run(database)
        running = await begun(database, at(0))
        empty = await begun(database, at(SINCE))
        await DiscoveryRepository(database).complete_run(empty.id, completed_at=at(SINCE))
        for run_id, time, said in (
            (uuid4(), at(0), "there is no run"),
            (running.id, at(0), "is running"),
            (run.id, at(SINCE), "nothing happened after the run"),
            (empty.id, at(0), "found no wallet"),
        ):
            with pytest.raises(BadInputError, match=said):
                await came_of(database, run_id, Given({}, time))

    in_database(scenario)


def test_the_figures_of_several_runs_are_added_and_their_rates_taken_anew() -> None:
    one = GroupOutcome(5, {"budget": 1}, 4, 9, 8, 2, Decimal("0.25"), *map(Decimal, (3, 4, 1, 40, 7)))
    other = GroupOutcome(3, {"budget": 2}, 1, 2, 2, 2, Decimal(1), *map(Decimal, (2, 1, 0, 200, 200)))
    both = together([one, other])
    assert (both.wallets, both.measured, both.settled, both.wins) == (8, 5, 10, 4)
    assert both.unmeasurable == {"budget": 3}
    assert (both.win_rate, both.return_on_cost_pct) == (Decimal("0.4"), 100 * Decimal(4) / 6)
    assert both.median_return_pct is None
    assert together([one]) == one
    assert figures_from_json(figures_as_json(one)) == one
    nobody = together([])
    assert (nobody.wallets, nobody.win_rate, nobody.return_on_cost_pct) == (0, None, None)
