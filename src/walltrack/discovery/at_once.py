"""Doing some things at the same time, where that is worth it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


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
