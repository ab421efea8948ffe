"""What happens to a run, as server-sent events: every change of state once, in order, and where the run stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from sse_starlette import ServerSentEvent

from walltrack.api.context import ApiContext
from walltrack.data.supabase.notices import LISTENING, Notices, run_notice
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.discovery.at_once import stopped
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import RunStatus
from walltrack.discovery.run_progress import RunEvent, RunProgress

log = structlog.get_logger()

PING_SECONDS: Final = 15
RETRY_MILLISECONDS: Final = 2_000

_LOOK_SECONDS: Final = 10.0
"""How often an idle listener looks by himself: a notice may get lost."""

SETTLED: Final = timedelta(seconds=5)
"""After its end, no event of a run is held back any more."""

_HELD_BACK_SECONDS: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
"""When a listener looks again after a notice: an event shows only once every older transaction has ended."""

_event = TypeAdapter(RunEvent)
_progress = TypeAdapter(RunProgress)


async def run_events(context: ApiContext, run_id: UUID, cursor: str | None) -> AsyncIterator[ServerSentEvent]:
    """The events after the one whose cursor is given, then those to come, until the run's end was told.

    Changes of state have an id, by which a client that comes back goes on; `progress` says where the run stands and
    has none; `end` is the last. Without it, the stream was broken off, and whoever listens comes back.
    """
    try:
        async for event in _told(context, run_id, cursor):
            yield event
    except WallTrackError as error:
        if not error.passes:
            raise
        log.warning("run_events_interrupted", run_id=str(run_id), error=str(error))


async def _told(context: ApiContext, run_id: UUID, cursor: str | None) -> AsyncIterator[ServerSentEvent]:
    repository = RunProgressRepository(context.database)
    told: tuple[object, ...] | None = None
    said_its_end = False
    async with _Heard(context.notices, run_id) as heard:
        while True:
            progress = await repository.get_progress(run_id)
            while events := await repository.events_since(run_id, cursor):
                for event in events:
                    said_its_end = event.kind == "run" and event.details["status"] != RunStatus.RUNNING
                    yield _sent(event.kind, _event.dump_json(event), event.cursor)
                cursor = events[-1].cursor
            if progress.standing != told:
                told = progress.standing
                yield _sent("progress", _progress.dump_json(progress))
            if progress.status is not RunStatus.RUNNING and (said_its_end or heard.is_settled):
                yield _sent("end", _progress.dump_json(progress))
                return
            await heard.something()


class _Heard:
    """Waits for notices about a run, and for a while after each, looks again by itself."""

    def __init__(self, notices: Notices, run_id: UUID) -> None:
        self._notices = notices
        self._wanted = (LISTENING, run_notice(run_id))
        self._event = asyncio.Event()
        self._looks = list(_HELD_BACK_SECONDS)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Heard:
        self._task = asyncio.create_task(self._follow(), name="notices of a run")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await stopped(self._task)

    @property
    def is_settled(self) -> bool:
        """Whether nothing can be held back any more that was noticed."""
        return not self._looks

    async def something(self) -> None:
        """Return when there may be something new."""
        seconds = self._looks.pop(0) if self._looks else _LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        if self._event.is_set():
            self._event.clear()
            self._looks = list(_HELD_BACK_SECONDS)

    async def _follow(self) -> None:
        async for payload in self._notices.listen():
            if payload in self._wanted:
                self._event.set()


def _sent(kind: str, data: bytes, cursor: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data.decode(), event=kind, id=cursor, retry=RETRY_MILLISECONDS)
