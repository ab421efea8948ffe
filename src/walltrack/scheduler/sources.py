"""Where the tokens of a durable run come from, opened once in a process for all its jobs of that run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from walltrack.discovery.models import DiscoveryRun
from walltrack.discovery.pipeline import TokenSource

SourceOf = Callable[[DiscoveryRun], AbstractAsyncContextManager[TokenSource]]
"""Opens the source that a run's record asks for."""


@dataclass(slots=True)
class _Opened:
    users: int = 0
    source: TokenSource | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    context: AbstractAsyncContextManager[TokenSource] | None = None


class Sources:
    """The sources of the runs that this process works on. The last user of one closes it."""

    def __init__(self, source_of: SourceOf) -> None:
        self._source_of = source_of
        self._opened: dict[UUID, _Opened] = {}

    @asynccontextmanager
    async def opened(self, run: DiscoveryRun) -> AsyncIterator[TokenSource]:
        """The source of a run, shared with whoever else uses it now."""
        entry = self._opened.setdefault(run.id, _Opened())
        entry.users += 1
        try:
            async with entry.opening:
                if entry.source is None:
                    entry.context = self._source_of(run)
                    entry.source = await entry.context.__aenter__()
            yield entry.source
        finally:
            entry.users -= 1
            if entry.users == 0 and self._opened.get(run.id) is entry:
                del self._opened[run.id]
                if entry.context is not None and entry.source is not None:
                    await asyncio.shield(entry.context.__aexit__(None, None, None))
