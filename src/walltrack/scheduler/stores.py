"""Where the steps of a run keep what they find, in a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.run_budget_repo import RunBudget
from walltrack.data.supabase.repositories.run_engine_repo import StepClaim
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.data.supabase.repositories.rush_repo import RushRepository
from walltrack.discovery.models import DiscoveryRun, ListedToken, ReadingCost, TokenRefusal
from walltrack.discovery.pipeline import Stores
from walltrack.discovery.profiling import ProfileStores


def stores_of(database: Database, step: StepClaim | None = None) -> Stores:
    """Where runs are kept. With the claim of a step, nothing of it is stored once the claim is lost."""
    return Stores(
        StepStores(database, step) if step else DiscoveryRepository(database),
        RunTokenRepository(database),
        StepStores(database, step) if step else RunListingRepository(database),
        ProfileStores(ProfileRepository(database), RushRepository(database), AddressListRepository(database)),
    )


def budget_of(database: Database, run: DiscoveryRun) -> RunBudget | None:
    """What a run may spend, for all processes together. None: no bound."""
    most = run.params.max_credits
    return None if most is None else RunBudget(database, run.id, most)


class StepStores:
    """What the steps of a run itself store, under the claim of a step."""

    def __init__(self, database: Database, step: StepClaim) -> None:
        self._listings = RunListingRepository(database)
        self._runs = DiscoveryRepository(database)
        self._step = step

    async def store_plan(
        self,
        run_id: UUID,
        *,
        tokens: Sequence[ListedToken],
        refusals: Sequence[TokenRefusal],
        forecast: ReadingCost | None,
    ) -> None:
        await self._listings.store_plan(
            run_id, tokens=tokens, refusals=refusals, forecast=forecast, step=self._step
        )

    async def complete_run(
        self, run_id: UUID, *, completed_at: datetime, errors: Sequence[str], warnings: Sequence[str]
    ) -> DiscoveryRun:
        return await self._runs.complete_run(
            run_id,
            completed_at=completed_at,
            errors=errors,
            warnings=warnings,
            attempt=self._step.attempt,
        )
