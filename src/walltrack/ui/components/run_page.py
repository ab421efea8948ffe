"""One run: what it was asked, how it went, what it found, and what may be done with it."""

from __future__ import annotations

from collections.abc import Awaitable
from uuid import UUID

from nicegui import ui
from nicegui.element import Element

from walltrack.client import (
    ApiProblemError,
    FindingPage,
    RunFunnel,
    RunOutcome,
    RunStatus,
    RunView,
    TokenStatus,
    WallTrackError,
)
from walltrack.ui.asking import arrived, ask
from walltrack.ui.components import formatting
from walltrack.ui.components.params_form import parameter_name, shown_value
from walltrack.ui.components.parts import (
    address,
    button,
    card,
    chip,
    empty,
    explain,
    figure,
    link,
    notice,
    status_chip,
    tag,
    tell,
    time_of,
)
from walltrack.ui.components.run_outcome import show_run_outcome
from walltrack.ui.components.run_progress import ProgressPanel
from walltrack.ui.components.run_tokens import show_refusals, show_tokens
from walltrack.ui.components.run_wallets import RunWallets
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View


async def run_page(view: View, run_id: str) -> None:
    """The whole view of a run."""
    try:
        asked = UUID(run_id)
    except ValueError:
        empty("There is no such run.", "Runs are listed under Discovery, History.")
        return
    run, wallets = ask(view.client.run(asked)), ask(RunWallets.first_page(view, asked))
    outcome = ask(view.client.run_outcome(asked))
    await arrived(run, wallets, outcome)
    try:
        seen = await run
    except WallTrackError as error:
        is_gone = isinstance(error, ApiProblemError) and error.status == 404
        empty("There is no such run." if is_gone else "The run cannot be read.", explain(error))
        return
    await _RunPage(view, seen).show(wallets, outcome)


class _RunPage:
    """The view of one run; it is built anew when the run begins or ends, and its progress goes on in place."""

    def __init__(self, view: View, seen: RunView) -> None:
        self._view = view
        self._seen = seen
        self._progress: ProgressPanel | None = None
        self._seen_wallets = seen.progress.wallets
        self._place = tag("div", classes="wt-page", data_page="run")
        self._build()
        view.pulse.watch(self._place, self._see)

    async def load(self) -> None:
        """Ask for what it found, and how that went on."""
        run_id = self._seen.run.id
        await self.show(RunWallets.first_page(self._view, run_id), ask(self._view.client.run_outcome(run_id)))

    async def show(self, wallets: Awaitable[FindingPage], outcome: Awaitable[RunOutcome]) -> None:
        """Show what it found, and how that went on, once they are there."""
        await self._wallets.show(wallets)
        run = self._seen.run
        if run.status is not RunStatus.RUNNING and not self._outcome.is_deleted:
            with self._outcome:
                await show_run_outcome(run.id, outcome)

    async def _see(self, beat: Beat, _: Beat) -> None:
        run_id = self._seen.run.id
        running = next((one for one in beat.running if one.run.id == run_id), None)
        was_running = self._seen.run.status is RunStatus.RUNNING
        if running is not None and was_running and self._progress is not None:
            self._seen = running
            has_more = running.progress.wallets != self._seen_wallets
            self._progress.show(running)
            if has_more:
                self._seen_wallets = running.progress.wallets
                await self._wallets.load()
        elif beat.is_up and (running is not None) != was_running:
            self._seen = await self._view.client.run(run_id)
            if not self._place.is_deleted:
                self._build()
                await self.load()

    def _build(self) -> None:
        seen = self._seen
        run = seen.run
        self._place.clear()
        self._progress = None
        with self._place:
            self._title()
            if run.status is RunStatus.RUNNING:
                with card("Progress", name="progress"):
                    self._progress = ProgressPanel(self._view, seen, has_link=False)
            else:
                self._result()
            for error in run.errors:
                notice(error, "bad")
            for warning in run.warnings:
                notice(warning)
            with tag("div", classes="wt-columns"):
                with card("Funnel", name="funnel"):
                    _show_funnel(seen.funnel)
                with card("Parameters", name="run-parameters"):
                    _show_params(seen)
            self._wallets = RunWallets(self._view, run)
            with card("Tokens", name="tokens"):
                show_tokens(seen.tokens)
            show_refusals(seen.refusals)
            with tag("div", classes="wt-columns"):
                self._outcome = tag("div")
                _show_usage(seen)

    def _title(self) -> None:
        run = self._seen.run
        with tag("div", classes="wt-title"):
            link("Discovery", "/", classes="wt-soft")
            with tag("h1"):
                tag("span", "Run of ")
                time_of(run.started_at)
            status_chip(run.status)
            if run.demo:
                chip("Demo data", "warn")
            tag(
                "span", f"{run.trigger_type.value} by {run.triggered_by or 'the schedule'}", classes="wt-soft"
            )
            address(str(run.id)).props["kind"] = "id"
            with tag("div", classes="wt-card__tools"):
                if self._view.may_operate and run.status is not RunStatus.RUNNING:
                    button("Run again…", self._ask_again)
                    if _may_resume(self._seen):
                        button("Resume", self._resume)
                button("Compare…", self._ask_diff)

    def _result(self) -> None:
        run, progress = self._seen.run, self._seen.progress
        with card("Result", name="result"), tag("div", classes="wt-figures"):
            figure("Tokens", formatting.count(run.tokens_analyzed), name="tokens")
            figure("New wallets", formatting.count(run.new_wallets), name="new")
            figure("Seen again", formatting.count(run.updated_wallets), name="updated")
            figure("Profiled", formatting.count(run.profiled_wallets), name="profiled")
            note = None if run.forecast is None else f"tapes were forecast at {run.forecast.credits:,}"
            figure("Credits", formatting.count(progress.used.credits), name="credits", note=note)
            figure("Duration", formatting.duration(run.duration_seconds), name="duration")

    async def _ask_again(self) -> None:
        """Whether to repeat it on the stored tapes, or to read them up to now first."""
        run = self._seen.run

        async def start(*, fresh: bool) -> None:
            dialog.close()
            try:
                started = await self._view.client.repeat_run(run.id, fresh=fresh)
            except WallTrackError as error:
                tell(explain(error), "negative")
                return
            self._view.pulse.hurry()
            self._view.go(f"/runs/{started.run_id}")

        with self._place, ui.dialog() as dialog, tag("div", classes="wt-dialog wt-card"):
            with tag("div", classes="wt-card__head"):
                tag("h2", "Run again", classes="wt-card__title")
            with tag("div", classes="wt-card__body"):
                tag(
                    "p",
                    "A new run on the same tokens, with the same parameters. On the stored tapes it asks no "
                    "provider and costs nothing; fresh, it reads them up to now first.",
                )
                with tag("div", classes="wt-row"):
                    button("On the stored tapes", lambda: start(fresh=False), kind="main")
                    button("Fresh", lambda: start(fresh=True))
                    button("Not now", dialog.close)
        dialog.on("hide", dialog.delete)
        dialog.open()

    async def _resume(self) -> None:
        try:
            await self._view.client.resume_run(self._seen.run.id)
        except WallTrackError as error:
            tell(explain(error), "negative")
            return
        tell("The run goes on with what failed or was cancelled of it.")
        self._view.pulse.hurry()

    async def _ask_diff(self) -> None:
        """Which run to compare it with."""
        try:
            found = await self._view.client.runs(page_size=50)
        except WallTrackError as error:
            tell(explain(error), "negative")
            return
        options = {
            str(one.id): f"{one.started_at:%d %b %Y %H:%M} UTC · {one.status.value} · {one.new_wallets:,} new"
            for one in found.runs
            if one.id != self._seen.run.id
        }
        with self._place, ui.dialog() as dialog, tag("div", classes="wt-dialog wt-card"):
            with tag("div", classes="wt-card__head"):
                tag("h2", "Compare with an earlier run", classes="wt-card__title")
            with tag("div", classes="wt-card__body"):
                if not options:
                    tag("p", "There is no other run yet.")
                else:
                    chosen = ui.select(options, value=next(iter(options)), with_input=True)
                    chosen.props("outlined dense aria-label='Other run'")
                with tag("div", classes="wt-row"):
                    if options:
                        button(
                            "Compare",
                            lambda: self._view.go(f"/runs/{chosen.value}/diff/{self._seen.run.id}"),
                            kind="main",
                        )
                    button("Close", dialog.close)
        dialog.on("hide", dialog.delete)
        dialog.open()


def _may_resume(seen: RunView) -> bool:
    stopped = (TokenStatus.FAILED, TokenStatus.CANCELLED, TokenStatus.PENDING)
    return seen.run.stage is not None and (
        seen.run.status in (RunStatus.FAILED, RunStatus.CANCELLED)
        or any(seen.progress.tokens.get(one, 0) for one in stopped)
    )


def _show_funnel(funnel: RunFunnel) -> None:
    steps = (
        ("Tokens", funnel.tokens_listed, f"{funnel.tokens_measured:,} measured"),
        ("Buyers", funnel.buyers, None),
        ("Early", funnel.early, None),
        ("Profitable", funnel.qualified, None),
        ("Kept", funnel.kept, None),
    )
    widest = max(funnel.buyers, 1)
    with tag("div", classes="wt-funnel"):
        for name, number, note in steps:
            with tag("div", classes="wt-funnel__step", data_step=name.lower()):
                with tag("div"):
                    tag("span", name)
                    if note:
                        tag("div", note, classes="wt-hint")
                bar = tag("div", classes="wt-funnel__bar")
                bar.style(f"width: {min(100, 100 * number / widest):.2f}%")
                tag("div", f"{number:,}", classes="wt-funnel__count")
    tag(
        "p",
        "Buyers and early buyers are counted on each token; profitable and kept wallets once. Kept are those that "
        "no flag and no list of yours excludes today.",
        classes="wt-hint",
    )


def _show_params(seen: RunView) -> None:
    run = seen.run
    with tag("dl", classes="wt-facts"):
        for name, value in run.params.model_dump().items():
            _fact(parameter_name(name), shown_value(name, value))
        _fact("Market", run.token_source or formatting.NOTHING)
        _fact("Code version", run.code_version or formatting.NOTHING)
        if run.again_of is not None:
            with tag("div"):
                tag("dt", "Repeats")
                with tag("dd"):
                    link(formatting.short(str(run.again_of)), f"/runs/{run.again_of}")
                    tag("span", " on stored tapes" if run.from_stored else " with fresh tapes")


def _fact(name: str, value: str) -> Element:
    with tag("div") as row:
        tag("dt", name)
        tag("dd", value)
    return row


def _show_usage(seen: RunView) -> None:
    if not seen.usage:
        return
    with card("Providers", name="usage"), tag("dl", classes="wt-facts"):
        for one in seen.usage:
            said = f"{formatting.plural(one.requests, 'request')}, {formatting.plural(one.credits, 'credit')}"
            if one.errors:
                said += f", {formatting.plural(one.errors, 'error')}"
            if one.stopped_reason:
                said += f"; left alone: {one.stopped_reason}"
            _fact(one.provider, said)
