"""The operator's lists of addresses as CSV files: `address,label,note`. The format is in docs/lists.md."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from solders.pubkey import Pubkey

from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import AddressEntry
from walltrack.discovery.wallet_models import ListedAddress
from walltrack.services.files.refusals import printable, shown
from walltrack.services.files.writer import write_whole

COLUMNS: Final = ("address", "label", "note")
NAME: Final = "name"
"""What files of exchanges call the label."""

MOST_BYTES: Final = 32 << 20
MOST_PROBLEMS: Final = 5
"""Problems that are told of a file; all are counted."""


@dataclass(frozen=True, slots=True)
class AddressFile:
    """What a file holds, in its order, and its columns that are of no use here."""

    entries: Sequence[AddressEntry]
    ignored: Sequence[str]


def read_addresses(path: Path, *, longest: Mapping[str, int]) -> AddressFile:
    """Read a list from a CSV file. `longest` bounds the characters of `label` and of `note`.

    Raises BadInputError where any row cannot be used, naming file, row (the line as an editor counts it), field and
    bound: a list is taken whole or not at all.
    """
    lines = _Lines(path)
    header = next(lines, None)
    if header is None:
        raise BadInputError(
            f"{path}: the file is empty; its first line names the columns {','.join(COLUMNS)}"
        )
    place = _columns(path, header[1])
    entries: list[AddressEntry] = []
    problems: list[str] = []
    rows: dict[str, int] = {}
    for line, fields in lines:
        if len(fields) != len(header[1]):
            problems.append(f"row {line}: {len(fields)} fields where the header has {len(header[1])}")
            continue
        values = {name: fields[index] for name, index in place.items()}
        address = values["address"].strip()
        if not is_address(address):
            problems.append(
                f"row {line}, field address: {shown(address)} is not a base58 address of 32 bytes"
            )
        elif address in rows:
            problems.append(f"row {line}, field address: {address} stands in row {rows[address]} already")
        rows.setdefault(address, line)
        problems += [
            f"row {line}, field {name}: {len(values[name]):,} characters, at most {most:,} are kept"
            for name, most in longest.items()
            if len(values.get(name, "")) > most
        ]
        entries.append(AddressEntry(address, values.get("label") or None, values.get("note") or None))
    if problems:
        told = "; ".join(problems[:MOST_PROBLEMS])
        more = f"; and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
        raise BadInputError(f"{path}: nothing was stored: {told}{more}")
    used = set(place.values())
    ignored = [printable(name) for index, name in enumerate(header[1]) if index not in used]
    return AddressFile(entries, ignored)


def write_addresses(path: Path, listed: Iterable[ListedAddress]) -> None:
    """Write a list, ordered by address, so that `read_addresses` gives the same entries back.

    The file appears whole or not at all. Raises BadInputError where its folder does not exist, WallTrackError where
    it cannot be written.
    """
    if not path.parent.is_dir():
        raise BadInputError(f"{path}: there is no folder {path.parent}")
    write_whole(path, address_csv(listed))


def address_csv(listed: Iterable[ListedAddress]) -> bytes:
    """The file that `write_addresses` writes."""
    target = io.StringIO(newline="")
    rows = csv.writer(target, lineterminator="\r\n")  # RFC 4180; so a lone CR is quoted too
    rows.writerow(COLUMNS)
    for entry in sorted(listed, key=lambda one: one.address):
        rows.writerow((entry.address, entry.label or "", entry.note or ""))
    return target.getvalue().encode()


def is_address(text: str) -> bool:
    """Whether a text is a base58 address of 32 bytes."""
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True


class _Lines:
    """Rows of a CSV file, each with the line at which it begins. Empty lines are skipped.

    Raises BadInputError where the file is no such text.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = csv.reader(io.StringIO(_text(path), newline=""), strict=True)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> tuple[int, list[str]]:
        fields: list[str] = []
        while not fields:
            line = self._rows.line_num + 1
            try:
                fields = next(self._rows)
            except csv.Error as error:
                raise BadInputError(f"{self._path}, row {line}: {error}; nothing was stored") from error
        return line, fields


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadInputError(f"{path}: {size:,} bytes, at most {MOST_BYTES:,} are read")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from error


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Where `address`, `label` and `note` stand."""
    names = [name.strip() for name in header]
    twice = [name for name in (*COLUMNS, NAME) if names.count(name) > 1]
    if twice:
        raise BadInputError(f"{path}, row 1: the column {twice[0]} stands there twice")
    if "label" in names and NAME in names:
        raise BadInputError(f"{path}, row 1: label and {NAME} mean the same; leave one of them out")
    place = {
        ("label" if name == NAME else name): i for i, name in enumerate(names) if name in (*COLUMNS, NAME)
    }
    if "address" not in place:
        has = ", ".join(shown(name) for name in names)
        raise BadInputError(f"{path}, row 1: there is no column address; the first line names {has}")
    return place
