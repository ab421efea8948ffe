"""Streams, pages and walks in a real database: who may store, what is kept, what is never changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from tests.integration.conftest import InDatabase
from tests.unit import solana
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import DatabaseStorageError
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.discovery.tape import TAPE_SCHEMA
from walltrack.discovery.tape_streams import (
    HistoryQuery,
    ListedSignature,
    Place,
    SignatureWalk,
    StaleStreamError,
    StreamBusyError,
    StreamClaim,
    StreamKind,
)

MINT, POOL, ACCOUNT = (solana.wallet(name) for name in ("mint", "pool", "account"))
LEASE = timedelta(minutes=5)
OVER = timedelta(seconds=-1)

FULL = Place(
    query=HistoryQuery(1_000, after_slot=5, to_time=1_793_000_000),
    token="447200000:12",
    walk=SignatureWalk(2, "before", True, 17),
    complete_to_slot=447_200_000,
    complete_to_time=1_793_000_000,
    transactions=1_234,
    refused=2,
    missing=3,
    decimals=6,
    token_program="TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    escrow_owners={POOL: ACCOUNT},
    odd_accounts={ACCOUNT: (MINT, POOL)},
)


def page(number: int, height: int = 3) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "slot": 100 * number + row,
                "tx_index": row,
                "block_time": 1_793_000_000 + number,
                "signature": bytes([number, row]) * 32,
                "wallet": solana.wallet(f"{number} {row}"),
                "kind": "buy" if row % 2 else "escrow_out",
                "token_raw": 2**64 - 1,
                "quote_mint": None if row else MINT,
                "quote_raw": -(2**63) if row else 2**63 - 1,
                "fee_lamports": 5_000,
                "counterparty": None,
                "venue": "pumpswap",
                "flags": row,
            }
            for row in range(height)
        ],
        schema=TAPE_SCHEMA,
    )


async def claimed(
    tapes: TapeRepository, address: str = MINT, kind: StreamKind = StreamKind.MINT, lease: timedelta = LEASE
) -> StreamClaim:
    return await tapes.claim(MINT, address, kind, claimed_by="a test", lease=lease)


def test_a_place_and_its_rows_are_read_back_as_they_were_stored(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        claim = await claimed(tapes)
        assert (claim.place, claim.segments, claim.attempt) == (Place(), 0, 1)
        stored = await tapes.store_page(claim, FULL, page(1), lease=LEASE)
        assert stored.segments == 1
        stored = await tapes.store_page(stored, replace(FULL, exhausted=True), page(2, 0), lease=LEASE)
        stored = await tapes.store_page(stored, replace(FULL, exhausted=True), None, lease=LEASE)
        assert stored.segments == 1
        await tapes.release(stored, error="what went wrong")
        (state,) = await tapes.streams(MINT)
        assert (state.address, state.kind) == (MINT, StreamKind.MINT)
        assert state.place.exhausted_ago is not None
        assert 0 <= state.place.exhausted_ago < 60
        assert replace(state.place, exhausted_ago=None) == replace(FULL, exhausted=True)
        (segment,) = await tapes.segments(MINT)
        assert_frame_equal(segment.frame, page(1))
        again = await claimed(tapes)
        assert (again.stream_id, again.attempt, again.segments) == (claim.stream_id, 2, 1)

    in_database(scenario)


def test_a_stream_is_held_by_one_reader_until_it_gives_it_back_or_its_lease_ends(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        claim = await claimed(tapes)
        with pytest.raises(StreamBusyError, match="being read by a test"):
            await claimed(tapes)
        await claimed(tapes, ACCOUNT, StreamKind.ACCOUNT)
        await tapes.release(claim)
        second = await claimed(tapes, lease=OVER)
        third = await claimed(tapes)
        assert (second.attempt, third.attempt) == (2, 3)
        with pytest.raises(StaleStreamError, match="attempt 2"):
            await tapes.renew(second, lease=LEASE)
        await tapes.renew(third, lease=LEASE)

    in_database(scenario)


def test_of_many_that_want_a_stream_at_once_one_gets_it(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        results = await asyncio.gather(*(claimed(tapes) for _ in range(12)), return_exceptions=True)
        assert sum(isinstance(one, StreamClaim) for one in results) == 1
        assert sum(isinstance(one, StreamBusyError) for one in results) == 11

    in_database(scenario)


def test_who_lost_the_claim_stores_nothing(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        lost = await claimed(tapes, lease=OVER)
        claim = await claimed(tapes)
        with pytest.raises(StaleStreamError, match="was not stored"):
            await tapes.store_page(lost, FULL, page(1), lease=LEASE)
        with pytest.raises(StaleStreamError):
            await tapes.store_signatures(
                lost, FULL, [ListedSignature(solana.signature("x"), 1, None)], lease=LEASE
            )
        await tapes.release(lost)
        assert await tapes.segments(MINT) == []
        with pytest.raises(StreamBusyError):
            await claimed(tapes)
        assert (await tapes.streams(MINT))[0].place == Place()
        await tapes.store_page(claim, FULL, page(1), lease=LEASE)

    in_database(scenario)


def test_segments_come_mint_first_then_pools_then_accounts_each_in_order(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        for address, kind in (
            (ACCOUNT, StreamKind.ACCOUNT),
            (POOL, StreamKind.POOL),
            (MINT, StreamKind.MINT),
        ):
            claim = await claimed(tapes, address, kind)
            for number in range(12):
                claim = await tapes.store_page(claim, FULL, page(number, 1), lease=LEASE)
        found = await tapes.segments(MINT)
        assert [(one.address, one.number) for one in found] == [
            (address, number) for address in (MINT, POOL, ACCOUNT) for number in range(12)
        ]
        assert [one.address for one in await tapes.segments(MINT, POOL)] == [POOL] * 12
        assert await tapes.segments(POOL) == []

    in_database(scenario)


def test_a_stored_segment_is_never_changed_and_goes_with_its_stream(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        await tapes.store_page(await claimed(tapes), FULL, page(1), lease=LEASE)
        with pytest.raises(psycopg.Error, match="never changed"):
            async with database.transaction() as connection:
                await connection.execute("UPDATE token_tapes SET rows = 7")
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM tape_streams")
        assert await tapes.segments(MINT) == []

    in_database(scenario)


def test_a_segment_that_is_not_what_was_stored_is_noticed(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        claim = await claimed(tapes)
        async with database.transaction() as connection:
            await connection.execute(
                "INSERT INTO token_tapes (stream_id, mint, segment, rows, parquet, sha256) "
                "VALUES (%s, %s, 0, 1, 'junk', decode(repeat('00', 32), 'hex'))",
                (claim.stream_id, MINT),
            )
        with pytest.raises(DatabaseStorageError, match="segment 0"):
            await tapes.segments(MINT)

    in_database(scenario)


def test_a_walk_is_read_back_oldest_first_and_each_signature_once(in_database: InDatabase) -> None:
    names = [solana.signature(f"tx {number}") for number in range(6)]
    listed = [
        ListedSignature(name, 100 - n, None if n == 3 else 1_793_000_000 - n) for n, name in enumerate(names)
    ]

    async def scenario(database: Database) -> None:
        tapes = TapeRepository(database)
        claim = await claimed(tapes)
        for walk, parts in ((0, [listed[2:4], listed[3:6], []]), (1, [listed[:2]])):
            for part in parts:
                place = Place(walk=SignatureWalk(walk, before="x"))
                claim = await tapes.store_signatures(claim, place, part, lease=LEASE)
        assert await tapes.signatures(claim, 0) == listed[:1:-1]
        assert await tapes.signatures(claim, 1) == [listed[1], listed[0]]
        assert await tapes.signatures(claim, 2) == []

    in_database(scenario)


def test_what_a_plan_has_is_remembered_for_a_time(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        tapes, key = TapeRepository(database), b"k" * 32
        day = timedelta(days=1)
        assert await tapes.method_available(key, "m", checked_within=day) is None
        for available in (True, False):
            await tapes.remember_method(key, "m", available=available)
            assert await tapes.method_available(key, "m", checked_within=day) is available
        assert await tapes.method_available(key, "m", checked_within=timedelta(0)) is None
        assert await tapes.method_available(b"o" * 32, "m", checked_within=day) is None

    in_database(scenario)
