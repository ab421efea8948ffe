"""One run, step by step: tokens -> each one's tape -> wallets that qualify -> stored -> profiled. Over ports, so it
knows no database, no provider and no clock of its own. Every step goes on from what is stored, so steps may be done in
several processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from walltrack.discovery.at_once import in_thread
from walltrack.discovery.clock import Clock
from walltrack.discovery.early_buyers import EarlyBuyers, early_buyers
from walltrack.discovery.errors import RunStoppedError, WallTrackError
from walltrack.discovery.flags import launch_rush, tape_flags
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    ListedToken,
    QualifiedWallet,
    ReadingCost,
    RunToken,
    TokenRefusal,
    TokenStatus,
    TokenSummary,
)
from walltrack.discovery.profiling import (
    Histories,
    ProfileProgress,
    ProfileStores,
)
from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.discovery.wallet_models import RushBuy

TOKEN_LEASE: Final = timedelta(minutes=5)
"""How long a token may be worked on without a sign of life before its run counts as abandoned."""


@dataclass(frozen=True, slots=True)
class TokenList:
    """What a source lists: the tokens to look at, in order, and those it left out."""

    tokens: Sequence[ListedToken]
    refused: Sequence[TokenRefusal] = ()


@dataclass(frozen=True, slots=True)
class TapeReading:
    """One token's tape, and how it was read at what cost where it was read from a provider.

    `segments` says of how many stored segments of each address the tape was made: the same ones make it again.
    """

    tape: Tape | Unmeasurable
    cost: ReadingCost | None = None
    plan: str | None = None
    segments: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class StartedToken:
    """A token that was claimed, as it was listed. `attempt` is the fence for its end."""

    attempt: int
    token: ListedToken


class TokenSource(Histories, Protocol):
    """Where a run's tokens, their tapes and the histories of wallets come from."""

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

    async def read_tape(self, token: ListedToken, params: DiscoveryRunParams) -> TapeReading:
        """One token's tape. Raises WallTrackError where it cannot be had."""


class Runs(Protocol):
    """Where a run's end is recorded."""

    async def complete_run(
        self, run_id: UUID, *, completed_at: datetime, errors: Sequence[str], warnings: Sequence[str]
    ) -> DiscoveryRun: ...


class RunTokens(Protocol):
    """Where a run's tokens and what was found on them are kept."""

    async def get_run_tokens(self, run_id: UUID) -> Sequence[RunToken]:
        """Every token of the run, in the order in which they were listed."""

    async def finish_token(
        self,
        run_id: UUID,
        mint: str,
        attempt: int,
        *,
        completed_at: datetime,
        summary: TokenSummary,
        wallets: Sequence[QualifiedWallet],
        rush: Sequence[RushBuy],
        cost: ReadingCost | None,
        plan: str | None,
        segments: Mapping[str, int] | None,
    ) -> None:
        """Store a token's wallets, and who bought in the rush of its launch, and mark it done, whole or not at all."""

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


class RunPlans(Protocol):
    """Where it is kept what a run took from the market and what it left out."""

    async def store_plan(
        self,
        run_id: UUID,
        *,
        tokens: Sequence[ListedToken],
        refusals: Sequence[TokenRefusal],
        forecast: ReadingCost | None,
    ) -> None:
        """Store all of it or nothing."""


class Progress(ProfileProgress, Protocol):
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

    def wallets_listed(self, wallets: int) -> None:
        pass

    def wallet_profiled(self, wallet: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Stores:
    """Where a run is kept."""

    runs: Runs
    tokens: RunTokens
    plans: RunPlans
    profiling: ProfileStores


async def plan(
    run_id: UUID, params: DiscoveryRunParams, *, source: TokenSource, plans: RunPlans
) -> Sequence[ListedToken]:
    """List a run's tokens and store them, with what was left out and what reading is forecast to cost."""
    listed = await source.list_tokens(params)
    forecasts = [token.forecast for token in listed.tokens if token.forecast is not None]
    await plans.store_plan(
        run_id,
        tokens=listed.tokens,
        refusals=listed.refused,
        forecast=sum(forecasts, ReadingCost(0, 0)) if forecasts else None,
    )
    return listed.tokens


@dataclass(frozen=True, slots=True)
class TokenOutcome:
    """How the work on one token ended."""

    status: TokenStatus
    wallets: int = 0


async def measure_token(
    run_id: UUID,
    started: StartedToken,
    params: DiscoveryRunParams,
    *,
    source: TokenSource,
    tokens: RunTokens,
    clock: Clock,
) -> TokenOutcome:
    """Read the tape of a token that was claimed, and store what is found on it."""
    mint, attempt = started.token.mint, started.attempt

    async def give_up(
        status: TokenStatus, reason: str, *, cost: ReadingCost | None = None, how: str | None = None
    ) -> TokenOutcome:
        await tokens.mark_token(
            run_id, mint, attempt, status, reason, completed_at=clock.now(), cost=cost, plan=how
        )
        return TokenOutcome(status)

    if started.token.left_unread is not None:
        return await give_up(TokenStatus.UNMEASURABLE, started.token.left_unread, cost=ReadingCost(0, 0))
    try:
        reading = await source.read_tape(started.token, params)
    except WallTrackError as error:
        if error.passes:
            raise
        return await give_up(TokenStatus.FAILED, str(error))
    if isinstance(reading.tape, Unmeasurable):
        return await give_up(
            TokenStatus.UNMEASURABLE, reading.tape.reason, cost=reading.cost, how=reading.plan
        )
    tape = reading.tape
    found, wallets, rush = await in_thread(_measured, tape, params)
    if found.first_event_at is None or found.last_event_at is None:
        return await give_up(
            TokenStatus.UNMEASURABLE, "the tape is empty", cost=reading.cost, how=reading.plan
        )
    await tokens.finish_token(
        run_id,
        mint,
        attempt,
        completed_at=clock.now(),
        summary=TokenSummary(
            launch_at=datetime.fromtimestamp(tape.launch_time, UTC),
            launch_slot=tape.launch_slot,
            first_event_at=found.first_event_at,
            last_event_at=found.last_event_at,
            events=found.events,
            wallets_seen=found.wallets_seen,
            wallets_early=found.wallets_early,
            tape_cut=tape.cut,
        ),
        wallets=wallets,
        rush=rush,
        cost=reading.cost,
        plan=reading.plan,
        segments=reading.segments,
    )
    return TokenOutcome(TokenStatus.DONE, len(wallets))


async def conclude(
    run_id: UUID, *, stores: Stores, clock: Clock, warnings: Sequence[str], more_errors: Sequence[str] = ()
) -> DiscoveryRun:
    """Complete a run whose tokens have all come to an end. Raises RunStoppedError where none could be measured."""
    tokens = await stores.tokens.get_run_tokens(run_id)
    if tokens and not any(token.status is TokenStatus.DONE for token in tokens):
        first = f"{tokens[0].mint}: {tokens[0].reason}"
        raise RunStoppedError(f"none of {len(tokens)} tokens could be measured; the first: {first}")
    errors = [f"{token.mint}: {token.reason}" for token in tokens if token.status is TokenStatus.FAILED]
    return await stores.runs.complete_run(
        run_id, completed_at=clock.now(), errors=[*errors, *more_errors], warnings=warnings
    )


def _measured(
    tape: Tape, params: DiscoveryRunParams
) -> tuple[EarlyBuyers, list[QualifiedWallet], list[RushBuy]]:
    found = early_buyers(tape, params)
    return found, _with_flags(tape, found.wallets), launch_rush(tape)


def _with_flags(tape: Tape, wallets: Sequence[QualifiedWallet]) -> list[QualifiedWallet]:
    flags = tape_flags(tape, [wallet.wallet_address for wallet in wallets])
    return [
        replace(wallet, flags=tuple(dict.fromkeys(one.flag.value for one in evidence)), evidence=evidence)
        for wallet in wallets
        for evidence in [flags.get(wallet.wallet_address, ())]
    ]
