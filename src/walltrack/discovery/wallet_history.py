"""One wallet's history: what it traded and moved over all mints, and which of its transactions failed.

The rows of a mint are those of its tape (`chain_tape`), so positions follow from the same rules. A swap of one token
for another is a sale of the first and a purchase of the second, both without a price. Quote mints, stablecoins and
staked SOL are means of payment: they give no rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl
from solders.signature import Signature

from walltrack.discovery.chain_tape import placed, rows_of
from walltrack.discovery.market_mints import NEVER_PUMPED
from walltrack.discovery.swaps import NO_ESCROWS, Decoded, decode
from walltrack.discovery.tape import TAPE_SCHEMA, Tape
from walltrack.discovery.transactions import MalformedTransactionError, Transaction
from walltrack.discovery.valuation import hours_to_value, in_sol

HISTORY_SCHEMA: Final = pl.Schema({**TAPE_SCHEMA, "mint": pl.String(), "decimals": pl.UInt8()})
"""Columns of a history: those of a tape, and the mint of the row. Rows stand in chain order."""

TIMES_SCHEMA: Final = pl.Schema(
    {
        "block_time": pl.Int64(),  # Unix seconds, UTC
        "failed": pl.Boolean(),
        "signed": pl.Boolean(),  # the wallet signed, or paid the fee where the source names no signers
    }
)
"""Columns of `times`: one row for every transaction that was read, those without rows included, in chain order."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HistoryRows:
    """What some transactions give for a wallet, in the order in which they came.

    `frame` has the columns of HISTORY_SCHEMA, `times` those of TIMES_SCHEMA; those of consecutive transactions are
    joined by concatenation. `escrow_owners` is what is known of them after these transactions, to be handed to the
    next ones. The slots are None where there was no transaction.
    """

    frame: pl.DataFrame
    times: pl.DataFrame
    first_slot: int | None
    last_slot: int | None
    escrow_owners: dict[str, str]


@dataclass(frozen=True, slots=True)
class WalletHistory:
    """What was read of a wallet's past.

    `frame` (HISTORY_SCHEMA) and `times` (TIMES_SCHEMA) hold all that happened from `from_time` to `to_time` (Unix
    seconds, inclusive), unless `cut` says why the oldest part is missing: "history_cut: ..." where there was more than
    may be read, "budget: ..." where reading stopped for want of credits. Then they begin where reading stopped.
    """

    wallet: str
    frame: pl.DataFrame
    times: pl.DataFrame
    from_time: int
    to_time: int
    lookback_days: int
    cut: str | None = None

    @property
    def transactions(self) -> int:
        """All that were read, failed ones and those of others that name the wallet included."""
        return self.times.height

    @property
    def failed(self) -> int:
        """Those the wallet signed that failed."""
        return int((self.times["failed"] & self.times["signed"]).sum())

    @property
    def first_time(self) -> int | None:
        """Unix seconds of the first transaction, None where there is none."""
        return None if self.times.is_empty() else int(self.times["block_time"][0])

    @property
    def last_time(self) -> int | None:
        """Unix seconds of the last transaction, None where there is none."""
        return None if self.times.is_empty() else int(self.times["block_time"][-1])

    @property
    def known_from(self) -> int | None:
        """Unix seconds from which on nothing is missing, None where a cut left nothing at all."""
        if self.cut is None:
            return self.from_time
        return None if self.first_time is None else max(self.from_time, self.first_time)


def history_rows(
    wallet: str, transactions: Iterable[Transaction], escrow_owners: Mapping[str, str] = NO_ESCROWS
) -> HistoryRows:
    """Decode transactions that name a wallet, given oldest first. One given twice counts once; a failed one is counted
    and gives no rows. One without a time has that of the one before it, the first ones that of the first known.

    Raises MalformedTransactionError where no transaction has a time.
    """
    columns: dict[str, list[Any]] = {name: [] for name in HISTORY_SCHEMA}
    times: dict[str, list[Any]] = {name: [] for name in TIMES_SCHEMA}
    owners = dict(escrow_owners)
    slots: list[int] = []
    for tx, index, time in placed(transactions):
        slots.append(tx.slot)
        signed = tx.fee_payer == wallet if tx.signers is None else wallet in tx.signers
        times["block_time"].append(time)
        times["failed"].append(tx.failed)
        times["signed"].append(signed)
        decoded = decode(tx, owners)
        owners.update(decoded.escrow_owners)
        mints = _mints(decoded, wallet)
        if not mints:
            continue
        place = (tx.slot, index, time, bytes(Signature.from_string(tx.signature)))
        for mint in mints:
            for row in rows_of(decoded, mint):
                if row[0] != wallet:
                    continue
                whole = (*place, *row, mint, tx.decimals.get(mint))
                for name, value in zip(HISTORY_SCHEMA, whole, strict=True):
                    columns[name].append(value)
    frame = pl.DataFrame(columns, schema=HISTORY_SCHEMA)
    moments = pl.DataFrame(times, schema=TIMES_SCHEMA)
    if slots and not times["block_time"][0]:
        known = next((time for time in times["block_time"] if time), None)
        if known is None:
            raise MalformedTransactionError(
                f"none of {len(slots)} transactions of {wallet} from slot {slots[0]} on has a block time"
            )
        first = pl.col("block_time").replace(0, known)
        frame, moments = frame.with_columns(first), moments.with_columns(first)
    return HistoryRows(frame, moments, slots[0] if slots else None, slots[-1] if slots else None, owners)


def stable_hours(history: WalletHistory) -> list[datetime]:
    """The hours, by their beginning, whose price of SOL `valued` can use."""
    return hours_to_value(_as_tape(history.frame))


def valued(history: WalletHistory, usd_per_sol: Mapping[datetime, Decimal]) -> WalletHistory:
    """The history with its trades against stablecoins valued in SOL (see `valuation.in_sol`). Those of an hour without
    a price stay unpriced.
    """
    return replace(history, frame=in_sol(_as_tape(history.frame), usd_per_sol).events)


def mint_tape(frame: pl.DataFrame) -> Tape:
    """Rows of a history as a tape on which each mint stands in the place of a wallet.

    So `positions.wallet_rows` and `wallet_events` give the events of each mint, and the rules for a position hold.
    """
    return _as_tape(frame.with_columns(wallet="mint"))


def unix_seconds(time: datetime) -> int:
    """Whole Unix seconds of an aware time, rounded down."""
    return (time - _EPOCH) // timedelta(seconds=1)


def _as_tape(events: pl.DataFrame) -> Tape:
    return Tape(mint="", decimals=0, launch_time=0, launch_slot=None, events=events)


def _mints(decoded: Decoded, wallet: str) -> list[str]:
    """Mints that changed hands with the wallet, except those that are no positions; what it sold comes first."""
    found = [mint for s in decoded.swaps if s.wallet == wallet for mint in (s.sold_mint, s.bought_mint)]
    found += [move.mint for move in decoded.escrow_moves if move.wallet == wallet]
    found += [transfer.mint for transfer in decoded.transfers if transfer.wallet == wallet]
    return [mint for mint in dict.fromkeys(found) if mint not in NEVER_PUMPED]
