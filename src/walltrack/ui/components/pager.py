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

    def show(self, rows: int, total: str, *, has_more: bool) -> None:
        """Say what is shown: so many rows of the total."""
        first = (self.page - 1) * self._page_size
        write(self._said, f"{first + 1:,} to {first + rows:,} of {total}" if rows else f"0 of {total}")
        self._previous.set_enabled(self.page > 1)
        self._next.set_enabled(has_more)
        self._box.set_visibility(self.page > 1 or has_more)

    async def _go(self, page: int) -> None:
        self.page = max(1, page)
        await self._turn()


class CursorPager:
    """The same over an API that gives the next page by a cursor: those of the pages up to this one are kept."""

    def __init__(self, page_size: int, turn: Callable[[], Awaitable[None]]) -> None:
        self._pager = Pager(page_size, turn)
        self._cursors: list[str | None] = [None]

    @property
    def cursor(self) -> str | None:
        """What to ask the API with for the page that is wanted."""
        return self._cursors[self._pager.page - 1]

    def first(self) -> None:
        """Go back to the first page."""
        self._pager.page, self._cursors = 1, [None]

    def show(self, rows: int, total: int, next_cursor: str | None, *, is_at_least: bool = False) -> None:
        """Say what is shown, and keep how to go on."""
        if next_cursor is not None and len(self._cursors) == self._pager.page:
            self._cursors.append(next_cursor)
        said = f"{total:,}{' or more' if is_at_least else ''}"
        self._pager.show(rows, said, has_more=next_cursor is not None)
