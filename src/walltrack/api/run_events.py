"""What happens to a run, as server-sent events: every change of state once, in order, and where the run stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
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

_HELD_BACK_SECONDS: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
"""When a listener looks again after a notice: an event shows only once every older transaction has ended."""

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
            progress = await repository.get_progress(run_id)
            # In this order: whatever happened to an ended run is committed, and what is not held back now is read next.
            is_over = progress.status is not RunStatus.RUNNING and not await repository.holds_back(run_id)
            while events := await repository.events_since(run_id, cursor):
                for event in events:
                    yield _sent(event.kind, _event.dump_json(event), event.cursor)
                cursor = events[-1].cursor
            if (standing := _standing(progress)) != told:
                told = standing
                yield _sent("progress", _progress.dump_json(progress))
            if is_over:
                yield _sent("end", _progress.dump_json(progress))
                return
            await heard.something()


class _Heard:
    """Waits for notices about a run, and for a while after each, looks again by itself."""

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

    async def something(self) -> None:
        """Return when there may be something new."""
        seconds = self._looks.pop(0) if self._looks else _LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        if self._event.is_set():
            self._event.clear()
            self._looks = list(_HELD_BACK_SECONDS)

    async def _follow_stop(self) -> None:
        await self._stop.wait()
        self._event.set()

    async def _follow(self) -> None:
        async for payload in self._notices.listen():
            if payload in self._wanted:
                self._event.set()


def _standing(progress: RunProgress) -> tuple[object, ...]:
    """What of a progress is not the passing of time."""
    return (
        progress.status,
        progress.stage,
        tuple(sorted(progress.tokens.items())),
        progress.wallets,
        progress.profiled,
        progress.used,
        progress.forecast,
    )


def _sent(kind: str, data: bytes, cursor: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data.decode(), event=kind, id=cursor, retry=RETRY_MILLISECONDS)
