"""Parquet files as batches of text columns: whatever a number's type, its decimal text is exact."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import polars as pl

from walltrack.discovery.errors import TapeFileError
from walltrack.services.files.columns import KNOWN, MAX_SLOT, check_columns
from walltrack.services.files.refusals import printable

TAPE_METADATA: Final = "walltrack.tape"
"""Key of the file's metadata under which `write_tape` keeps what the columns cannot say: a `TapeNote` as JSON."""

_BATCH_ROWS: Final = 100_000
_MAGIC: Final = b"PAR1"
_MIN_BYTES: Final = 12  # the magic twice, and the length of the footer


class TapeNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tape knows beside its rows."""

    mint: str
    launch_slot: Annotated[int, msgspec.Meta(ge=0, le=MAX_SLOT)] | None = None
    starts_late: bool = False
    cut: str | None = None


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """A Parquet file that was read: its table, and the note where `write_tape` wrote the file."""

    table: pl.DataFrame
    note: TapeNote | None

    def batches(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Batches of (rows, columns of text and their `row`, from 1), with all known columns."""
        row = 1
        for part in self.table.iter_slices(_BATCH_ROWS):
            rows = pl.int_range(row, row + part.height, dtype=pl.UInt32, eager=True).alias("row")
            yield part.height, part.select(rows, *(_as_text(part, name) for name in KNOWN))
            row += part.height


def read_parquet(path: Path, file: str, read: Callable[[int], None]) -> ParquetTable:
    """The table of a Parquet file. `read` is told the bytes.

    The file is taken into memory before it is decoded: one that is cut short meanwhile would kill a process that
    maps it. Raises TapeFileError where it is no whole Parquet file, or lacks the columns of a tape file; OSError
    where it cannot be read.
    """
    with path.open("rb") as stream:
        if not stat.S_ISREG(path.stat().st_mode):
            raise TapeFileError(file, "a Parquet file must be a regular file: it is read from its end")
        data = stream.read()
    read(len(data))
    if not data:
        raise TapeFileError(file, "the file is empty")
    if not data.startswith(_MAGIC):
        raise TapeFileError(file, "no Parquet file: it does not begin with PAR1")
    if len(data) < _MIN_BYTES or not data.endswith(_MAGIC):
        raise TapeFileError(file, f"a truncated Parquet file: its {len(data):,} bytes do not end with PAR1")
    try:
        schema = pl.Schema(pl.read_parquet_schema(io.BytesIO(data)))
        check_columns(file, list(schema))
        _check_types(file, schema)
        note = pl.read_parquet_metadata(io.BytesIO(data)).get(TAPE_METADATA)
        table = pl.read_parquet(io.BytesIO(data), glob=False)
    except TapeFileError:
        raise
    # A damaged file may also make the decoder panic, which Polars raises beside its own errors.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError) as e:
        raise TapeFileError(file, f"a damaged Parquet file: {printable(str(e))[:200]}") from e
    return ParquetTable(table, None if note is None else _note(file, note))


def _check_types(file: str, schema: pl.Schema) -> None:
    for name, dtype in schema.items():
        if not (dtype.is_numeric() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
            raise TapeFileError(
                file, f"type {printable(str(dtype))[:60]}, expected text or a number", field=name
            )


def _as_text(part: pl.DataFrame, name: str) -> pl.Expr:
    if name not in part.columns:
        return pl.lit(None, dtype=pl.String).alias(name)
    text = pl.col(name).cast(pl.String)  # of a float: the shortest text that gives the same float again
    if part.schema[name].is_float():
        text = text.str.strip_suffix(".0")
    return pl.when(text != "").then(text).alias(name)


def _note(file: str, text: str) -> TapeNote:
    try:
        return msgspec.json.decode(text, type=TapeNote)
    except msgspec.DecodeError as e:
        raise TapeFileError(file, f"metadata {TAPE_METADATA}: {printable(str(e))[:200]}") from e
