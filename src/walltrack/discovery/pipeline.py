"""One run, step by step: tokens -> each one's tape -> wallets that qualify -> stored. Over ports, so it knows no
database, no provider and no clock of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from walltrack.discovery.early_buyers import early_buyers
from walltrack.discovery.errors import RunStoppedError, WallTrackError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    ListedToken,
    QualifiedWallet,
    ReadingCost,
    TokenRefusal,
    TokenStatus,
    TokenSummary,
)
from walltrack.discovery.tape import Tape, Unmeasurable

TOKEN_LEASE: Final = timedelta(minutes=5)
"""How long a token may be worked on without a sign of life before its run counts as abandoned."""


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """Now, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class TokenList:
    """What a source lists: the tokens to look at, in order, and those it left out."""

    tokens: Sequence[ListedToken]
    refused: Sequence[TokenRefusal] = ()


@dataclass(frozen=True, slots=True)
class TapeReading:
    """One token's tape, and how it was read at what cost where it was read from a provider."""

    tape: Tape | Unmeasurable
    cost: ReadingCost | None = None
    plan: str | None = None


class TokenSource(Protocol):
    """Where a run's tokens and their tapes come from."""

    @property
    def description(self) -> str:
        """What the run's record calls this source."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the operator should know of the input, one sentence each."""

    @property
    def at_once(self) -> int:
        """How many tokens are worth reading at the same time."""

    async def list_tokens(self, params: DiscoveryRunParams) -> TokenList:
        """The tokens to look at. Raises WallTrackError where they cannot be listed."""

    async def read_tape(self, mint: str, params: DiscoveryRunParams) -> TapeReading:
        """One token's tape. Raises WallTrackError where it cannot be had."""


class Runs(Protocol):
    """Where a run's end is recorded."""

    async def complete_run(
        self, run_id: UUID, *, completed_at: datetime, errors: Sequence[str], warnings: Sequence[str]
    ) -> DiscoveryRun: ...


class RunTokens(Protocol):
    """Where a run's tokens and what was found on them are kept."""

    async def add_tokens(
        self, run_id: UUID, mints: Sequence[str], forecasts: Mapping[str, ReadingCost]
    ) -> None: ...

    async def start_token(
        self, run_id: UUID, mint: str, *, now: datetime, lease_expires_at: datetime
    ) -> int | None:
        """Claim one token. The attempt that is returned is the fence for its end; None: another holds it."""

    async def finish_token(
        self,
        run_id: UUID,
        mint: str,
        attempt: int,
        *,
        completed_at: datetime,
        summary: TokenSummary,
        wallets: Sequence[QualifiedWallet],
        cost: ReadingCost | None,
        plan: str | None,
    ) -> None:
        """Store a token's wallets and mark it done, whole or not at all."""

    async def mark_token(
        self,
        run_id: UUID,
        mint: str,
        attempt: int,
        status: TokenStatus,
        reason: str,
        *,
        completed_at: datetime,
        cost: ReadingCost | None,
        plan: str | None,
    ) -> None: ...


class RunListings(Protocol):
    """Where it is kept what a run took from the market and what it left out."""

    async def store_listing(
        self, run_id: UUID, *, refusals: Sequence[TokenRefusal], forecast: ReadingCost | None
    ) -> None: ...


class Progress(Protocol):
    """Who watches a run."""

    def tokens_listed(self, mints: Sequence[str]) -> None: ...

    def token_finished(self, mint: str, status: TokenStatus, wallets: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Nobody watches."""

    def tokens_listed(self, mints: Sequence[str]) -> None:
        pass

    def token_finished(self, mint: str, status: TokenStatus, wallets: int) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Stores:
    """Where a run is kept."""

    runs: Runs
    tokens: RunTokens
    listings: RunListings


async def discover(
    run_id: UUID,
    params: DiscoveryRunParams,
    *,
    source: TokenSource,
    stores: Stores,
    clock: Clock,
    progress: Progress,
) -> DiscoveryRun:
    """Do a run that has been created, and complete it.

    A token that fails leaves an error on the run and the others go on. Raises RunStoppedError where no token could
    be measured, and whatever the source or the stores raised where the run could not go on: the caller records it.
    """
    listed = await source.list_tokens(params)
    mints = [token.mint for token in listed.tokens]
    forecasts = {token.mint: token.forecast for token in listed.tokens if token.forecast is not None}
    forecast = sum(forecasts.values(), ReadingCost(0, 0)) if forecasts else None
    await stores.listings.store_listing(run_id, refusals=listed.refused, forecast=forecast)
    await stores.tokens.add_tokens(run_id, mints, forecasts)
    progress.tokens_listed(mints)
    token_run = _TokenRun(run_id, params, source=source, tokens=stores.tokens, clock=clock, progress=progress)
    await _for_each(mints, token_run.do, at_once=source.at_once)
    if mints and len(token_run.unmeasured) == len(mints):
        first = next(f"{mint}: {token_run.unmeasured[mint]}" for mint in mints)
        raise RunStoppedError(f"none of {len(mints)} tokens could be measured; the first: {first}")
    errors = [f"{mint}: {token_run.failed[mint]}" for mint in mints if mint in token_run.failed]
    return await stores.runs.complete_run(
        run_id, completed_at=clock.now(), errors=errors, warnings=source.warnings
    )


class _TokenRun:
    """The work on one token after another, and what came of those that could not be measured."""

    def __init__(
        self,
        run_id: UUID,
        params: DiscoveryRunParams,
        *,
        source: TokenSource,
        tokens: RunTokens,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._run_id = run_id
        self._params = params
        self._source = source
        self._tokens = tokens
        self._clock = clock
        self._progress = progress
        self.unmeasured: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    async def do(self, mint: str) -> None:
        now = self._clock.now()
        attempt = await self._tokens.start_token(
            self._run_id, mint, now=now, lease_expires_at=now + TOKEN_LEASE
        )
        if attempt is None:
            return
        try:
            reading = await self._source.read_tape(mint, self._params)
        except WallTrackError as error:
            self.failed[mint] = str(error)
            await self._give_up(mint, attempt, TokenStatus.FAILED, str(error), TapeReading(Unmeasurable("")))
            return
        if isinstance(reading.tape, Unmeasurable):
            await self._give_up(mint, attempt, TokenStatus.UNMEASURABLE, reading.tape.reason, reading)
            return
        found = early_buyers(reading.tape, self._params)
        if found.first_event_at is None or found.last_event_at is None:
            await self._give_up(mint, attempt, TokenStatus.UNMEASURABLE, "the tape is empty", reading)
            return
        await self._tokens.finish_token(
            self._run_id,
            mint,
            attempt,
            completed_at=self._clock.now(),
            summary=TokenSummary(
                launch_at=datetime.fromtimestamp(reading.tape.launch_time, UTC),
                launch_slot=reading.tape.launch_slot,
                first_event_at=found.first_event_at,
                last_event_at=found.last_event_at,
                events=found.events,
                wallets_seen=found.wallets_seen,
                wallets_early=found.wallets_early,
                tape_cut=reading.tape.cut,
            ),
            wallets=found.wallets,
            cost=reading.cost,
            plan=reading.plan,
        )
        self._progress.token_finished(mint, TokenStatus.DONE, len(found.wallets))

    async def _give_up(
        self, mint: str, attempt: int, status: TokenStatus, reason: str, reading: TapeReading
    ) -> None:
        self.unmeasured[mint] = reason
        await self._tokens.mark_token(
            self._run_id,
            mint,
            attempt,
            status,
            reason,
            completed_at=self._clock.now(),
            cost=reading.cost,
            plan=reading.plan,
        )
        self._progress.token_finished(mint, status, 0)


async def _for_each(items: Sequence[str], work: Callable[[str], Awaitable[None]], *, at_once: int) -> None:
    """Do the work for every item, some at once, in order. What the first one to raise raised ends the others."""
    places = asyncio.Semaphore(at_once)

    async def in_turn(item: str) -> None:
        async with places:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(in_turn(item))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
