"""When runs start by themselves: on or off, how often, what comes next, what came last."""

from __future__ import annotations

from typing import Any, Final

from nicegui import ui

from walltrack.client import RunStatus
from walltrack.ui.components.config_draft import ConfigDraft
from walltrack.ui.components.formatting import NOTHING
from walltrack.ui.components.parts import card, chip, mark, set_time, status_chip, tag, time_of, write
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View

HOURS: Final = (1, 2, 4, 6, 12, 24)
OWN: Final = "own"
CRON: Final = "cron"


def show_scheduler(view: View, draft: ConfigDraft) -> None:
    """The card of the schedule."""
    with card("Scheduler", name="scheduler") as (_, tools):
        with tools:
            state = chip("")
        _Fields(draft, may_change=view.may_operate)
        _Standing(view, draft, state)


class _Fields:
    """What may be set."""

    def __init__(self, draft: ConfigDraft, *, may_change: bool) -> None:
        self._draft = draft
        self._wants_own = draft.value("schedule_hours") not in HOURS
        self._enabled = ui.switch(
            "Start runs by themselves",
            value=draft.value("enabled"),
            on_change=lambda event: draft.set("enabled", bool(event.value)),
        )
        self._enabled.props("dense")
        options = {str(hours): "Every hour" if hours == 1 else f"Every {hours} hours" for hours in HOURS}
        with tag("div", classes="wt-fields"):
            with _field("Frequency", "schedule_frequency"):
                self._frequency = ui.select(
                    options | {OWN: "Own interval…", CRON: "Cron expression…"},
                    value=self._frequency_now(),
                    on_change=lambda event: self._choose(event.value),
                ).props("outlined dense options-dense aria-label=Frequency")
            self._hours = _Number(draft, "schedule_hours", "Interval", "hours")
            self._cron = _Text(draft, "schedule_cron", "Cron expression", "30 6 * * 1-5")
            self._zone = _Text(draft, "schedule_timezone", "Time zone", "Europe/Berlin")
            self._jitter = _Number(draft, "jitter_seconds", "Spread", "seconds")
            self._note = _Text(draft, "note", "Pause note", "why it is paused")
        self._controls = (
            self._enabled,
            self._frequency,
            *(one.control for one in (self._hours, self._cron, self._zone, self._jitter, self._note)),
        )
        for control in self._controls:
            control.set_enabled(may_change)
        draft.on_change(self._show)
        self._show()

    def _frequency_now(self) -> str:
        if self._draft.value("schedule_cron") is not None:
            return CRON
        hours = self._draft.value("schedule_hours")
        return OWN if self._wants_own or hours not in HOURS else str(hours)

    def _choose(self, value: str) -> None:
        if value == self._frequency_now():
            return
        self._wants_own = value == OWN
        if value == CRON:
            self._draft.set("schedule_cron", self._draft.stored.schedule_cron or "0 */6 * * *")
            return
        self._draft.set("schedule_cron", None)
        if value != OWN:
            self._draft.set("schedule_hours", int(value))
        self._show()

    def _show(self) -> None:
        if not self._draft.edited and self._draft.stored.schedule_hours in HOURS:
            self._wants_own = self._wants_own and self._frequency.value == OWN
        frequency = self._frequency_now()
        if self._frequency.value != frequency:
            self._frequency.value = frequency
        if self._enabled.value != self._draft.value("enabled"):
            self._enabled.value = self._draft.value("enabled")
        self._hours.box.set_visibility(frequency == OWN)
        self._cron.box.set_visibility(frequency == CRON)
        self._zone.box.set_visibility(frequency == CRON)
        self._note.box.set_visibility(not self._draft.value("enabled"))


class _Value:
    """A value with its name, and what the API says of it."""

    def __init__(self, draft: ConfigDraft, name: str, label: str) -> None:
        self._draft = draft
        self._name = name
        with _field(label, name) as self.box:
            self.control = self._make(label)
            self._error = tag("div", "", classes="wt-field__error", role="alert")
        draft.on_change(self._show)
        self._show()

    def _make(self, label: str) -> Any:
        raise NotImplementedError

    def _show(self) -> None:
        value = self._draft.value(self._name)
        if self.control.value != value:
            self.control.value = value
        mark(self.box, "data-changed", "yes" if self._name in self._draft.edited else "no")
        said = self._draft.errors.get(self._name, "")
        write(self._error, said[:1].upper() + said[1:])


class _Number(_Value):
    def __init__(self, draft: ConfigDraft, name: str, label: str, unit: str) -> None:
        self._unit = unit
        super().__init__(draft, name, label)

    def _make(self, label: str) -> ui.number:
        def given(event: Any) -> None:
            value = event.value
            whole = value is not None and float(value).is_integer()
            # Left empty, it stays as it is.
            stored = getattr(self._draft.stored, self._name)
            self._draft.set(self._name, stored if value is None else int(value) if whole else value)

        control = ui.number(value=self._draft.value(self._name), suffix=self._unit, on_change=given)
        control.props("outlined dense hide-bottom-space").props["aria-label"] = label
        return control


class _Text(_Value):
    def __init__(self, draft: ConfigDraft, name: str, label: str, example: str) -> None:
        self._example = example
        super().__init__(draft, name, label)

    def _make(self, label: str) -> ui.input:
        control = ui.input(
            value=self._draft.value(self._name) or "",
            placeholder=self._example,
            on_change=lambda event: self._given(event.value or ""),
        )
        control.props("outlined dense hide-bottom-space").props["aria-label"] = label
        return control

    def _given(self, text: str) -> None:
        if self._name == "note":
            self._draft.set("note", text or None)
        elif self._draft.value(self._name) is not None:
            self._draft.set(self._name, text)

    def _show(self) -> None:
        value = self._draft.value(self._name) or ""
        if self.control.value != value:
            self.control.value = value
        super()._show() if self._draft.value(self._name) is not None else None


class _Standing:
    """What is stored, what comes next and what came last."""

    def __init__(self, view: View, draft: ConfigDraft, state: Any) -> None:
        self._draft = draft
        self._state = state
        with tag("dl", classes="wt-facts"):
            with tag("div", data_fact="next-run") as self._next_row:
                tag("dt", "Next run")
                with tag("dd"):
                    self._next = time_of(None)
                    tag("span", " · ", classes="wt-soft")
                    self._countdown = time_of(None, "until")
            with tag("div", data_fact="last-run"):
                tag("dt", "Last scheduled run")
                self._last = tag("dd")
            with tag("div", data_fact="saved"):
                tag("dt", "Saved")
                self._saved = tag("dd")
        self._paused = tag("div", "", classes="wt-notice", role="status")
        with tag("div") as self._ahead:
            self._ahead_title = tag("div", "Next times", classes="wt-field__label")
            self._times = tag("ul", classes="wt-times", data_list="next-times")
        self._shown: Any = None
        draft.on_change(self._show)
        view.pulse.watch(self._next_row, self._see)
        self._show()

    def _see(self, beat: Beat, before: Beat) -> None:
        self._draft.see(beat, before)
        self._show()

    def _show(self) -> None:
        stored, preview = self._draft.stored, self._draft.preview
        key = (stored, preview, self._draft.edited, self._draft.value("enabled"))
        if key == self._shown:
            return
        self._shown = key
        write(self._state, "Enabled" if stored.enabled else "Disabled")
        mark(self._state, "data-tone", "good" if stored.enabled else "dull")
        self._next_row.set_visibility(stored.enabled and stored.next_run_at is not None)
        set_time(self._next, stored.next_run_at)
        set_time(self._countdown, stored.next_run_at)
        self._show_last()
        self._show_saved()
        note = stored.note or ""
        self._paused.set_visibility(not stored.enabled)
        write(self._paused, f"Paused: {note}" if note else "Paused: no run starts by itself.")
        self._show_ahead()

    def _show_last(self) -> None:
        stored = self._draft.stored
        self._last.clear()
        with self._last:
            if stored.last_run_at is None:
                tag("span", "none yet", classes="wt-soft")
                return
            href = None if stored.last_run_id is None else f"/runs/{stored.last_run_id}"
            with tag("a" if href else "span", classes="wt-link", **({"href": href} if href else {})):
                time_of(stored.last_run_at)
            tag("span", " ")
            status_chip(stored.last_result or RunStatus.RUNNING)

    def _show_saved(self) -> None:
        stored = self._draft.stored
        self._saved.clear()
        with self._saved:
            if stored.updated_by is None:
                tag("span", "never: these are the defaults", classes="wt-soft")
                return
            tag("span", f"by {stored.updated_by} at ")
            time_of(stored.updated_at)

    def _show_ahead(self) -> None:
        preview = self._draft.preview
        changed = bool(self._draft.edited)
        write(self._ahead_title, "Next times, once this is saved" if changed else "Next times")
        self._times.clear()
        with self._times:
            if preview is None:
                tag("li", NOTHING, classes="wt-soft")
            elif not preview.times and not preview.at_once:
                tag("li", "none while it is disabled", classes="wt-soft")
            else:
                if preview.at_once and changed:
                    tag("li", "a run starts at once when this is saved", classes="wt-tone-warn")
                for moment in preview.times:
                    with tag("li"):
                        time_of(moment)


def _field(label: str, name: str) -> Any:
    box = tag("div", classes="wt-field", data_field=name)
    with box:
        tag("span", label, classes="wt-field__label", aria_hidden="true")
        control = tag("div", classes="wt-field__control")
    return _Within(box, control)


class _Within:
    """Enters the control's place, and gives the whole field."""

    def __init__(self, box: Any, control: Any) -> None:
        self._box = box
        self._control = control

    def __enter__(self) -> Any:
        self._control.__enter__()
        return self._box

    def __exit__(self, *error: Any) -> None:
        self._control.__exit__(*error)
