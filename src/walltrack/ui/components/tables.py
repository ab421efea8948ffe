"""Dense tables: how each kind of column is shown, sorted in the browser or asked of the API page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from nicegui import ui

from walltrack.client import WallTrackError
from walltrack.ui.asking import LastAsked
from walltrack.ui.components.parts import explain, tag, write

Row = dict[str, Any]
T = TypeVar("T")

Kind = Literal["text", "number", "time", "run", "run_of", "wallet", "token", "signatures", "chip", "chips"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `kind` is how its cells are shown; `wide`: only where there is room, not on a phone.

    A number is sorted by `row[name]`, what is unknown last, and shown as `row[name + "_text"]`.
    """

    name: str
    label: str
    kind: Kind = "text"
    sortable: bool = False
    wide: bool = False
    title: str | None = None

    def as_quasar(self) -> Row:
        """What the table element is given."""
        classes = " ".join(
            one
            for one in (
                "wt-number" if self.kind == "number" else "",
                "wt-wide" if self.wide else "",
                f"wt-col-{self.kind}",
            )
            if one
        )
        return {
            "name": self.name,
            "label": self.label,
            "kind": self.kind,
            "title": self.title,
            "align": "right" if self.kind == "number" else "left",
            "sortable": self.sortable,
            "classes": classes,
            "headerClasses": classes,
        }


class _DenseTable(ui.table, component="dense_table.js"):
    """A table that the browser sorts and pages by itself."""

    def on(self, type: str, *arguments: Any, **options: Any) -> Self:
        """Hear of an event; not of each page and order, which would send the table to the browser again."""
        return self if type == "update:pagination" else super().on(type, *arguments, **options)


def table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    label: str,
    key: str = "id",
    page_size: int = 0,
    sort: str | None = None,
    descending: bool = True,
    nothing: str = "Nothing here.",
) -> ui.table:
    """A table, sorted and paged in the browser where it has a `page_size`."""
    pagination: Row = {"rowsPerPage": page_size, "page": 1, "sortBy": sort, "descending": descending}
    made = _DenseTable(
        columns=[column.as_quasar() for column in columns],
        rows=list(rows),
        row_key=key,
        pagination=pagination,
    )
    made.props("dense flat binary-state-sort")
    made.props["aria-label"] = label
    made.props["no-data-label"] = nothing
    made.props["rows-per-page-options"] = [page_size] if page_size else [0]
    made.classes("wt-table")
    if page_size == 0 or len(rows) <= page_size:
        made.props["hide-pagination"] = True
    return made


class AskedTable:
    """A table whose rows are asked of the API. It says that there is nothing only where the API said so."""

    def __init__(self, columns: Sequence[Column], *, label: str, nothing: str) -> None:
        self._problem = tag("div", "", classes="wt-tone-bad", role="alert")
        self._nothing = nothing
        self.table = table(columns, [], label=label, nothing="Loading…")
        self._last = LastAsked(self.table)

    async def answer(self, asked: Awaitable[T]) -> T | None:
        """The answer to a question about rows; None where it is not to be shown, or could not be had, which is said.

        Rows of before stay then.
        """
        answer = await self._last.answer(asked)
        if isinstance(answer, WallTrackError):
            write(self._problem, explain(answer))
            self.table.props["no-data-label"] = "Not read."
            return None
        return answer

    def show(self, rows: Iterable[Row]) -> None:
        """These are the rows."""
        write(self._problem, "")
        self.table.props["no-data-label"] = self._nothing
        self.table.rows = list(rows)
