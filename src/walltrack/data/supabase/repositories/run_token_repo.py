"""A run's work on its tokens: claimed with a lease, and finished only by the holder of the current attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import RunEndedError, RunNotFoundError, StaleClaimError
from walltrack.data.supabase.repositories.findings import store_findings
from walltrack.data.supabase.repositories.rows import aware, storable, token_from_row
from walltrack.data.supabase.repositories.rush_repo import store_rush
from walltrack.discovery.models import (
    QualifiedWallet,
    ReadingCost,
    RunStatus,
    RunToken,
    TokenStatus,
    TokenSummary,
)
from walltrack.discovery.wallet_models import RushBuy

# FOR SHARE waits for whoever is ending the run, so that no token starts after its end.
_RUN_STATUS: Final = "SELECT status FROM discovery_runs WHERE id = %s FOR SHARE"

_CLAIM: Final = """
    UPDATE discovery_run_tokens
    SET status = 'running', attempt = attempt + 1, claimed_by = %(claimed_by)s,
        lease_expires_at = %(lease_expires_at)s, started_at = coalesce(started_at, %(now)s)
    WHERE run_id = %(run_id)s AND mint = %(mint)s
      AND (status = 'pending' OR (status = 'running' AND lease_expires_at <= %(now)s))
    RETURNING attempt
"""

_RENEW: Final = """
    UPDATE discovery_run_tokens SET lease_expires_at = %(lease_expires_at)s
    WHERE run_id = %(run_id)s AND mint = %(mint)s AND attempt = %(attempt)s AND status = 'running'
    RETURNING mint
"""

_HOLD: Final = """
    SELECT mint FROM discovery_run_tokens
    WHERE run_id = %s AND mint = %s AND attempt = %s AND status = 'running'
    FOR UPDATE
"""

_END: Final = """
    UPDATE discovery_run_tokens
    SET status = %(status)s, reason = %(reason)s, completed_at = %(completed_at)s, lease_expires_at = NULL,
        wallets_found = %(wallets_found)s, launch_at = %(launch_at)s, launch_slot = %(launch_slot)s,
        first_event_at = %(first_event_at)s, last_event_at = %(last_event_at)s, events = %(events)s,
        wallets_seen = %(wallets_seen)s, wallets_early = %(wallets_early)s, tape_cut = %(tape_cut)s,
        requests = %(requests)s, credits = %(credits)s, plan = %(plan)s,
        tape_segments = %(segments)s
    WHERE run_id = %(run_id)s AND mint = %(mint)s
"""

_ONE_OF_RUN: Final = "SELECT * FROM discovery_run_tokens WHERE run_id = %s AND mint = %s"

_TOKENS_OF_RUN: Final = "SELECT * FROM discovery_run_tokens WHERE run_id = %s ORDER BY position, mint"


class RunTokenRepository:
    """Rows of `discovery_run_tokens`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start_token(
        self,
        run_id: UUID,
        mint: str,
        *,
        now: datetime,
        lease_expires_at: datetime,
        claimed_by: str | None = None,
    ) -> int | None:
        """Claim a token that is pending, or whose lease has expired. Returns the attempt, which ending it needs.

        None: somebody else holds it, it has ended, or it is no token of this run. Raises RunNotFoundError,
        RunEndedError.
        """
        async with self._database.transaction() as connection:
            await hold_running(connection, run_id)
            cursor = await connection.execute(
                _CLAIM,
                {
                    "run_id": run_id,
                    "mint": mint,
                    "now": aware(now),
                    "lease_expires_at": aware(lease_expires_at),
                    "claimed_by": storable(claimed_by),
                },
            )
            row = await cursor.fetchone()
        return None if row is None else int(row["attempt"])

    async def renew_token(self, run_id: UUID, mint: str, attempt: int, *, lease_expires_at: datetime) -> None:
        """Prolong a claim. Raises StaleClaimError where it is lost."""
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(
                _RENEW,
                {
                    "run_id": run_id,
                    "mint": mint,
                    "attempt": attempt,
                    "lease_expires_at": aware(lease_expires_at),
                },
            )
            if await cursor.fetchone() is None:
                raise StaleClaimError(run_id, mint, attempt)

    async def finish_token(
        self,
        run_id: UUID,
        mint: str,
        attempt: int,
        *,
        completed_at: datetime,
        summary: TokenSummary,
        wallets: Sequence[QualifiedWallet],
        rush: Sequence[RushBuy] | None = None,
        cost: ReadingCost | None = None,
        plan: str | None = None,
        segments: Mapping[str, int] | None = None,
    ) -> None:
        """Store the wallets found on a token and the rush at its launch (None: not measured), and mark the token done,
        all or nothing.

        Raises StaleClaimError where the claim is lost or the run was ended, ValueError where a wallet is not of this
        token or stands twice (in the rush too), DatabaseStorageError where the server cannot store.
        """
        if any(wallet.source_token != mint for wallet in wallets):
            raise ValueError(f"run {run_id}: findings of another token given for {mint}")
        async with self._database.transaction() as connection:
            await _hold(connection, run_id, mint, attempt)
            await store_findings(connection, run_id, wallets, seen_at=aware(completed_at))
            if rush is not None:
                await store_rush(connection, run_id, mint, summary, rush, measured_at=aware(completed_at))
            await _end(
                connection,
                run_id,
                mint,
                TokenStatus.DONE,
                completed_at,
                summary=summary,
                wallets_found=len(wallets),
                cost=cost,
                plan=plan,
                segments=segments,
            )

    async def mark_token(
        self,
        run_id: UUID,
        mint: str,
        attempt: int,
        status: TokenStatus,
        reason: str,
        *,
        completed_at: datetime,
        summary: TokenSummary | None = None,
        cost: ReadingCost | None = None,
        plan: str | None = None,
    ) -> None:
        """End a claimed token without findings: unmeasurable, failed or cancelled, and why.

        Raises StaleClaimError where the claim is lost, ValueError for another status.
        """
        if status not in (TokenStatus.UNMEASURABLE, TokenStatus.FAILED, TokenStatus.CANCELLED):
            raise ValueError(f"run {run_id}, token {mint}: {status} is no end without findings")
        async with self._database.transaction() as connection:
            await _hold(connection, run_id, mint, attempt)
            await _end(
                connection,
                run_id,
                mint,
                status,
                completed_at,
                summary=summary,
                reason=reason,
                cost=cost,
                plan=plan,
            )

    async def get_run_token(self, run_id: UUID, mint: str) -> RunToken | None:
        """One token of a run; None where it has none of that mint."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_ONE_OF_RUN, (run_id, mint))).fetchone()
        return None if row is None else token_from_row(row)

    async def get_run_tokens(self, run_id: UUID) -> list[RunToken]:
        """The tokens of a run, in the order in which they were added."""
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_TOKENS_OF_RUN, (run_id,))
            return [token_from_row(row) for row in await cursor.fetchall()]


async def hold_running(connection: Connection, run_id: UUID) -> None:
    """Keep a run from ending until the transaction does. Raises RunNotFoundError, RunEndedError."""
    row = await (await connection.execute(_RUN_STATUS, (run_id,))).fetchone()
    if row is None:
        raise RunNotFoundError(run_id)
    if row["status"] != RunStatus.RUNNING:
        raise RunEndedError(run_id, row["status"])


async def _hold(connection: Connection, run_id: UUID, mint: str, attempt: int) -> None:
    if await (await connection.execute(_HOLD, (run_id, mint, attempt))).fetchone() is None:
        raise StaleClaimError(run_id, mint, attempt)


async def _end(
    connection: Connection,
    run_id: UUID,
    mint: str,
    status: TokenStatus,
    completed_at: datetime,
    *,
    summary: TokenSummary | None,
    reason: str | None = None,
    wallets_found: int = 0,
    cost: ReadingCost | None = None,
    plan: str | None = None,
    segments: Mapping[str, int] | None = None,
) -> None:
    await connection.execute(
        _END,
        {
            "run_id": run_id,
            "mint": mint,
            "status": status.value,
            "reason": storable(reason),
            "completed_at": aware(completed_at),
            "wallets_found": wallets_found,
            "launch_at": summary.launch_at if summary else None,
            "launch_slot": summary.launch_slot if summary else None,
            "first_event_at": summary.first_event_at if summary else None,
            "last_event_at": summary.last_event_at if summary else None,
            "events": summary.events if summary else None,
            "wallets_seen": summary.wallets_seen if summary else None,
            "wallets_early": summary.wallets_early if summary else None,
            "tape_cut": storable(summary.tape_cut) if summary else None,
            "requests": cost.requests if cost else None,
            "credits": cost.credits if cost else None,
            "plan": storable(plan),
            "segments": None if segments is None else Jsonb(dict(segments)),
        },
    )
