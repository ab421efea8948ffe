"""What every open page keeps an eye on: whether the API answers, the configuration, and the runs that are running.

It asks only while somebody looks, once for all pages of a session.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from nicegui import background_tasks
from nicegui.element import Element

from walltrack.client import (
    ApiProblemError,
    ConfigView,
    DiscoveryRun,
    Me,
    RunStatus,
    RunView,
    WallTrackClient,
    WallTrackError,
)

log = logging.getLogger(__name__)

RUNNING_SECONDS: Final = 0.7
IDLE_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 8.0
"""An API that takes longer for so little counts as down."""

MOST_RUNNING: Final = 5


@dataclass(frozen=True, slots=True)
class Beat:
    """What is known now. `is_up` is None before the first answer; `says` is why the API does not answer.

    `running` are the runs that run, with their progress; `newest` is the one that started last.
    """

    me: Me
    is_up: bool | None = None
    says: str | None = None
    config: ConfigView | None = None
    newest: DiscoveryRun | None = None
    running: tuple[RunView, ...] = ()

    @property
    def ended_key(self) -> tuple[object, ...]:
        """Something else once a run began or ended."""
        newest = self.newest
        return (
            None if newest is None else newest.id,
            None if newest is None else newest.status,
            tuple(view.run.id for view in self.running),
        )


async def look(client: WallTrackClient, me: Me) -> Beat:
    """What the API tells now. Raises WallTrackError where it does not answer."""
    config = await client.config()
    newest = await client.runs(page_size=1)
    running = await client.runs(status=[RunStatus.RUNNING], page_size=MOST_RUNNING)
    views = [await client.run(run.id) for run in reversed(running.runs)]
    return Beat(
        me,
        is_up=True,
        config=config,
        newest=newest.runs[0] if newest.runs else None,
        # A run may have ended since it was listed: who follows it learns that from its not being here.
        running=tuple(view for view in views if view.run.status is RunStatus.RUNNING),
    )


Watcher = Callable[[Beat, Beat], Awaitable[None] | None]
"""Called with what is known now and what was before."""


class Pulse:
    """Asks the API for a session and tells its pages."""

    def __init__(self, client: WallTrackClient, me: Me) -> None:
        self._client = client
        self._watchers: list[tuple[Element, Watcher]] = []
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.beat = Beat(me)
        self.is_refused = False
        """The key holds no more, or somebody logged out."""

    @property
    def is_watched(self) -> bool:
        """Whether a page is open."""
        return any(_lives(element) for element, _ in self._watchers)

    def watch(self, element: Element, watcher: Watcher) -> None:
        """Call `watcher` within `element` with every beat, as long as the element is there; now too, if one was."""
        self._watchers.append((element, watcher))
        if self.beat.is_up is not None:
            self._call(element, watcher, self.beat, self.beat)
        if self._task is None and not self.is_refused:
            self._task = background_tasks.create(self._run(), name="pulse")

    def hurry(self) -> None:
        """Ask again at once: something was just done."""
        self._wake.set()

    def end(self) -> None:
        """Nobody is to see anything more: pages go to the log-in page."""
        self.is_refused = True
        self._wake.set()
        if self._task is None:
            background_tasks.create(self._client.aclose(), name="close client")

    async def _run(self) -> None:
        try:
            while True:
                self._watchers = [pair for pair in self._watchers if _lives(pair[0])]
                if self.is_refused:
                    self._tell(self.beat)
                    return
                if not self._watchers:
                    return
                self._wake.clear()
                beat = await self._ask()
                if not self.is_refused:
                    self._tell(beat)
                wait = RUNNING_SECONDS if beat.running else IDLE_SECONDS
                try:
                    await asyncio.wait_for(self._wake.wait(), wait)
                except TimeoutError:
                    continue
        finally:
            self._task = None
            if self.is_refused:
                await self._client.aclose()

    async def _ask(self) -> Beat:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await look(self._client, self.beat.me)
        except TimeoutError:
            return replace(self.beat, is_up=False, says=f"no answer within {PATIENCE_SECONDS:.0f} seconds")
        except ApiProblemError as error:
            if error.status == 401:
                self.is_refused = True
                self._wake.set()
                return self.beat
            return replace(self.beat, is_up=False, says=str(error))
        except WallTrackError as error:
            return replace(self.beat, is_up=False, says=str(error))

    def _tell(self, beat: Beat) -> None:
        before, self.beat = self.beat, beat
        for element, watcher in list(self._watchers):
            if _lives(element):
                self._call(element, watcher, beat, before)

    def _call(self, element: Element, watcher: Watcher, beat: Beat, before: Beat) -> None:
        try:
            with element:
                told: Any = watcher(beat, before)
                if inspect.isawaitable(told):
                    background_tasks.create(_within(element, told), name="watcher")
        except Exception:
            log.exception("a part of a page failed")  # the other parts go on


async def _within(element: Element, told: Awaitable[None]) -> None:
    with element:
        try:
            await told
        except WallTrackError as error:
            log.info("a part of a page was not renewed: %s", error)  # the banner says what is wrong


def _lives(element: Element) -> bool:
    return not element.is_deleted
