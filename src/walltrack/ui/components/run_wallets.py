"""The wallets that a run found: sorted and filtered by the API, a page at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from nicegui import ui
from nicegui.events import GenericEventArguments

from walltrack.client import (
    DiscoveryRun,
    FindingOrder,
    FindingPage,
    StandingFinding,
    WalletFilters,
    WalletStatus,
)
from walltrack.ui.components import formatting
from walltrack.ui.components.finding_row import finding_row, show_finding
from walltrack.ui.components.pager import CursorPager
from walltrack.ui.components.parts import card, tag, without_flags, write
from walltrack.ui.components.tables import AskedTable, Column
from walltrack.ui.view import View

PAGE_SIZE: Final = 25
ALL: Final = "all"

_COLUMNS: Final = (
    Column("wallet", "Wallet", "wallet"),
    Column("token", "Token", "token", wide=True),
    Column("profit", "Realized", "number"),
    Column("usd", "USD", "number", wide=True, title="The same at today's price of SOL"),
    Column("pct", "Profit", "number", title="Of the cost of what it sold"),
    Column("rank", "Entry", "number", wide=True, title="Its place among the token's buyers"),
    Column("after", "After launch", "number", wide=True),
    Column("trades", "Buys / sells", "number", wide=True),
    Column("score", "Score", "number", title="Today's, 0 to 1"),
    Column("status", "Status", "chip", wide=True),
    Column("flags", "Marks", "chips", wide=True),
)
_ORDERS: Final = {
    (FindingOrder.REALIZED_PNL_SOL, False): "Largest profit first",
    (FindingOrder.REALIZED_PCT, False): "Highest profit % first",
    (FindingOrder.SCORE, False): "Best score first",
    (FindingOrder.ENTRY_RANK, True): "First to enter first",
    (FindingOrder.FIRST_BUY_AT, True): "Earliest buy first",
    (FindingOrder.REALIZED_PNL_SOL, True): "Smallest profit first",
}
_STATUSES: Final = {ALL: "Any status"} | {
    one.value: one.value.replace("_", " ").capitalize() for one in WalletStatus
}


class RunWallets:
    """The card of a run's wallets."""

    @staticmethod
    def first_page(view: View, run_id: UUID) -> Coroutine[Any, Any, FindingPage]:
        """What it shows at first, of the API."""
        return view.client.run_wallets(run_id, page_size=PAGE_SIZE)

    def __init__(self, view: View, run: DiscoveryRun) -> None:
        self._view = view
        self._run = run
        self._found: dict[str, StandingFinding] = {}
        with card("Wallets", name="run-wallets") as (self._body, tools):
            with tools:
                self._count = tag("span", "", classes="wt-soft", data_figure="finding-count")
                tag(
                    "a",
                    "Export CSV",
                    classes="wt-button-link",
                    href=f"/export/runs/{run.id}.csv",
                    download=f"walltrack-run-{run.id}.csv",
                )
            self._show_filters()
            self._table = AskedTable(
                _COLUMNS, label="Wallets of the run", nothing="No wallets by these filters."
            )
            self._pager = CursorPager(PAGE_SIZE, self.load)
        self._table.table.classes("wt-table--open")
        self._table.table.on(
            "rowClick",
            self._open,
            js_handler="(event, row) => { if (!event.target.closest('a, button')) emit(row.id); }",
        )

    def _show_filters(self) -> None:
        with tag("div", classes="wt-filters", role="group", aria_label="Filters"):
            names = [f"{order.value} {ascending}" for order, ascending in _ORDERS]
            self._order = self._select(dict(zip(names, _ORDERS.values(), strict=True)), names[0], "Order")
            self._status = self._select(_STATUSES, ALL, "Status of wallets")
            self._score = ui.number(placeholder="Least score", step=0.05, on_change=self._again)
            self._score.props("outlined dense clearable debounce=250 hide-bottom-space").classes("wt-filter")
            self._score.props["aria-label"] = "Least score"
            self._without = without_flags(self._again)

    def _select(self, options: dict[str, str], value: str, label: str) -> ui.select:
        made = ui.select(options, value=value, on_change=self._again)
        made.props("outlined dense options-dense").classes("wt-filter")
        made.props["aria-label"] = label
        return made

    def _filters(self) -> WalletFilters | None:
        status, least = self._status.value, self._score.value
        without = tuple(self._without.value or ())
        if status == ALL and least is None and not without:
            return None
        if status != ALL:
            statuses: tuple[WalletStatus, ...] = (WalletStatus(status),)
        else:
            # What has a score has a status: without one named, excluded wallets would be left out.
            statuses = () if least is None else tuple(WalletStatus)
        return WalletFilters(
            min_score=None if least is None else Decimal(str(least)),
            without_flags=without,
            statuses=statuses,
        )

    async def load(self) -> None:
        """Ask for the page that is wanted."""
        order, ascending = self._order.value.rsplit(" ", 1)
        await self.show(
            self._view.client.run_wallets(
                self._run.id,
                self._filters(),
                sort=FindingOrder(order),
                ascending=ascending == "True",
                page_size=PAGE_SIZE,
                cursor=self._pager.cursor,
            )
        )

    async def show(self, page: Awaitable[FindingPage]) -> None:
        """Show a page once it is there, unless another one was asked for meanwhile."""
        answer = await self._table.answer(self._view.session.priced(page))
        if answer is None:
            return
        found, sol_usd = answer
        write(self._count, formatting.plural(found.total, "finding"))
        self._found = {str(one.finding.id): one for one in found.findings}
        self._table.show([finding_row(one, sol_usd) for one in found.findings])
        self._pager.show(len(found.findings), found.total, found.next_cursor)

    async def _again(self) -> None:
        self._pager.first()
        await self.load()

    async def _open(self, event: GenericEventArguments) -> None:
        one = self._found.get(event.args)
        if one is not None:
            await show_finding(self._view, self._body, one)
