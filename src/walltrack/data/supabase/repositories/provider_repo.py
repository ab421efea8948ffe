"""What the providers were used for, and when their keys may be used next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import storable
from walltrack.discovery.run_progress import ProviderUsage

# The clock is the server's, so processes on several machines agree. clock_timestamp() and not now(): the row may have
# been waited for.
_RESERVE: Final = """
    INSERT INTO provider_quotas AS quota (key_hash, full_at)
    VALUES (%(key_hash)s, clock_timestamp() + %(taken)s * interval '1 second')
    ON CONFLICT (key_hash) DO UPDATE
    SET full_at = greatest(quota.full_at, clock_timestamp()) + %(taken)s * interval '1 second'
    RETURNING greatest(
        0, extract(epoch FROM full_at - clock_timestamp())::float8 - %(burst)s::float8
    ) AS wait_seconds
"""

_ADD: Final = """
    INSERT INTO provider_usage AS used (run_id, provider, month, requests, credits, errors, stopped_reason)
    VALUES (
        %(run_id)s, %(provider)s, date_trunc('month', now() AT TIME ZONE 'UTC')::date,
        %(requests)s, %(credits)s, %(errors)s, %(stopped_reason)s
    )
    ON CONFLICT ON CONSTRAINT provider_usage_once DO UPDATE
    SET requests = used.requests + excluded.requests,
        credits = used.credits + excluded.credits,
        errors = used.errors + excluded.errors,
        stopped_reason = coalesce(used.stopped_reason, excluded.stopped_reason),
        updated_at = now()
    RETURNING CASE WHEN run_id IS NOT NULL THEN stopped_reason END AS stopped_reason
"""

_OF_RUN: Final = """
    SELECT provider, sum(requests)::int8 AS requests, sum(credits)::int8 AS credits, sum(errors)::int8 AS errors,
           min(stopped_reason) AS stopped_reason
    FROM provider_usage WHERE run_id = %s GROUP BY provider ORDER BY provider
"""

_OF_MONTH: Final = """
    SELECT provider, sum(requests)::int8 AS requests, sum(credits)::int8 AS credits, sum(errors)::int8 AS errors,
           NULL AS stopped_reason
    FROM provider_usage WHERE month = %s AND NOT demo GROUP BY provider ORDER BY provider
"""


class ProviderRepository:
    """Rows of `provider_usage` and `provider_quotas`. Every method raises the errors of
    `walltrack.data.supabase.errors`. It is both `QuotaStore` and `UsageStore` of the services.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, key_hash: bytes, *, rate: float, burst: int, slots: int) -> float:
        """Reserve slots of a key's quota, for all processes; the seconds to wait until they may be used.

        `rate` is in slots a second. A generic cell rate algorithm in one statement: `walltrack.services.quota` tells
        the arithmetic.
        """
        values = {"key_hash": key_hash, "taken": slots / rate, "burst": burst / rate}
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_RESERVE, values)).fetchone()
        if row is None:
            raise AssertionError("INSERT with RETURNING gives a row")
        return float(row["wait_seconds"])

    async def add(
        self,
        run_id: UUID | None,
        provider: str,
        *,
        requests: int,
        credits: int,
        errors: int,
        stopped_reason: str | None,
    ) -> str | None:
        """Add to a run's usage of this month (UTC). Returns why the run leaves this provider alone, None where not.

        `run_id` None: work outside of runs, of which nothing is remembered that stops it.
        """
        values = {
            "run_id": run_id,
            "provider": provider,
            "requests": requests,
            "credits": credits,
            "errors": errors,
            "stopped_reason": storable(stopped_reason),
        }
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_ADD, values)).fetchone()
        if row is None:
            raise AssertionError("INSERT with RETURNING gives a row")
        reason: str | None = row["stopped_reason"]
        return reason

    async def usage_of_run(self, run_id: UUID) -> list[ProviderUsage]:
        """What a run used, over all its processes, by provider."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_OF_RUN, (run_id,))).fetchall()
        return [ProviderUsage(**row) for row in rows]

    async def usage_of_month(self, moment: datetime) -> list[ProviderUsage]:
        """What was used in the month (UTC) of a moment, by runs that are still stored and outside of runs.

        Runs on a made-up market do not count.
        """
        month = moment.astimezone(UTC).date().replace(day=1)
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_OF_MONTH, (month,))).fetchall()
        return [ProviderUsage(**row) for row in rows]
