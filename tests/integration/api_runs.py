"""Runs as tests of the API find them: listed, measured and ended by the repositories, without anybody who serves."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from tests.integration.databases import MINTS, NOW, SUMMARY, a_wallet
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_engine_repo import RunEngineRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_starts import NewRun, start_run
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.models import DiscoveryRunParams, ListedToken, ReadingCost, TokenStatus, TriggerType

MINUTE = timedelta(minutes=1)


async def a_run(database: Database) -> UUID:
    """A run that nobody has begun to do."""
    async with database.transaction() as connection:
        new = NewRun(DiscoveryRunParams(), TriggerType.MANUAL, NOW, stage="listing")
        return (await start_run(connection, new, at_most=1000)).id


async def list_tokens(database: Database, run_id: UUID, count: int = 4) -> None:
    """List the first of MINTS as a worker does."""
    claim = await RunEngineRepository(database).claim_step(run_id, lease=MINUTE)
    assert claim is not None
    await RunListingRepository(database).store_plan(
        run_id,
        tokens=[ListedToken(mint) for mint in MINTS[:count]],
        refusals=(),
        forecast=ReadingCost(7, 70),
        step=claim,
    )


async def begin(database: Database, run_id: UUID, mint: str) -> int:
    """Claim a token; returns the attempt."""
    started = await RunEngineRepository(database).claim_token(run_id, mint, started_at=NOW, lease=MINUTE)
    assert started is not None
    return started.attempt


async def finish(database: Database, run_id: UUID, mint: str, *numbers: int) -> None:
    """Measure a token and find the wallets of these numbers on it."""
    await RunTokenRepository(database).finish_token(
        run_id,
        mint,
        await begin(database, run_id, mint),
        completed_at=NOW,
        summary=SUMMARY,
        wallets=[a_wallet(number, mint) for number in numbers],
    )


async def fail(database: Database, run_id: UUID, mint: str) -> None:
    """Let a token fail."""
    attempt = await begin(database, run_id, mint)
    await RunTokenRepository(database).mark_token(
        run_id, mint, attempt, TokenStatus.FAILED, "no answer", completed_at=NOW
    )


async def a_found_run(database: Database) -> UUID:
    """A completed run: three tokens, of which one failed, three wallets, some credits."""
    run_id = await a_run(database)
    await list_tokens(database, run_id, 3)
    await finish(database, run_id, MINTS[0], 1, 2)
    await finish(database, run_id, MINTS[1], 2, 3)
    await fail(database, run_id, MINTS[2])
    await ProviderRepository(database).add(
        run_id, "helius", requests=2, credits=10, errors=1, stopped_reason="budget"
    )
    await DiscoveryRepository(database).complete_run(run_id, completed_at=NOW + MINUTE)
    return run_id
