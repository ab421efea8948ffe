"""Transactions of one mint -> its tape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from solders.signature import Signature

from walltrack.discovery.swaps import NO_ESCROWS, Decoded, NetSwap, decode
from walltrack.discovery.tape import TAPE_SCHEMA, Tape, TapeFlag, Unmeasurable
from walltrack.discovery.transactions import Transaction

VENUES: Final = {
    "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P": "pump_curve",
    "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA": "pumpswap",
    "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8": "raydium_v4",
    "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C": "raydium_cpmm",
    "CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK": "raydium_clmm",
    "LanMV9sAd7wArD4vJFi2qDdfnVhFxYSUg6eADduJ3uj": "raydium_launchlab",
    "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc": "orca_whirlpool",
    "LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo": "meteora_dlmm",
    "Eo7WjKq67rjJQSZxS6z3YkapzY3eMj6Xy8X5EQVn5UaB": "meteora_damm_v1",
    "cpamdpZCGKUy5JxQXB4dcpGPiikHawvSWAd6mEn1sGG": "meteora_damm_v2",
    "dbcij3LWUppWqq96dh6gJWwBifmcGfLSB5D4DuSMaqN": "meteora_dbc",
}
"""Programs that trade, and the name of each as a tape's venue."""

_QUOTE_RAW_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TapeRows:
    """What some transactions of a mint give, in the order in which they came.

    `frame` has the columns of TAPE_SCHEMA. `escrow_owners` is what is known of them after these transactions, to be
    handed to the next ones. `decimals` and `last_slot` are None where no transaction told.
    """

    frame: pl.DataFrame
    escrow_owners: dict[str, str]
    decimals: int | None
    last_slot: int | None


def tape_rows(
    mint: str, transactions: Iterable[Transaction], escrow_owners: Mapping[str, str] = NO_ESCROWS
) -> TapeRows:
    """Decode transactions, given oldest first, into rows of the mint's tape. One given twice counts once."""
    columns: dict[str, list[Any]] = {name: [] for name in TAPE_SCHEMA}
    owners = dict(escrow_owners)
    decimals: int | None = None
    slot: int | None = None
    for tx, index, time in placed(transactions):
        slot = tx.slot
        decimals = tx.decimals.get(mint, decimals)
        decoded = decode(tx, owners)
        owners.update(decoded.escrow_owners)
        rows = list(rows_of(decoded, mint))
        if not rows:
            continue
        place = (slot, index, time, bytes(Signature.from_string(tx.signature)))
        for row in rows:
            for name, value in zip(TAPE_SCHEMA, (*place, *row), strict=True):
                columns[name].append(value)
    frame = pl.DataFrame(columns, schema=TAPE_SCHEMA)
    return TapeRows(frame, owners, decimals, slot)


def placed(transactions: Iterable[Transaction]) -> Iterator[tuple[Transaction, int, int]]:
    """Transactions, given oldest first, each once: with its place in its slot, which is its place among those given
    where the source does not tell, and its time, which is that of the one before where it has none (0: none had).
    """
    seen: set[str] = set()
    slot, arrival, time = -1, 0, 0
    for tx in transactions:
        if tx.signature in seen:
            continue
        seen.add(tx.signature)
        arrival = arrival + 1 if tx.slot == slot else 0
        slot = tx.slot
        time = tx.block_time if tx.block_time is not None else time
        yield tx, tx.tx_index if tx.tx_index is not None else arrival, time


def assemble_tape(
    mint: str,
    frames: Iterable[pl.DataFrame],
    *,
    decimals: int,
    starts_late: bool = False,
    cut: str | None = None,
) -> Tape | Unmeasurable:
    """One tape of rows that may come from several addresses of the mint, and so may hold a transaction more than once.

    The launch is the first trade. Unmeasurable where nothing was traded.
    """
    parts = [
        frame.with_columns(pl.lit(number, dtype=pl.UInt32).alias("part"))
        for number, frame in enumerate(frames)
    ]
    if not parts:
        return Unmeasurable("no transaction of this mint was found")
    merged = pl.concat(parts)
    events = (
        merged.filter(pl.col("part") == pl.col("part").min().over("signature"))
        .drop("part")
        .sort("slot", "tx_index", maintain_order=True)
    )
    trades = events.filter(pl.col("kind").is_in(["buy", "sell"]))
    if trades.is_empty():
        return Unmeasurable("no trade of this mint was found")
    return Tape(
        mint=mint,
        decimals=decimals,
        launch_time=trades["block_time"][0],
        launch_slot=trades["slot"][0],
        events=events,
        starts_late=starts_late,
        cut=cut,
    )


def rows_of(decoded: Decoded, mint: str) -> Iterator[tuple[object, ...]]:
    """Rows of the mint's tape that a transaction gives, from the column `wallet` on."""
    venue = _venue(decoded.transaction)
    for swap in decoded.swaps:
        flags = _flags(swap)
        beside = swap.fee_lamports + swap.side_lamports
        if swap.bought_mint == mint:
            quote = (swap.sold_mint, _fitting(swap.sold_raw))
            yield (swap.wallet, "buy", swap.bought_raw, *quote, beside, None, venue, flags)
        elif swap.sold_mint == mint:
            quote = (swap.bought_mint, _fitting(swap.bought_raw))
            yield (swap.wallet, "sell", swap.sold_raw, *quote, beside, None, venue, flags)
    for move in decoded.escrow_moves:
        if move.mint == mint:
            kind = "escrow_in" if move.raw > 0 else "escrow_out"
            yield (move.wallet, kind, abs(move.raw), None, 0, 0, move.escrow, venue, 0)
    for transfer in decoded.transfers:
        if transfer.mint == mint:
            kind = "transfer_in" if transfer.raw > 0 else "transfer_out"
            yield (transfer.wallet, kind, abs(transfer.raw), None, 0, 0, transfer.counterparty, venue, 0)


def _fitting(raw: int) -> int | None:
    """A quote in some other token may exceed the column; it has no price anyway."""
    return raw if raw <= _QUOTE_RAW_MAX else None


def _flags(swap: NetSwap) -> int:
    flags = TapeFlag(0)
    if swap.round_trip:
        flags |= TapeFlag.ROUND_TRIP
    if swap.unsigned:
        flags |= TapeFlag.UNSIGNED
    if swap.keeper_fill:
        flags |= TapeFlag.KEEPER_FILL
    return int(flags)


def _venue(tx: Transaction) -> str | None:
    names = [VENUES[key] for key in tx.keys if key in VENUES]
    return "+".join(names) if names else None
