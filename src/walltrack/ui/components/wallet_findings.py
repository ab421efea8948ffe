"""On which tokens, and by which runs, a wallet was found, with what proves it."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, Final

from walltrack.client import FindingPage
from walltrack.ui.components import formatting
from walltrack.ui.components.finding_row import finding_row
from walltrack.ui.components.pager import CursorPager
from walltrack.ui.components.parts import card, tag, write
from walltrack.ui.components.tables import AskedTable, Column
from walltrack.ui.view import View

PAGE_SIZE: Final = 20

_COLUMNS: Final = (
    Column("token", "Token", "token"),
    Column("first_buy", "First buy", "time"),
    Column("profit", "Realized", "number"),
    Column("usd", "USD", "number", wide=True, title="The same at today's price of SOL"),
    Column("pct", "Profit", "number", title="Of the cost of what it sold"),
    Column("cost", "Paid", "number", wide=True),
    Column("rank", "Entry", "number", wide=True, title="Its place among the token's buyers"),
    Column("after", "After launch", "number", wide=True),
    Column("trades", "Buys / sells", "number", wide=True),
    Column("flags", "Flags", "chips", wide=True),
    Column("proof", "Trades", "signatures", wide=True),
    Column("run", "Found by", "run_of", wide=True),
)


class WalletFindings:
    """The card of a wallet's positions on the tokens on which runs found it."""

    @staticmethod
    def page(view: View, address: str, cursor: str | None = None) -> Coroutine[Any, Any, FindingPage]:
        """A page of the API, the first one without a cursor."""
        return view.client.wallet_findings(address, page_size=PAGE_SIZE, cursor=cursor)

    def __init__(self, view: View, address: str) -> None:
        self._view = view
        self._address = address
        with card("Where it was found", name="findings") as (_, tools):
            with tools:
                self._count = tag("span", "", classes="wt-soft")
            self._table = AskedTable(_COLUMNS, label="Where it was found", nothing="No findings are kept.")
            self._pager = CursorPager(PAGE_SIZE, self.load)

    async def load(self) -> None:
        """Ask for the page that is wanted."""
        await self.show(self.page(self._view, self._address, self._pager.cursor))

    async def show(self, page: Awaitable[FindingPage]) -> None:
        """Show a page once it is there, unless another one was asked for meanwhile."""
        answer = await self._table.answer(self._view.session.priced(page))
        if answer is None:
            return
        found, sol_usd = answer
        write(self._count, formatting.plural(found.total, "finding"))
        self._table.show(
            finding_row(one, sol_usd)
            | {
                "run": formatting.short(str(one.finding.run_id)),
                "first_buy": formatting.moment(
                    None if one.finding.found is None else one.finding.found.first_buy_at
                ),
            }
            for one in found.findings
        )
        self._pager.show(len(found.findings), found.total, found.next_cursor)
