"""Starting a run with the parameters on the page: what it will cost first, then how it goes, then what came of it."""

from __future__ import annotations

import uuid
from uuid import UUID

from nicegui import ui

from walltrack.client import (
    ApiProblemError,
    ConfigPreview,
    DiscoveryRun,
    WallTrackError,
)
from walltrack.ui.components import formatting
from walltrack.ui.components.config_draft import ConfigDraft
from walltrack.ui.components.params_form import parameter_name, shown_value
from walltrack.ui.components.parts import (
    button,
    card,
    explain,
    facts,
    figure,
    link,
    notice,
    status_chip,
    tag,
    tell,
    time_of,
)
from walltrack.ui.components.run_progress import ProgressPanel, result_words
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View


class RunCard:
    """The card of the run that runs, or of the one that ran last."""

    def __init__(self, view: View, draft: ConfigDraft) -> None:
        self._view = view
        self._draft = draft
        self._panels: dict[UUID, ProgressPanel] = {}
        self._ended: tuple[object, ...] | None = None
        with card("Run", name="run") as (self._body, tools):
            with tools:
                if view.may_operate:
                    button("Run now", self._ask, kind="main", icon="play_arrow")
            self._running = tag("div", classes="wt-page")
            self._last = tag("div", classes="wt-page")
        view.pulse.watch(self._body, self._see)

    def _see(self, beat: Beat, _: Beat) -> None:
        running = {seen.run.id: seen for seen in beat.running}
        for run_id in [one for one in self._panels if one not in running]:
            self._panels.pop(run_id).box.delete()
        for run_id, seen in running.items():
            if run_id in self._panels:
                self._panels[run_id].show(seen)
            else:
                with self._running:
                    self._panels[run_id] = ProgressPanel(self._view, seen)
        self._running.set_visibility(bool(running))
        self._last.set_visibility(not running)
        key = beat.ended_key
        if not running and key != self._ended:
            self._ended = key
            self._last.clear()
            with self._last:
                _show_last(beat.newest)

    async def _ask(self) -> None:
        """What a run would cost, before it is started."""
        with self._body, ui.dialog() as dialog, tag("div", classes="wt-dialog wt-card", role="document"):
            with tag("div", classes="wt-card__head"):
                tag("h2", "Run now", classes="wt-card__title")
            with tag("div", classes="wt-card__body"):
                _show_changed(self._draft)
                with tag("div", classes="wt-page", data_part="forecast", aria_live="polite") as forecast:
                    tag("p", "Asking the market what this run would cost…", classes="wt-hint")
                with tag("div", classes="wt-row"):
                    start = button("Start run", lambda: self._start(dialog, start, key), kind="main")
                    button("Not now", dialog.close)
        # One window, one run: pressed twice, or answered late, it still starts once.
        key = str(uuid.uuid4())
        dialog.on("hide", dialog.delete)
        dialog.open()
        await self._forecast(forecast)

    async def _forecast(self, place: ui.element) -> None:
        try:
            seen = await self._view.client.preview_config(
                {"params": self._draft.params(), "forecast": True, "count": 1}
            )
        except WallTrackError as error:
            said: ConfigPreview | str = explain(error)
        else:
            said = seen
        if place.is_deleted:
            return
        place.clear()
        with place:
            if isinstance(said, str):
                notice(said, "bad")
            else:
                _show_forecast(said)

    async def _start(self, dialog: ui.dialog, start: ui.button, key: str) -> None:
        start.disable()
        try:
            started = await self._view.client.start_run(self._draft.params(), idempotency_key=key)
        except ApiProblemError as error:
            start.enable()
            tell(explain(error), "negative")
            return
        except WallTrackError as error:
            start.enable()
            tell(explain(error), "negative")
            return
        dialog.close()
        if started.workers == 0:
            tell("The run waits: no worker is serving.", "warning")
        self._view.pulse.hurry()


def _show_changed(draft: ConfigDraft) -> None:
    changed = {name: value for name, value in draft.params().items() if name in draft.edited}
    if not changed:
        tag("p", "With the saved parameters.", classes="wt-hint")
        return
    tag("p", "With the saved parameters, but for what you changed here:", classes="wt-hint")
    facts([(parameter_name(name), shown_value(name, value)) for name, value in changed.items()])


def _show_forecast(seen: ConfigPreview) -> None:
    cost = seen.forecast
    if cost is None:
        notice(seen.forecast_problem or "There is no forecast.", "warn")
        return
    with tag("div", classes="wt-figures"):
        figure("Tokens", formatting.count(cost.tokens), name="forecast-tokens")
        figure(
            "Credits for their tapes",
            formatting.count(cost.reading.credits),
            name="forecast-credits",
            note=formatting.plural(cost.reading.requests, "request"),
        )
        figure(
            "For wallets' histories, at most",
            formatting.count(cost.histories_at_most.credits),
            name="forecast-histories",
            note=formatting.plural(cost.histories_at_most.requests, "request"),
        )
    limit = "no limit is set" if cost.max_credits is None else f"it stops at {cost.max_credits:,} credits"
    tag("p", f"What is stored already is not paid for again; {limit}.", classes="wt-hint")
    if cost.tokens == 0:
        notice("No token pumps by these parameters now: the run would find nothing.", "warn")


def _show_last(run: DiscoveryRun | None) -> None:
    if run is None:
        with tag("div", classes="wt-empty"):
            tag("p", "No runs yet: press Run now.")
            tag("p", "It says what it will cost before it starts.", classes="wt-hint")
        return
    with tag("div", classes="wt-row", data_run=str(run.id), data_state=run.status.value):
        status_chip(run.status)
        tag("span", result_words(run.status))
        time_of(run.completed_at or run.started_at, "ago")
        link("Open this run", f"/runs/{run.id}")
    with tag("div", classes="wt-figures"):
        figure("Tokens", formatting.count(run.tokens_analyzed), name="last-tokens")
        figure("New wallets", formatting.count(run.new_wallets), name="last-new")
        figure("Seen again", formatting.count(run.updated_wallets), name="last-updated")
        figure("Profiled", formatting.count(run.profiled_wallets), name="last-profiled")
        figure("Duration", formatting.duration(run.duration_seconds), name="last-duration")
    for error in run.errors[:3]:
        notice(error, "bad")
