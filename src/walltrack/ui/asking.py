"""What views ask of the API: all at once before one is built, and of several questions the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Final, TypeVar

from nicegui.element import Element

from walltrack.client import WallTrackError

T = TypeVar("T")

PATIENCE_SECONDS: Final = 0.3
"""What takes longer comes to the view when it comes."""


def ask(asked: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Ask now. The answer, or the error, is had by awaiting it where it is shown."""
    task = asyncio.get_running_loop().create_task(asked)
    # A view that is left while it is built takes no answer.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def arrived(*asked: asyncio.Task[Any]) -> None:
    """Wait until all have come, yet no longer than a reader would look at nothing.

    Between here and the view's last part nothing is waited for, where all have come: it goes to the browser in one.
    """
    await asyncio.wait(asked, timeout=PATIENCE_SECONDS)


class LastAsked:
    """The questions of one part of a view, of which only the last one's answer is to be shown."""

    def __init__(self, place: Element) -> None:
        self._place = place
        self._count = 0

    async def answer(self, asked: Awaitable[T]) -> T | WallTrackError | None:
        """The answer, or why there is none; None where another question was put meanwhile, or the view was left."""
        self._count += 1
        mine = self._count
        answer: T | WallTrackError
        try:
            answer = await asked
        except WallTrackError as error:
            answer = error
        return None if self._place.is_deleted or mine != self._count else answer
