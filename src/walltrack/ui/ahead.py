"""What a view needs of the API, asked for all at once before it is built, so that the browser draws it once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

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
