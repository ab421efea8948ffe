"""What was changed and is not saved, and what to do where somebody else changed it meanwhile."""

from __future__ import annotations

from walltrack.client import ConfigView
from walltrack.ui.components.config_draft import PARAMETERS, SCHEDULE, ConfigDraft, stored_value
from walltrack.ui.components.formatting import words
from walltrack.ui.components.params_form import parameter_name, shown_value
from walltrack.ui.components.parts import button, tag, tell, time_of, write
from walltrack.ui.view import View


def show_save_bar(view: View, draft: ConfigDraft) -> None:
    """The bar at the foot of the page, while there is anything to save."""
    if not view.may_operate:
        return
    with tag(
        "div", classes="wt-savebar", role="region", aria_label="Unsaved changes", data_bar="save"
    ) as bar:
        said = tag("span", "")
        problem = tag("span", "", classes="wt-tone-bad", role="alert")
        with tag("div", classes="wt-row") as plain:
            button("Discard", draft.discard)

            async def save() -> None:
                if await draft.save():
                    with bar:
                        tell("Saved. It is in force now.")

            save_button = button("Save", save, kind="main")
        with tag("div", classes="wt-page", data_notice="conflict") as conflict:
            told = tag("div", classes="wt-notice", role="alert")
            with tag("div", classes="wt-row"):
                button("Take theirs", draft.discard)
                button("Keep mine, on top of theirs", draft.keep_mine, kind="main")

    shown: ConfigView | None = None

    def show() -> None:
        nonlocal shown
        bar.set_visibility(bool(draft.edited) or draft.conflict is not None)
        names = ", ".join(_name(one) for one in draft.edited)
        write(said, f"Unsaved: {names}")
        write(problem, draft.problem or ("Some values are refused." if draft.errors else ""))
        plain.set_visibility(draft.conflict is None)
        conflict.set_visibility(draft.conflict is not None)
        save_button.set_enabled(not draft.errors)
        if draft.conflict is not None and draft.conflict is not shown:
            told.clear()
            with told:
                tag("span", f"{draft.conflict.updated_by or 'Somebody'} changed the configuration at ")
                time_of(draft.conflict.updated_at)
                tag("span", f": {_differences(draft.stored, draft.conflict)}. Nothing of yours was saved.")
        shown = draft.conflict

    draft.on_change(show)
    show()


def _name(name: str) -> str:
    if name in PARAMETERS:
        return parameter_name(name)
    return words(name.removeprefix("schedule_"))


def _differences(before: ConfigView, after: ConfigView) -> str:
    said = [
        f"{_name(name)} {shown_value(name, old)} → {shown_value(name, new)}"
        for name in (*SCHEDULE, *PARAMETERS)
        for old, new in [(stored_value(before, name), stored_value(after, name))]
        if old != new
    ]
    return ", ".join(said) or "the same values were saved again"
