"""Rows that are not taken, counted and told: the input goes on without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_EXAMPLES: Final = 5
"""Examples kept of each problem of a file. All rows are counted."""

_SHOWN_CHARS: Final = 60


def shown(value: str | None) -> str:
    """A field's content, fit for a message: quoted, at most 60 characters of it, nothing that moves a cursor."""
    if not value:
        return "an empty field"
    clipped = value[:_SHOWN_CHARS]
    return f"'{printable(clipped)}'" + ("…" if len(value) > _SHOWN_CHARS else "")


def printable(text: str) -> str:
    """The text with every character that is not printable (control, direction, surrogate) escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not taken.

    `row` is the line of a CSV file as an editor counts it (the header is line 1), and the row of a Parquet
    table counted from 1. `field` is None where the row as a whole is wrong.
    """

    file: str
    row: int
    field: str | None
    problem: str


@dataclass(slots=True)
class _Problem:
    count: int
    examples: list[RefusedRow]


class Refusals:
    """What was refused so far, by file, field and rule."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, str | None, str], _Problem] = {}

    def add(
        self, file: str, field: str | None, rule: str, count: int, examples: Iterable[tuple[int, str]]
    ) -> None:
        """Count rows that break one rule. `examples` are (row, problem), in row order; the first few are kept."""
        problem = self._problems.setdefault((file, field, rule), _Problem(0, []))
        problem.count += count
        for row, text in examples:
            if len(problem.examples) == MAX_EXAMPLES:
                break
            problem.examples.append(RefusedRow(file, row, field, text))

    def count(self, file: str | None = None) -> int:
        """Rows refused, of one file or of all."""
        return sum(p.count for (name, _, _), p in self._problems.items() if file in (None, name))

    def first(self, file: str) -> RefusedRow | None:
        """The refused row of a file that stands first in it."""
        rows = [p.examples[0] for (name, _, _), p in self._problems.items() if name == file]
        return min(rows, key=lambda refused: refused.row, default=None)

    def rows(self) -> list[RefusedRow]:
        """The examples, by file and row."""
        examples = [row for problem in self._problems.values() for row in problem.examples]
        return sorted(examples, key=lambda refused: (refused.file, refused.row))

    def warnings(self, file: str) -> list[str]:
        """One sentence for each problem of a file, in the order in which they appear in it."""
        problems = [p for (name, _, _), p in self._problems.items() if name == file]
        return [_sentence(p) for p in sorted(problems, key=lambda p: p.examples[0].row)]


def counted(count: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _sentence(problem: _Problem) -> str:
    first = problem.examples[0]
    where = f"row {first.row}" + (f", field {first.field}" if first.field else "")
    return f"{first.file}: {counted(problem.count, 'row')} refused, first: {where}: {first.problem}"
