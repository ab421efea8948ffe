"""A run from its creation to its end, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.conftest import InDatabase
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, RunStatus, TokenStatus
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.scheduler.tasks.discovery_task import run_discovery_task
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

    async def mints(self) -> Sequence[str]:
        if self.listing is not None:
            raise self.listing
        return list(self.outcomes)

    async def tape(self, mint: str) -> Tape | Unmeasurable:
        outcome = self.outcomes[mint]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


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
        with pytest.raises(asyncio.CancelledError):
            await run(database, Given({first: tapes[first], second: asyncio.CancelledError()}))
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
