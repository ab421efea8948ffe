"""CSV files as batches of text columns, read line by line so that no input can make them grow."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import compress
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from walltrack.discovery.errors import TapeFileError
from walltrack.services.files.columns import KNOWN, check_columns
from walltrack.services.files.refusals import Refusals, shown

MAX_LINE_BYTES: Final = 65_536
"""Longest line that is read, without its line end."""

_BATCH_BYTES: Final = 8 << 20
_BOM: Final = b"\xef\xbb\xbf"


def csv_batches(
    path: Path, file: str, refusals: Refusals, read: Callable[[int], None]
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Batches of a CSV file: (data rows, refused ones included; the others as columns of text and their `row`).

    All known columns are there, those that the file lacks full of null, as are empty fields. A row is one line:
    a quoted field may hold commas and quotes, never a line end. Empty lines are skipped. A row with more or fewer
    fields than the header goes to `refusals`. `read` is told the bytes of each batch.

    Raises TapeFileError where the file is no text, has a line over 64 KB or not the columns of a tape file;
    OSError where it cannot be read.
    """
    with path.open("rb") as stream:
        header, first_byte = _header(stream, file)
        yield from _Rows(file, header, first_byte, refusals, read).batches(stream)


def _header(stream: BinaryIO, file: str) -> tuple[list[str], int]:
    line = _bounded_line(stream, file, 1)
    if not line:
        raise TapeFileError(file, "the file is empty")
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TapeFileError(file, "UTF-16 text; save it as UTF-8", row=1)
    bom = len(_BOM) if line.startswith(_BOM) else 0
    text = _text(line[bom:], file, first_line=1, first_byte=bom)
    fields = _fields(text.rstrip("\r\n"))
    if fields is None:
        raise TapeFileError(file, "the header has a quote that is not closed", row=1)
    check_columns(file, fields)
    return fields, len(line)


class _Rows:
    """The lines below the header, on their way into batches."""

    def __init__(
        self, file: str, header: list[str], first_byte: int, refusals: Refusals, read: Callable[[int], None]
    ) -> None:
        self._file = file
        self._header = header
        self._first_byte = first_byte
        self._refusals = refusals
        self._read = read

    def batches(self, stream: BinaryIO) -> Iterator[tuple[int, pl.DataFrame]]:
        # Plain lines (all, in most files) are split by Polars, lines with a quote or another number of fields one
        # by one: the outcome is the same, and a quote that is never closed swallows no line but its own.
        commas, first, position = len(self._header) - 1, 2, self._first_byte
        while lines := self._lines(stream, first):
            block = b"".join(lines)
            _text(block, self._file, first_line=first, first_byte=position)
            numbers = pl.int_range(first, first + len(lines), dtype=pl.UInt32, eager=True).alias("row")
            first += len(lines)
            position += len(block)
            self._read(len(block))
            plain = [line.count(b",") == commas for line in lines]
            if b'"' in block:
                plain = [fits and b'"' not in line for fits, line in zip(plain, lines, strict=True)]
            if all(plain):
                yield len(lines), self._plain(block, numbers)
                continue
            others = [
                (row, line)
                for row, line, fits in zip(numbers, lines, plain, strict=True)
                if not fits and line.strip(b"\r\n")
            ]
            kept = pl.Series(plain, dtype=pl.Boolean)
            frames = [self._quoted(others)]
            if kept.any():
                frames.append(self._plain(b"".join(compress(lines, plain)), numbers.filter(kept)))
            yield sum(plain) + len(others), pl.concat(frames).sort("row")

    def _lines(self, stream: BinaryIO, number: int) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        while size < _BATCH_BYTES and (line := _bounded_line(stream, self._file, number + len(lines))):
            size += len(line)
            lines.append(line)
        return lines

    def _plain(self, lines: bytes, rows: pl.Series) -> pl.DataFrame:
        frame = pl.read_csv(
            io.BytesIO(lines if lines.endswith(b"\n") else lines + b"\n"),
            has_header=False,
            schema=dict.fromkeys(self._header, pl.String),
            quote_char=None,
            glob=False,
        ).with_columns(pl.col(self._header[-1]).str.strip_suffix("\r"))
        return self._completed(frame.insert_column(0, rows))

    def _quoted(self, lines: list[tuple[int, bytes]]) -> pl.DataFrame:
        columns: dict[str, list[str]] = {name: [] for name in self._header}
        rows = []
        for row, line in lines:
            fields = _fields(line.decode().rstrip("\r\n"))
            if fields is None:
                text = shown(line.decode().rstrip("\r\n"))
                problem = "has a quote that is not closed on its line"
                self._refusals.add(self._file, None, problem, 1, [(row, f"{text} {problem}")])
            elif len(fields) != len(self._header):
                few = "few" if len(fields) < len(self._header) else "many"
                problem = f"too {few} fields: {len(fields)}, while the header has {len(self._header)}"
                self._refusals.add(self._file, None, f"too {few} fields", 1, [(row, problem)])
            else:
                rows.append(row)
                for name, value in zip(self._header, fields, strict=True):
                    columns[name].append(value)
        text_columns = [pl.Series(name, values, dtype=pl.String) for name, values in columns.items()]
        return self._completed(pl.DataFrame([pl.Series("row", rows, dtype=pl.UInt32), *text_columns]))

    def _completed(self, frame: pl.DataFrame) -> pl.DataFrame:
        given = set(self._header)
        text = [
            pl.when(pl.col(name) != "").then(name).alias(name)
            if name in given
            else pl.lit(None, dtype=pl.String).alias(name)
            for name in KNOWN
        ]
        return frame.select("row", *text)


def _fields(line: str) -> list[str] | None:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return None


def _bounded_line(stream: BinaryIO, file: str, number: int) -> bytes:
    line = stream.readline(MAX_LINE_BYTES + 2)  # two for the line end
    if len(line) > MAX_LINE_BYTES and len(line.rstrip(b"\r\n")) > MAX_LINE_BYTES:
        raise TapeFileError(file, f"the line is longer than {MAX_LINE_BYTES:,} bytes", row=number)
    return line


def _text(block: bytes, file: str, *, first_line: int, first_byte: int) -> str:
    """The block as text. Raises TapeFileError that names line and byte (from 1) of what is no UTF-8 text."""
    at, problem = block.find(b"\0"), "a NUL byte"
    text = ""
    try:
        text = block.decode()
    except UnicodeDecodeError as e:
        if at < 0 or e.start < at:
            at, problem = e.start, f"byte 0x{block[e.start]:02x} is no UTF-8"
    if at >= 0:
        row = first_line + block.count(b"\n", 0, at)
        raise TapeFileError(file, f"{problem} at byte {first_byte + at + 1:,}: no text file", row=row)
    return text
