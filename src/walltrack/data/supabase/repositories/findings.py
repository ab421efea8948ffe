"""Storing what a run found, in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Connection
from walltrack.data.supabase.repositories.rows import evidence_json
from walltrack.discovery.models import QualifiedWallet

# Sorted by address, so that two runs that find the same wallets wait for each other in one order and never deadlock.
_MEET_WALLETS: Final = """
    INSERT INTO wallets AS known (address, first_seen_at, last_seen_at, first_run_id, flags, demo)
    SELECT met.address, %(seen_at)s, %(seen_at)s, run.id, string_to_array(met.flags, ','), run.demo
    FROM unnest(%(addresses)s::varchar[], %(flags)s::text[]) WITH ORDINALITY AS met (address, flags, place)
    JOIN discovery_runs run ON run.id = %(run_id)s
    ORDER BY met.place
    ON CONFLICT (address) DO UPDATE
    SET last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at),
        demo = known.demo AND excluded.demo,
        flags = CASE WHEN known.flags @> excluded.flags THEN known.flags ELSE ARRAY(
            SELECT unnest(known.flags) UNION SELECT unnest(excluded.flags) ORDER BY 1
        ) END
    RETURNING address, coalesce(first_run_id = %(run_id)s, FALSE) AS is_new
"""

_COPY_FINDINGS: Final = """
    COPY discovery_run_wallets (
        run_id, wallet_address, source_token, is_new, entry_rank, seconds_after_launch, first_buy_at, first_buy_slot,
        buys, sells, cost_sol, proceeds_sol, cost_of_sold_sol, realized_pnl_sol, realized_pct, held_tokens,
        held_cost_sol, completeness, flags, signatures, evidence
    ) FROM STDIN (FORMAT BINARY)
"""
_COPY_TYPES: Final = (
    *("uuid", "varchar", "varchar", "bool", "int4", "int8", "timestamptz", "int8", "int4", "int4"),
    *("numeric", "numeric", "numeric", "numeric", "numeric", "numeric", "numeric"),
    *("text", "text[]", "text[]", "jsonb"),
)


async def store_findings(
    connection: Connection, run_id: UUID, wallets: Sequence[QualifiedWallet], *, seen_at: datetime
) -> None:
    """Store a run's findings on one token, within the caller's transaction.

    A finding is new where its wallet was not in `wallets` before this run. Raises ValueError where a wallet stands
    twice.
    """
    flags = {wallet.wallet_address: ",".join(sorted(set(wallet.flags))) for wallet in wallets}
    addresses = sorted(flags)
    if len(addresses) != len(wallets):
        raise ValueError(f"run {run_id}: a wallet stands twice among the findings on one token")
    if not addresses:
        return
    cursor = await connection.execute(
        _MEET_WALLETS,
        {
            "run_id": run_id,
            "seen_at": seen_at,
            "addresses": addresses,
            "flags": [flags[address] for address in addresses],
        },
        binary=True,
    )
    is_new = {row["address"]: row["is_new"] for row in await cursor.fetchall()}
    async with connection.cursor() as writer, writer.copy(_COPY_FINDINGS) as copy:
        copy.set_types(_COPY_TYPES)
        for row in _copied(run_id, wallets, is_new):
            await copy.write_row(row)


def _copied(
    run_id: UUID, wallets: Iterable[QualifiedWallet], is_new: dict[str, bool]
) -> Iterable[tuple[object, ...]]:
    for wallet in wallets:
        yield (
            run_id,
            wallet.wallet_address,
            wallet.source_token,
            is_new[wallet.wallet_address],
            wallet.entry_rank,
            wallet.seconds_after_launch,
            wallet.first_buy_at,
            wallet.first_buy_slot,
            wallet.buys,
            wallet.sells,
            wallet.cost_sol,
            wallet.proceeds_sol,
            wallet.cost_of_sold_sol,
            wallet.realized_pnl_sol,
            wallet.realized_pct,
            wallet.held_tokens,
            wallet.held_cost_sol,
            wallet.completeness,
            list(wallet.flags),
            list(wallet.signatures),
            Jsonb(evidence_json(wallet.evidence)),
        )
