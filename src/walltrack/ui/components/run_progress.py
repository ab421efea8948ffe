"""How far a run is: its step, its tokens by state, what it found and used, and how long it will take."""

from __future__ import annotations

from typing import Final

from nicegui.element import Element

from walltrack.client import ApiProblemError, RunStatus, RunView, TokenStatus, WallTrackError
from walltrack.ui.components import formatting
from walltrack.ui.components.parts import (
    TONES,
    button,
    explain,
    link,
    mark,
    set_time,
    status_chip,
    tag,
    tell,
    time_of,
    write,
)
from walltrack.ui.view import View

STEPS: Final = (
    ("listing", "List tokens"),
    ("tokens", "Measure tokens"),
    ("profiling", "Profile wallets"),
    ("ended", "Done"),
)
_ORDER: Final = (
    TokenStatus.DONE,
    TokenStatus.UNMEASURABLE,
    TokenStatus.FAILED,
    TokenStatus.RUNNING,
    TokenStatus.PENDING,
    TokenStatus.CANCELLED,
)
_TONES: Final = {TokenStatus.RUNNING: "info", TokenStatus.FAILED: "bad", TokenStatus.CANCELLED: "dull"}


class ProgressPanel:
    """A run that runs, shown in place; `show` brings it up to date."""

    def __init__(self, view: View, seen: RunView, *, has_link: bool = True) -> None:
        self._view = view
        self._run_id = seen.run.id
        with tag("div", classes="wt-page", data_run=str(seen.run.id), data_state="running") as self.box:
            with tag("div", classes="wt-row wt-row--apart"):
                with tag("div", classes="wt-row"):
                    status_chip(seen.run.status)
                    by = seen.run.triggered_by or seen.run.trigger_type.value
                    tag("span", f"Started by {by}", classes="wt-soft")
                    time_of(seen.run.started_at)
                    if has_link:
                        link("Open this run", f"/runs/{seen.run.id}")
                if view.may_operate:
                    button("Cancel run", self._cancel, kind="danger")
            with tag("ol", classes="wt-steps"):
                self._steps = [tag("li", text, classes="wt-step") for _, text in STEPS]
            with tag(
                "div", classes="wt-bar", role="progressbar", aria_label="Tokens that are done"
            ) as self._bar:
                self._parts = {
                    status: tag("span", data_tone=_TONES.get(status) or TONES[status]) for status in _ORDER
                }
            self._tokens = tag("div", "", classes="wt-soft", data_figure="tokens-by-state")
            with tag("div", classes="wt-figures"):
                self._wallets = _figure("Wallets so far", "wallets")
                self._profiled = _figure("Profiled", "profiled")
                with tag("div", classes="wt-figure", data_figure="credits"):
                    tag("div", "Credits used", classes="wt-figure__label")
                    self._credits = tag("div", "", classes="wt-figure__value")
                    self._forecast = tag("div", "", classes="wt-figure__note")
                with tag("div", classes="wt-figure"):
                    tag("div", "Running for", classes="wt-figure__label")
                    with tag("div", classes="wt-figure__value"):
                        time_of(seen.run.started_at, "since")
                with tag("div", classes="wt-figure", data_figure="time-left"):
                    tag("div", "Time left", classes="wt-figure__label")
                    with tag("div", classes="wt-figure__value"):
                        self._left = time_of(None, "left")
                    tag("div", "until its tokens are measured", classes="wt-figure__note")
        self.show(seen)

    def show(self, seen: RunView) -> None:
        """Bring it up to date."""
        progress = seen.progress
        names = [name for name, _ in STEPS]
        at = names.index(progress.stage) if progress.stage in names else 0
        for place, step in enumerate(self._steps):
            mark(step, "data-at", "done" if place < at else "now" if place == at else "later")
            mark(step, "aria-current", "step" if place == at else "false")
        total = sum(progress.tokens.values())
        finished = total - progress.open_tokens
        for status, part in self._parts.items():
            part.style(f"width: {100 * progress.tokens.get(status, 0) / total if total else 0:.2f}%")
        mark(self._bar, "aria-valuenow", finished)
        mark(self._bar, "aria-valuemin", 0)
        mark(self._bar, "aria-valuemax", total)
        states = ", ".join(f"{progress.tokens[one]} {one}" for one in _ORDER if progress.tokens.get(one))
        write(self._tokens, f"{finished} of {total} tokens: {states}" if total else "No tokens listed yet")
        write(self._wallets, formatting.count(progress.wallets))
        write(self._profiled, formatting.count(progress.profiled))
        forecast = progress.forecast
        write(self._credits, formatting.count(progress.used.credits))
        write(self._forecast, "" if forecast is None else f"tapes: about {forecast.credits:,}")
        set_time(self._left, progress.estimated_end)

    async def _cancel(self) -> None:
        try:
            await self._view.client.cancel_run(self._run_id)
        except ApiProblemError as error:
            tell(explain(error), "warning" if error.status == 409 else "negative")
        except WallTrackError as error:
            tell(explain(error), "negative")
        else:
            tell("Cancelled. What it had found is kept.")
        self._view.pulse.hurry()


def result_words(status: RunStatus) -> str:
    """How a run ended, in words."""
    return {
        RunStatus.COMPLETED: "The run is complete.",
        RunStatus.FAILED: "The run failed.",
        RunStatus.CANCELLED: "The run was cancelled; what it had found is kept.",
        RunStatus.RUNNING: "The run is running.",
    }[status]


def _figure(label: str, name: str) -> Element:
    with tag("div", classes="wt-figure", data_figure=name):
        tag("div", label, classes="wt-figure__label")
        return tag("div", "", classes="wt-figure__value")
