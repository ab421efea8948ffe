"""A run from its creation to its end, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.integration.conftest import InDatabase
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    ListedToken,
    ReadingCost,
    RunStatus,
    TokenRefusal,
    TokenStatus,
)
from walltrack.discovery.pipeline import TapeReading, TokenList
from walltrack.discovery.profiling import HistoryReading
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.wallet_history import HISTORY_SCHEMA, TIMES_SCHEMA, WalletHistory
from walltrack.discovery.wallet_models import AddressList, WalletStatus
from walltrack.scheduler.tasks.discovery_task import run_discovery_task
from walltrack.services.chain.purse import Budget
from walltrack.services.files import read_tapes, write_example_tapes

START = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)


@dataclass
class SteppingClock:
    """A second passes whenever it is looked at."""

    time: datetime = START

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


Outcome = Tape | Unmeasurable | BaseException


@dataclass
class Given:
    """Tokens with what becomes of each."""

    outcomes: Mapping[str, Outcome]
    listing: BaseException | None = None
    description: str = "given by the test"
    warnings: Sequence[str] = field(default_factory=list)

    at_once: int = 1
    demo: bool = True
    told_at: datetime = START
    histories: dict[str, WalletHistory | Unmeasurable | WallTrackError] = field(default_factory=dict)

    @asynccontextmanager
    async def opened(self, run_id: UUID, budget: Budget | None = None) -> AsyncIterator[Given]:
        yield self

    async def list_tokens(self, params: DiscoveryRunParams) -> TokenList:
        if self.listing is not None:
            raise self.listing
        cost = ReadingCost(2, 30)
        refused = [TokenRefusal("washed mint", "Washed", "5 buyers for 1,000 trades")]
        return TokenList([ListedToken(mint, cost) for mint in self.outcomes], refused)

    async def read_tape(self, token: ListedToken, params: DiscoveryRunParams) -> TapeReading:
        outcome = self.outcomes[token.mint]
        if isinstance(outcome, BaseException):
            raise outcome
        return TapeReading(outcome, ReadingCost(1, 10), "all of it: 10 credits")

    def now(self) -> datetime:
        return self.told_at

    async def read_history(self, wallet: str) -> HistoryReading:
        outcome = self.histories.get(wallet, Unmeasurable("no history here"))
        if isinstance(outcome, BaseException):
            raise outcome
        return HistoryReading(outcome, ReadingCost(1, 10))


@dataclass
class Stuck(Given):
    """Reading one token never ends."""

    stuck_at: str = ""
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def read_tape(self, token: ListedToken, params: DiscoveryRunParams) -> TapeReading:
        if token.mint == self.stuck_at:
            self.reached.set()
            await asyncio.Event().wait()
        return await super().read_tape(token, params)


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tape]:
    folder = tmp_path_factory.mktemp("tapes")
    write_example_tapes(folder)
    return read_tapes(Path(folder)).tapes


async def run(database: Database, source: Given) -> DiscoveryRun:
    return await run_discovery_task(
        DiscoveryRunParams(), source=source, database=database, clock=SteppingClock()
    )


async def statuses(database: Database, ended: DiscoveryRun) -> list[TokenStatus]:
    return [token.status for token in await RunTokenRepository(database).get_run_tokens(ended.id)]


def test_a_failed_token_leaves_an_error_and_the_others_go_on(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        first, second, third, *_ = tapes
        outcomes: dict[str, Outcome] = {
            first: tapes[first],
            second: WallTrackError("the disk is gone"),
            third: Unmeasurable("no trade of this mint was found"),
        }
        ended = await run(database, Given(outcomes, warnings=["two rows refused"]))
        assert ended.status is RunStatus.COMPLETED
        assert ended.errors == [f"{second}: the disk is gone"]
        assert ended.warnings == ["two rows refused"]
        assert ended.tokens_analyzed == 1
        assert await statuses(database, ended) == [
            TokenStatus.DONE,
            TokenStatus.FAILED,
            TokenStatus.UNMEASURABLE,
        ]
        wallets = await DiscoveryRepository(database).get_run_wallets(ended.id)
        assert {wallet.source_token for wallet in wallets} == {first}

    in_database(scenario)


def test_a_run_none_of_whose_tokens_could_be_measured_is_failed(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        outcomes: dict[str, Outcome] = {"one": Unmeasurable("no trade"), "two": WallTrackError("gone")}
        ended = await run(database, Given(outcomes))
        assert ended.status is RunStatus.FAILED
        assert "none of 2 tokens could be measured" in ended.errors[0]
        assert await statuses(database, ended) == [TokenStatus.UNMEASURABLE, TokenStatus.FAILED]

    in_database(scenario)


def test_a_run_that_cannot_list_its_tokens_is_failed_with_the_reason(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        ended = await run(database, Given({}, listing=WallTrackError("no market answers")))
        assert ended.status is RunStatus.FAILED
        assert ended.errors == ["no market answers"]

    in_database(scenario)


def test_a_run_without_tokens_is_completed_with_none(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        ended = await run(database, Given({}))
        assert (ended.status, ended.tokens_analyzed) == (RunStatus.COMPLETED, 0)

    in_database(scenario)


def test_a_defect_is_recorded_and_not_hidden(in_database: InDatabase, tapes: dict[str, Tape]) -> None:
    async def scenario(database: Database) -> None:
        first, second, *_ = tapes
        with pytest.raises(ZeroDivisionError):
            await run(database, Given({first: tapes[first], second: ZeroDivisionError("a bug")}))
        (ended,) = (await DiscoveryRepository(database).get_runs()).runs
        assert ended.status is RunStatus.FAILED
        assert "a bug" in ended.errors[0]
        assert await statuses(database, ended) == [TokenStatus.DONE, TokenStatus.CANCELLED]

    in_database(scenario)


def test_a_cancelled_run_keeps_what_it_found(in_database: InDatabase, tapes: dict[str, Tape]) -> None:
    async def scenario(database: Database) -> None:
        first, second, *_ = tapes
        source = Stuck({first: tapes[first], second: tapes[second]}, stuck_at=second)
        task = asyncio.create_task(run(database, source))
        await source.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (ended,) = (await DiscoveryRepository(database).get_runs()).runs
        assert ended.status is RunStatus.CANCELLED
        assert ended.duration_seconds > 0
        assert await DiscoveryRepository(database).get_run_wallets(ended.id)

    in_database(scenario)


def test_the_next_run_fails_one_that_a_dead_process_left(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        runs = DiscoveryRepository(database)
        dead = await runs.create_run(
            trigger_type=(await run(database, Given({}))).trigger_type,
            params=DiscoveryRunParams(),
            started_at=START - timedelta(hours=1),
            lease_expires_at=START - timedelta(minutes=55),
        )
        await run(database, Given(dict(tapes)))
        found = await runs.get_run(dead.id)
        assert found is not None
        assert found.status is RunStatus.FAILED
        assert "abandoned" in found.errors[0]

    in_database(scenario)


def test_what_was_left_out_forecast_and_paid_is_stored_with_the_run(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        first, second, *_ = tapes
        outcomes: dict[str, Outcome] = {
            first: tapes[first],
            second: Unmeasurable("budget: 0 of 10 credits left"),
        }
        ended = await run(database, Given(outcomes))
        assert ended.demo
        assert ended.forecast == ReadingCost(4, 60)
        assert await RunListingRepository(database).get_refusals(ended.id) == [
            TokenRefusal("washed mint", "Washed", "5 buyers for 1,000 trades")
        ]
        tokens = await RunTokenRepository(database).get_run_tokens(ended.id)
        assert {token.forecast for token in tokens} == {ReadingCost(2, 30)}
        assert {token.cost for token in tokens} == {ReadingCost(1, 10)}
        assert {token.plan for token in tokens} == {"all of it: 10 credits"}

    in_database(scenario)


def test_tokens_read_at_once_give_what_they_give_one_by_one(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        runs = DiscoveryRepository(database)
        one = await run(database, Given(dict(tapes)))
        many = await run(database, Given(dict(tapes), at_once=4))
        first, second = [
            {(w.source_token, w.wallet_address) for w in await runs.get_run_wallets(ended.id)}
            for ended in (one, many)
        ]
        assert first == second != set()

    in_database(scenario)


def empty_history(wallet: str) -> WalletHistory:
    start = int(START.timestamp())
    nothing = (HISTORY_SCHEMA.to_frame(), TIMES_SCHEMA.to_frame())
    return WalletHistory(wallet, *nothing, from_time=start - 90 * 86_400, to_time=start, lookback_days=90)


async def found_wallets(database: Database, tapes: dict[str, Tape]) -> list[str]:
    """The wallets of the example tapes, those first that are profiled first."""
    scouting = await run(database, Given(dict(tapes)))
    found = await DiscoveryRepository(database).get_run_wallets(scouting.id)
    profiles = ProfileRepository(database)
    kept = [w.wallet_address for w in found]
    gated = {w for w in kept if await excluded_by_flags(profiles, w)}
    return [wallet for wallet in dict.fromkeys(kept) if wallet not in gated]


async def excluded_by_flags(profiles: ProfileRepository, wallet: str) -> bool:
    newest = await profiles.newest_profile(wallet)
    return newest is not None and newest.score.status is WalletStatus.EXCLUDED


def test_every_found_wallet_gets_a_status_and_a_missing_profile_its_reason(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        measured, broken, unmeasurable, listed, *_ = await found_wallets(database, tapes)
        await AddressListRepository(database).add(
            AddressList.EXCLUDE, listed, note="sells to his own followers", added_at=START
        )
        source = Given(
            dict(tapes),
            told_at=START + timedelta(days=1),
            histories={
                measured: empty_history(measured),
                broken: WallTrackError("the provider is gone"),
                unmeasurable: Unmeasurable("budget: nothing is left"),
            },
        )
        ended = await run(database, source)
        assert ended.errors == [f"profile of {broken}: the provider is gone"]
        profiles = ProfileRepository(database)
        said = {w: await profiles.newest_profile(w) for w in (measured, broken, unmeasurable, listed)}
        reasons = {wallet: stored.score.reason for wallet, stored in said.items() if stored is not None}
        assert reasons == {
            measured: "no transactions",
            broken: "its history could not be read: the provider is gone",
            unmeasurable: "its history could not be read: budget: nothing is left",
            listed: "not profiled: on the exclude list",
        }
        shown = await WalletRepository(database).get_wallet(listed)
        assert shown is not None
        assert (shown.status, shown.status_reason) == (
            WalletStatus.EXCLUDED,
            "on the exclude list: sells to his own followers",
        )
        assert ended.profiled_wallets == 1
        assert all(one.is_profiled for one in await profiles.wallets_of_run(ended.id))

    in_database(scenario)


def test_no_history_is_read_where_the_run_is_not_to_profile_or_has_read_its_share(
    in_database: InDatabase, tapes: dict[str, Tape]
) -> None:
    async def scenario(database: Database) -> None:
        wallets = await found_wallets(database, tapes)
        histories = {wallet: WallTrackError("nobody was to ask") for wallet in wallets}

        async def reasons(params: DiscoveryRunParams, most: int, *, days: int) -> set[str | None]:
            ended = await run_discovery_task(
                params,
                source=Given(dict(tapes), told_at=START + timedelta(days=days), histories=dict(histories)),
                database=database,
                clock=SteppingClock(START + timedelta(days=days)),
                most_histories=most,
            )
            assert ended.errors == []
            stored = [await ProfileRepository(database).newest_profile(wallet) for wallet in wallets]
            return {one.score.reason for one in stored if one is not None and one.run_id == ended.id}

        off = DiscoveryRunParams(profile_immediately=False)
        assert await reasons(off, 10, days=1) == {"not profiled: profile_immediately is off"}
        none = "not profiled: a run reads the histories of its first 0 wallets"
        assert await reasons(DiscoveryRunParams(), 0, days=2) == {none}

    in_database(scenario)
