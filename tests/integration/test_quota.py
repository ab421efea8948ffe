"""The quota of a key in the database: shared by all who use it, kept without the key."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from pydantic import SecretStr

from tests.integration.conftest import InDatabase
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.services.providers import Provider
from walltrack.services.quota import Quota

KEY = b"k" * 32


def test_calls_queue_one_interval_apart(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        quotas = ProviderRepository(database)
        waits = [await quotas.reserve(KEY, rate=0.1, burst=1, slots=1) for _ in range(5)]
        assert waits[0] == 0
        assert waits == pytest.approx([0, 10, 20, 30, 40], abs=2)

    in_database(scenario)


def test_a_burst_goes_at_once_and_more_slots_wait_for_more(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        quotas = ProviderRepository(database)
        assert [await quotas.reserve(KEY, rate=0.1, burst=3, slots=1) for _ in range(3)] == [0, 0, 0]
        assert await quotas.reserve(KEY, rate=0.1, burst=3, slots=1) == pytest.approx(10, abs=2)
        assert await quotas.reserve(KEY, rate=0.1, burst=3, slots=5) == pytest.approx(60, abs=2)

    in_database(scenario)


def test_two_processes_share_one_queue_and_no_slot_is_given_twice(settings: Settings) -> None:
    async def scenario() -> None:
        async with Database(settings) as one, Database(settings) as other:
            quotas = [ProviderRepository(one), ProviderRepository(other)]
            waits = await asyncio.gather(
                *(quotas[n % 2].reserve(KEY, rate=0.01, burst=1, slots=1) for n in range(40))
            )
            apart = [b - a for a, b in itertools.pairwise(sorted(waits))]
            assert apart == pytest.approx([100] * 39, abs=20)

    asyncio.run(scenario())


def test_keys_buckets_and_addresses_do_not_share_a_queue(in_database: InDatabase) -> None:
    def provider(key: str, url: str = "https://rpc.example") -> Provider:
        return Provider("helius", url, {"default": Quota(1)}, key=SecretStr(key))

    hashes = {
        provider("first-key").key_hash("default"),
        provider("other-key").key_hash("default"),
        provider("first-key").key_hash("rest"),
        provider("first-key", "https://other.example").key_hash("default"),
    }
    assert len(hashes) == 4
    assert provider("first-key").key_hash("default") in hashes

    async def scenario(database: Database) -> None:
        quotas = ProviderRepository(database)
        assert [await quotas.reserve(h, rate=0.01, burst=1, slots=1) for h in hashes] == [0] * 4

    in_database(scenario)


def test_a_quota_that_was_not_used_is_full_again_and_no_fuller(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        quotas = ProviderRepository(database)
        await quotas.reserve(KEY, rate=0.1, burst=1, slots=1)
        async with database.transaction() as connection:
            await connection.execute("UPDATE provider_quotas SET full_at = now() - interval '1 day'")
        assert await quotas.reserve(KEY, rate=0.1, burst=1, slots=1) == 0
        assert await quotas.reserve(KEY, rate=0.1, burst=1, slots=1) == pytest.approx(10, abs=2)

    in_database(scenario)
