"""How the system is, in one reading: workers, queue, the last run, what providers said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import utc, utc_or_none
from walltrack.data.supabase.repositories.run_progress_repo import WORKER_SILENCE
from walltrack.discovery.models import RunStatus, TriggerType

_STATE: Final = """
    SELECT now() AS read_at,
           (SELECT count(*) FROM walltrack_jobs.procrastinate_workers WHERE last_heartbeat > now() - %s) AS workers,
           (SELECT count(*) FROM walltrack_jobs.procrastinate_jobs WHERE status = 'todo') AS waiting,
           (SELECT count(*) FROM walltrack_jobs.procrastinate_jobs WHERE status = 'doing') AS doing
"""

_LAST_RUN: Final = """
    SELECT id, status, trigger_type, started_at, completed_at FROM discovery_runs
    ORDER BY started_at DESC, id DESC LIMIT 1
"""

_STOPPED: Final = """
    SELECT provider, min(stopped_reason) AS reason FROM provider_usage
    WHERE run_id = %s AND stopped_reason IS NOT NULL GROUP BY provider
"""


@dataclass(frozen=True, slots=True)
class LastRunSeen:
    """The run that started last. `stopped` are the reasons why it left providers alone, by provider."""

    id: UUID
    status: RunStatus
    trigger_type: TriggerType
    started_at: datetime
    completed_at: datetime | None
    stopped: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SystemState:
    """How many workers gave a sign of life lately, how many jobs wait and are being done, and the last run."""

    read_at: datetime
    workers: int
    waiting: int
    doing: int
    last_run: LastRunSeen | None


class HealthRepository:
    """What tells how the system is. Raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_state(self) -> SystemState:
        """How the system is now, by the database's clock."""
        async with self._database.autocommit() as connection:
            state = await (await connection.execute(_STATE, (WORKER_SILENCE,))).fetchone()
            run = await (await connection.execute(_LAST_RUN)).fetchone()
            stopped = []
            if run is not None:
                stopped = await (await connection.execute(_STOPPED, (run["id"],))).fetchall()
        assert state is not None
        last = None
        if run is not None:
            last = LastRunSeen(
                run["id"],
                RunStatus(run["status"]),
                TriggerType(run["trigger_type"]),
                utc(run["started_at"]),
                utc_or_none(run["completed_at"]),
                {row["provider"]: row["reason"] for row in stopped},
            )
        return SystemState(utc(state["read_at"]), state["workers"], state["waiting"], state["doing"], last)
