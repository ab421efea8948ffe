"""What happens to a run, as server-sent events: every change of state once, in order, and where the run stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
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

EVENT_SCHEMA: Final = {
    "type": "object",
    "description": "Its data is JSON: a RunEvent of `run` and `token`, a RunProgress of `progress` and `end`.",
    "properties": {
        "event": {"enum": ["run", "token", "progress", "end"]},
        "id": {"type": "string", "description": "Where to go on after it, of changes of state."},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {
            "type": "integer",
            "description": "Milliseconds until a client that was cut off comes back.",
        },
    },
    "required": ["event", "data"],
}

_LOOK_SECONDS: Final = 10.0
"""How often an idle listener looks by himself: a notice may get lost."""

_AT_ONCE: Final = 500
"""Events that are read at once."""

_HELD_BACK_SECONDS: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
"""When a listener looks again while an event is held back, which shows once every older transaction has ended."""

_event = TypeAdapter(RunEvent)
_progress = TypeAdapter(RunProgress)


async def has_ended(repository: RunProgressRepository, run_id: UUID) -> bool:
    """Whether a run has ended, and all its events are to be had. Raises RunNotFoundError."""
    progress = await repository.get_progress(run_id)
    return progress.status is not RunStatus.RUNNING and not await repository.holds_back(run_id)


async def run_events(
    context: ApiContext, run_id: UUID, cursor: str | None, stop: asyncio.Event
) -> AsyncIterator[ServerSentEvent]:
    """The events after the one whose cursor is given, then those to come, until the run's end was told.

    Changes of state have an id, by which a client that comes back goes on; `progress` says where the run stands and
    has none; `end` is the last. Without it, the stream was broken off, as it is when `stop` is set, and whoever listens
    comes back.
    """
    try:
        async for event in _told(context, run_id, cursor, stop):
            yield event
    except WallTrackError as error:
        if not error.passes:
            raise
        log.warning("run_events_interrupted", run_id=str(run_id), error=str(error))


async def _told(
    context: ApiContext, run_id: UUID, cursor: str | None, stop: asyncio.Event
) -> AsyncIterator[ServerSentEvent]:
    repository = RunProgressRepository(context.database)
    told: tuple[object, ...] | None = None
    async with _Heard(context.notices, run_id, stop) as heard:
        while not stop.is_set():
            seen = await _undisturbed(_look(repository, run_id, cursor))
            for event in seen.events:
                yield _sent(event.kind, _event.dump_json(event), event.cursor)
                cursor = event.cursor
            if seen.has_more:
                continue
            if seen.progress.standing != told:
                told = seen.progress.standing
                yield _sent("progress", _progress.dump_json(seen.progress))
            if seen.is_over:
                yield _sent("end", _progress.dump_json(seen.progress))
                return
            await heard.something(is_soon=seen.holds_back)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at a run shows: with `has_more`, there are further events to be had now; with `holds_back`, soon."""

    progress: RunProgress
    events: list[RunEvent]
    has_more: bool
    holds_back: bool

    @property
    def is_over(self) -> bool:
        """Whether with these events everything was told."""
        return self.progress.status is not RunStatus.RUNNING and not self.holds_back and not self.has_more


async def _look(repository: RunProgressRepository, run_id: UUID, cursor: str | None) -> _Seen:
    # In this order: whatever happened to an ended run is committed, and what is not held back now is read next.
    progress = await repository.get_progress(run_id)
    holds_back = await repository.holds_back(run_id)
    events = await repository.events_since(run_id, cursor, limit=_AT_ONCE)
    return _Seen(progress, events, len(events) == _AT_ONCE, holds_back)


async def _undisturbed(look: Coroutine[Any, Any, _Seen]) -> _Seen:
    """What a look shows. Whoever listens may go away meanwhile: the look ends by itself then, since one that is broken
    off costs its connection to the database.
    """
    task = asyncio.ensure_future(look)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(task)


class _Heard:
    """Waits for notices about a run."""

    def __init__(self, notices: Notices, run_id: UUID, stop: asyncio.Event) -> None:
        self._notices = notices
        self._wanted = (LISTENING, run_notice(run_id))
        self._stop = stop
        self._event = asyncio.Event()
        self._looks = list(_HELD_BACK_SECONDS)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> _Heard:
        self._tasks = [
            asyncio.create_task(self._follow(), name="notices of a run"),
            asyncio.create_task(self._follow_stop(), name="stop of a stream"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            await stopped(task)

    async def something(self, *, is_soon: bool) -> None:
        """Return when there may be something new. `is_soon`: there will be, without another notice."""
        if not is_soon:
            self._looks = list(_HELD_BACK_SECONDS)
        seconds = self._looks[0] if is_soon else _LOOK_SECONDS
        if is_soon and len(self._looks) > 1:
            del self._looks[0]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()

    async def _follow_stop(self) -> None:
        await self._stop.wait()
        self._event.set()

    async def _follow(self) -> None:
        async for payload in self._notices.listen():
            if payload in self._wanted:
                self._event.set()


def _sent(kind: str, data: bytes, cursor: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data.decode(), event=kind, id=cursor, retry=RETRY_MILLISECONDS)
