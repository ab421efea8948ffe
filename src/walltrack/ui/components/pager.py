"""Turning the pages of a table that the API pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from walltrack.ui.components.parts import button, tag, write


class Pager:
    """Which page is shown, and buttons to the others. `turn` is called when another one is wanted."""

    def __init__(self, page_size: int, turn: Callable[[], Awaitable[None]]) -> None:
        self.page = 1
        self._page_size = page_size
        self._turn = turn
        with tag("div", classes="wt-pager", role="group", aria_label="Pages") as self._box:
            self._said = tag("span", "", classes="wt-soft wt-number", aria_live="polite")
            self._previous = button("", lambda: self._go(self.page - 1), kind="quiet", icon="chevron_left")
            self._previous.props["aria-label"] = "Previous page"
            self._next = button("", lambda: self._go(self.page + 1), kind="quiet", icon="chevron_right")
            self._next.props["aria-label"] = "Next page"

    def show(self, rows: int, total: int, *, has_more: bool) -> None:
        """Say what is shown: so many rows of the total."""
        first = (self.page - 1) * self._page_size
        write(self._said, f"{first + 1:,} to {first + rows:,} of {total:,}" if rows else f"0 of {total:,}")
        self._previous.set_enabled(self.page > 1)
        self._next.set_enabled(has_more)
        self._box.set_visibility(self.page > 1 or has_more)

    async def _go(self, page: int) -> None:
        self.page = max(1, page)
        await self._turn()
