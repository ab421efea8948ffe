"""Who bought in the rush at the launch of which token, and how often each wallet did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Connection, Database
from walltrack.discovery.models import TokenSummary
from walltrack.discovery.wallet_models import RushBuy, RushCount

# The row of the launch is held until the end, so that two who store the same one do so one after the other.
_MEASURE: Final = """
    INSERT INTO measured_launches AS launch (mint, launch_at, launch_slot, rushers, demo, measured_at)
    SELECT %(mint)s, %(launch_at)s, %(launch_slot)s, %(rushers)s, demo, %(measured_at)s
    FROM discovery_runs WHERE id = %(run_id)s
    ON CONFLICT (mint) DO UPDATE
    SET launch_at = excluded.launch_at, launch_slot = excluded.launch_slot, rushers = excluded.rushers,
        demo = excluded.demo, measured_at = least(launch.measured_at, excluded.measured_at)
    RETURNING demo
"""

_FORGET: Final = "DELETE FROM launch_rushes WHERE mint = %s"

_ADD: Final = """
    INSERT INTO launch_rushes (mint, wallet, slots_after_launch, seconds_after_launch, signature, demo)
    SELECT %(mint)s, buy.wallet, buy.slots, buy.seconds, buy.signature, %(demo)s
    FROM unnest(%(wallets)s::varchar[], %(slots)s::smallint[], %(seconds)s::integer[], %(signatures)s::text[])
        AS buy (wallet, slots, seconds, signature)
"""

_COUNTS: Final = """
    WITH launches AS (
        SELECT count(*) AS launches, coalesce(sum(rushers), 0)::bigint AS appearances
        FROM measured_launches WHERE %(demo)s::boolean IS NULL OR demo = %(demo)s
    ), everybody AS (
        SELECT count(*) AS rushers FROM (
            SELECT DISTINCT wallet FROM launch_rushes WHERE %(demo)s::boolean IS NULL OR demo = %(demo)s
        ) wallets
    ), own AS (
        SELECT wallet, count(*) AS appearances,
               count(*) FILTER (WHERE coalesce(slots_after_launch, seconds_after_launch) = 0) AS launch_slot
        FROM launch_rushes
        WHERE wallet = ANY (%(wallets)s::varchar[]) AND (%(demo)s::boolean IS NULL OR demo = %(demo)s)
        GROUP BY wallet
    )
    SELECT asked.wallet, coalesce(own.launch_slot, 0) AS launch_slot,
           coalesce(own.appearances - own.launch_slot, 0) AS sniped,
           launches.launches, everybody.rushers, launches.appearances
    FROM unnest(%(wallets)s::varchar[]) AS asked (wallet)
    LEFT JOIN own ON own.wallet = asked.wallet
    CROSS JOIN launches CROSS JOIN everybody
"""


class RushRepository:
    """Rows of `launch_rushes` and `measured_launches`. Raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rush_counts(self, wallets: Sequence[str], *, demo: bool | None = None) -> dict[str, RushCount]:
        """How often each of the wallets bought in the rush of a launch, over all that are stored.

        `demo` True counts launches on made-up markets only, False the others only, None all.
        """
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_COUNTS, {"wallets": list(wallets), "demo": demo})
            rows = await cursor.fetchall()
        return {
            row["wallet"]: RushCount(
                launch_slot=row["launch_slot"],
                sniped=row["sniped"],
                launches=row["launches"],
                rushers=row["rushers"],
                appearances=row["appearances"],
            )
            for row in rows
        }


async def store_rush(
    connection: Connection,
    run_id: UUID,
    mint: str,
    launch: TokenSummary,
    rush: Sequence[RushBuy],
    *,
    measured_at: datetime,
) -> None:
    """Store the rush at a token's launch in place of what was stored of it, within the caller's transaction.

    An empty one is a launch without a rush. Raises ValueError where a wallet stands twice.
    """
    if len({buy.wallet for buy in rush}) != len(rush):
        raise ValueError(f"run {run_id}: a wallet stands twice in the rush of {mint}")
    cursor = await connection.execute(
        _MEASURE,
        {
            "run_id": run_id,
            "mint": mint,
            "launch_at": launch.launch_at,
            "launch_slot": launch.launch_slot,
            "rushers": len(rush),
            "measured_at": measured_at,
        },
    )
    stored = await cursor.fetchone()
    assert stored is not None
    await connection.execute(_FORGET, (mint,))
    await connection.execute(
        _ADD,
        {
            "mint": mint,
            "demo": stored["demo"],
            "wallets": [buy.wallet for buy in rush],
            "slots": [buy.slots_after_launch for buy in rush],
            "seconds": [buy.seconds_after_launch for buy in rush],
            "signatures": [buy.signature for buy in rush],
        },
    )
