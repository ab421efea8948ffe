"""What a run spends: requests, credits and errors of each provider, kept with the run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol
from uuid import UUID

FLUSH_EVERY: Final = 50
"""Calls after which what was counted is stored."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used of one provider. `requests` counts every try that went out, `errors` those without a result.

    `stopped_reason` says why nothing more is asked of it, None while it is.
    """

    requests: int = 0
    credits: int = 0
    errors: int = 0
    stopped_reason: str | None = None


class UsageStore(Protocol):
    """Where usage is kept, added up over all processes of a run. Methods take and give plain values."""

    async def add(
        self,
        run_id: UUID | None,
        provider: str,
        *,
        requests: int,
        credits: int,
        errors: int,
        stopped_reason: str | None,
    ) -> str | None:
        """Add to what is stored. Returns the stored reason to stop, which any process of the run may have given."""


class Meter:
    """Counts what one run, or one command, spends, and knows which providers it has to leave alone.

    `run_id` None: work outside of runs. Without a store it only counts. Safe for concurrent tasks of one loop.
    """

    def __init__(
        self, run_id: UUID | None = None, store: UsageStore | None = None, *, flush_every: int = FLUSH_EVERY
    ) -> None:
        self._run_id = run_id
        self._store = store
        self._flush_every = flush_every
        self._total: dict[str, Usage] = {}
        self._unsaved: dict[str, Usage] = {}
        self._unsaved_calls = 0
        self._flushing = asyncio.Lock()

    @property
    def used(self) -> Mapping[str, Usage]:
        """What this process used so far, by provider."""
        return dict(self._total)

    def stopped(self, provider: str) -> str | None:
        """Why nothing more may be asked of a provider; None where it may."""
        usage = self._total.get(provider)
        return None if usage is None else usage.stopped_reason

    def stop(self, provider: str, reason: str) -> None:
        """Ask nothing more of a provider. The first reason stays."""
        if self.stopped(provider) is None:
            self._count(provider, Usage(stopped_reason=reason))

    async def count(self, provider: str, *, requests: int = 0, credits: int = 0, errors: int = 0) -> None:
        """Count, and store now and then. Raises what the store raises."""
        self._count(provider, Usage(requests, credits, errors))
        self._unsaved_calls += requests
        if self._unsaved_calls >= self._flush_every:
            await self.flush()

    async def flush(self) -> None:
        """Store what was counted since. What could not be stored is kept for the next time."""
        if self._store is None:
            return
        async with self._flushing:
            self._unsaved_calls = 0
            for provider in list(self._unsaved):
                await self._save(self._store, provider)

    async def _save(self, store: UsageStore, provider: str) -> None:
        unsaved = self._unsaved.pop(provider)
        try:
            reason = await store.add(
                self._run_id,
                provider,
                requests=unsaved.requests,
                credits=unsaved.credits,
                errors=unsaved.errors,
                stopped_reason=unsaved.stopped_reason,
            )
        except BaseException:
            self._unsaved[provider] = _sum(unsaved, self._unsaved.get(provider, Usage()))
            raise
        if reason is not None:
            known = self._total.get(provider, Usage())
            self._total[provider] = replace(known, stopped_reason=known.stopped_reason or reason)

    def _count(self, provider: str, more: Usage) -> None:
        self._total[provider] = _sum(self._total.get(provider, Usage()), more)
        self._unsaved[provider] = _sum(self._unsaved.get(provider, Usage()), more)


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        first.requests + second.requests,
        first.credits + second.credits,
        first.errors + second.errors,
        first.stopped_reason or second.stopped_reason,
    )
