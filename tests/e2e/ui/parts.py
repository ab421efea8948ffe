"""How tests find their way on the page."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def card(page: Page, name: str) -> Locator:
    """A titled part of the page."""
    return page.locator(f"[data-card={name}]")


def figure(place: Page | Locator, name: str) -> Locator:
    """The value of a figure."""
    return place.locator(f"[data-figure={name}] .wt-figure__value")


def number(page: Page, label: str) -> Locator:
    """A field that takes a number."""
    return page.get_by_role("spinbutton", name=label)


def press(place: Page | Locator, name: str) -> None:
    """Press the button with just this name."""
    place.get_by_role("button", name=name, exact=True).click()


def choose(page: Page, label: str, option: str) -> None:
    """Choose from a list."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def save(page: Page) -> None:
    """Save the configuration, and see that it is saved."""
    press(page, "Save")
    expect(page.locator("[data-bar=save]")).to_be_hidden()
