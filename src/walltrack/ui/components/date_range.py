"""The date range that history, cards and charts follow together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final

from nicegui import ui

from walltrack.ui.components.parts import button, mark, tag, write
from walltrack.ui.view import View

PRESETS: Final = (
    ("24 hours", timedelta(days=1)),
    ("7 days", timedelta(days=7)),
    ("30 days", timedelta(days=30)),
    ("90 days", timedelta(days=90)),
    ("All", None),
)
FIRST: Final = "30 days"


class DateRange:
    """From when on, and before when; None is open. A preset moves along with the clock."""

    def __init__(self) -> None:
        self._span: timedelta | None = dict(PRESETS)[FIRST]
        self._given: tuple[datetime | None, datetime | None] | None = None
        self._listeners: list[Callable[[], Awaitable[None]]] = []

    @property
    def start(self) -> datetime | None:
        """The first moment."""
        if self._given is not None:
            return self._given[0]
        return None if self._span is None else datetime.now(UTC) - self._span

    @property
    def end(self) -> datetime | None:
        """The moment before which it ends."""
        return None if self._given is None else self._given[1]

    def on_change(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Call this when another range is chosen."""
        self._listeners.append(listener)

    async def choose(self, span: timedelta | None) -> None:
        """Take what ran in such a time up to now; None is all."""
        self._span, self._given = span, None
        await self._tell()

    async def between(self, start: datetime | None, end: datetime | None) -> None:
        """Take what ran from one moment on and before another."""
        self._given = (start, end)
        await self._tell()

    async def _tell(self) -> None:
        await asyncio.gather(*(listener() for listener in self._listeners))


def show_date_range(view: View, chosen: DateRange) -> None:
    """Presets, and two dates of the viewer's calendar, both included."""
    with tag("div", classes="wt-filters", role="group", aria_label="Date range", data_part="date-range"):
        pressed: dict[str, ui.button] = {}

        def press(name: str | None) -> None:
            for each, made in pressed.items():
                mark(made, "aria-pressed", "true" if each == name else "false")

        async def preset(name: str, span: timedelta | None) -> None:
            press(name)
            first.value = last.value = ""
            write(problem, "")
            await chosen.choose(span)

        for name, span in PRESETS:
            pressed[name] = button(name, lambda name=name, span=span: preset(name, span), kind="quiet")
        press(FIRST)

        async def between() -> None:
            start, end = _day(first.value), _day(last.value)
            if start is None and end is None:
                return
            if start is not None and end is not None and end < start:
                write(problem, "The last day is before the first one.")
                return
            write(problem, "")
            press(None)
            begin = None if start is None else datetime.combine(start, time(), view.zone)
            until = None if end is None else datetime.combine(end + timedelta(days=1), time(), view.zone)
            await chosen.between(begin, until)

        first = _date("First day", between)
        tag("span", "to", classes="wt-soft")
        last = _date("Last day", between)
        problem = tag("span", "", classes="wt-tone-bad", role="alert")


def _date(label: str, on_change: Callable[[], Awaitable[None]]) -> ui.input:
    made = ui.input(on_change=on_change).props("outlined dense type=date hide-bottom-space")
    made.props["aria-label"] = label
    return made


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007
    except ValueError:
        return None
