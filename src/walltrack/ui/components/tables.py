"""Dense tables: how each kind of column is shown, sorted in the browser or asked of the API page by page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nicegui import ui

from walltrack.client import WallTrackError
from walltrack.ui.components.parts import explain, tag, write

Row = dict[str, Any]

_CELLS: Final = {
    "number": "<span :class=\"props.row.{name}_tone ? 'wt-tone-' + props.row.{name}_tone : ''\">"
    "{{{{ props.row.{name}_text }}}}</span>",
    "time": '<wt-time :datetime="props.value"></wt-time>',
    "ago": '<wt-time :datetime="props.value" mode="ago"></wt-time>',
    "run": '<a class="wt-link" :href="\'/runs/\' + props.row.id">'
    '<wt-time :datetime="props.value"></wt-time></a>',
    "run_of": '<a class="wt-link" :href="\'/runs/\' + props.row.run_id">{{{{ props.value }}}}</a>',
    "wallet": '<wt-address :value="props.value" :href="\'/wallets/\' + props.value"></wt-address>',
    "token": '<wt-address kind="token" :value="props.value" :label="props.row.{name}_label"></wt-address>',
    "signatures": '<wt-address v-for="one in props.row.{name}" :key="one" kind="tx" :value="one"></wt-address>',
    "chip": '<span v-if="props.value" class="wt-chip" :data-tone="props.row.{name}_tone" '
    ':title="props.row.{name}_title">{{{{ props.row.{name}_text || props.value }}}}</span>',
    "chips": '<span v-for="one in props.row.{name}" :key="one.text" class="wt-chip" :data-tone="one.tone" '
    ':title="one.title">{{{{ one.text }}}}</span>',
    "text": '<span :title="props.row.{name}_title">{{{{ props.value }}}}</span>',
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `kind` is a key of how cells are shown; `wide`: only where there is room, not on a phone.

    A number is sorted by `row[name]` and shown as `row[name + "_text"]`.
    """

    name: str
    label: str
    kind: str = "text"
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
            "field": self.name,
            "align": "right" if self.kind == "number" else "left",
            "sortable": self.sortable,
            "classes": classes,
            "headerClasses": classes,
            # What is not known comes last when the largest is first.
            ":sort": "(a, b) => (a ?? -Infinity) < (b ?? -Infinity) ? -1 : (a ?? -Infinity) > (b ?? -Infinity) ? 1 : 0",
        }


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
    made = ui.table(
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
    for column in columns:
        cell = _CELLS[column.kind].format(name=column.name)
        made.add_slot(f"body-cell-{column.name}", f'<q-td :props="props">{cell}</q-td>')
        if column.title is not None:
            made.add_slot(
                f"header-cell-{column.name}",
                f'<q-th :props="props"><span title="{column.title}">{{{{ props.col.label }}}}</span></q-th>',
            )
    if page_size == 0 or len(rows) <= page_size:
        made.props["hide-pagination"] = True
    return made


class AskedTable:
    """A table whose rows are asked of the API. It says that there is nothing only where the API said so."""

    def __init__(self, columns: Sequence[Column], *, label: str, nothing: str) -> None:
        self._problem = tag("div", "", classes="wt-tone-bad", role="alert")
        self._nothing = nothing
        self._asked = 0
        self.table = table(columns, [], label=label, nothing="Loading…")

    def ask(self) -> int:
        """The number of a question that is now put to the API: only the last one's answer is shown."""
        self._asked += 1
        return self._asked

    def awaits(self, asked: int) -> bool:
        """Whether the answer to this question is still wanted: no other was put, and the page was not left."""
        return asked == self._asked and not self.table.is_deleted

    def show(self, rows: Iterable[Row]) -> None:
        """These are the rows."""
        write(self._problem, "")
        self.table.props["no-data-label"] = self._nothing
        self.table.rows = list(rows)

    def refuse(self, asked: int, error: WallTrackError) -> None:
        """The rows could not be had. Those of before stay."""
        if not self.awaits(asked):
            return
        write(self._problem, explain(error))
        self.table.props["no-data-label"] = "Not read."
