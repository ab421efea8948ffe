"""Wallets over all runs: found, profiled, ranked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self

from psycopg import sql

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.repositories.rows import (
    Row,
    cursor_after,
    page_size,
    read_cursor,
    read_score_cursor,
    score_cursor_after,
    utc,
    utc_or_none,
)
from walltrack.data.supabase.repositories.wallet_filters import (
    KEPT_BACK,
    matching,
    matching_along,
    matching_apart,
)
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    WalletFilters,
    WalletOrder,
    WalletPage,
    WalletRecord,
)
from walltrack.discovery.wallet_models import AddressList, WalletStatus

ALL_SHOWN: Final = WalletFilters()
"""The default view: every wallet that is not excluded, the last found first."""

LARGEST_EXPORT: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Order:
    """An order of wallets, and the condition for what comes after `after` and `after_address` in it. `within` holds for
    all that are put in this order, and tells the server that an index has them.
    """

    by: sql.SQL
    after: sql.SQL
    within: sql.SQL


# A position that several runs found is one position: of each token the finding that was stored last counts. One index
# has all that is asked here, in this order, without a look at the findings or their runs.
_RECORD: Final = sql.SQL("""
    SELECT wallet.*, found.runs, found.sources, newest.best_realized_pct, newest.total_realized_pnl_sol,
           own.lists, own.notes, own.excluded, own.exclude_note
    FROM wallet
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT run_id) AS runs, count(DISTINCT source_token) AS sources
        FROM discovery_run_wallets WHERE wallet_address = wallet.address
    ) found
    CROSS JOIN LATERAL (
        SELECT max(realized_pct) AS best_realized_pct, sum(realized_pnl_sol) AS total_realized_pnl_sol
        FROM (
            SELECT DISTINCT ON (source_token) realized_pct, realized_pnl_sol
            FROM discovery_run_wallets
            WHERE wallet_address = wallet.address AND realized_pnl_sol IS NOT NULL
            ORDER BY source_token, created_at DESC, id
        ) of_each_token
    ) newest
    CROSS JOIN LATERAL (
        SELECT array_agg(list ORDER BY list) AS lists, string_agg(note, '; ' ORDER BY list) AS notes,
               bool_or(list = 'exclude') AS excluded, max(note) FILTER (WHERE list = 'exclude') AS exclude_note
        FROM address_lists WHERE address = wallet.address
    ) own
""")
_ONE: Final = sql.SQL("WITH wallet AS (SELECT * FROM wallets WHERE address = %(address)s) {record}").format(
    record=_RECORD
)

_RANKED_STATUSES: Final = frozenset({WalletStatus.ACTIVE, WalletStatus.DORMANT})
_RANKED: Final = sql.SQL("(wallets.status IN ('active', 'dormant') AND kept_back.address IS NULL)")
_UNRANKED: Final = sql.SQL("({} IS NOT TRUE)").format(_RANKED)
_WHOLE: Final = sql.SQL("TRUE")

_FEW: Final = 2_000
"""So many matches are counted; of more it is told that there are at least so many."""

# Where only status and market choose, all is counted already; what the operator keeps back is moved among the counts.
_COUNTED: Final = sql.SQL("""
    SELECT coalesce(sum(wallets.wallets), 0)::int8 AS total,
           coalesce(sum(wallets.wallets) FILTER (WHERE {ranked}), 0)::int8 AS ranked
    FROM (
        SELECT status, demo, wallets, NULL AS kept_back FROM wallet_counts
        UNION ALL
        SELECT status, demo, moved.wallets, moved.kept_back
        FROM wallets JOIN address_lists own ON own.list = 'exclude' AND own.address = wallets.address
        CROSS JOIN (VALUES (-1, NULL), (1, 'kept back')) AS moved (wallets, kept_back)
    ) wallets
    CROSS JOIN LATERAL (SELECT wallets.kept_back AS address) kept_back
    WHERE {matching}
""")

# A few among millions: all of them are found, by whatever index leaves the fewest, counted, and sorted. Where there are
# too many for that, the page is not read.
_FOUND: Final = sql.SQL("""(
    SELECT wallets.address, wallets.score, wallets.first_seen_at
    FROM wallets {kept_back} WHERE {matching} AND {part}
    LIMIT %(few)s + 1
)""")
_PAGE_OF_FEW: Final = sql.SQL("""
    WITH found AS MATERIALIZED ({found}),
    counted AS (SELECT count(*) AS total FROM found),
    page AS (
        SELECT address FROM found
        WHERE (SELECT total FROM counted) <= %(few)s AND {after}
        ORDER BY {order}
        LIMIT %(limit)s
    ),
    wallet AS MATERIALIZED (SELECT wallets.* FROM page JOIN wallets USING (address))
    SELECT * FROM counted LEFT JOIN ({record}) shown ON TRUE
    ORDER BY {order}
""")

# Many: the index of the order is walked along, and soon comes by enough of them. By this a handful among millions would
# take minutes.
_PAGE_OF_MANY: Final = sql.SQL("""
    WITH page AS (
        SELECT address FROM (
            SELECT wallets.address, wallets.score, wallets.first_seen_at
            FROM wallets {kept_back} WHERE {matching} AND {part} AND {within}
        ) wallets
        WHERE {after}
        ORDER BY {order}
        LIMIT %(limit)s
    ),
    wallet AS MATERIALIZED (SELECT wallets.* FROM page JOIN wallets USING (address))
    {record}
    ORDER BY {order}
""")
_FIRST_SEEN: Final = _Order(
    by=sql.SQL("first_seen_at DESC, address"),
    after=sql.SQL("""
        (%(after)s::timestamptz IS NULL
        OR (first_seen_at <= %(after)s AND (first_seen_at < %(after)s OR address > %(after_address)s)))
    """),
    within=_WHOLE,
)
_SCORE: Final = _Order(
    by=sql.SQL("score DESC, address"),
    after=sql.SQL("""
        (%(after)s::numeric IS NULL
        OR (score <= %(after)s AND (score < %(after)s OR address > %(after_address)s)))
    """),
    within=sql.SQL("wallets.score IS NOT NULL"),
)
_ADDRESS: Final = _Order(
    by=sql.SQL("address"),
    after=sql.SQL("(%(after_address)s::text IS NULL OR address > %(after_address)s)"),
    within=_WHOLE,
)


class WalletRepository:
    """Rows of `wallets`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_wallet(self, address: str) -> WalletRecord | None:
        """A wallet over all runs, or None where no run ever found it."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_ONE, {"address": address})).fetchone()
        return None if row is None else _record(row)

    async def get_wallets(
        self,
        filters: WalletFilters = ALL_SHOWN,
        *,
        limit: int = 50,
        cursor: str | None = None,
        now: datetime | None = None,
    ) -> WalletPage:
        """A page of the wallets that the filters let through, in their order.

        By first sight, the order never changes, so a reader of all pages misses no wallet while runs go on; by score,
        one whose score changes meanwhile may come twice or not at all. `now` is what `active_within_days` counts from.
        Raises BadInputError for a limit outside 1 to 500, a cursor that is none of this order, or a bound that cannot
        be.
        """
        page_size(limit)
        by_score = filters.order is WalletOrder.SCORE
        async with self._database.autocommit() as connection:
            listing = await _Listing.of(connection, filters, now)
            page = listing.by_score if by_score else listing.by_first_sight
            rows, total = await page(cursor, limit + 1)
        wallets = [_record(row) for row in rows[:limit]]
        more = None
        if len(rows) > limit:
            last = rows[limit - 1]
            more = (
                score_cursor_after(last["score"] if _is_ranked(last) else None, last["address"])
                if by_score
                else cursor_after(last["first_seen_at"], last["address"])
            )
        is_at_least = listing.total is None and total > _FEW
        return WalletPage(wallets, _FEW if is_at_least else total, more, total_is_at_least=is_at_least)

    async def best_wallets(
        self, limit: int, filters: WalletFilters = ALL_SHOWN, *, now: datetime | None = None
    ) -> list[WalletRecord]:
        """The first of the ranking among those that the filters let through, the best score first.

        Only active and dormant wallets are ranked, and none that is excluded. Raises BadInputError for a limit outside
        1 to 10,000, or a bound that cannot be.
        """
        if not 1 <= limit <= LARGEST_EXPORT:
            raise BadInputError(f"limit: {limit} is out of bounds, 1 to {LARGEST_EXPORT}")
        async with self._database.autocommit() as connection:
            listing = await _Listing.of(connection, filters, now)
            rows, _ = await listing.ranked((None, None), limit)
        return [_record(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Listing:
    """The wallets that pass filters: all of them, and those that are ranked. How many is None where it is not kept."""

    connection: Connection
    along: sql.Composable
    apart: list[sql.Composable]
    values: Mapping[str, Any]
    total: int | None
    ranked_total: int | None

    @classmethod
    async def of(cls, connection: Connection, filters: WalletFilters, now: datetime | None) -> Self:
        apart, values = matching_apart(filters, now)
        if replace(filters, statuses=(), demo=None, order=ALL_SHOWN.order) == ALL_SHOWN:
            query = _COUNTED.format(ranked=_RANKED, matching=matching(filters, now)[0])
            row = await (await connection.execute(query, values)).fetchone()
            assert row is not None
            return cls(connection, matching_along(filters, now), apart, values, row["total"], row["ranked"])
        has_ranked = not filters.statuses or not _RANKED_STATUSES.isdisjoint(filters.statuses)
        return cls(connection, matching_along(filters, now), apart, values, None, None if has_ranked else 0)

    async def by_first_sight(self, cursor: str | None, limit: int) -> tuple[list[Row], int]:
        """Rows from a cursor on, and how many pass in all: of more than `_FEW`, maybe no more than that."""
        return await self._page(_FIRST_SEEN, _WHOLE, read_cursor(cursor, str), limit, self.total)

    async def by_score(self, cursor: str | None, limit: int) -> tuple[list[Row], int]:
        """As `by_first_sight`: the ranking, and when it is at its end the wallets that are not ranked."""
        after, after_address = (None, None) if cursor is None else read_score_cursor(cursor)
        in_ranking = after is not None or after_address is None
        rows, ranked = await self.ranked(
            (after, after_address if in_ranking else None), limit if in_ranking else 0
        )
        missing = limit - len(rows)
        if not missing and (ranked > _FEW or self.total is not None):
            return rows, ranked if self.total is None else self.total
        others, unranked = await self._page(
            _ADDRESS,
            _UNRANKED,
            (None, None if in_ranking else after_address),
            missing,
            None if self.total is None else self.total - ranked,
        )
        return rows + others, ranked + unranked

    async def ranked(self, after: tuple[Decimal | None, str | None], limit: int) -> tuple[list[Row], int]:
        return await self._page(_SCORE, _RANKED, after, limit, self.ranked_total)

    async def _page(
        self,
        order: _Order,
        part: sql.Composable,
        after: tuple[object, str | None],
        limit: int,
        total: int | None,
    ) -> tuple[list[Row], int]:
        if total == 0:
            return [], 0
        parts: dict[str, sql.Composable] = {
            "kept_back": KEPT_BACK,
            "part": part,
            "order": order.by,
            "after": order.after,
            "within": order.within,
            "record": _RECORD,
        }
        given = {**self.values, "after": after[0], "after_address": after[1], "limit": limit, "few": _FEW}
        if total is None or total <= _FEW:
            found = [_FOUND.format(kept_back=KEPT_BACK, matching=one, part=part) for one in self.apart]
            query = _PAGE_OF_FEW.format(found=sql.SQL(" UNION ALL ").join(found), **parts)
            rows = await (await self.connection.execute(query, given)).fetchall()
            total = int(rows[0]["total"])
            if total <= _FEW:
                return [row for row in rows if row["address"] is not None], total
        if not limit:
            return [], total
        query = _PAGE_OF_MANY.format(matching=self.along, **parts)
        return [*await (await self.connection.execute(query, given)).fetchall()], total


def _is_ranked(row: Row) -> bool:
    return row["status"] in _RANKED_STATUSES and not row["excluded"]


def _record(row: Row) -> WalletRecord:
    status = None if row["status"] is None else WalletStatus(row["status"])
    reason = row["status_reason"]
    if row["excluded"]:
        status = WalletStatus.EXCLUDED
        reason = "on the exclude list" + (f": {row['exclude_note']}" if row["exclude_note"] else "")
    return WalletRecord(
        address=row["address"],
        first_seen_at=utc(row["first_seen_at"]),
        last_seen_at=utc(row["last_seen_at"]),
        runs=row["runs"],
        sources=row["sources"],
        best_realized_pct=row["best_realized_pct"],
        total_realized_pnl_sol=row["total_realized_pnl_sol"],
        demo=row["demo"],
        score=row["score"],
        score_version=row["score_version"],
        status=status,
        status_reason=reason,
        flags=tuple(row["flags"]),
        closed_positions=row["closed_positions"],
        last_active_at=utc_or_none(row["last_active_at"]),
        profiled_at=utc_or_none(row["profiled_at"]),
        listed=tuple(AddressList(name) for name in row["lists"] or ()),
        note=row["notes"],
    )
