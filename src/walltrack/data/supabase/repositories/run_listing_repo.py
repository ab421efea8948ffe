"""What a run took from the market: what it left out and why, its forecast, and the prices it valued with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import aware, listing_json, storable
from walltrack.data.supabase.repositories.run_engine_repo import (
    RunStage,
    StepClaim,
    end_step,
    hold_step,
)
from walltrack.data.supabase.repositories.run_token_repo import hold_running
from walltrack.discovery.models import ListedToken, ReadingCost, TokenRefusal

_ADD_TOKENS: Final = """
    INSERT INTO discovery_run_tokens (run_id, mint, position, forecast_requests, forecast_credits, listing)
    SELECT %(run_id)s, given.mint, given.place, given.requests, given.credits, given.listing
    FROM unnest(%(mints)s::varchar[], %(requests)s::bigint[], %(credits)s::bigint[], %(listings)s::jsonb[])
        WITH ORDINALITY AS given (mint, requests, credits, listing, place)
    ON CONFLICT (run_id, mint) DO NOTHING
"""

_FORECAST: Final = """
    UPDATE discovery_runs SET forecast_requests = %s, forecast_credits = %s WHERE id = %s
"""

_ADD_REFUSALS: Final = """
    INSERT INTO discovery_run_refusals (run_id, mint, name, reason)
    SELECT %(run_id)s, given.mint, given.name, given.reason
    FROM unnest(%(mints)s::text[], %(names)s::text[], %(reasons)s::text[]) AS given (mint, name, reason)
    ON CONFLICT (run_id, mint) DO NOTHING
"""

_REFUSALS: Final = "SELECT * FROM discovery_run_refusals WHERE run_id = %s ORDER BY mint"

_ADD_SOL_PRICES: Final = "UPDATE discovery_runs SET sol_prices = sol_prices || %s WHERE id = %s"


class RunListingRepository:
    """Rows of `discovery_run_refusals` and the columns of a run that belong to its listing.

    Every method raises the errors of `walltrack.data.supabase.errors`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store_plan(
        self,
        run_id: UUID,
        *,
        tokens: Sequence[ListedToken],
        refusals: Sequence[TokenRefusal],
        forecast: ReadingCost | None,
        step: StepClaim | None = None,
    ) -> None:
        """Note a run's tokens in their order, what it left out of the market's list and why, and what reading the rest
        is forecast to cost: all of it or nothing. With the claim of a step, the step is done by that.

        Raises RunNotFoundError, RunEndedError, StaleStepError.
        """
        named = {token.mint: token for token in tokens}
        costs = [token.forecast for token in named.values()]
        async with self._database.transaction() as connection:
            if step is not None:
                await hold_step(connection, step)
            await hold_running(connection, run_id)
            await connection.execute(
                _ADD_TOKENS,
                {
                    "run_id": run_id,
                    "mints": list(named),
                    "requests": [cost.requests if cost else None for cost in costs],
                    "credits": [cost.credits if cost else None for cost in costs],
                    "listings": [listing_json(token) for token in named.values()],
                },
            )
            if step is not None:
                await end_step(connection, step, RunStage.TOKENS)
            if forecast is not None:
                await connection.execute(_FORECAST, (forecast.requests, forecast.credits, run_id))
            await connection.execute(
                _ADD_REFUSALS,
                {
                    "run_id": run_id,
                    "mints": [storable(refusal.mint) for refusal in refusals],
                    "names": [storable(refusal.name) for refusal in refusals],
                    "reasons": [storable(refusal.reason) for refusal in refusals],
                },
            )

    async def store_sol_prices(self, run_id: UUID, prices: Mapping[datetime, Decimal]) -> None:
        """Note the prices of SOL in USD, by the hour they begin at, that a run valued stablecoins with."""
        values = {aware(hour).isoformat(): str(price) for hour, price in prices.items()}
        async with self._database.autocommit() as connection:
            await connection.execute(_ADD_SOL_PRICES, (Jsonb(values), run_id))

    async def get_refusals(self, run_id: UUID) -> list[TokenRefusal]:
        """What a run left out of the market's list, and why."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_REFUSALS, (run_id,))).fetchall()
        return [TokenRefusal(row["mint"], row["name"], row["reason"]) for row in rows]
