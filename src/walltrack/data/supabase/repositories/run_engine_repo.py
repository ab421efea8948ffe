"""Who does which step of a durable run, and what a sweep puts back when its holder is gone.

A run has a stage where the engine does it; a run without one is never touched here. Leases are set and compared by the
database's clock alone: the clocks of the machines differ, and a sandbox has a time of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, LiteralString
from uuid import UUID

from psycopg import sql

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import StaleClaimError
from walltrack.data.supabase.repositories.rows import aware, listed_from_row, storable
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.pipeline import StartedToken

MAX_DEATHS: Final = 5
"""So many workers may die over a token or a step before it is given up."""


class RunStage(StrEnum):
    """Where a running run of the engine stands. Listing and profiling are steps of the run itself."""

    LISTING = "listing"
    TOKENS = "tokens"
    PROFILING = "profiling"
    ENDED = "ended"


class StaleStepError(WallTrackError):
    """The run's step was claimed by somebody else since, or the run has ended: nothing of the late one was stored."""

    def __init__(self, run_id: UUID, attempt: int) -> None:
        super().__init__(
            f"run {run_id}: attempt {attempt} no longer holds its step; nothing of it was stored"
        )
        self.run_id = run_id
        self.attempt = attempt


@dataclass(frozen=True, slots=True)
class StepClaim:
    """A step of a run that is held. `attempt` is the fence for all that is stored of it."""

    run_id: UUID
    stage: RunStage
    attempt: int


@dataclass(frozen=True, slots=True)
class PutBack:
    """A token, or where `mint` is None a step, whose worker died. `given_up`: for the last time."""

    run_id: UUID
    mint: str | None
    deaths: int
    given_up: bool


# A step is open where nobody holds it; one whose holder is gone is put back first, and counted. The last step comes
# when no token is open any more.
_STEP_IS_OPEN: Final = sql.SQL("""
    status = 'running' AND lease_expires_at IS NULL AND deaths < %(max_deaths)s
    AND (stage IN ('listing', 'profiling') OR (stage = 'tokens' AND NOT EXISTS (
        SELECT FROM discovery_run_tokens
        WHERE run_id = discovery_runs.id AND status IN ('pending', 'running')
    )))
""")

_CLAIM_STEP: Final = sql.SQL("""
    UPDATE discovery_runs
    SET stage = CASE stage WHEN 'tokens' THEN 'profiling' ELSE stage END,
        attempt = attempt + 1, claimed_by = %(claimed_by)s, lease_expires_at = now() + %(lease)s
    WHERE id = %(run_id)s AND {is_open}
    RETURNING stage, attempt
""").format(is_open=_STEP_IS_OPEN)

_RENEW_STEP: Final = """
    UPDATE discovery_runs SET lease_expires_at = now() + %(lease)s
    WHERE id = %(run_id)s AND attempt = %(attempt)s AND status = 'running' AND lease_expires_at IS NOT NULL
    RETURNING id
"""

_RELEASE_STEP: Final = """
    UPDATE discovery_runs SET lease_expires_at = NULL, claimed_by = NULL
    WHERE id = %(run_id)s AND attempt = %(attempt)s AND status = 'running' AND lease_expires_at IS NOT NULL
    RETURNING id
"""

_SET_STAGE: Final = """
    UPDATE discovery_runs SET stage = %(stage)s, deaths = 0, lease_expires_at = NULL, claimed_by = NULL
    WHERE id = %(run_id)s AND attempt = %(attempt)s AND status = 'running' AND lease_expires_at IS NOT NULL
    RETURNING id
"""

# Keeps the step from being put back, and the run from being ended, until the transaction has.
_HOLD_STEP: Final = """
    SELECT id FROM discovery_runs
    WHERE id = %(run_id)s AND attempt = %(attempt)s AND status = 'running' AND lease_expires_at IS NOT NULL
    FOR NO KEY UPDATE
"""

_PUT_BACK_TOKENS: Final = """
    UPDATE discovery_run_tokens token
    SET deaths = token.deaths + 1,
        status = CASE WHEN token.deaths + 1 < %(max_deaths)s THEN 'pending' ELSE 'failed' END,
        reason = CASE WHEN token.deaths + 1 < %(max_deaths)s THEN token.reason
                      ELSE format('given up: its worker died %%s times', token.deaths + 1) END,
        completed_at = CASE WHEN token.deaths + 1 < %(max_deaths)s THEN NULL ELSE now() END,
        lease_expires_at = NULL, claimed_by = NULL
    FROM (
        SELECT expired.run_id, expired.mint FROM discovery_run_tokens expired
        JOIN discovery_runs run ON run.id = expired.run_id AND run.status = 'running' AND run.stage IS NOT NULL
        WHERE expired.status = 'running' AND expired.lease_expires_at <= now()
        ORDER BY expired.run_id, expired.mint
        FOR NO KEY UPDATE OF expired SKIP LOCKED
    ) gone
    WHERE token.run_id = gone.run_id AND token.mint = gone.mint
    RETURNING token.run_id, token.mint, token.deaths, token.status = 'failed' AS given_up
"""

# A run that nobody failed after its last death is reported again.
_PUT_BACK_STEPS: Final = """
    UPDATE discovery_runs run
    SET deaths = run.deaths + gone.died, attempt = run.attempt + gone.died, lease_expires_at = NULL, claimed_by = NULL
    FROM (
        SELECT id, CASE WHEN lease_expires_at IS NULL THEN 0 ELSE 1 END AS died FROM discovery_runs
        WHERE status = 'running' AND stage IS NOT NULL
          AND (lease_expires_at <= now() OR (lease_expires_at IS NULL AND deaths >= %(max_deaths)s))
        ORDER BY id
        FOR NO KEY UPDATE SKIP LOCKED
    ) gone
    WHERE run.id = gone.id
    RETURNING run.id AS run_id, run.deaths, run.deaths >= %(max_deaths)s AS given_up
"""

_CLAIM_MINT: Final = """
    UPDATE discovery_run_tokens token
    SET status = 'running', attempt = token.attempt + 1, claimed_by = %(claimed_by)s,
        lease_expires_at = now() + %(lease)s, started_at = coalesce(token.started_at, %(started_at)s)
    FROM discovery_runs run
    WHERE token.run_id = %(run_id)s AND token.mint = %(mint)s AND token.status = 'pending'
      AND run.id = token.run_id AND run.status = 'running' AND run.stage = 'tokens'
    RETURNING token.attempt, token.mint, token.listing, token.forecast_requests, token.forecast_credits
"""

_RENEW_MINT: Final = """
    UPDATE discovery_run_tokens SET lease_expires_at = now() + %(lease)s
    WHERE run_id = %(run_id)s AND mint = %(mint)s AND attempt = %(attempt)s AND status = 'running'
    RETURNING mint
"""

_OPEN_TOKENS: Final = """
    SELECT EXISTS (
        SELECT FROM discovery_run_tokens WHERE run_id = %s AND status IN ('pending', 'running')
    ) AS has_any
"""

_HAND_OVER: Final = """
    UPDATE discovery_run_tokens SET status = 'pending', lease_expires_at = NULL, claimed_by = NULL
    WHERE run_id = %(run_id)s AND mint = %(mint)s AND attempt = %(attempt)s AND status = 'running'
    RETURNING mint
"""

_PENDING_TOKENS: Final = """
    SELECT token.run_id, token.mint FROM discovery_run_tokens token
    JOIN discovery_runs run ON run.id = token.run_id AND run.status = 'running' AND run.stage = 'tokens'
    WHERE token.status = 'pending'
    ORDER BY run.started_at, run.id, token.position
"""

_RUNS_TO_ADVANCE: Final = sql.SQL(
    "SELECT id FROM discovery_runs WHERE {is_open} ORDER BY started_at, id"
).format(is_open=_STEP_IS_OPEN)

_ENDED: Final = """
    SELECT given.id FROM unnest(%(run_ids)s::uuid[]) AS given (id)
    LEFT JOIN discovery_runs run ON run.id = given.id
    WHERE run.status IS DISTINCT FROM 'running'
"""


class RunEngineRepository:
    """Claims of the steps of runs, and what a sweep does. Raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database, *, max_deaths: int = MAX_DEATHS) -> None:
        self._database = database
        self._max_deaths = max_deaths

    async def claim_step(
        self, run_id: UUID, *, lease: timedelta, claimed_by: str | None = None
    ) -> StepClaim | None:
        """Claim the run's own next step. A run whose last token has ended comes to profiling by this.

        None: nobody need do anything now. Another holds the step, tokens are open, the run has ended, is none of the
        engine's or is given up.
        """
        values = {
            "run_id": run_id,
            "lease": lease,
            "claimed_by": storable(claimed_by),
            "max_deaths": self._max_deaths,
        }
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_CLAIM_STEP, values)).fetchone()
        return None if row is None else StepClaim(run_id, RunStage(row["stage"]), row["attempt"])

    async def renew_step(self, claim: StepClaim, *, lease: timedelta) -> None:
        """Prolong a claim, counted from now. Raises StaleStepError where it is lost."""
        await self._held(_RENEW_STEP, claim, lease=lease)

    async def release_step(self, claim: StepClaim) -> None:
        """Give a step back undone, for another to claim at once. Raises StaleStepError where the claim is lost."""
        await self._held(_RELEASE_STEP, claim)

    async def claim_token(
        self,
        run_id: UUID,
        mint: str,
        *,
        started_at: datetime,
        lease: timedelta,
        claimed_by: str | None = None,
    ) -> StartedToken | None:
        """Claim a token that waits. None: it does not, or its run has ended."""
        values = {
            "run_id": run_id,
            "mint": mint,
            "started_at": aware(started_at),
            "lease": lease,
            "claimed_by": storable(claimed_by),
        }
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_CLAIM_MINT, values)).fetchone()
        return None if row is None else StartedToken(row["attempt"], listed_from_row(row))

    async def renew_token(self, run_id: UUID, mint: str, attempt: int, *, lease: timedelta) -> None:
        """Prolong a claim, counted from now. Raises StaleClaimError where it is lost."""
        values = {"run_id": run_id, "mint": mint, "attempt": attempt, "lease": lease}
        async with self._database.autocommit() as connection:
            if await (await connection.execute(_RENEW_MINT, values)).fetchone() is None:
                raise StaleClaimError(run_id, mint, attempt)

    async def has_open_tokens(self, run_id: UUID) -> bool:
        """Whether any token of the run has not come to its end."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_OPEN_TOKENS, (run_id,))).fetchone()
        return row is not None and row["has_any"]

    async def give_back_token(self, run_id: UUID, mint: str, attempt: int) -> bool:
        """Hand a claimed token over: pending again, for another to claim at once. It does not count as a death.

        False where the claim was lost, so that somebody else has it already or it has ended.
        """
        async with self._database.autocommit() as connection:
            values = {"run_id": run_id, "mint": mint, "attempt": attempt}
            return await (await connection.execute(_HAND_OVER, values)).fetchone() is not None

    async def put_back_tokens(self) -> list[PutBack]:
        """Make the tokens whose lease has expired pending again, or failed where it was once too often."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(_PUT_BACK_TOKENS, {"max_deaths": self._max_deaths})
            return [
                PutBack(row["run_id"], row["mint"], row["deaths"], row["given_up"])
                for row in await cursor.fetchall()
            ]

    async def put_back_steps(self) -> list[PutBack]:
        """Free the steps whose lease has expired. A run that is given up is for the caller to fail: it is reported
        again until it has ended.
        """
        async with self._database.transaction() as connection:
            cursor = await connection.execute(_PUT_BACK_STEPS, {"max_deaths": self._max_deaths})
            return [
                PutBack(row["run_id"], None, row["deaths"], row["given_up"])
                for row in await cursor.fetchall()
            ]

    async def pending_tokens(self) -> list[tuple[UUID, str]]:
        """(run, mint) of the tokens that wait to be claimed, of the oldest run first, each run's in its order."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_PENDING_TOKENS)).fetchall()
        return [(row["run_id"], row["mint"]) for row in rows]

    async def runs_to_advance(self) -> list[UUID]:
        """The runs of whose steps one can be claimed, the oldest first."""
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_RUNS_TO_ADVANCE, {"max_deaths": self._max_deaths})
            return [row["id"] for row in await cursor.fetchall()]

    async def ended_runs(self, run_ids: Collection[UUID]) -> set[UUID]:
        """Those of the given runs that no longer run, deleted ones too: work on them is to be stopped."""
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_ENDED, {"run_ids": list(run_ids)})
            return {row["id"] for row in await cursor.fetchall()}

    async def _held(self, query: LiteralString, claim: StepClaim, **values: object) -> None:
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(
                query, {"run_id": claim.run_id, "attempt": claim.attempt, **values}
            )
            if await cursor.fetchone() is None:
                raise StaleStepError(claim.run_id, claim.attempt)


async def hold_step(connection: Connection, claim: StepClaim) -> None:
    """Keep a step's claim from being lost until the transaction has ended: before anything of the step is stored.

    Raises StaleStepError where it is lost already.
    """
    values = {"run_id": claim.run_id, "attempt": claim.attempt}
    if await (await connection.execute(_HOLD_STEP, values)).fetchone() is None:
        raise StaleStepError(claim.run_id, claim.attempt)


async def end_step(connection: Connection, claim: StepClaim, stage: RunStage) -> None:
    """Within the caller's transaction: the step is done, and `stage` comes next. Raises StaleStepError."""
    values = {"run_id": claim.run_id, "attempt": claim.attempt, "stage": stage.value}
    if await (await connection.execute(_SET_STAGE, values)).fetchone() is None:
        raise StaleStepError(claim.run_id, claim.attempt)
