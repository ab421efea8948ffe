"""Doing some things at the same time, where that is worth it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, ParamSpec, TypeVar

_CANCELLED_AGAIN_SECONDS: Final = 0.1

T = TypeVar("T")
P = ParamSpec("P")


async def for_each(items: Sequence[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do the work for every item, some at once, in order. What the first one to raise raised ends the others."""
    places = asyncio.Semaphore(at_once)

    async def in_turn(item: T) -> None:
        async with places:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(in_turn(item))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def in_thread(compute: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Compute in a thread, so that whatever else goes on goes on."""
    return await asyncio.to_thread(compute, *arguments, **named)


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended. One cancellation can get lost where it meets the end of what the task waits
    for: asyncio.wait_for swallows it then, in Python before 3.12.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCELLED_AGAIN_SECONDS)
