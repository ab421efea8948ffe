"""Taking up an ended run again: what failed or was cancelled of it is to be done once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.rows import run_from_row
from walltrack.data.supabase.repositories.run_starts import hold_starts, require_room
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRun, RunStatus, TriggerType

_LOCK: Final = """
    SELECT status, stage, tokens_removed_at, removed_tokens FROM discovery_runs WHERE id = %s FOR NO KEY UPDATE
"""

_REOPEN_TOKENS: Final = """
    UPDATE discovery_run_tokens
    SET status = 'pending', deaths = 0, reason = NULL, started_at = NULL, completed_at = NULL,
        lease_expires_at = NULL, claimed_by = NULL
    WHERE run_id = %s AND status IN ('failed', 'cancelled')
    RETURNING mint, position
"""

# The new attempt is a fence: whoever held a step before the run ended stores nothing now. Warnings come again with the
# run's next end.
_REOPEN: Final = """
    UPDATE discovery_runs
    SET status = 'running', completed_at = NULL, errors = '[]', warnings = '[]', deaths = 0, attempt = attempt + 1,
        lease_expires_at = NULL, claimed_by = NULL, tokens_removed_at = NULL, removed_tokens = NULL,
        stage = CASE WHEN EXISTS (SELECT FROM discovery_run_tokens WHERE run_id = %(run_id)s)
                     THEN 'tokens' ELSE 'listing' END
    WHERE id = %(run_id)s
    RETURNING *
"""

# A provider that the run left alone, for a key that was refused for one, is asked again.
_ASK_AGAIN: Final = "UPDATE provider_usage SET stopped_reason = NULL WHERE run_id = %s"


class NotResumableError(BadInputError):
    """There is nothing of the run that could be done once more. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class ResumedRun:
    """A run that runs again, and the tokens that are to be measured once more, in their order."""

    run: DiscoveryRun
    mints: tuple[str, ...]


class RunResumeRepository:
    """Ended runs that are taken up again. Raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def resume_run(self, run_id: UUID, *, at_most: int) -> ResumedRun:
        """Let an ended run go on: its failed and cancelled tokens wait again, what it found stays. All or nothing.

        Whoever calls it defers what is returned. Raises RunNotFoundError, RunsBusyError where `at_most` are running,
        NotResumableError for a run that runs, that completed without a failed token, that is none of the engine's, or
        whose tokens were removed by retention.
        """
        async with self._database.transaction() as connection:
            await hold_starts(connection)
            status = await _ended_status(connection, run_id)
            await require_room(connection, TriggerType.MANUAL, at_most=at_most)
            tokens = await (await connection.execute(_REOPEN_TOKENS, (run_id,))).fetchall()
            if status is RunStatus.COMPLETED and not tokens:
                raise NotResumableError(
                    f"run {run_id} completed and none of its tokens failed: there is nothing to do once more; "
                    f"`walltrack runs again {run_id}` makes a new run of it"
                )
            await connection.execute(_ASK_AGAIN, (run_id,))
            row = await (await connection.execute(_REOPEN, {"run_id": run_id})).fetchone()
            assert row is not None
            in_order = sorted(tokens, key=lambda token: token["position"])
            return ResumedRun(run_from_row(row), tuple(token["mint"] for token in in_order))


async def _ended_status(connection: Connection, run_id: UUID) -> RunStatus:
    row = await (await connection.execute(_LOCK, (run_id,))).fetchone()
    if row is None:
        raise RunNotFoundError(run_id)
    if row["status"] == RunStatus.RUNNING:
        raise NotResumableError(
            f"run {run_id} is running; `walltrack runs watch {run_id}` shows how far it is"
        )
    if row["stage"] is None:
        raise NotResumableError(
            f"run {run_id} was done by the command that started it, with its files or market, and cannot be taken up; "
            f"`walltrack runs again {run_id} --fresh` makes a new run on the same tokens"
        )
    if row["tokens_removed_at"] is not None and row["removed_tokens"]["listed"]:
        raise NotResumableError(
            f"run {run_id}: retention removed its {row['removed_tokens']['listed']} token(s) on "
            f"{row['tokens_removed_at']:%Y-%m-%d} (WALLTRACK_RETAIN_RUN_TOKENS_DAYS), so it cannot be taken up any "
            "more; start a new run"
        )
    return RunStatus(row["status"])
