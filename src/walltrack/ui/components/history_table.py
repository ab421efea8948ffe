"""The history of runs: a page at a time from the API, by date range and status."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, Final

from nicegui import ui

from walltrack.client import DiscoveryRun, RunsPage, RunStatus, TriggerType
from walltrack.ui.components import formatting
from walltrack.ui.components.date_range import DateRange
from walltrack.ui.components.pager import Pager
from walltrack.ui.components.parts import TONES, button, card, mark, tag, write
from walltrack.ui.components.tables import AskedTable, Column, Row
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View, on_row_click

PAGE_SIZE: Final = 20
DEEPEST_ROW: Final = 10_000
"""The API numbers pages down to this row."""

_COLUMNS: Final = (
    Column("started_at", "Started", "run"),
    Column("status", "Status", "chip"),
    Column("trigger", "Trigger", "text", wide=True),
    Column("tokens", "Tokens", "number"),
    Column("new", "New", "number", title="Wallets that no run had found before"),
    Column("updated", "Updated", "number", wide=True, title="Wallets that were found again"),
    Column("duration", "Duration", "number", wide=True),
    Column("credits", "Credits", "number", wide=True, title="Provider credits the run used"),
)


class HistoryTable:
    """The card of past runs."""

    @staticmethod
    def first_page(view: View, chosen: DateRange) -> Coroutine[Any, Any, RunsPage]:
        """What it shows at first, of the API."""
        return view.client.runs(start_date=chosen.start, end_date=chosen.end, page=1, page_size=PAGE_SIZE)

    def __init__(self, view: View, chosen: DateRange) -> None:
        self._view = view
        self._range = chosen
        self._status: RunStatus | None = None
        self._trigger: TriggerType | None = None
        self._filters: dict[RunStatus | None, ui.button] = {}
        with card("History", name="history") as (body, tools):
            with tools:
                self._show_filters()
            self._table = AskedTable(_COLUMNS, label="Runs", nothing="No runs in this date range.")
            self._pager = Pager(PAGE_SIZE, self.load)
            self._note = tag("p", "", classes="wt-hint")
        on_row_click(self._table.table, "/runs/")
        chosen.on_change(self._first_page)
        view.pulse.watch(body, self._see)

    async def load(self) -> None:
        """Ask for the page that is wanted."""
        await self.show(
            self._view.client.runs(
                start_date=self._range.start,
                end_date=self._range.end,
                status=[] if self._status is None else [self._status],
                trigger=[] if self._trigger is None else [self._trigger],
                page=self._pager.page,
                page_size=PAGE_SIZE,
            )
        )

    async def show(self, page: Awaitable[RunsPage]) -> None:
        """Show a page once it is there, unless another one was asked for meanwhile."""
        found = await self._table.answer(page)
        if found is None:
            return
        is_reachable = (self._pager.page + 1) * PAGE_SIZE <= DEEPEST_ROW
        self._table.show([_row(run) for run in found.runs])
        self._pager.show(len(found.runs), f"{found.total:,}", has_more=found.has_more and is_reachable)
        is_cut = found.total > DEEPEST_ROW
        write(
            self._note,
            f"{found.total:,} runs; the newest {DEEPEST_ROW:,} are listed: a shorter date range shows the others."
            if is_cut
            else "",
        )
        self._note.set_visibility(is_cut)

    def _show_filters(self) -> None:
        with tag("div", classes="wt-filters", role="group", aria_label="Status"):
            for status in (None, *RunStatus):
                name = "All" if status is None else status.value.capitalize()
                made = button(name, lambda status=status: self._choose(status), kind="quiet")
                made.props["aria-pressed"] = "true" if status is None else "false"
                self._filters[status] = made
            trigger = ui.select(
                {"": "Any trigger"} | {one.value: one.value.capitalize() for one in TriggerType},
                value="",
                on_change=lambda event: self._choose_trigger(event.value),
            )
            trigger.props("outlined dense options-dense aria-label=Trigger").classes("wt-filter")

    async def _choose(self, status: RunStatus | None) -> None:
        self._status = status
        for each, made in self._filters.items():
            mark(made, "aria-pressed", "true" if each is status else "false")
        await self._first_page()

    async def _choose_trigger(self, value: str) -> None:
        self._trigger = TriggerType(value) if value else None
        await self._first_page()

    async def _first_page(self) -> None:
        self._pager.page = 1
        await self.load()

    async def _see(self, beat: Beat, before: Beat) -> None:
        is_back = beat.is_up and before.is_up is False
        if is_back or beat.ended_key != before.ended_key:
            await self.load()


def _row(run: DiscoveryRun) -> Row:
    credits_used = None if run.used is None else run.used.credits
    by = f" by {run.triggered_by}" if run.triggered_by else ""
    is_running = run.status is RunStatus.RUNNING
    return {
        "id": str(run.id),
        "started_at": run.started_at.isoformat(),
        "status": run.status.value,
        "status_tone": TONES[run.status],
        "status_title": "; ".join(run.errors[:3]) or None,
        "trigger": run.trigger_type.value + by,
        "tokens_text": formatting.count(run.tokens_analyzed),
        "new_text": formatting.count(run.new_wallets),
        "updated_text": formatting.count(run.updated_wallets),
        "duration_text": formatting.NOTHING if is_running else formatting.duration(run.duration_seconds),
        "credits_text": formatting.count(credits_used),
    }
