"""A token's tape: everything that changed hands in one mint, in chain order, as one columnar table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import polars as pl

WSOL: Final = "So11111111111111111111111111111111111111112"

KINDS: Final = ("buy", "sell", "transfer_in", "transfer_out", "escrow_in", "escrow_out")


class TapeFlag(IntFlag):
    """What the column `flags` of a tape says of a row, as bits."""

    ROUND_TRIP = 1  # nearly all of what moved came back in the same transaction
    UNSIGNED = 2  # the wallet did not sign: a delegate traded for it
    KEEPER_FILL = 4  # a keeper filled the wallet's order
    VALUED = 8  # paid in a stablecoin; quote_raw is its value in lamports at the hour's price of SOL


_COLUMNS: Final[dict[str, pl.DataType]] = {
    "slot": pl.UInt64(),  # null where the source has no slots
    "tx_index": pl.UInt32(),  # place within the slot; where there are no slots, within the token
    "block_time": pl.Int64(),  # Unix seconds, UTC
    "signature": pl.Binary(),  # 64 bytes; null where the source has none, so never a key
    "wallet": pl.String(),
    "kind": pl.Enum(KINDS),
    "token_raw": pl.UInt64(),  # base units of the mint, positive
    "quote_mint": pl.String(),  # null for transfers
    "quote_raw": pl.Int64(),  # paid by a buy, received by a sell (negative where costs ate it); 0 for transfers
    # SOL that left beside the quote: the network fee, if this wallet paid it, and where SOL is not the quote, tips too;
    # negative where some came (a sponsor's deposit for the wallet's new account)
    "fee_lamports": pl.Int64(),
    "counterparty": pl.String(),
    "venue": pl.String(),
    "flags": pl.UInt32(),  # bits of TapeFlag
}

TAPE_SCHEMA: Final = pl.Schema(_COLUMNS)
"""Columns of a tape. Rows stand in the order (slot, tx_index), or (block_time, tx_index) where slots are null."""


@dataclass(frozen=True, slots=True)
class Tape:
    """One mint's tape.

    `launch_time` (Unix seconds) and `launch_slot` are those of the token's first public trade, or what the source
    says of it. `starts_late` is true where the tape is known to begin after the launch; `cut` tells why it ends
    before its source did (None: it does not).
    """

    mint: str
    decimals: int
    launch_time: int
    launch_slot: int | None
    events: pl.DataFrame
    starts_late: bool = False
    cut: str | None = None


@dataclass(frozen=True, slots=True)
class Unmeasurable:
    """An outcome of its own: what was asked cannot be computed from what there is, and why."""

    reason: str
