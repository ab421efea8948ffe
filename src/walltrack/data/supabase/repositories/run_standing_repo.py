"""Where the wallets of one run stand: as that run knew them, and how many are not excluded now."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import Row
from walltrack.discovery.wallet_models import Standing, WalletStatus

_THEN: Final = """
    SELECT wallet_address AS address, score, status, status_reason, NULL AS exclude_note, FALSE AS on_exclude_list
    FROM wallet_profiles WHERE run_id = %s
"""

_COUNT: Final = """
    SELECT count(*) AS found,
           count(*) FILTER (WHERE wallets.status IS DISTINCT FROM 'excluded' AND own.address IS NULL) AS kept
    FROM (
        SELECT DISTINCT wallet_address FROM discovery_run_wallets WHERE run_id = %s AND duplicate_of IS NULL
    ) finding
    LEFT JOIN wallets ON wallets.address = finding.wallet_address
    LEFT JOIN address_lists own ON own.list = 'exclude' AND own.address = finding.wallet_address
"""


class RunStandingRepository:
    """Rows of `wallet_profiles` and `wallets` by run. Raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known_then(self, run_id: UUID) -> dict[str, Standing]:
        """What the run itself stored of its wallets, by address; nothing that came later changes it."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_THEN, (run_id,))).fetchall()
        return {row["address"]: standing_of(row) for row in rows}

    async def count_found(self, run_id: UUID) -> tuple[int, int]:
        """How many wallets a run found, each once, and how many of them are not excluded today."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_COUNT, (run_id,))).fetchone()
        assert row is not None
        return row["found"], row["kept"]


def standing_of(row: Row) -> Standing:
    """Where a wallet stands by a row of these queries' columns."""
    if row["on_exclude_list"]:
        note = row["exclude_note"]
        reason = "on the exclude list" + (f": {note}" if note else "")
        return Standing(row["score"], WalletStatus.EXCLUDED, reason)
    status = None if row["status"] is None else WalletStatus(row["status"])
    return Standing(row["score"], status, row["status_reason"])
