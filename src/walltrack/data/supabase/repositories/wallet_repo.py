"""Wallets over all runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from psycopg import sql

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import (
    cursor_after,
    finding_from_row,
    page_size,
    read_cursor,
    run_from_row,
)
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunWallet, WalletPage, WalletRecord

# A position that several runs found is one position: of each token the newest finding counts.
_RECORD: Final = sql.SQL("""
    SELECT wallet.address, wallet.first_seen_at, wallet.last_seen_at,
           found.runs, found.sources, found.demo, newest.best_realized_pct, newest.total_realized_pnl_sol
    FROM wallet
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT run_id) AS runs, count(DISTINCT source_token) AS sources, bool_and(run.demo) AS demo
        FROM discovery_run_wallets finding JOIN discovery_runs run ON run.id = finding.run_id
        WHERE wallet_address = wallet.address
    ) found
    CROSS JOIN LATERAL (
        SELECT max(realized_pct) AS best_realized_pct, sum(realized_pnl_sol) AS total_realized_pnl_sol
        FROM (
            SELECT DISTINCT ON (finding.source_token) finding.realized_pct, finding.realized_pnl_sol
            FROM discovery_run_wallets finding
            JOIN discovery_runs run ON run.id = finding.run_id
            WHERE finding.wallet_address = wallet.address AND finding.entry_rank IS NOT NULL
            ORDER BY finding.source_token, run.started_at DESC, finding.id
        ) of_each_token
    ) newest
""")
_ONE: Final = sql.SQL("WITH wallet AS (SELECT * FROM wallets WHERE address = %(address)s) {record}").format(
    record=_RECORD
)
_PAGE: Final = sql.SQL("""
    WITH wallet AS (
        SELECT * FROM wallets
        WHERE %(after)s::timestamptz IS NULL
           OR (first_seen_at <= %(after)s AND (first_seen_at < %(after)s OR address > %(after_address)s))
        ORDER BY first_seen_at DESC, address
        LIMIT %(limit)s
    ) {record}
    ORDER BY wallet.first_seen_at DESC, wallet.address
""").format(record=_RECORD)
_COUNT: Final = "SELECT count(*) AS total FROM wallets"

_RUNS: Final = """
    SELECT * FROM discovery_runs
    WHERE id IN (SELECT run_id FROM discovery_run_wallets WHERE wallet_address = %s)
    ORDER BY started_at DESC, id DESC
"""

_FINDINGS: Final = """
    SELECT finding.* FROM discovery_run_wallets finding
    JOIN discovery_runs run ON run.id = finding.run_id
    WHERE finding.wallet_address = %s AND finding.duplicate_of IS NULL
    ORDER BY run.started_at DESC, run.id DESC, finding.source_token
"""


class WalletRepository:
    """Rows of `wallets`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_wallet(self, address: str) -> WalletRecord | None:
        """A wallet over all runs, or None where no run ever found it."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_ONE, {"address": address})).fetchone()
        return None if row is None else _record(row)

    async def get_wallets(self, *, limit: int = 50, cursor: str | None = None) -> WalletPage:
        """A page of the wallets, the last found for the first time first. That order never changes, so a reader of
        all pages misses no wallet while runs go on.

        Raises BadInputError for a limit outside 1 to 500 or a cursor that is none of ours.
        """
        after, after_address = read_cursor(cursor, str)
        values = {"after": after, "after_address": after_address, "limit": page_size(limit) + 1}
        async with self._database.transaction() as connection:
            counted = await (await connection.execute(_COUNT)).fetchone()
            rows = await (await connection.execute(_PAGE, values)).fetchall()
        wallets = [_record(row) for row in rows[:limit]]
        more = cursor_after(wallets[-1].first_seen_at, wallets[-1].address) if len(rows) > limit else None
        return WalletPage(wallets=wallets, total=counted["total"] if counted else 0, next_cursor=more)

    async def get_wallet_runs(self, address: str) -> list[DiscoveryRun]:
        """The runs that found a wallet, the newest first."""
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(_RUNS, (address,))).fetchall()
        return [run_from_row(row) for row in rows]

    async def get_wallet_findings(self, address: str) -> list[DiscoveryRunWallet]:
        """Every finding of a wallet, with its figures and evidence, of the newest run first."""
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(_FINDINGS, (address,))).fetchall()
        return [finding_from_row(row) for row in rows]


def _record(row: Mapping[str, Any]) -> WalletRecord:
    return WalletRecord(
        address=row["address"],
        first_seen_at=row["first_seen_at"].astimezone(UTC),
        last_seen_at=row["last_seen_at"].astimezone(UTC),
        runs=row["runs"],
        sources=row["sources"],
        best_realized_pct=row["best_realized_pct"],
        total_realized_pnl_sol=row["total_realized_pnl_sol"],
        demo=bool(row["demo"]),
    )
