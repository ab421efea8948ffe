"""What a run found as CSV: the columns of the command line's exports, a page at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from walltrack.contract import LARGEST_PAGE
from walltrack.discovery.models import FindingPage, QualifiedWallet, StandingFinding

CSV: Final = "text/csv"

_FIGURES: Final = tuple(
    name
    for name in QualifiedWallet.__dataclass_fields__
    if name not in ("evidence", "wallet_address", "source_token")
)
COLUMNS: Final = (
    "wallet_address",
    "source_token",
    "is_new",
    *_FIGURES,
    "initial_score",
    "score",
    "status",
    "status_reason",
)
"""As `walltrack runs show ID --export` has them; lists are joined by spaces."""


def prefers_csv(accept: str | None) -> bool:
    """Whether an Accept header asks for CSV rather than JSON: names it, and JSON not before."""
    kinds = [part.split(";")[0].strip().lower() for part in (accept or "").split(",")]
    return CSV in kinds and "application/json" not in kinds[: kinds.index(CSV)]


async def csv_of(page: Callable[[int, str | None], Awaitable[FindingPage]]) -> AsyncIterator[str]:
    """All pages as CSV with a line of names, from what gives the page of a size after a cursor."""
    yield _lines([COLUMNS])
    cursor: str | None = None
    while True:
        found = await page(LARGEST_PAGE, cursor)
        if found.findings:
            yield _lines([[_text(value) for value in _row(one)] for one in found.findings])
        cursor = found.next_cursor
        if cursor is None:
            return


def _row(one: StandingFinding) -> list[Any]:
    finding, standing = one.finding, one.standing
    figures = {} if finding.found is None else asdict(finding.found)
    values = figures | {
        "wallet_address": finding.wallet_address,
        "source_token": finding.source_token,
        "is_new": finding.is_new,
        "initial_score": finding.initial_score,
        "score": standing.score,
        "status": standing.status,
        "status_reason": standing.reason,
    }
    return [values.get(name) for name in COLUMNS]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    text = str(value)
    # A spreadsheet would take a note that begins so for a formula.
    return f"'{text}" if text[:1] in "=@\t\r" else text


def _lines(rows: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()
