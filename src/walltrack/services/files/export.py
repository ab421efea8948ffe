"""What a run found, as a file for other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from walltrack.discovery.errors import BadInputError
from walltrack.services.files.writer import write_whole

LISTS: Final = ("flags", "signatures", "listed")

_json = msgspec.json.Encoder(decimal_format="number")


def as_json(value: object) -> bytes:
    """JSON with exact decimals written as numbers and times in RFC 3339."""
    return _json.encode(value)


Records = Sequence[Mapping[str, Any]]


def exporter(path: Path, columns: Sequence[str]) -> Callable[[Records], None]:
    """What writes records with these columns to a file of this name: .csv, .parquet or .json.

    CSV joins lists by spaces; Parquet keeps amounts as decimals of 18 places. The file appears whole or not at all.
    Raises BadInputError for another suffix or a folder that does not exist; writing raises WallTrackError.
    """
    formats: dict[str, Callable[[Records], bytes]] = {
        ".csv": lambda records: _frame(records, columns, joined=True).write_csv().encode(),
        ".parquet": lambda records: _parquet(_frame(records, columns, joined=False)),
        ".json": lambda records: msgspec.json.format(as_json(records), indent=2) + b"\n",
    }
    encode = formats.get(path.suffix.lower())
    if encode is None:
        raise BadInputError(f"--export {path}: the name must end in .csv, .parquet or .json")
    if not path.parent.is_dir():
        raise BadInputError(f"--export {path}: there is no folder {path.parent}")
    return lambda records: write_whole(path, encode(records))


def _frame(records: Records, columns: Sequence[str], *, joined: bool) -> pl.DataFrame:
    values = {
        name: [" ".join(r[name] or ()) if joined and name in LISTS else r[name] for r in records]
        for name in columns
    }
    return pl.DataFrame({name: _series(name, column) for name, column in values.items()})


def _series(name: str, values: list[Any]) -> pl.Series:
    if any(isinstance(value, Decimal) for value in values):
        return pl.Series(name, values, dtype=pl.Decimal(38, 18))
    return pl.Series(name, values)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
