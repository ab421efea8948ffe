"""The queue that hands jobs to workers. A job carries only ids, and may be delivered twice or late: the rows of the run
decide what is to be done.

The tables are Procrastinate's, in the schema that `walltrack.data.supabase.queue_schema` makes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Database

QUEUE: Final = "walltrack"
ADVANCE_RUN: Final = "advance_run"
MEASURE_TOKEN: Final = "measure_token"  # noqa: S105 - a task's name

_RUN_PRIORITY: Final = 10
_TOKEN_PRIORITY: Final = 0
"""Steps of a run are few, and much waits for them: they go before the tokens of other runs."""

_LOCK: Final = 0x57414C4C_4A4F4253
"""The advisory lock of those that defer several jobs: in two orders they would wait for each other. WALLJOBS."""

# A job that waits with the same queueing lock does as well.
_DEFER: Final = """
    INSERT INTO walltrack_jobs.procrastinate_jobs (queue_name, task_name, priority, queueing_lock, args)
    SELECT %(queue)s, %(task)s, %(priority)s, given.lock, given.args
    FROM unnest(%(locks)s::text[], %(args)s::jsonb[]) WITH ORDINALITY AS given (lock, args, place)
    ORDER BY given.place
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING
"""

_WAITING: Final = """
    SELECT args FROM walltrack_jobs.procrastinate_jobs WHERE status = 'todo' AND task_name = %(task)s
"""

_FORGET_DEAD_WORKERS: Final = """
    DELETE FROM walltrack_jobs.procrastinate_workers WHERE last_heartbeat < now() - %(silence)s
"""

# The jobs of a worker that is forgotten stay without one.
_REMOVE_STALLED: Final = """
    DELETE FROM walltrack_jobs.procrastinate_jobs WHERE status <> 'todo' AND worker_id IS NULL
"""

# A server whose clock was put back is no reason to stop sweeping. A little later than now is another's sweep that began
# after this transaction did.
_CLAIM_SWEEP: Final = """
    UPDATE walltrack_jobs.sweeps SET swept_at = now()
    WHERE swept_at <= now() - %(every)s OR swept_at > now() + %(every)s
    RETURNING swept_at
"""

# What a worker says on its own connection.

KEEP_WORKER: Final = """
    INSERT INTO walltrack_jobs.procrastinate_workers (id, last_heartbeat) OVERRIDING SYSTEM VALUE
    VALUES (%(worker_id)s, now())
    ON CONFLICT (id) DO UPDATE SET last_heartbeat = now()
"""
"""A worker's sign of life. One that was silent so long that it was forgotten is known again."""

RETRY_IN: Final = """
    SELECT walltrack_jobs.procrastinate_retry_job_v2(%(job_id)s, now() + %(wait)s, NULL, NULL, NULL)
"""
"""Let a job wait once more, by the database's clock."""

REMOVE_ALL_BUT: Final = """
    DELETE FROM walltrack_jobs.procrastinate_jobs
    WHERE status = 'doing' AND worker_id = %(worker_id)s AND id <> ALL (%(held)s::bigint[])
"""
"""Remove the jobs that a worker fetched and does not do, because an answer of the database got lost."""


class JobQueueRepository:
    """Jobs that wait and jobs that nobody does. Raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def defer_run(self, run_id: UUID) -> None:
        """Let a worker do the run's next step, soon. Does nothing where a job for it waits already."""
        await self._defer(ADVANCE_RUN, _RUN_PRIORITY, [f"run:{run_id}"], [{"run_id": str(run_id)}])

    async def defer_tokens(self, run_id: UUID, mints: Iterable[str]) -> None:
        """Let workers measure tokens of a run, in this order. Those for which a job waits already are left out."""
        named = list(dict.fromkeys(mints))
        locks = [f"token:{run_id}:{mint}" for mint in named]
        arguments = [{"run_id": str(run_id), "mint": mint} for mint in named]
        await self._defer(MEASURE_TOKEN, _TOKEN_PRIORITY, locks, arguments)

    async def waiting_runs(self) -> set[UUID]:
        """The runs of which a step waits in the queue."""
        return {UUID(arguments["run_id"]) for arguments in await self._waiting(ADVANCE_RUN)}

    async def waiting_tokens(self) -> set[tuple[UUID, str]]:
        """(run, mint) of the tokens that wait in the queue."""
        waiting = await self._waiting(MEASURE_TOKEN)
        return {(UUID(arguments["run_id"]), arguments["mint"]) for arguments in waiting}

    async def remove_stalled(self, silence: timedelta) -> int:
        """Forget the workers that were silent for so long, and remove the jobs they held. Returns how many."""
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET_DEAD_WORKERS, {"silence": silence})
            return (await connection.execute(_REMOVE_STALLED)).rowcount

    async def claim_sweep(self, every: timedelta) -> bool:
        """Whether it is this process that sweeps now: of all processes one does, and not more often than `every`."""
        async with self._database.autocommit() as connection:
            return await (await connection.execute(_CLAIM_SWEEP, {"every": every})).fetchone() is not None

    async def _defer(
        self, task: str, priority: int, locks: list[str], arguments: list[dict[str, str]]
    ) -> None:
        if not locks:
            return
        async with self._database.transaction() as connection:
            if len(locks) > 1:
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            await connection.execute(
                _DEFER,
                {
                    "queue": QUEUE,
                    "task": task,
                    "priority": priority,
                    "locks": locks,
                    "args": [Jsonb(argument) for argument in arguments],
                },
            )

    async def _waiting(self, task: str) -> list[dict[str, str]]:
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_WAITING, {"task": task})).fetchall()
        return [row["args"] for row in rows]
