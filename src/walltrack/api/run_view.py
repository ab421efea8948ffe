"""A run with its parts, as it is shown."""

from __future__ import annotations

from uuid import UUID

from walltrack.contract import RunFunnel, RunView
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.data.supabase.repositories.run_standing_repo import RunStandingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository


async def run_view(database: Database, run_id: UUID) -> RunView:
    """One run: what it was asked, where it stands, what it counted, used and left out. Raises RunNotFoundError."""
    run = await DiscoveryRepository(database).get_run(run_id)
    if run is None:
        raise RunNotFoundError(run_id)
    tokens = await RunTokenRepository(database).get_run_tokens(run_id)
    measured = [token.summary for token in tokens if token.summary is not None]
    qualified, kept = await RunStandingRepository(database).count_found(run_id)
    removed = run.removed
    return RunView(
        run=run,
        progress=await RunProgressRepository(database).get_progress(run_id),
        funnel=RunFunnel(
            tokens_listed=removed.listed if removed else len(tokens),
            tokens_measured=removed.measured if removed else len(measured),
            buyers=removed.buyers if removed else sum(one.wallets_seen for one in measured),
            early=removed.early if removed else sum(one.wallets_early for one in measured),
            qualified=qualified,
            kept=kept,
        ),
        usage=await ProviderRepository(database).usage_of_run(run_id),
        tokens=tokens,
        refusals=await RunListingRepository(database).get_refusals(run_id),
    )
