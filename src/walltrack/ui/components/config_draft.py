"""The configuration as somebody is changing it: what differs from what is stored, what the API says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from walltrack.client import ApiProblemError, ConfigPreview, ConfigView, DiscoveryRunParams, WallTrackError
from walltrack.ui.components.parts import explain
from walltrack.ui.pulse import Beat
from walltrack.ui.view import View

PARAMETERS: Final = tuple(DiscoveryRunParams.model_fields)
SCHEDULE: Final = (
    "enabled",
    "schedule_hours",
    "schedule_cron",
    "schedule_timezone",
    "jitter_seconds",
    "note",
)
PREVIEW_SECONDS: Final = 0.25
"""How long typing may pause before the API is asked what a change would do."""

PREVIEWED: Final = 5


class ConfigDraft:
    """What was changed on this page and not saved. `conflict` is what somebody else stored meanwhile."""

    def __init__(self, view: View, stored: ConfigView) -> None:
        self.stored = stored
        self.conflict: ConfigView | None = None
        self.errors: dict[str, str] = {}
        self.problem: str | None = None
        self.preview: ConfigPreview | None = None
        self._view = view
        self._edited: dict[str, Any] = {}
        self._listeners: list[Callable[[], None]] = []
        self._asking: asyncio.Task[None] | None = None

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this whenever values, errors, the preview or the conflict change."""
        self._listeners.append(listener)

    @property
    def edited(self) -> tuple[str, ...]:
        """Names of what differs from what is stored."""
        return tuple(self._edited)

    def value(self, name: str) -> Any:
        """The value as it is on the page."""
        return self._edited[name] if name in self._edited else stored_value(self.stored, name)

    def set(self, name: str, value: Any) -> None:
        """Change a value on the page."""
        if value == self.value(name) and type(value) is type(self.value(name)):
            return
        if value == stored_value(self.stored, name):
            self._edited.pop(name, None)
        else:
            self._edited[name] = value
        self.errors.pop(name, None)
        self._changed()
        self.look_ahead()

    def params(self) -> dict[str, Any]:
        """The parameters on the page."""
        return {name: self.value(name) for name in PARAMETERS}

    def changes(self) -> dict[str, Any]:
        """The change as the API takes it."""
        body = {name: value for name, value in self._edited.items() if name in SCHEDULE}
        if "schedule_cron" in body and body["schedule_cron"] is None:
            # Hours without an expression take the expression away.
            del body["schedule_cron"]
            body["schedule_hours"] = self.value("schedule_hours")
        if "note" in body:
            body["note"] = body["note"] or ""
        params = {name: value for name, value in self._edited.items() if name in PARAMETERS}
        return body | ({"params": params} if params else {})

    def discard(self) -> None:
        """Take what is stored; what somebody else stored, where there is that."""
        if self.conflict is not None:
            self.stored = self.conflict
        self.conflict = None
        self._edited.clear()
        self.errors.clear()
        self.problem = None
        self._changed()
        self.look_ahead()

    def keep_mine(self) -> None:
        """Lay what was changed here over what somebody else stored."""
        if self.conflict is not None:
            self._adopt(self.conflict)
        self._changed()
        self.look_ahead()

    async def save(self) -> bool:
        """Store the changes, unless somebody else changed anything since. Whether they are stored now."""
        if self.conflict is not None or not self._edited:
            return False
        if self.value("schedule_cron") == "":
            self.errors = {"schedule_cron": "give an expression, like 30 6 * * 1-5, or choose an interval"}
            self._changed()
            return False
        try:
            saved = await self._view.client.save_config(self.changes(), version=self.stored.version)
        except ApiProblemError as error:
            if error.status == 412:
                self._note_conflict(await self._view.client.config())
            else:
                self._refused(error)
            self._changed()
            return False
        except WallTrackError as error:
            self.problem = explain(error)
            self._changed()
            return False
        self.stored = saved
        self._edited.clear()
        self.errors.clear()
        self.problem = None
        self._changed()
        self._view.pulse.hurry()
        self.look_ahead()
        return True

    def see(self, beat: Beat, _: Beat) -> None:
        """Take note of what is stored now."""
        config = beat.config
        if config is None or config.version < self.stored.version:
            return
        if config.version == self.stored.version:
            self.stored = config  # the next and last run of the same configuration
            return
        if self._edited:
            if self.conflict is None or self.conflict.version != config.version:
                self._note_conflict(config)
                self._changed()
        else:
            self.stored = config
            self._changed()
            self.look_ahead()

    def look_ahead(self) -> None:
        """Ask when runs would start with the values on the page, and whether the API takes them."""
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
        self._asking = asyncio.get_running_loop().create_task(self._look_ahead())

    async def _look_ahead(self) -> None:
        await asyncio.sleep(PREVIEW_SECONDS)
        asked = {name: value for name, value in self.changes().items() if name != "note"}
        try:
            self.preview = await self._view.client.preview_config({**asked, "count": PREVIEWED})
        except ApiProblemError as error:
            self.preview = None
            self._refused(error)
        except WallTrackError:
            self.preview = None  # the banner says what is wrong
        else:
            self.errors = {}
            self.problem = None
        self._changed()

    def _refused(self, error: ApiProblemError) -> None:
        self.errors = {one.field.removeprefix("params."): one.detail for one in error.errors}
        self.problem = None if self.errors else explain(error)

    def _note_conflict(self, config: ConfigView) -> None:
        self.conflict = config

    def _adopt(self, config: ConfigView) -> None:
        self.stored = config
        self.conflict = None
        self._edited = {
            name: value for name, value in self._edited.items() if value != stored_value(config, name)
        }

    def _changed(self) -> None:
        if self._view.page.is_deleted:
            return
        for listener in self._listeners:
            listener()


def stored_value(config: ConfigView, name: str) -> Any:
    """A value of the stored configuration, of the schedule or of the parameters."""
    return getattr(config.params if name in PARAMETERS else config, name)
