"""The Discovery tab: runs as they go, the schedule, the parameters, what was found over time, what pumps now."""

from __future__ import annotations

from walltrack.client import WallTrackError
from walltrack.ui.asking import arrived, ask
from walltrack.ui.components.config_draft import ConfigDraft
from walltrack.ui.components.date_range import DateRange
from walltrack.ui.components.history_table import HistoryTable
from walltrack.ui.components.params_form import show_params
from walltrack.ui.components.parts import card, empty, explain, tag
from walltrack.ui.components.pumps_table import PumpsTable
from walltrack.ui.components.run_now import RunCard
from walltrack.ui.components.save_bar import show_save_bar
from walltrack.ui.components.scheduler_card import show_scheduler
from walltrack.ui.components.statistics import Statistics
from walltrack.ui.view import View


async def discovery_page(view: View) -> None:
    """The whole tab."""
    chosen = DateRange()
    figures, runs = ask(Statistics.figures(view, chosen)), ask(HistoryTable.first_page(view, chosen))
    pumping, config = ask(view.client.pumps()), ask(view.client.config())
    await arrived(figures, runs, config)  # the API may have to ask the markets first what pumps
    try:
        stored = await config
    except WallTrackError as error:
        empty("The configuration cannot be read.", explain(error))
        return
    draft = ConfigDraft(view, stored)
    with tag("div", classes="wt-page"):
        tag("h1", "Discovery", classes="wt-unseen")
        with tag("div", classes="wt-columns"):
            with tag("div", classes="wt-page"):
                RunCard(view, draft)
                with card("Parameters", name="parameters"):
                    show_params(draft, may_change=view.may_operate)
            show_scheduler(view, draft)
        statistics = Statistics(view, chosen)
        history = HistoryTable(view, chosen)
        pumps = PumpsTable(view)
        show_save_bar(view, draft)
    draft.look_ahead()
    await statistics.show(figures)
    await history.show(runs)
    await pumps.show(pumping)
