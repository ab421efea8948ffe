"""The Discovery tab: the schedule, the parameters, runs as they go, what they found over time."""

from __future__ import annotations

from walltrack.client import WallTrackError
from walltrack.ui.components.config_draft import ConfigDraft
from walltrack.ui.components.params_form import show_params
from walltrack.ui.components.parts import card, empty, explain, tag
from walltrack.ui.components.save_bar import show_save_bar
from walltrack.ui.components.scheduler_card import show_scheduler
from walltrack.ui.view import View


async def discovery_page(view: View) -> None:
    """The whole tab."""
    try:
        stored = await view.client.config()
    except WallTrackError as error:
        empty("The configuration cannot be read.", explain(error))
        return
    draft = ConfigDraft(view, stored)
    with tag("div", classes="wt-page"):
        tag("h1", "Discovery", classes="wt-skip")
        with tag("div", classes="wt-columns"):
            with tag("div", classes="wt-page"), card("Parameters", name="parameters"):
                show_params(draft, may_change=view.may_operate)
            with tag("div", classes="wt-page"):
                show_scheduler(view, draft)
        show_save_bar(view, draft)
    draft.look_ahead()
