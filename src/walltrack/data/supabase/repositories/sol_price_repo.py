"""Prices of SOL by the hour. Hours of the past do not change, so each is asked for once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import aware

_KNOWN: Final = "SELECT hour, usd FROM sol_prices WHERE hour = ANY (%s)"

_ADD: Final = """
    INSERT INTO sol_prices (hour, usd, source)
    SELECT given.hour, given.usd, %(source)s
    FROM unnest(%(hours)s::timestamptz[], %(usd)s::numeric[]) AS given (hour, usd)
    ON CONFLICT (hour) DO NOTHING
"""


class SolPriceRepository:
    """Rows of `sol_prices`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_prices(self, hours: Collection[datetime]) -> dict[datetime, Decimal]:
        """USD for one SOL, by the hour it begins at, of those hours that are known."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_KNOWN, ([aware(hour) for hour in hours],))).fetchall()
        return {row["hour"].astimezone(UTC): row["usd"] for row in rows}

    async def add_prices(self, prices: Mapping[datetime, Decimal], source: str) -> None:
        """Keep prices; an hour that has one keeps it."""
        async with self._database.autocommit() as connection:
            await connection.execute(
                _ADD,
                {
                    "hours": [aware(hour) for hour in prices],
                    "usd": list(prices.values()),
                    "source": source,
                },
            )
