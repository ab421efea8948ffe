"""Rows of providers' lists, read one by one: a bad one is counted and left out, the others stay."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from walltrack.discovery.pumps import Listing
from walltrack.services.faults import ProviderFault

T = TypeVar("T", bound=msgspec.Struct)
V = TypeVar("V")

LONGEST_SYMBOL: Final = 32
_LARGEST_USD: Final = 1e13
_LARGEST_CHANGE_PCT: Final = 1e15
_LARGEST_COUNT: Final = 10**12
_FIRST_YEAR, _LAST_YEAR = 2020, 2100  # Solana's first block is of March 2020
_ADDRESS: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")


class BadRowError(ValueError):
    """A row that cannot be true, or is about nothing we know."""


@dataclass(slots=True)
class Found:
    """What one provider answered: listings, rows that were refused, calls that failed and how many did not."""

    listings: list[Listing] = field(default_factory=list)
    refused_rows: int = 0
    faults: list[ProviderFault] = field(default_factory=list)
    answers: int = 0

    def add(self, other: Found) -> None:
        """Take over what another call found."""
        self.listings += other.listings
        self.refused_rows += other.refused_rows
        self.faults += other.faults
        self.answers += other.answers


def read_rows(
    rows: Iterable[msgspec.Raw], row_type: type[T], read: Callable[[T], V | None]
) -> tuple[list[V], int]:
    """What `read` makes of each row that decodes, and how many were refused: undecodable, or `read` raised BadRowError.

    Rows of which it makes None are none of ours, and left out without being refused.
    """
    decoder = msgspec.json.Decoder(row_type, strict=True)
    found, refused = [], 0
    for row in rows:
        try:
            value = read(decoder.decode(row))
        except (BadRowError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            refused += 1
        else:
            if value is not None:
                found.append(value)
    return found, refused


def address(text: str | None) -> str:
    """A base58 address. Raises BadRowError for anything else."""
    if text is None or _ADDRESS.fullmatch(text) is None:
        raise BadRowError("no address")
    return text


def symbol(text: str | None) -> str:
    """A name short enough to show, without control characters: names of 34,000 characters were seen."""
    shown = "".join(c if c.isprintable() else " " for c in (text or "")[: 4 * LONGEST_SYMBOL])
    return " ".join(shown.split())[:LONGEST_SYMBOL]


def number(value: float | str | None) -> float | None:
    """A number that may come as text; None where there is none, NaN included."""
    if value is None or isinstance(value, float | int):
        result = value
    else:
        try:
            result = float(value)
        except ValueError:
            result = None
    return None if result is None or math.isnan(result) else float(result)


def usd(value: float | str | None) -> float | None:
    """An amount of US dollars. Raises BadRowError for a negative or impossible one."""
    amount = number(value)
    if amount is not None and not 0 <= amount <= _LARGEST_USD:
        raise BadRowError("an impossible amount")
    return amount


def change(value: float | str | None) -> float | None:
    """A change in percent. Raises BadRowError for one below -100 or of impossible size."""
    percent = number(value)
    if percent is not None and not -100 <= percent <= _LARGEST_CHANGE_PCT:
        raise BadRowError("an impossible change")
    return percent


def count(value: int | None) -> int | None:
    """A number of trades or traders. Raises BadRowError for a negative or impossible one."""
    if value is not None and not 0 <= value <= _LARGEST_COUNT:
        raise BadRowError("an impossible count")
    return value


def changes(windows: Sequence[tuple[float, float | str | None]]) -> dict[float, float]:
    """Changes in percent by hours, those that are known."""
    return {hours: known for hours, value in windows if (known := change(value)) is not None}


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 time; None where there is none, or none with a zone of our century."""
    if text is None or len(text) > 64:
        return None
    try:
        return _plausible(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def moment_of_milliseconds(value: float | None) -> datetime | None:
    """A time in milliseconds since 1970; None where there is none of our century."""
    if value is None:
        return None
    try:
        return _plausible(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _plausible(time: datetime) -> datetime | None:
    if time.tzinfo is None or not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        return None
    return time.astimezone(UTC)
