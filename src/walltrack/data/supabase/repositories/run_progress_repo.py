"""How far a run is: its progress in one reading, and every change of its state as events."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.rows import Row, page_size, utc, utc_or_none
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import ReadingCost, RunStatus, TokenStatus
from walltrack.discovery.run_progress import RunEvent, RunProgress, estimated_end

WORKER_SILENCE: Final = timedelta(seconds=20)
"""A worker that gave no sign of life for so long does not serve."""

# One statement reads one state of the database. The times between which tokens ended are the server's own: the clock
# of a market may be another.
_PROGRESS: Final = """
    SELECT run.status, run.stage, run.started_at, run.completed_at, run.profiled_wallets, run.errors,
           run.forecast_requests, run.forecast_credits, now() AS read_at,
           coalesce(tokens.by_status, run.removed_tokens->'statuses', '{}') AS tokens, wallets.found AS wallets,
           coalesce(used.requests, 0)::int8 AS requests, coalesce(used.credits, 0)::int8 AS credits,
           working.since AS working_since, working.finished
    FROM discovery_runs run
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(status, count) AS by_status FROM (
            SELECT status, count(*) FROM discovery_run_tokens WHERE run_id = run.id GROUP BY status
        ) counted
    ) tokens
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT wallet_address) AS found FROM discovery_run_wallets
        WHERE run_id = run.id AND duplicate_of IS NULL
    ) wallets
    CROSS JOIN LATERAL (
        SELECT sum(requests) AS requests, sum(credits) AS credits FROM provider_usage WHERE run_id = run.id
    ) used
    CROSS JOIN LATERAL (
        SELECT begun.since, (
            SELECT count(*) FROM run_events
            WHERE run_id = run.id AND kind = 'token' AND at >= begun.since
              AND details->>'status' IN ('done', 'unmeasurable', 'failed')
        ) AS finished
        FROM (
            SELECT max(at) AS since FROM run_events
            WHERE run_id = run.id AND kind = 'run' AND details->>'status' = 'running' AND details->>'stage' = 'tokens'
        ) begun
    ) working
    WHERE run.id = %s
"""

# A transaction that is still open may have noted events before those that are read: none of a later one is given until
# it has ended.
_EVENTS: Final = """
    SELECT id, transaction::text AS transaction, at, kind, details FROM run_events
    WHERE run_id = %(run_id)s
      AND (%(transaction)s::text IS NULL OR (transaction, id) > (%(transaction)s::text::xid8, %(id)s::bigint))
      AND transaction < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY run_events.transaction, id
    LIMIT %(limit)s
"""

_HELD_BACK: Final = """
    SELECT EXISTS (
        SELECT FROM run_events WHERE run_id = %s AND transaction >= pg_snapshot_xmin(pg_current_snapshot())
    ) AS held_back
"""

_WORKERS: Final = """
    SELECT count(*) AS serving FROM walltrack_jobs.procrastinate_workers WHERE last_heartbeat > now() - %s
"""

_CURSOR: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,18})", re.ASCII)


class RunProgressRepository:
    """What those who watch a run read. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_progress(self, run_id: UUID) -> RunProgress:
        """Where a run stands, all of it at one moment. Raises RunNotFoundError."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_PROGRESS, (run_id,))).fetchone()
        if row is None:
            raise RunNotFoundError(run_id)
        return _progress(run_id, row)

    async def events_since(
        self, run_id: UUID, cursor: str | None = None, *, limit: int = 500
    ) -> list[RunEvent]:
        """The events after the one whose cursor is given (None: from the first on), in an order that never changes.

        A reader who goes on from the last one he got misses none and gets none twice. An event comes once every
        transaction has ended that was open when it was noted. Raises BadInputError for a limit outside 1 to 500 or a
        cursor that is none of an event.
        """
        transaction, number = _read_cursor(cursor)
        values = {"run_id": run_id, "transaction": transaction, "id": number, "limit": page_size(limit)}
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_EVENTS, values)).fetchall()
        return [
            RunEvent(f"{row['transaction']}-{row['id']}", utc(row["at"]), row["kind"], row["details"])
            for row in rows
        ]

    async def holds_back(self, run_id: UUID) -> bool:
        """Whether there are events of a run that `events_since` does not give yet."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_HELD_BACK, (run_id,))).fetchone()
        return row is not None and bool(row["held_back"])

    async def serving_workers(self) -> int:
        """How many workers gave a sign of life lately: without one, runs wait."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_WORKERS, (WORKER_SILENCE,))).fetchone()
        return 0 if row is None else int(row["serving"])


def _progress(run_id: UUID, row: Row) -> RunProgress:
    tokens = {TokenStatus(status): count for status, count in row["tokens"].items()}
    status = RunStatus(row["status"])
    still_open = tokens.get(TokenStatus.PENDING, 0) + tokens.get(TokenStatus.RUNNING, 0)
    forecast = None
    if row["forecast_requests"] is not None and row["forecast_credits"] is not None:
        forecast = ReadingCost(row["forecast_requests"], row["forecast_credits"])
    end = None
    if status is RunStatus.RUNNING:
        end = estimated_end(
            utc(row["read_at"]),
            utc_or_none(row["working_since"]),
            finished=row["finished"],
            still_open=still_open,
        )
    return RunProgress(
        run_id=run_id,
        status=status,
        stage=row["stage"],
        tokens=tokens,
        wallets=row["wallets"],
        profiled=row["profiled_wallets"] or 0,
        used=ReadingCost(row["requests"], row["credits"]),
        forecast=forecast,
        started_at=utc(row["started_at"]),
        read_at=utc(row["read_at"]),
        completed_at=utc_or_none(row["completed_at"]),
        estimated_end=end,
        errors=tuple(map(str, row["errors"] or ())),
    )


def _read_cursor(cursor: str | None) -> tuple[str | None, int | None]:
    if cursor is None:
        return None, None
    parts = _CURSOR.fullmatch(cursor)
    if parts is None:
        raise BadInputError(
            "cursor: is none of an event of this run; take that of the last event, or leave it out"
        )
    return parts[1], int(parts[2])
