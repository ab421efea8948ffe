"""Tapes from the files of a folder."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from walltrack.discovery.errors import BadInputError, TapeFileError
from walltrack.discovery.tape import Tape
from walltrack.services.files.csv_rows import csv_batches
from walltrack.services.files.merge import Merge
from walltrack.services.files.parquet_rows import TapeNote, read_parquet
from walltrack.services.files.refusals import Refusals, RefusedRow, counted, printable
from walltrack.services.files.values import checked_rows

_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class TapeFolder:
    """What a folder of tape files holds.

    `tapes` by mint. `rows` counts all data rows, `refused_rows` those that were not taken and `duplicates` those
    that were given twice: rows = events + refused_rows + duplicates. `refused` are examples, up to 5 for each
    problem of a file. `warnings` are sentences for the run's record.
    """

    tapes: dict[str, Tape]
    files: list[str]
    rows: int
    refused_rows: int
    refused: list[RefusedRow]
    duplicates: int
    warnings: list[str]


def read_tapes(folder: Path, progress: Callable[[int, int], None] | None = None) -> TapeFolder:
    """Read the .csv and .parquet files that lie directly in a folder (docs/tape-files.md has their format).

    Files are read in the order of their names; the case of the suffix does not matter. Subfolders, other files and
    names that begin with a dot are left alone. `progress` is called with the bytes read and the bytes there are,
    as far as they are known beforehand, from (0, all) to (all, all).

    A row that cannot be used is refused and counted. Raises BadInputError for a folder that cannot be read or has
    no such file, TapeFileError for a file that cannot be read as a whole, or of which every row is refused.
    """
    paths = _tape_files(folder)
    meter = _Meter(sum(size for _, size in paths), progress)
    reading = _Reading()
    for path, _ in paths:
        try:
            reading.add(path, meter.advance)
        except FileNotFoundError as e:
            raise TapeFileError(printable(path.name), "the file is gone, or a link to nothing") from e
        except OSError as e:
            raise TapeFileError(printable(path.name), f"cannot be read: {e.strerror or e}") from e
    meter.finish()
    return reading.result()


def _tape_files(folder: Path) -> list[tuple[Path, int]]:
    """The files to read with their sizes, by name."""
    found = []
    try:
        for path in sorted(folder.iterdir(), key=lambda p: p.name):
            if path.suffix.lower() in _SUFFIXES and not path.name.startswith("."):
                size = _size(path)
                if size is not None:
                    found.append((path, size))
    except OSError as e:
        raise BadInputError(f"folder {printable(str(folder))} cannot be read: {e.strerror or e}") from e
    if not found:
        raise BadInputError(f"no .csv or .parquet files in {printable(str(folder))}")
    return found


def _size(path: Path) -> int | None:
    """Bytes of a file as far as known; None for a folder."""
    try:
        status = path.stat()
    except OSError:
        return 0  # what is wrong with it is said when it is opened
    return None if stat.S_ISDIR(status.st_mode) else status.st_size


class _Meter:
    """Tells how far the reading is. A pipe has no size beforehand, and a file may grow: then the total does too."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress
        self.advance(0)

    def advance(self, size: int) -> None:
        self._done += size
        self._total = max(self._total, self._done)
        if self._progress:
            self._progress(self._done, self._total)

    def finish(self) -> None:
        self.advance(self._total - self._done)


class _Reading:
    """Files read so far."""

    def __init__(self) -> None:
        self._refusals = Refusals()
        self._rows_of: dict[str, int] = {}
        self._frames: list[pl.DataFrame] = []
        self._mints: dict[str, int] = {}
        self._notes: dict[str, list[TapeNote]] = {}

    def add(self, path: Path, read: Callable[[int], None]) -> None:
        file, index, rows = printable(path.name), len(self._rows_of), 0
        for given, batch in self._batches(path, file, read):
            rows += given
            checked = checked_rows(batch, file, self._refusals)
            if checked.height:
                self._frames.append(self._numbered(checked, index))
        if not rows:
            raise TapeFileError(
                file, "no rows below the header" if path.suffix.lower() == ".csv" else "no rows"
            )
        self._rows_of[file] = rows
        self._refuse_wholly_bad(file)

    def result(self) -> TapeFolder:
        files = list(self._rows_of)
        merge = Merge(pl.concat(self._frames), files, list(self._mints), self._refusals)
        self._frames.clear()
        tapes = merge.tapes(self._notes)
        for file in files:
            self._refuse_wholly_bad(file)
        warnings = [w for file in files for w in (*self._refusals.warnings(file), *merge.warnings[file])]
        return TapeFolder(
            tapes=tapes,
            files=files,
            rows=sum(self._rows_of.values()),
            refused_rows=self._refusals.count(),
            refused=self._refusals.rows(),
            duplicates=merge.duplicates,
            warnings=warnings,
        )

    def _batches(
        self, path: Path, file: str, read: Callable[[int], None]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        if path.suffix.lower() == ".csv":
            yield from csv_batches(path, file, self._refusals, read)
            return
        parquet = read_parquet(path, file, read)
        if parquet.note:
            self._notes.setdefault(parquet.note.mint, []).append(parquet.note)
        yield from parquet.batches()

    def _numbered(self, rows: pl.DataFrame, file: int) -> pl.DataFrame:
        """The rows with their file, and a number in place of the mint: addresses are held once."""
        numbers = {
            m: self._mints.setdefault(m, len(self._mints)) for m in rows["mint"].unique(maintain_order=True)
        }
        return rows.with_columns(
            pl.lit(file, dtype=pl.UInt32).alias("file"),
            pl.col("mint").replace_strict(numbers, return_dtype=pl.UInt32),
        )

    def _refuse_wholly_bad(self, file: str) -> None:
        rows = self._rows_of[file]
        if self._refusals.count(file) < rows:
            return
        first = self._refusals.first(file)
        assert first is not None
        raise TapeFileError(
            file,
            f"{first.problem} (all {counted(rows, 'row')} are refused)",
            row=first.row,
            field=first.field,
        )
