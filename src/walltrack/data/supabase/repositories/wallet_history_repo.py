"""Stored histories of wallets: where each one stands, and its pages."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any, Final

import msgspec
import polars as pl
from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import DatabaseStorageError
from walltrack.data.supabase.repositories.rows import Row, aware_or_none, storable
from walltrack.discovery.history_stretches import (
    HistoryBusyError,
    HistoryClaim,
    HistoryPage,
    HistoryState,
    StaleHistoryError,
    Stretch,
    assembled,
    stretches_as_json,
    stretches_from_json,
)
from walltrack.discovery.wallet_history import HISTORY_SCHEMA, TIMES_SCHEMA, WalletHistory

_CLAIM: Final = """
    INSERT INTO wallet_histories AS history (wallet, attempt, claimed_by, lease_expires_at)
    VALUES (%(wallet)s, 1, %(claimed_by)s, clock_timestamp() + %(lease)s)
    ON CONFLICT (wallet) DO UPDATE
    SET attempt = history.attempt + 1, claimed_by = %(claimed_by)s,
        lease_expires_at = clock_timestamp() + %(lease)s, updated_at = clock_timestamp()
    WHERE history.lease_expires_at IS NULL OR history.lease_expires_at <= clock_timestamp()
    RETURNING *
"""

_HOLDER: Final = "SELECT claimed_by FROM wallet_histories WHERE wallet = %s"

_RENEW: Final = """
    UPDATE wallet_histories SET lease_expires_at = clock_timestamp() + %(lease)s
    WHERE wallet = %(wallet)s AND attempt = %(attempt)s
    RETURNING wallet
"""

_RELEASE: Final = """
    UPDATE wallet_histories
    SET claimed_by = NULL, lease_expires_at = NULL, last_error = %(error)s, updated_at = clock_timestamp()
    WHERE wallet = %(wallet)s AND attempt = %(attempt)s
"""

_STORE_STATE: Final = """
    UPDATE wallet_histories
    SET stretches = %(stretches)s, escrow_owners = %(escrow_owners)s, checked_at = %(checked_at)s,
        lookback_days = %(lookback_days)s, stopped = %(stopped)s, pages = %(pages)s,
        lease_expires_at = clock_timestamp() + %(lease)s, updated_at = clock_timestamp()
    WHERE wallet = %(wallet)s AND attempt = %(attempt)s
    RETURNING wallet
"""

_ADD_PAGE: Final = """
    INSERT INTO wallet_history_pages (wallet, page, stretch, transactions, rows, parquet, times, undecided, sha256)
    VALUES (%(wallet)s, %(page)s, %(stretch)s, %(transactions)s, %(rows)s, %(parquet)s, %(times)s, %(undecided)s,
            %(sha256)s)
"""

_STATE: Final = "SELECT * FROM wallet_histories WHERE wallet = %s"

_PAGES: Final = """
    SELECT page, stretch, parquet, times, undecided, sha256
    FROM wallet_history_pages
    WHERE wallet = %s AND stretch BETWEEN %s AND %s
    ORDER BY stretch, page DESC
"""


class WalletHistoryRepository:
    """Rows of `wallet_histories` and `wallet_history_pages`. Leases go by the server's clock.

    Every method raises the errors of `walltrack.data.supabase.errors`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, wallet: str, *, claimed_by: str, lease: timedelta) -> HistoryClaim:
        """Hold a wallet's history, new or stored. Raises HistoryBusyError while another holds it."""
        values = {"wallet": wallet, "claimed_by": storable(claimed_by), "lease": lease}
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_CLAIM, values)).fetchone()
            if row is None:
                holder = await (await connection.execute(_HOLDER, (wallet,))).fetchone()
                raise HistoryBusyError(wallet, holder["claimed_by"] if holder else None)
        return HistoryClaim(wallet, row["attempt"], _state(row), row["pages"])

    async def renew(self, claim: HistoryClaim, *, lease: timedelta) -> None:
        """Prolong a claim. Raises StaleHistoryError where it is lost."""
        values = {"wallet": claim.wallet, "attempt": claim.attempt, "lease": lease}
        async with self._database.autocommit() as connection:
            if await (await connection.execute(_RENEW, values)).fetchone() is None:
                raise StaleHistoryError(claim.wallet, claim.attempt)

    async def release(self, claim: HistoryClaim, *, error: str | None = None) -> None:
        """Give a history back, with what went wrong. Nothing where the claim is lost."""
        values = {"wallet": claim.wallet, "attempt": claim.attempt, "error": storable(error)}
        async with self._database.autocommit() as connection:
            await connection.execute(_RELEASE, values)

    async def store_page(
        self, claim: HistoryClaim, state: HistoryState, page: HistoryPage | None, *, lease: timedelta
    ) -> HistoryClaim:
        """Store a page (None: it held nothing) and where the history stands after it, both or neither.

        Prolongs the claim. Raises StaleHistoryError where it is lost.
        """
        values = None if page is None else await asyncio.to_thread(_page_values, claim, page)
        stored = replace(claim, state=state, pages=claim.pages + (page is not None))
        async with self._database.transaction() as connection:
            await _store_state(connection, stored, lease)
            if values is not None:
                await connection.execute(_ADD_PAGE, values)
        return stored

    async def pages(self, wallet: str, stretch: Stretch) -> list[HistoryPage]:
        """The stored pages of a stretch, oldest first.

        Raises DatabaseStorageError where one is not what was stored.
        """
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_PAGES, (wallet, stretch.first, stretch.last))
            rows = await cursor.fetchall()
        return await asyncio.to_thread(_pages, wallet, rows)

    async def stored(self, wallet: str) -> WalletHistory | None:
        """A wallet's history as it was last read, asking no provider. None: nothing of it was read.

        Raises DatabaseStorageError where a page is not what was stored.
        """
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_STATE, (wallet,))).fetchone()
            state = HistoryState() if row is None else _state(row)
            if state.newest is None:
                return None
            cursor = await connection.execute(_PAGES, (wallet, state.newest.first, state.newest.last))
            rows = await cursor.fetchall()
        return await asyncio.to_thread(lambda: assembled(wallet, state, _pages(wallet, rows)))


async def _store_state(connection: Connection, claim: HistoryClaim, lease: timedelta) -> None:
    state = claim.state
    values = {
        "wallet": claim.wallet,
        "attempt": claim.attempt,
        "lease": lease,
        "pages": claim.pages,
        "stretches": Jsonb(stretches_as_json(state)),
        "escrow_owners": Jsonb(dict(state.escrow_owners)),
        "checked_at": aware_or_none(state.checked_at),
        "lookback_days": state.lookback_days,
        "stopped": storable(state.stopped),
    }
    if await (await connection.execute(_STORE_STATE, values)).fetchone() is None:
        raise StaleHistoryError(claim.wallet, claim.attempt)


def _page_values(claim: HistoryClaim, page: HistoryPage) -> Mapping[str, Any]:
    parquet, times = _parquet(page.frame), _parquet(page.times)
    undecided = zlib.compress(_json_list(page.undecided)) if page.undecided else None
    return {
        "wallet": claim.wallet,
        "page": claim.pages,
        "stretch": page.stretch,
        "transactions": page.times.height,
        "rows": page.frame.height,
        "parquet": parquet,
        "times": times,
        "undecided": undecided,
        "sha256": _sha256(parquet, times, undecided),
    }


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _json_list(items: Iterable[bytes]) -> bytes:
    return msgspec.json.encode([msgspec.Raw(item) for item in items])


def _sha256(parquet: bytes, times: bytes, undecided: bytes | None) -> bytes:
    return hashlib.sha256(b"".join((parquet, times, undecided or b""))).digest()


def _state(row: Row) -> HistoryState:
    checked_at = row["checked_at"]
    return HistoryState(
        stretches=stretches_from_json(row["stretches"]),
        escrow_owners=row["escrow_owners"],
        checked_at=None if checked_at is None else checked_at.astimezone(UTC),
        lookback_days=row["lookback_days"],
        stopped=row["stopped"],
    )


def _pages(wallet: str, rows: Iterable[Row]) -> list[HistoryPage]:
    return [_page(wallet, row) for row in rows]


def _page(wallet: str, row: Row) -> HistoryPage:
    if _sha256(row["parquet"], row["times"], row["undecided"]) != row["sha256"]:
        raise DatabaseStorageError(
            f"history of {wallet}: page {row['page']} is not what was stored; delete its row of wallet_histories, and"
            " it is read again"
        )
    undecided: list[msgspec.Raw] = []
    if row["undecided"] is not None:
        undecided = msgspec.json.decode(zlib.decompress(row["undecided"]), type=list[msgspec.Raw])
    return HistoryPage(
        stretch=row["stretch"],
        frame=_frame(row["parquet"], HISTORY_SCHEMA),
        times=_frame(row["times"], TIMES_SCHEMA),
        undecided=tuple(bytes(one) for one in undecided),
    )


def _frame(parquet: bytes, schema: pl.Schema) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(parquet)).select(
        pl.col(name).cast(dtype) for name, dtype in schema.items()
    )
