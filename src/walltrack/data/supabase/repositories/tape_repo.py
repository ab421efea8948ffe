"""Stored tapes: where each stream stands, its pages, and which provider methods a key has."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any, Final

import polars as pl
from psycopg.types.json import Jsonb
from solders.signature import Signature

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import DatabaseStorageError
from walltrack.data.supabase.repositories.rows import Row, storable
from walltrack.discovery.tape import TAPE_SCHEMA
from walltrack.discovery.tape_streams import (
    HistoryQuery,
    ListedSignature,
    Place,
    SignatureWalk,
    StaleStreamError,
    StoredSegment,
    StreamBusyError,
    StreamClaim,
    StreamKind,
    StreamState,
)

_SIGNATURE_BYTES: Final = 64

_CLAIM: Final = """
    INSERT INTO tape_streams AS stream (mint, address, kind, attempt, claimed_by, lease_expires_at)
    VALUES (%(mint)s, %(address)s, %(kind)s, 1, %(claimed_by)s, clock_timestamp() + %(lease)s)
    ON CONFLICT (mint, address) DO UPDATE
    SET attempt = stream.attempt + 1, claimed_by = %(claimed_by)s,
        lease_expires_at = clock_timestamp() + %(lease)s, updated_at = clock_timestamp()
    WHERE stream.lease_expires_at IS NULL OR stream.lease_expires_at <= clock_timestamp()
    RETURNING *, extract(epoch FROM clock_timestamp() - exhausted_at)::float8 AS exhausted_ago
"""

_HOLDER: Final = "SELECT claimed_by FROM tape_streams WHERE mint = %s AND address = %s"

_RENEW: Final = """
    UPDATE tape_streams SET lease_expires_at = clock_timestamp() + %(lease)s
    WHERE id = %(id)s AND attempt = %(attempt)s
    RETURNING id
"""

_RELEASE: Final = """
    UPDATE tape_streams
    SET claimed_by = NULL, lease_expires_at = NULL, last_error = %(error)s, updated_at = clock_timestamp()
    WHERE id = %(id)s AND attempt = %(attempt)s
"""

_STORE_PLACE: Final = """
    UPDATE tape_streams
    SET query = %(query)s, token = %(token)s, walk = %(walk)s, complete_to_slot = %(complete_to_slot)s,
        complete_to_time = %(complete_to_time)s, segments = %(segments)s,
        exhausted_at = CASE WHEN %(exhausted)s THEN clock_timestamp() END,
        transactions = %(transactions)s, refused = %(refused)s, missing = %(missing)s, decimals = %(decimals)s,
        token_program = %(token_program)s, escrow_owners = %(escrow_owners)s, odd_accounts = %(odd_accounts)s,
        lease_expires_at = clock_timestamp() + %(lease)s, updated_at = clock_timestamp()
    WHERE id = %(id)s AND attempt = %(attempt)s
    RETURNING id
"""

_ADD_SEGMENT: Final = """
    INSERT INTO token_tapes (stream_id, mint, segment, from_slot, to_slot, rows, parquet, sha256)
    VALUES (%(stream_id)s, %(mint)s, %(segment)s, %(from_slot)s, %(to_slot)s, %(rows)s, %(parquet)s, %(sha256)s)
"""

_ADD_SIGNATURES: Final = """
    INSERT INTO tape_signatures (stream_id, walk, page, signatures, slots, times)
    SELECT %(stream_id)s, %(walk)s, coalesce(max(page) + 1, 0), %(signatures)s, %(slots)s, %(times)s
    FROM tape_signatures WHERE stream_id = %(stream_id)s AND walk = %(walk)s
"""

_SIGNATURES: Final = """
    SELECT signatures, slots, times FROM tape_signatures WHERE stream_id = %s AND walk = %s ORDER BY page
"""

_STREAMS: Final = """
    SELECT *, extract(epoch FROM clock_timestamp() - exhausted_at)::float8 AS exhausted_ago
    FROM tape_streams WHERE mint = %s ORDER BY created_at, address
"""

_SEGMENTS: Final = """
    SELECT stream.address, stream.kind, tape.segment, tape.parquet, tape.sha256
    FROM token_tapes AS tape JOIN tape_streams AS stream ON stream.id = tape.stream_id
    WHERE stream.mint = %(mint)s AND (%(address)s::text IS NULL OR stream.address = %(address)s)
    ORDER BY stream.kind = 'account', stream.kind = 'pool', stream.created_at, stream.address, tape.segment
"""

_METHOD: Final = """
    SELECT available FROM provider_methods
    WHERE key_hash = %s AND method = %s AND checked_at > clock_timestamp() - %s
"""

_REMEMBER_METHOD: Final = """
    INSERT INTO provider_methods (key_hash, method, available, checked_at)
    VALUES (%s, %s, %s, clock_timestamp())
    ON CONFLICT (key_hash, method) DO UPDATE
    SET available = excluded.available, checked_at = excluded.checked_at
"""


class TapeRepository:
    """Rows of `tape_streams`, `token_tapes`, `tape_signatures` and `provider_methods`. Leases go by the server's clock.

    Every method raises the errors of `walltrack.data.supabase.errors`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, mint: str, address: str, kind: StreamKind, *, claimed_by: str, lease: timedelta
    ) -> StreamClaim:
        """Hold a stream, new or stored. Raises StreamBusyError while another holds it."""
        values = {
            "mint": mint,
            "address": address,
            "kind": kind.value,
            "claimed_by": storable(claimed_by),
            "lease": lease,
        }
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_CLAIM, values)).fetchone()
            if row is None:
                holder = await (await connection.execute(_HOLDER, (mint, address))).fetchone()
                raise StreamBusyError(mint, address, holder["claimed_by"] if holder else None)
        return StreamClaim(
            stream_id=row["id"],
            mint=mint,
            address=address,
            kind=StreamKind(row["kind"]),
            attempt=row["attempt"],
            place=_place(row),
            segments=row["segments"],
        )

    async def renew(self, claim: StreamClaim, *, lease: timedelta) -> None:
        """Prolong a claim. Raises StaleStreamError where it is lost."""
        async with self._database.autocommit() as connection:
            values = {"id": claim.stream_id, "attempt": claim.attempt, "lease": lease}
            if await (await connection.execute(_RENEW, values)).fetchone() is None:
                raise StaleStreamError(claim.mint, claim.address, claim.attempt)

    async def release(self, claim: StreamClaim, *, error: str | None = None) -> None:
        """Give a stream back, with what went wrong. Nothing where the claim is lost."""
        async with self._database.autocommit() as connection:
            values = {"id": claim.stream_id, "attempt": claim.attempt, "error": storable(error)}
            await connection.execute(_RELEASE, values)

    async def store_page(
        self, claim: StreamClaim, place: Place, frame: pl.DataFrame | None, *, lease: timedelta
    ) -> StreamClaim:
        """Store a page's rows (TAPE_SCHEMA; None or empty: it had none) and the stream's new place, both or neither.

        Prolongs the claim. Raises StaleStreamError where it is lost.
        """
        segment = None
        if frame is not None and frame.height:
            segment = await asyncio.to_thread(_segment, claim, frame)
        stored = replace(claim, place=place, segments=claim.segments + (segment is not None))
        async with self._database.transaction() as connection:
            await _store_place(connection, stored, lease)
            if segment is not None:
                await connection.execute(_ADD_SEGMENT, segment)
        return stored

    async def store_signatures(
        self, claim: StreamClaim, place: Place, listed: Sequence[ListedSignature], *, lease: timedelta
    ) -> StreamClaim:
        """Store a page of a walk, newest first, and the stream's new place, both or neither.

        Raises StaleStreamError where the claim is lost.
        """
        assert place.walk is not None
        stored = replace(claim, place=place)
        async with self._database.transaction() as connection:
            await _store_place(connection, stored, lease)
            if listed:
                await connection.execute(
                    _ADD_SIGNATURES,
                    {
                        "stream_id": claim.stream_id,
                        "walk": place.walk.number,
                        "signatures": b"".join(bytes(Signature.from_string(one.signature)) for one in listed),
                        "slots": [one.slot for one in listed],
                        "times": [one.block_time for one in listed],
                    },
                )
        return stored

    async def signatures(self, claim: StreamClaim, walk: int) -> list[ListedSignature]:
        """What a walk of the stream has listed, oldest first, each once."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_SIGNATURES, (claim.stream_id, walk))).fetchall()
        listed: dict[str, ListedSignature] = {}
        for row in rows:
            for number, (slot, time) in enumerate(zip(row["slots"], row["times"], strict=True)):
                start = number * _SIGNATURE_BYTES
                raw = row["signatures"][start : start + _SIGNATURE_BYTES]
                signature = str(Signature.from_bytes(raw))
                listed.setdefault(signature, ListedSignature(signature, slot, time))
        return list(reversed(listed.values()))

    async def streams(self, mint: str) -> list[StreamState]:
        """All streams of a mint, in the order in which they were begun."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_STREAMS, (mint,))).fetchall()
        return [StreamState(row["address"], StreamKind(row["kind"]), _place(row)) for row in rows]

    async def segments(self, mint: str, address: str | None = None) -> list[StoredSegment]:
        """The stored rows of a mint, or of one of its streams: the mint's own stream first, then pools, then accounts,
        each in the order in which its pages came.

        Raises DatabaseStorageError where a segment is not what was stored.
        """
        async with self._database.autocommit() as connection:
            values = {"mint": mint, "address": address}
            rows = await (await connection.execute(_SEGMENTS, values)).fetchall()
        return await asyncio.to_thread(lambda: [_stored(mint, row) for row in rows])

    async def method_available(
        self, key_hash: bytes, method: str, *, checked_within: timedelta
    ) -> bool | None:
        """Whether a key's plan has a method, as found within that time. None: nobody looked."""
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_METHOD, (key_hash, method, checked_within))
            row = await cursor.fetchone()
        return None if row is None else bool(row["available"])

    async def remember_method(self, key_hash: bytes, method: str, *, available: bool) -> None:
        """Note what a probe found, with the time. `key_hash` has 32 bytes."""
        async with self._database.autocommit() as connection:
            await connection.execute(_REMEMBER_METHOD, (key_hash, method, available))


async def _store_place(connection: Connection, claim: StreamClaim, lease: timedelta) -> None:
    place = claim.place
    values = {
        "id": claim.stream_id,
        "attempt": claim.attempt,
        "lease": lease,
        "segments": claim.segments,
        "query": None if place.query is None else Jsonb(asdict(place.query)),
        "token": storable(place.token),
        "walk": None if place.walk is None else Jsonb(asdict(place.walk)),
        "complete_to_slot": place.complete_to_slot,
        "complete_to_time": place.complete_to_time,
        "exhausted": place.exhausted,
        "transactions": place.transactions,
        "refused": place.refused,
        "missing": place.missing,
        "decimals": place.decimals,
        "token_program": place.token_program,
        "escrow_owners": Jsonb(dict(place.escrow_owners)),
        "odd_accounts": Jsonb({owner: list(accounts) for owner, accounts in place.odd_accounts.items()}),
    }
    if await (await connection.execute(_STORE_PLACE, values)).fetchone() is None:
        raise StaleStreamError(claim.mint, claim.address, claim.attempt)


def _segment(claim: StreamClaim, frame: pl.DataFrame) -> Mapping[str, Any]:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    parquet = buffer.getvalue()
    return {
        "stream_id": claim.stream_id,
        "mint": claim.mint,
        "segment": claim.segments,
        "from_slot": frame["slot"].min(),
        "to_slot": frame["slot"].max(),
        "rows": frame.height,
        "parquet": parquet,
        "sha256": hashlib.sha256(parquet).digest(),
    }


def _stored(mint: str, row: Row) -> StoredSegment:
    parquet = row["parquet"]
    if hashlib.sha256(parquet).digest() != row["sha256"]:
        raise DatabaseStorageError(
            f"tape of {mint}: segment {row['segment']} of {row['address']} is not what was stored; delete its row of "
            "tape_streams, and it is read again"
        )
    frame = pl.read_parquet(io.BytesIO(parquet)).select(
        pl.col(name).cast(dtype) for name, dtype in TAPE_SCHEMA.items()
    )
    return StoredSegment(row["address"], StreamKind(row["kind"]), row["segment"], frame)


def _place(row: Row) -> Place:
    return Place(
        query=None if row["query"] is None else HistoryQuery(**row["query"]),
        token=row["token"],
        walk=None if row["walk"] is None else SignatureWalk(**row["walk"]),
        complete_to_slot=row["complete_to_slot"],
        complete_to_time=row["complete_to_time"],
        exhausted=row["exhausted_at"] is not None,
        exhausted_ago=row["exhausted_ago"],
        transactions=row["transactions"],
        refused=row["refused"],
        missing=row["missing"],
        decimals=row["decimals"],
        token_program=row["token_program"],
        escrow_owners=row["escrow_owners"],
        odd_accounts={owner: tuple(accounts) for owner, accounts in row["odd_accounts"].items()},
    )
