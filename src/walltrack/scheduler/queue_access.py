"""How the engine reaches Procrastinate's rows: in a schema of their own, and through faults of the database.

As in `engine`, no type of Procrastinate goes beyond these two modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, LiteralString, cast

import procrastinate
import psycopg
import stamina
import structlog
from procrastinate.connector import BaseAsyncConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

from walltrack.data.supabase.errors import translated
from walltrack.data.supabase.queue_schema import SCHEMA
from walltrack.data.supabase.repositories.job_queue_repo import KEEP_WORKER, REMOVE_ALL_BUT, RETRY_IN

log = structlog.get_logger()

LONGEST_WAIT_SECONDS: Final = 5.0
"""Between two tries of what the database refuses."""


class QueueConnector(procrastinate.PsycopgConnector):
    """Every query names the schema. A search path would not survive a pooler in transaction mode, or would come to
    another of its clients.
    """

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        await super().execute_query_async(with_schema(query), **arguments)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        return cast("dict[str, Any]", await super().execute_query_one_async(with_schema(query), **arguments))

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        return cast(
            "list[dict[str, Any]]", await super().execute_query_all_async(with_schema(query), **arguments)
        )


@cache
def with_schema(query: LiteralString) -> LiteralString:
    """A query of Procrastinate's with the schema before each of its names."""
    return re.sub(rf"\b(?<!{SCHEMA}\.)procrastinate_", f"{SCHEMA}.procrastinate_", query)


class QueueJobs(JobManager):
    """Procrastinate's access to its rows, which a fault of the database does not end.

    Its worker stops for good where a heartbeat or the listener fails, and forgets a job whose end could not be
    written. Here they are tried again, and what got lost on the way is put in order at the next fetch.
    """

    def __init__(self, connector: BaseAsyncConnector) -> None:
        super().__init__(connector)
        self._held: set[int] = set()
        self._is_untidy = False
        self._notices = 0

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        try:
            if self._is_untidy:
                await self.connector.execute_query_async(KEEP_WORKER, worker_id=worker_id)
                await self.connector.execute_query_async(
                    REMOVE_ALL_BUT, worker_id=worker_id, held=list(self._held)
                )
                self._is_untidy = False
            while True:
                notices = self._notices
                job = await super().fetch_job(queues, worker_id)
                # The worker forgets the notices that came while it looked.
                if job is not None or notices == self._notices:
                    break
        except ConnectorException as error:
            self._note("fetch", error)
            return None
        if job is not None and job.id is not None:
            self._held.add(job.id)
        return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        assert job.id is not None
        self._held.discard(job.id)
        try:
            await super().finish_job(job, status, delete_job)
        except ConnectorException as error:
            # Procrastinate's function raises where the job is gone: removed while this worker was silent.
            if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                self._note("finish", error)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        assert job.id is not None
        self._held.discard(job.id)
        wait = timedelta(0) if retry_at is None else retry_at - datetime.now(retry_at.tzinfo)
        try:
            await self.connector.execute_query_async(RETRY_IN, job_id=job.id, wait=wait)
        except UniqueViolation:
            await self.finish_job(job, Status.FAILED, delete_job=True)  # another one waits
        except ConnectorException as error:
            if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                self._note("retry", error)

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def heard(*, channel: str, notification: Any) -> None:
            self._notices += 1
            await on_notification(channel=channel, notification=notification)

        async for attempt in stamina.retry_context(
            on=ConnectorException, attempts=None, timeout=None, wait_max=LONGEST_WAIT_SECONDS
        ):
            with attempt:
                await JobManager.listen_for_jobs(self, on_notification=heard, queues=queues)

    async def update_heartbeat(self, worker_id: int) -> None:
        try:
            await self.connector.execute_query_async(KEEP_WORKER, worker_id=worker_id)
        except ConnectorException as error:
            self._note("heartbeat", error)

    async def unregister_worker(self, worker_id: int) -> None:
        with suppress(ConnectorException):  # it will be forgotten as one that is silent
            await super().unregister_worker(worker_id)

    def _note(self, what: str, error: ConnectorException) -> None:
        if not self._is_untidy:
            log.warning("queue_fault", what=what, error=in_one_line(error.__cause__ or error))
        self._is_untidy = True


@contextmanager
def typed_faults(where: str) -> Iterator[None]:
    """Turn what Procrastinate and the driver raise into the errors of `walltrack.data.supabase.errors`."""
    with translated(where):
        try:
            yield
        except ConnectorException as error:
            if isinstance(error.__cause__, psycopg.Error):
                raise error.__cause__ from None
            raise


def in_one_line(error: BaseException) -> str:
    """What an error says, for a line of the log."""
    return " ".join(str(error).split()) or type(error).__name__
