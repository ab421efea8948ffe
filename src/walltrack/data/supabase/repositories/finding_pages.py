"""What runs found, in pages: of one run in any order, of one wallet the newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import (
    Row,
    cursor_after,
    finding_from_row,
    page_size,
    read_cursor,
    read_score_cursor,
    score_cursor_after,
)
from walltrack.data.supabase.repositories.run_standing_repo import standing_of
from walltrack.data.supabase.repositories.wallet_filters import KEPT_BACK, matching
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import FindingOrder, FindingPage, StandingFinding, WalletFilters
from walltrack.discovery.wallet_models import Standing

_STANDING: Final = sql.SQL("""
    wallets.score AS score_now, wallets.status AS status_now, wallets.status_reason AS reason_now,
    kept_back.note AS exclude_note, kept_back.address IS NOT NULL AS on_exclude_list
""")

_OF_RUN: Final = sql.SQL("""
    FROM discovery_run_wallets finding
    LEFT JOIN wallets ON wallets.address = finding.wallet_address
    {kept_back}
    WHERE finding.run_id = %(run_id)s AND finding.duplicate_of IS NULL AND {matching}
""")

_COUNT_OF_RUN: Final = sql.SQL("SELECT count(*) AS total {of_run}")

_PAGE_OF_RUN: Final = sql.SQL("""
    SELECT * FROM (SELECT finding.*, {standing}, ({value})::numeric AS place {of_run}) found
    WHERE {after}
    ORDER BY place DESC NULLS LAST, id
    LIMIT %(limit)s
""")

# A page begins after the row with this place; those without a place come last.
_FROM_THE_FIRST: Final = sql.SQL("TRUE")
_AFTER_PLACE: Final = sql.SQL("""
    (place < %(after)s::numeric OR place IS NULL OR (place = %(after)s::numeric AND id > %(after_id)s::uuid))
""")
_AFTER_NO_PLACE: Final = sql.SQL("(place IS NULL AND id > %(after_id)s::uuid)")

_VALUES: Final = {
    FindingOrder.REALIZED_PNL_SOL: sql.SQL("finding.realized_pnl_sol"),
    FindingOrder.REALIZED_PCT: sql.SQL("finding.realized_pct"),
    FindingOrder.SCORE: sql.SQL("wallets.score"),
    FindingOrder.ENTRY_RANK: sql.SQL("finding.entry_rank"),
    FindingOrder.FIRST_BUY_AT: sql.SQL("extract(epoch FROM finding.first_buy_at)"),
}

_EVERY: Final = sql.SQL("TRUE")

_PAGE_OF_WALLET: Final = sql.SQL("""
    SELECT finding.*, {standing}
    FROM (
        SELECT * FROM discovery_run_wallets
        WHERE wallet_address = %(address)s AND duplicate_of IS NULL
          AND (%(after)s::timestamptz IS NULL OR (created_at, id) < (%(after)s, %(after_id)s::uuid))
        ORDER BY created_at DESC, id DESC
        LIMIT %(limit)s
    ) finding
    LEFT JOIN wallets ON wallets.address = finding.wallet_address
    {kept_back}
    ORDER BY finding.created_at DESC, finding.id DESC
""").format(standing=_STANDING, kept_back=KEPT_BACK)

_COUNT_OF_WALLET: Final = """
    SELECT count(*) AS total FROM discovery_run_wallets WHERE wallet_address = %(address)s AND duplicate_of IS NULL
"""


class FindingPages:
    """Pages of `discovery_run_wallets`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_run(
        self,
        run_id: UUID,
        filters: WalletFilters | None = None,
        *,
        order: FindingOrder = FindingOrder.REALIZED_PNL_SOL,
        ascending: bool = False,
        limit: int = 50,
        cursor: str | None = None,
        now: datetime | None = None,
    ) -> FindingPage:
        """A page of what a run found, the largest first, or with `ascending` the smallest.

        With filters, only of wallets whose standing of today passes them; without, all, excluded wallets too. Raises
        BadInputError for a limit outside 1 to 500, a cursor that is none of ours, or a bound that cannot be.
        """
        page_size(limit)
        condition, values = (_EVERY, {}) if filters is None else matching(filters, now)
        after, place = _FROM_THE_FIRST, {}
        if cursor is not None:
            number, key = read_score_cursor(cursor)
            after = _AFTER_NO_PLACE if number is None else _AFTER_PLACE
            place = {"after": number, "after_id": _uuid(key)}
        value = _VALUES[order]
        of_run = _OF_RUN.format(kept_back=KEPT_BACK, matching=condition)
        query = _PAGE_OF_RUN.format(
            standing=_STANDING,
            value=sql.SQL("-({})").format(value) if ascending else value,
            of_run=of_run,
            after=after,
        )
        asked = {**values, **place, "run_id": run_id, "limit": limit + 1}
        async with self._database.autocommit() as connection:
            counted = await (await connection.execute(_COUNT_OF_RUN.format(of_run=of_run), asked)).fetchone()
            rows = await (await connection.execute(query, asked)).fetchall()
        last = rows[limit - 1] if len(rows) > limit else None
        more = None if last is None else score_cursor_after(last["place"], str(last["id"]))
        return _page(counted, rows[:limit], more)

    async def of_wallet(self, address: str, *, limit: int = 50, cursor: str | None = None) -> FindingPage:
        """A page of every finding of a wallet, the newest first. Raises BadInputError as `of_run`."""
        page_size(limit)
        after, after_id = read_cursor(cursor, UUID)
        asked = {"address": address, "after": after, "after_id": after_id, "limit": limit + 1}
        async with self._database.autocommit() as connection:
            counted = await (await connection.execute(_COUNT_OF_WALLET, asked)).fetchone()
            rows = await (await connection.execute(_PAGE_OF_WALLET, asked)).fetchall()
        last = rows[limit - 1] if len(rows) > limit else None
        more = None if last is None else cursor_after(last["created_at"], str(last["id"]))
        return _page(counted, rows[:limit], more)


def _page(counted: Row | None, rows: list[dict[str, Any]], more: str | None) -> FindingPage:
    assert counted is not None
    return FindingPage(
        [StandingFinding(finding_from_row(row), _standing(row)) for row in rows], counted["total"], more
    )


def _standing(row: Row) -> Standing:
    return standing_of(
        {
            "score": row["score_now"],
            "status": row["status_now"],
            "status_reason": row["reason_now"],
            "exclude_note": row["exclude_note"],
            "on_exclude_list": row["on_exclude_list"],
        }
    )


def _uuid(key: str) -> UUID:
    try:
        return UUID(key)
    except ValueError:
        raise BadInputError("cursor: is none that WallTrack gave for this list; leave it out") from None
