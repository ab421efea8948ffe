"""Small parts that every view is made of: cards, chips, buttons, times, addresses, and what stands where nothing is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Literal

from nicegui import ui
from nicegui.element import Element

from walltrack.client import ApiProblemError, Flag, RunStatus, TokenStatus, WalletStatus, WallTrackError
from walltrack.ui.components import formatting

TONES: Final[Mapping[str, str]] = {
    RunStatus.RUNNING: "info",
    RunStatus.COMPLETED: "good",
    RunStatus.FAILED: "bad",
    RunStatus.CANCELLED: "dull",
    TokenStatus.PENDING: "dull",
    TokenStatus.DONE: "good",
    TokenStatus.UNMEASURABLE: "warn",
    WalletStatus.ACTIVE: "good",
    WalletStatus.DORMANT: "warn",
    WalletStatus.INSUFFICIENT_DATA: "dull",
    WalletStatus.EXCLUDED: "bad",
}
"""The colour of each state."""


def tag(name: str, text: str | None = None, *, classes: str = "", **attributes: Any) -> Element:
    """A plain element of HTML, with its text and attributes."""
    element = ui.element(name)
    if classes:
        element.classes(classes)
    for key, value in attributes.items():
        element.props[key.rstrip("_").replace("_", "-")] = value
    if text is not None:
        write(element, text)
    return element


def mark(element: Element, attribute: str, value: str | int) -> None:
    """Give an attribute of an element another value: one that stays as it is needs no word to the browser."""
    if element.props.get(attribute) != value:
        element.props[attribute] = value


def write(element: Element, text: str) -> None:
    """Replace the text of a plain element."""
    if element._text != text:
        element._text = text
        element.update()


@contextmanager
def card(title: str, *, classes: str = "", name: str | None = None) -> Iterator[tuple[Element, Element]]:
    """A titled part of a page. Gives its body, to be filled within the block, and the place for tools by its title."""
    with tag("section", classes=f"wt-card {classes}", aria_label=title) as section:
        if name is not None:
            section.props["data-card"] = name
        with tag("div", classes="wt-card__head"):
            tag("h2", title, classes="wt-card__title")
            tools = tag("div", classes="wt-card__tools")
        with tag("div", classes="wt-card__body") as body:
            yield body, tools


def chip(text: str, tone: str = "dull", *, title: str | None = None) -> Element:
    """A state or a mark."""
    element = tag("span", text, classes="wt-chip", data_tone=tone)
    if title:
        element.props["title"] = title
    return element


def status_chip(status: str) -> Element:
    """The chip of a state of a run, a token or a wallet."""
    return chip(status.replace("_", " "), TONES.get(status, "dull"))


def button(
    text: str, on_click: Callable[..., Any], *, kind: str = "plain", icon: str | None = None
) -> ui.button:
    """A button: `kind` is plain, main, danger or quiet."""
    made = ui.button(text, on_click=on_click, color=None, icon=icon)
    made.props("unelevated no-caps dense").classes(f"wt-button wt-button--{kind}")
    return made


def time_of(value: datetime | None, mode: str | None = None) -> Element:
    """A time in the viewer's zone, UTC on hover. `mode`: exact, ago, until, since, left."""
    element = tag("wt-time")
    set_time(element, value)
    if mode is not None:
        element.props["mode"] = mode
    return element


def set_time(element: Element, value: datetime | None) -> None:
    """Let a time element show another time."""
    text = formatting.moment(value) or ""
    mark(element, "datetime", text)


def address(value: str, *, kind: str = "wallet", href: str | None = None, full: bool = False) -> Element:
    """An address or signature: short, with buttons to copy it and to see it in an explorer."""
    element = tag("wt-address", value=value, kind=kind)
    if href is not None:
        element.props["href"] = href
    if full:
        element.props["full"] = ""
    return element


def link(text: str, href: str, *, classes: str = "") -> Element:
    """A link within the dashboard."""
    return tag("a", text, classes=f"wt-link {classes}", href=href)


def empty(text: str, hint: str | None = None) -> Element:
    """What stands where there is nothing yet: what that means, and what to do."""
    with tag("div", classes="wt-empty") as element:
        tag("p", text)
        if hint is not None:
            tag("p", hint, classes="wt-hint")
    return element


def notice(text: str, tone: str = "warn") -> Element:
    """Something to know before going on."""
    return tag("div", text, classes="wt-notice", data_tone=tone, role="status")


def figure(label: str, value: str, *, name: str | None = None, note: str | None = None) -> Element:
    """A figure with its name above and a note below. Gives the element of the value."""
    with tag("div", classes="wt-figure") as box:
        if name is not None:
            box.props["data-figure"] = name
        tag("div", label, classes="wt-figure__label")
        shown = tag("div", value, classes="wt-figure__value")
        if note is not None:
            tag("div", note, classes="wt-figure__note")
    return shown


def facts(pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> None:
    """Names and values, one below the other."""
    with tag("dl", classes="wt-facts"):
        for name, value in pairs:
            with tag("div"):
                tag("dt", name)
                tag("dd", value)


def explain(error: Exception) -> str:
    """What went wrong, for the person at the browser."""
    if isinstance(error, ApiProblemError):
        said = str(error).rstrip(".")
        return f"{error.problem.title}: {said}."
    if isinstance(error, WallTrackError):
        return f"The API does not answer: {error}."
    raise error


def tell(text: str, tone: Literal["positive", "negative", "warning"] = "positive") -> None:
    """A short word that what was asked is done, or why not."""
    ui.notify(
        text,
        type=tone,
        position="bottom",
        timeout=3000 if tone == "positive" else 6000,
        close_button="Close",
    )


def without_flags(on_change: Callable[[], Awaitable[None]]) -> ui.select:
    """A filter: the flags of which what is listed has none."""
    names = {one.value: one.value.replace("_", " ") for one in Flag}
    made = ui.select(names, multiple=True, value=[], on_change=on_change)
    made.props('outlined dense options-dense use-chips label="Without flags"')
    return made.classes("wt-filter wt-filter--flags")
