"""The engine that does durable runs: jobs from a queue in the database, handed to `Work` in bounded slots.

Procrastinate delivers the jobs, at least once; the rows of a run decide what is done. So a job may get lost, come twice
or come late, and nothing is harmed: a sweep finds what has no job and what is held by nobody. No type of Procrastinate
leaves this module and `queue_access`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import procrastinate
import psycopg
import stamina
import structlog
from procrastinate.jobs import Job
from procrastinate.worker import Worker
from psycopg_pool import AsyncConnectionPool

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import RECONNECT_SECONDS, Database
from walltrack.data.supabase.errors import (
    DatabaseStorageError,
    DatabaseTimeoutError,
    DatabaseUnreachableError,
)
from walltrack.data.supabase.repositories.job_queue_repo import (
    ADVANCE_RUN,
    MEASURE_TOKEN,
    QUEUE,
    JobQueueRepository,
)
from walltrack.scheduler.queue_access import (
    LONGEST_WAIT_SECONDS,
    QueueConnector,
    QueueJobs,
    in_one_line,
    typed_faults,
)

log = structlog.get_logger()

SERVING_POOL_SIZE: Final = 3
"""What a process with an engine leaves its `Database`: the engine has two connections of its own, notices have one."""

GRACE: Final = timedelta(seconds=8)
SWEEP_EVERY: Final = timedelta(seconds=5)

_HAND_OVER_SECONDS: Final = 1.3
"""How long, after the grace, work that was cancelled may take to hand over what it held."""

_CLOSE_SECONDS: Final = 0.3
_POLL_SECONDS: Final = 1.0
"""A retried job and one whose notification got lost are found by looking."""

_SWEEP_LOOK_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 30.0
"""A sweep that takes longer is given up."""

_HEARTBEAT_SECONDS: Final = 5.0
_SILENCE: Final = timedelta(seconds=20)
_FETCH_TIMEOUT_SECONDS: Final = 2.0
_LONGEST_RETRY_SECONDS: Final = 30
_NEVER: Final = 1e9

_DATABASE_FAULTS: Final = (DatabaseUnreachableError, DatabaseTimeoutError, DatabaseStorageError)
"""What passes by itself, of what the repositories raise. Other errors come again however often one tries."""


class Work(Protocol):
    """What the jobs are. Each is called again where it raises a database fault; for all else the rows decide.

    Cancelled, it hands over what it holds, within a second.
    """

    async def advance_run(self, run_id: UUID) -> None:
        """Do the run's own next step, if there is one."""

    async def do_token(self, run_id: UUID, mint: str) -> None:
        """Measure one token of a run, if nobody else does."""

    async def sweep(self) -> None:
        """Put back what a dead worker held, and defer what has no job. Called in one process, every few seconds."""


class Engine(JobQueueRepository):
    """The queue, and a worker on it."""

    def __init__(
        self, settings: Settings, database: Database, work: Work, *, sweep_every: timedelta = SWEEP_EVERY
    ) -> None:
        super().__init__(database)
        self._settings = settings
        self._work = work
        self._sweep_every = sweep_every
        self._worker: Worker | None = None
        self._stopping = False
        self._doing: dict[asyncio.Task[None], asyncio.Task[Any] | None] = {}

    async def work(self, stop: asyncio.Event, *, slots: int, grace: timedelta = GRACE) -> None:
        """Do jobs, so many at once, until `stop` is set. Faults of the database are survived and never raised.

        Then what is in flight has `grace` to finish, and is cancelled after that: this returns at most two seconds
        later, whatever the work does. Jobs that were not finished come to another worker. Raises what no other try
        would mend: a defect, or a queue that `walltrack migrate` has not made.
        """
        logging.getLogger("procrastinate").setLevel(logging.WARNING)
        self._stopping = False
        serving = asyncio.create_task(self._serve(slots), name="serve jobs")
        sweeping = asyncio.create_task(self._sweep(), name="sweep")
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, sweeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            grace = timedelta(0)
            raise
        finally:
            stopped.cancel()
            sweeping.cancel()
            await self._stop(serving, grace)
            await asyncio.wait({sweeping}, timeout=_CLOSE_SECONDS)
        if serving.done() and not serving.cancelled():
            serving.result()

    async def _stop(self, serving: asyncio.Task[None], grace: timedelta) -> None:
        self._stopping = True
        if self._worker is None:
            serving.cancel()
        else:
            self._worker.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({serving}, timeout=grace.total_seconds())
        if serving.done():
            return
        log.warning("work_handed_over", jobs=len(self._doing))
        for task in self._doing:
            task.cancel()
        await asyncio.wait({serving}, timeout=_HAND_OVER_SECONDS)
        if serving.done():
            return
        log.warning("work_left", jobs=len(self._doing))
        for job in [job for job in self._doing.values() if job is not None]:
            job.cancel()
        # Procrastinate takes the first cancellation for a wish to stop, and waits; the second ends it.
        for _ in range(2):
            serving.cancel()
            await asyncio.wait({serving}, timeout=_CLOSE_SECONDS / 2)

    async def _serve(self, slots: int) -> None:
        """Keep a worker of Procrastinate's running. It survives most faults itself (see `QueueJobs`), but not all."""
        async for attempt in stamina.retry_context(
            on=(*_DATABASE_FAULTS, _WorkerEndedError),
            attempts=None,
            timeout=None,
            wait_max=LONGEST_WAIT_SECONDS,
        ):
            with attempt:
                try:
                    with typed_faults(self._database.where):
                        async with self._new_worker(slots) as worker:
                            self._worker = worker
                            await worker.run()  # type: ignore[no-untyped-call]
                            if not self._stopping:
                                raise _WorkerEndedError("Procrastinate's worker ended by itself")
                except (*_DATABASE_FAULTS, _WorkerEndedError) as error:
                    if self._stopping:
                        return
                    log.warning("worker_restarts", error=in_one_line(error))
                    raise
                finally:
                    self._worker = None

    @asynccontextmanager
    async def _new_worker(self, slots: int) -> AsyncIterator[Worker]:
        # A connection is not tried before it is used, which would double the round trips of a job: `QueueJobs` copes.
        pool = AsyncConnectionPool(
            self._database.conninfo,
            # As for every connection: prepared statements do not survive a pooler in transaction mode.
            kwargs={"prepare_threshold": None},
            min_size=1,
            max_size=1,
            timeout=_FETCH_TIMEOUT_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            configure=self._configure,
            open=False,
            name="walltrack jobs",
        )
        connector = QueueConnector(configure=self._configure)
        app = procrastinate.App(connector=connector)
        app.job_manager = QueueJobs(connector)
        for name, task in ((ADVANCE_RUN, self._advance_run), (MEASURE_TOKEN, self._measure_token)):
            app.task(name=name, queue=QUEUE, retry=_AfterDatabaseFault())(task)
        try:
            await pool.open()
            await connector.open_async(pool)
            yield Worker(
                app,
                queues=[QUEUE],
                concurrency=slots,
                fetch_job_polling_interval=_POLL_SECONDS,
                abort_job_polling_interval=_NEVER,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=_HEARTBEAT_SECONDS,
                stalled_worker_timeout=_SILENCE.total_seconds(),
            )
        finally:
            await pool.close(timeout=_CLOSE_SECONDS)

    async def _configure(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.set_autocommit(True)
        seconds = self._settings.database_statement_timeout_seconds
        await connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{seconds}s",))

    async def _advance_run(self, run_id: str) -> None:
        await self._do(self._work.advance_run(UUID(run_id)), ADVANCE_RUN, run_id=run_id)

    async def _measure_token(self, run_id: str, mint: str) -> None:
        await self._do(self._work.do_token(UUID(run_id), mint), MEASURE_TOKEN, run_id=run_id, mint=mint)

    async def _do(self, call: Coroutine[Any, Any, None], job: str, **names: str) -> None:
        """One call of the work, in a task of its own, so that a stop can cancel it and its job is removed all the
        same.
        """
        task = asyncio.create_task(call, name=f"{job} {names}")
        self._doing[task] = asyncio.current_task()
        try:
            await task
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise
        except _DATABASE_FAULTS as error:
            log.warning("job_tried_again", job=job, error=in_one_line(error), **names)
            raise
        except Exception:
            log.exception("job_failed", job=job, **names)
        finally:
            del self._doing[task]

    async def _sweep(self) -> None:
        """Sweep when it is time, in whichever process looks first.

        By a timer and not as a job: it needs no free slot, no right clock, and one that hangs blocks nobody else.
        """
        while True:
            try:
                if await self.claim_sweep(self._sweep_every):
                    async with asyncio.timeout(_SWEEP_SECONDS):
                        await self.remove_stalled(_SILENCE)
                        await self._work.sweep()
            except (*_DATABASE_FAULTS, TimeoutError) as error:
                log.warning("sweep_put_off", error=in_one_line(error))
            except Exception:
                log.exception("sweep_failed")
            await asyncio.sleep(_SWEEP_LOOK_SECONDS)


class _WorkerEndedError(Exception):
    """Procrastinate's worker stopped though nobody asked it to. It has logged why."""


class _AfterDatabaseFault(procrastinate.BaseRetryStrategy):
    """A job that met a fault of the database waits 1 s, 2 s, 4 s and so on, half a minute at most."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        if not isinstance(exception, _DATABASE_FAULTS):
            return None
        seconds = min(_LONGEST_RETRY_SECONDS, 2 ** min(job.attempts, 10))
        return procrastinate.RetryDecision(retry_in={"seconds": seconds})
