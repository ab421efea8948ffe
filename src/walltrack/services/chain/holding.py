"""Streams and histories while one reader holds them: others wait, and a claim lives for as long as its reader does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, TypeVar

import stamina

from walltrack.discovery.at_once import stopped
from walltrack.discovery.errors import WallTrackError

T = TypeVar("T")

_FIRST_LOOK: Final = 0.05  # seconds until what is busy is looked at again; longer each time
_LATER_LOOKS: Final = 1.0


async def once_free(work: Callable[[], Awaitable[T]], *, busy: tuple[type[WallTrackError], ...]) -> T:
    """Do work that claims something; from its start again, ever more rarely, for as long as it raises one of `busy`."""
    async for attempt in stamina.retry_context(
        on=busy,
        attempts=None,
        timeout=None,
        wait_initial=_FIRST_LOOK,
        wait_max=_LATER_LOOKS,
        wait_jitter=_FIRST_LOOK,
    ):
        with attempt:
            return await work()
    raise AssertionError("stamina ends with a result or an error")


@asynccontextmanager
async def held(
    renew: Callable[[], Awaitable[None]], release: Callable[[str | None], Awaitable[None]], lease: timedelta
) -> AsyncIterator[None]:
    """Prolong a claim for as long as the block takes, then give it back, with the fault that ended the block.

    The reader may wait long for its provider. Whoever stores notices that the claim is lost.
    """

    async def keep_alive() -> None:
        while True:
            await asyncio.sleep(lease.total_seconds() / 3)
            with suppress(WallTrackError):
                await renew()

    alive = asyncio.create_task(keep_alive())
    error: str | None = None
    try:
        yield
    except WallTrackError as fault:
        error = str(fault)
        raise
    finally:
        await stopped(alive)
        await asyncio.shield(release(error))
