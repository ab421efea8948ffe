"""The parameters of runs: each with its unit, bounds, help, default, and what the API says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nicegui import ui

from walltrack.client import DiscoveryRunParams
from walltrack.ui.components.config_draft import PARAMETERS, ConfigDraft
from walltrack.ui.components.formatting import words
from walltrack.ui.components.parts import mark, tag, write

NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "min_price_change_pct": ("Price change", "%"),
    "min_volume_usd": ("24-hour volume", "USD"),
    "max_token_age_hours": ("Token age", "hours"),
    "early_window_minutes": ("Early window", "minutes"),
    "min_profit_pct": ("Realized profit", "%"),
    "max_tokens": ("Tokens of a run", "tokens"),
    "profile_immediately": ("Profile the found wallets", ""),
    "min_liquidity_usd": ("Liquidity", "USD"),
    "include_launch_slot": ("Keep launch-slot buyers", ""),
    "max_credits": ("Credits of a run", "credits"),
}
"""What each parameter is called, and its unit; one that is not here is called by its name."""


_NO_BOUND: Final = 1e9
"""A bound that is only there so that numbers fit says nothing to people."""


def parameter_name(name: str) -> str:
    """What a parameter is called."""
    return NAMES.get(name, (words(name), ""))[0]


def shown_value(name: str, value: Any) -> str:
    """A value with its unit."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "no limit" if name == "max_credits" else "none"
    unit = NAMES.get(name, ("", ""))[1]
    return f"{value:,g} {unit}".strip() if isinstance(value, int | float) else str(value)


def show_params(draft: ConfigDraft, *, may_change: bool) -> None:
    """The form."""
    with tag("div", classes="wt-fields"):
        for name in PARAMETERS:
            ParameterField(draft, name, may_change=may_change)


class ParameterField:
    """One parameter."""

    def __init__(self, draft: ConfigDraft, name: str, *, may_change: bool) -> None:
        self._draft = draft
        self._name = name
        self._default = DiscoveryRunParams.model_fields[name].default
        label = parameter_name(name)
        with tag("div", classes="wt-field", data_field=name) as self._box:
            tag("span", label, classes="wt-field__label", aria_hidden="true")
            with tag("span"):
                self._mark = tag("span", "default", classes="wt-field__mark")
                self._reset = tag("button", f"reset to {_plain(self._default)}", classes="wt-field__reset")
            self._reset.props["type"] = "button"
            self._reset.on("click", self._take_default)
            self._may_change = may_change
            with tag("div", classes="wt-field__control"):
                self._control = self._switch() if isinstance(self._default, bool) else self._number()
                self._control.props["aria-label"] = label
                self._control.set_enabled(may_change)
            self._error = tag("div", "", classes="wt-field__error", role="alert")
            tag("div", _help(name), classes="wt-field__help")
        draft.on_change(self._show)
        self._show()

    def _number(self) -> ui.number:
        low, high = bounds_of(self._name)
        control = ui.number(
            value=self._draft.value(self._name),
            min=low,
            max=high,
            suffix=NAMES.get(self._name, ("", ""))[1],
            on_change=lambda event: self._draft.set(self._name, _as_given(event.value)),
        )
        # The API says what is out of bounds: a field that corrects itself would hide a slip of the hand.
        control.props("outlined dense hide-bottom-space").props(remove="min max")
        if self._default is None:
            control.props["placeholder"] = "no limit"
        control.on("keydown.enter", js_handler="(event) => event.target.blur()")
        return control

    def _switch(self) -> ui.switch:
        return ui.switch(
            value=self._draft.value(self._name),
            on_change=lambda event: self._draft.set(self._name, bool(event.value)),
        ).props("dense")

    def _take_default(self) -> None:
        self._draft.set(self._name, self._default)

    def _show(self) -> None:
        value = self._draft.value(self._name)
        if self._control.value != value:
            self._control.value = value
        mark(self._box, "data-changed", "yes" if self._name in self._draft.edited else "no")
        is_default = value == self._default
        self._mark.set_visibility(is_default)
        self._reset.set_visibility(not is_default and self._may_change)
        said = self._draft.errors.get(self._name, "")
        write(self._error, said[:1].upper() + said[1:])


def bounds_of(name: str) -> tuple[float | None, float | None]:
    """The bounds of a parameter, both inclusive."""
    metadata = DiscoveryRunParams.model_fields[name].metadata
    found: dict[str, float | None] = {"ge": None, "le": None}
    for one in metadata:
        for kind in found:
            if hasattr(one, kind):
                found[kind] = getattr(one, kind)
    return found["ge"], found["le"]


def _help(name: str) -> str:
    said = DiscoveryRunParams.model_fields[name].description or ""
    low, high = bounds_of(name)
    if low is not None and high is not None and high < _NO_BOUND:
        said = f"{said}; {low:,g} to {high:,g}"
    elif low is not None:
        said = f"{said}; {low:,g} or more"
    return said[:1].upper() + said[1:] + "."


def _plain(value: Any) -> str:
    return (
        ("on" if value else "off") if isinstance(value, bool) else "none" if value is None else f"{value:,g}"
    )


def _as_given(value: float | None) -> float | int | None:
    """A whole number as one: the API refuses 20.0 where it counts."""
    if value is None:
        return None
    return int(value) if float(value).is_integer() else value
