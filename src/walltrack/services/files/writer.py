"""Tapes into files, in the column format in which `read_tapes` reads them."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import polars as pl
from solders.signature import Signature

from walltrack.discovery.errors import BadInputError, WallTrackError
from walltrack.discovery.tape import WSOL, Tape
from walltrack.services.files.columns import MAX_TOKEN_DECIMALS, SOL_DECIMALS
from walltrack.services.files.parquet_rows import TAPE_METADATA, TapeNote

_TRADE = pl.col("kind").is_in(["buy", "sell"])


def write_tape(tape: Tape, path: Path) -> None:
    """Write one tape as Parquet (zstd); `read_tapes` gives an equal tape back.

    Network fees are folded into sol_delta, which is all that the wallet's SOL changed by, and `counterparty` is
    left out: the format has neither. The file appears whole or not at all.

    Raises BadInputError for a tape that the format cannot hold (no events, trades in another mint than SOL, flags),
    WallTrackError where the file cannot be written.
    """
    write_whole(path, parquet_bytes(tape))


def parquet_bytes(tape: Tape) -> bytes:
    """The file that `write_tape` writes."""
    note = TapeNote(tape.mint, tape.launch_slot, tape.starts_late, tape.cut)
    target = io.BytesIO()
    _columns(tape).write_parquet(
        target, compression="zstd", metadata={TAPE_METADATA: msgspec.json.encode(note).decode()}
    )
    return target.getvalue()


def csv_bytes(tapes: Sequence[Tape]) -> bytes:
    """A CSV file of tapes, one after the other. Raises BadInputError as `write_tape` does.

    `launch_slot`, `starts_late` and `cut` have no column: a CSV file does not keep them.
    """
    tables = [_columns(tape).cast({"token_amount": pl.String}) for tape in tapes]
    return pl.concat(tables, how="diagonal").write_csv().encode()


def write_whole(path: Path, data: bytes) -> None:
    """Put a file there whole, in place of what was there; one that is equal already is left alone.

    Missing parent folders are made. Raises WallTrackError, and leaves no part of a file then.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as e:
        raise WallTrackError(f"{path} cannot be written: {e.strerror or e}") from e


def _columns(tape: Tape) -> pl.DataFrame:
    _check(tape)
    events = tape.events
    paid = pl.col("quote_raw") + pl.col("fee_lamports")
    left = pl.col("quote_raw") - pl.col("fee_lamports")
    lamports = (
        pl.when(pl.col("kind") == "buy").then(-paid).when(pl.col("kind") == "sell").then(left).otherwise(0)
    )
    columns = [
        pl.col("block_time"),
        pl.col("tx_index").alias("seq"),
        pl.Series("signature", [_base58(s) for s in events["signature"].to_list()], dtype=pl.String),
        pl.col("wallet"),
        pl.lit(tape.mint).alias("mint"),
        pl.col("venue"),
        pl.col("kind").cast(pl.String).alias("side"),
        _decimal(pl.col("token_raw"), tape.decimals).alias("token_amount"),
        _decimal(lamports, SOL_DECIMALS).alias("sol_delta"),
        pl.lit(tape.launch_time, dtype=pl.Int64).alias("launch_time"),
    ]
    if events["slot"].null_count() < events.height:
        columns.append(pl.col("slot"))
    return events.select(columns)


def _decimal(raw: pl.Expr, decimals: int) -> pl.Expr:
    unit = pl.lit(Decimal(1).scaleb(-decimals), dtype=pl.Decimal(38, decimals))
    return raw.cast(pl.Decimal(38, 0)) * unit


def _base58(signature: bytes | None) -> str | None:
    return None if signature is None else str(Signature.from_bytes(signature))


def _check(tape: Tape) -> None:
    events = tape.events
    what = f"the tape of {tape.mint} cannot be written as a tape file"
    if events.is_empty():
        raise BadInputError(f"{what}: it has no events")
    if tape.decimals > MAX_TOKEN_DECIMALS:
        raise BadInputError(f"{what}: {tape.decimals} decimals, of which the format has {MAX_TOKEN_DECIMALS}")
    if not events.filter(_TRADE & pl.col("quote_mint").ne_missing(WSOL)).is_empty():
        raise BadInputError(f"{what}: it has trades against another mint than SOL")
    if not events.filter(pl.col("flags") != 0).is_empty():
        raise BadInputError(f"{what}: it has flagged events, and the format has no flags")
