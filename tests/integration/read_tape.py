"""Reads one tape in a process of its own, to be killed: `python -m tests.integration.read_tape URL KEY MINT TRADES`."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import polars as pl
from pydantic import SecretStr

from walltrack.config.settings import load_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.discovery.reading_plan import MarketCounts
from walltrack.discovery.tape_streams import Place, StreamClaim
from walltrack.services.chain import Bounds, ChainReader
from walltrack.services.helius import HeliusHistory
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.quota import Quota
from walltrack.services.solana_rpc import SolanaRpc


class Announcing(TapeRepository):
    """Says so on its output when a page is stored."""

    async def store_page(
        self, claim: StreamClaim, place: Place, frame: pl.DataFrame | None, *, lease: timedelta
    ) -> StreamClaim:
        stored = await super().store_page(claim, place, frame, lease=lease)
        sys.stdout.write("stored\n")
        sys.stdout.flush()
        return stored


async def main(url: str, key: str, mint: str, trades: str) -> None:
    helius = Provider(
        name="helius",
        base_url=url,
        quotas={"default": Quota(10_000, burst=10_000)},
        key=SecretStr(key),
        key_query="api-key",
    )
    async with Database(load_settings()) as database, Http() as http:
        reader = ChainReader(
            SolanaRpc(http, helius),
            Announcing(database),
            history=HeliusHistory(http, helius),
            bounds=Bounds(lease=timedelta(seconds=2)),
        )
        await reader.read(mint, window_seconds=1_800, counts=MarketCounts(int(trades), 86_000))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
