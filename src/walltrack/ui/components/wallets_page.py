"""The Wallets tab: all wallets that runs found, the best first."""

from __future__ import annotations

from collections.abc import Awaitable
from decimal import Decimal
from typing import Final

from nicegui import ui

from walltrack.client import (
    WalletFilters,
    WalletOrder,
    WalletPage,
    WalletRecord,
    WalletStatus,
)
from walltrack.ui.asking import arrived, ask
from walltrack.ui.components import formatting
from walltrack.ui.components.pager import CursorPager
from walltrack.ui.components.parts import TONES, button, card, tag, without_flags, write
from walltrack.ui.components.tables import AskedTable, Column, Row
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View, on_row_click

PAGE_SIZE: Final = 25
DEFAULT: Final = "default"

_COLUMNS: Final = (
    Column("address", "Wallet", "wallet"),
    Column(
        "score", "Score", "number", title="0 to 1: how surely it wins, what it returns, how lately it traded"
    ),
    Column("status", "Status", "chip"),
    Column("flags", "Flags", "chips", wide=True),
    Column("closed", "Closed", "number", wide=True, title="Positions that were closed, over the lookback"),
    Column("best", "Best", "number", wide=True, title="The best realized profit on a token, percent of cost"),
    Column("profit", "Realized", "number", title="Realized on the tokens on which runs found it, SOL"),
    Column("usd", "USD", "number", wide=True, title="The same at today's price of SOL"),
    Column("sources", "Tokens", "number", wide=True, title="Tokens on which runs found it"),
    Column("active", "Last active", "time", wide=True),
    Column("first_seen", "First found", "time", wide=True),
)
_STATUSES: Final = {DEFAULT: "All but excluded"} | {
    one.value: one.value.replace("_", " ").capitalize() for one in WalletStatus
}
_ACTIVE: Final = {0: "Active any time", 1: "Active today", 7: "Within 7 days", 30: "Within 30 days"}


async def wallets_page(view: View) -> None:
    """The whole tab."""
    first = ask(view.client.wallets(WalletFilters(order=WalletOrder.SCORE), page_size=PAGE_SIZE))
    await arrived(first)
    tag("h1", "Wallets", classes="wt-unseen")
    await _WalletList(view).show(first)


class _WalletList:
    """The card of wallets."""

    def __init__(self, view: View) -> None:
        self._view = view
        with card("Wallets", name="wallets") as (body, tools):
            with tools:
                self._count = tag("span", "", classes="wt-soft", data_figure="wallet-count")
            self._show_filters()
            self._table = AskedTable(
                _COLUMNS,
                label="Wallets",
                nothing="No wallets by these filters. A run finds some: Discovery, Run now.",
            )
            self._pager = CursorPager(PAGE_SIZE, self.load)
        on_row_click(self._table.table, "/wallets/")
        view.pulse.watch(body, self._see)

    def _show_filters(self) -> None:
        with tag("div", classes="wt-filters", role="group", aria_label="Filters"):
            self._search = ui.input(placeholder="Address begins with", on_change=self._again)
            self._search.props("outlined dense clearable debounce=250 hide-bottom-space").classes("wt-filter")
            self._search.props["aria-label"] = "Address begins with"
            self._order = _select(
                {WalletOrder.SCORE.value: "Best score first", WalletOrder.FIRST_SEEN.value: "Newest first"},
                WalletOrder.SCORE.value,
                "Order",
                self._again,
            )
            self._status = _select(_STATUSES, DEFAULT, "Status", self._again)
            self._active = _select(_ACTIVE, 0, "Last active", self._again)
            self._score = ui.number(placeholder="Least score", min=0, max=1, step=0.05, on_change=self._again)
            self._score.props("outlined dense clearable debounce=250 hide-bottom-space").classes("wt-filter")
            self._score.props["aria-label"] = "Least score"
            self._without = without_flags(self._again)
            self._watched = ui.switch("Watched", value=False, on_change=self._again).props("dense")
            button("Clear", self._clear, kind="quiet")

    def _filters(self) -> WalletFilters:
        status = self._status.value
        least = self._score.value
        return WalletFilters(
            min_score=None if least is None else Decimal(str(least)),
            without_flags=tuple(self._without.value or ()),
            active_within_days=self._active.value or None,
            statuses=() if status == DEFAULT else (WalletStatus(status),),
            watched=bool(self._watched.value),
            address_prefix=(self._search.value or "").strip() or None,
            order=WalletOrder(self._order.value),
        )

    async def load(self) -> None:
        """Ask for the page that is wanted."""
        await self.show(
            self._view.client.wallets(self._filters(), page_size=PAGE_SIZE, cursor=self._pager.cursor)
        )

    async def show(self, page: Awaitable[WalletPage]) -> None:
        """Show a page once it is there, unless another one was asked for meanwhile."""
        answer = await self._table.answer(self._view.session.priced(page))
        if answer is None:
            return
        found, sol_usd = answer
        more = " or more" if found.total_is_at_least else ""
        write(self._count, formatting.plural(found.total, "wallet") + more)
        self._table.show([_row(wallet, sol_usd) for wallet in found.wallets])
        self._pager.show(
            len(found.wallets), found.total, found.next_cursor, is_at_least=found.total_is_at_least
        )

    async def _again(self) -> None:
        self._pager.first()
        await self.load()

    async def _clear(self) -> None:
        self._search.value, self._score.value = "", None
        self._order.value, self._status.value, self._active.value = WalletOrder.SCORE.value, DEFAULT, 0
        self._without.value, self._watched.value = [], False
        await self._again()

    async def _see(self, beat: Beat, before: Beat) -> None:
        if (beat.is_up and before.is_up is False) or beat.ended_key != before.ended_key:
            await self.load()


def _select(
    options: dict[str, str] | dict[int, str], value: str | int, label: str, on_change: object
) -> ui.select:
    made = ui.select(dict(options), value=value, on_change=on_change)  # type: ignore[arg-type]
    made.props("outlined dense options-dense").classes("wt-filter")
    made.props["aria-label"] = label
    return made


def _row(wallet: WalletRecord, sol_usd: Decimal | None) -> Row:
    status = wallet.status
    return {
        "id": wallet.address,
        "address": wallet.address,
        "score_text": formatting.score(wallet.score),
        "status": "not profiled" if status is None else status.value,
        "status_text": "not profiled" if status is None else status.value.replace("_", " "),
        "status_tone": "dull" if status is None else TONES[status],
        "status_title": wallet.status_reason,
        "flags": [{"text": flag.replace("_", " "), "tone": "warn"} for flag in wallet.flags],
        "closed_text": formatting.count(wallet.closed_positions),
        "best_text": formatting.percent(wallet.best_realized_pct),
        "profit_text": formatting.signed_sol(wallet.total_realized_pnl_sol),
        "profit_tone": _tone(wallet.total_realized_pnl_sol),
        "usd_text": formatting.in_usd(wallet.total_realized_pnl_sol, sol_usd),
        "sources_text": formatting.count(wallet.sources),
        "active": formatting.moment(wallet.last_active_at),
        "first_seen": formatting.moment(wallet.first_seen_at),
    }


def _tone(value: Decimal | None) -> str | None:
    return None if not value else "good" if value > 0 else "bad"
