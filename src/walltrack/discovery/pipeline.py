"""One run, step by step: tokens -> each one's tape -> wallets that qualify -> stored. Over ports, so it knows no
database, no provider and no clock of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from walltrack.discovery.early_buyers import early_buyers
from walltrack.discovery.errors import RunStoppedError, WallTrackError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    QualifiedWallet,
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


class TokenSource(Protocol):
    """Where a run's tokens and their tapes come from."""

    @property
    def description(self) -> str:
        """What the run's record calls this source."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the operator should know of the input, one sentence each."""

    async def mints(self) -> Sequence[str]:
        """The tokens to look at, in order. Raises WallTrackError where they cannot be listed."""

    async def tape(self, mint: str) -> Tape | Unmeasurable:
        """One token's tape. Raises WallTrackError where it cannot be had."""


class Runs(Protocol):
    """Where a run's end is recorded."""

    async def complete_run(
        self, run_id: UUID, *, completed_at: datetime, errors: Sequence[str], warnings: Sequence[str]
    ) -> DiscoveryRun: ...


class RunTokens(Protocol):
    """Where a run's tokens and what was found on them are kept."""

    async def add_tokens(self, run_id: UUID, mints: Sequence[str]) -> None: ...

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
class _Measured:
    summary: TokenSummary
    wallets: Sequence[QualifiedWallet]


@dataclass(frozen=True, slots=True)
class _Failed:
    reason: str


async def discover(
    run_id: UUID,
    params: DiscoveryRunParams,
    *,
    source: TokenSource,
    runs: Runs,
    tokens: RunTokens,
    clock: Clock,
    progress: Progress,
) -> DiscoveryRun:
    """Do a run that has been created, and complete it.

    A token that fails leaves an error on the run and the others go on. Raises RunStoppedError where no token could
    be measured, and whatever the source or the stores raised where the run could not go on: the caller records it.
    """
    mints = await source.mints()
    progress.tokens_listed(mints)
    await tokens.add_tokens(run_id, mints)
    unmeasured: list[str] = []
    errors: list[str] = []
    for mint in mints:
        now = clock.now()
        attempt = await tokens.start_token(run_id, mint, now=now, lease_expires_at=now + TOKEN_LEASE)
        if attempt is None:
            continue
        found = await _measured(source, mint, params)
        if isinstance(found, _Measured):
            status, count = TokenStatus.DONE, len(found.wallets)
            await tokens.finish_token(
                run_id,
                mint,
                attempt,
                completed_at=clock.now(),
                summary=found.summary,
                wallets=found.wallets,
            )
        else:
            status, count = TokenStatus.UNMEASURABLE, 0
            if isinstance(found, _Failed):
                status = TokenStatus.FAILED
                errors.append(f"{mint}: {found.reason}")
            unmeasured.append(f"{mint}: {found.reason}")
            await tokens.mark_token(run_id, mint, attempt, status, found.reason, completed_at=clock.now())
        progress.token_finished(mint, status, count)
    if mints and len(unmeasured) == len(mints):
        raise RunStoppedError(f"none of {len(mints)} tokens could be measured; the first: {unmeasured[0]}")
    return await runs.complete_run(run_id, completed_at=clock.now(), errors=errors, warnings=source.warnings)


async def _measured(
    source: TokenSource, mint: str, params: DiscoveryRunParams
) -> _Measured | Unmeasurable | _Failed:
    try:
        tape = await source.tape(mint)
        return tape if isinstance(tape, Unmeasurable) else _measure(tape, params)
    except WallTrackError as error:
        return _Failed(str(error))


def _measure(tape: Tape, params: DiscoveryRunParams) -> _Measured | Unmeasurable:
    found = early_buyers(tape, params)
    if found.first_event_at is None or found.last_event_at is None:
        return Unmeasurable("the tape is empty")
    return _Measured(
        TokenSummary(
            launch_at=datetime.fromtimestamp(tape.launch_time, UTC),
            launch_slot=tape.launch_slot,
            first_event_at=found.first_event_at,
            last_event_at=found.last_event_at,
            events=found.events,
            wallets_seen=found.wallets_seen,
            wallets_early=found.wallets_early,
            tape_cut=tape.cut,
        ),
        found.wallets,
    )
