"""One open page of a browser: who looks, in which time zone, and where to go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import tzinfo

from nicegui import Client, ui

from walltrack.client import WallTrackClient
from walltrack.ui.pulse import Pulse
from walltrack.ui.session import Session


@dataclass(frozen=True, slots=True)
class View:
    """What every part of a page is given."""

    session: Session
    page: Client
    zone: tzinfo

    @property
    def client(self) -> WallTrackClient:
        """The API, with the rights of whoever looks."""
        return self.session.client

    @property
    def pulse(self) -> Pulse:
        """What is watched."""
        return self.session.pulse

    @property
    def may_operate(self) -> bool:
        """Whether buttons that act are shown."""
        return self.session.may_operate

    def go(self, path: str) -> None:
        """Open another view of the dashboard, without loading the page anew."""
        self.page.run_javascript(f'emitEvent("sub_pages_navigate", {json.dumps(path)})')


def on_row_click(table: ui.table, path: str) -> None:
    """Open the view `path` + the row's key where a row is clicked beside its links."""
    table.classes("wt-table--open")
    table.on(
        "rowClick",
        js_handler="(event, row) => { if (!event.target.closest('a, button')) "
        f'emitEvent("sub_pages_navigate", {json.dumps(path)} + row.id); }}',
    )
