"""Removes what is kept no longer: once a day in one of the processes that do jobs, or when it is asked for."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.retention_repo import (
    HISTORIES_AT_ONCE,
    STREAMS_AT_ONCE,
    RetentionRepository,
)
from walltrack.discovery.clock import Clock
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.retention import (
    ReadingKind,
    RemovedRows,
    RetentionBounds,
    RetentionPlan,
    RetentionReport,
    StoredReading,
)

log = structlog.get_logger()

EVERY: Final = timedelta(days=1)
TRIED_AGAIN_IN: Final = timedelta(hours=1)

_LOOK_SECONDS: Final = 60.0
_GIGABYTE: Final = 1_000_000_000


def bounds_of(settings: Settings) -> RetentionBounds:
    """The bounds that the settings ask for."""
    return RetentionBounds(
        tapes=timedelta(days=settings.retain_tapes_days),
        run_tokens=timedelta(days=settings.retain_run_tokens_days),
        tapes_bytes=settings.tapes_max_gb * _GIGABYTE,
    )


class Retention:
    """Passes over what is stored. One at a time over all processes, each batch a transaction of its own: a pass that is
    broken off at any place has removed what it had removed, and the next one goes on.
    """

    def __init__(self, database: Database, bounds: RetentionBounds, clock: Clock) -> None:
        self._repository = RetentionRepository(database)
        self._bounds = bounds
        self._clock = clock
        self._name = f"process {os.getpid()} on {platform.node()}"

    async def look(self) -> RetentionReport:
        """What a pass would remove now. Changes nothing."""
        plan = await self._plan()
        return _report(plan, plan.readings, RemovedRows(runs=plan.runs), dry_run=True)

    async def run(self) -> RetentionReport:
        """Do a pass now; the daily one is due a day later. Raises RetentionBusyError while another is under way."""
        return await self._pass(await self._repository.claim(self._name), _never)

    async def run_if_due(self, is_stopped: Callable[[], bool]) -> RetentionReport | None:
        """Do the day's pass if none has done it, up to the end of the batch in which it is stopped. None: nothing was
        to do.

        One that fails is due again an hour later, by whichever process looks first.
        """
        attempt = await self._repository.claim_due(self._name, every=EVERY)
        return None if attempt is None else await self._pass(attempt, is_stopped)

    async def keep(self, stop: asyncio.Event) -> None:
        """Do a pass every day until `stop` is set. What fails is logged."""
        while not stop.is_set():
            try:
                report = await self.run_if_due(stop.is_set)
                if report is not None:
                    log.info("retention_done", **figures(report))
            except WallTrackError as error:
                log.warning("retention_put_off", error=str(error))
            except Exception:
                log.exception("retention_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await stop.wait()

    async def _pass(self, attempt: int, is_stopped: Callable[[], bool]) -> RetentionReport:
        try:
            report = await self._removed(attempt, is_stopped)
        except asyncio.CancelledError:
            with suppress(WallTrackError):
                await asyncio.shield(self._repository.release(attempt, next_in=None))
            raise
        except Exception as error:
            with suppress(WallTrackError):
                await self._repository.release(attempt, next_in=TRIED_AGAIN_IN, error=str(error))
            raise
        await self._repository.release(
            attempt, next_in=EVERY if report.is_whole else None, done=report.is_whole
        )
        return report

    async def _removed(self, attempt: int, is_stopped: Callable[[], bool]) -> RetentionReport:
        repository = self._repository
        plan = await self._plan()
        went: list[StoredReading] = []
        rows = RemovedRows()
        streams = [one for one in plan.readings if one.kind is ReadingKind.STREAM]
        histories = [one for one in plan.readings if one.kind is ReadingKind.HISTORY]
        is_whole = False
        await repository.add_up_counts()
        # What an earlier pass left on its way out goes first.
        while await repository.empty_streams(attempt) and not is_stopped():
            pass
        for batch in _batches(streams, STREAMS_AT_ONCE, is_stopped):
            keys = [one.key for one in batch]
            gone = await repository.remove_streams(attempt, keys, unused_since=plan.made_at)
            went += [one for one in batch if one.key in gone]
            while await repository.empty_streams(attempt) and not is_stopped():
                pass
        for batch in _batches(histories, HISTORIES_AT_ONCE, is_stopped):
            keys = [one.key for one in batch]
            gone = await repository.remove_histories(attempt, keys, unused_since=plan.made_at)
            went += [one for one in batch if one.key in gone]
        before = self._clock.now() - self._bounds.run_tokens
        while not is_stopped():
            more = await repository.remove_run_rows(attempt, ended_before=before)
            if not more.runs:
                is_whole = True
                break
            rows += more
        return _report(plan, went, rows, is_whole=is_whole)

    async def _plan(self) -> RetentionPlan:
        now = self._clock.now()
        return await self._repository.plan(
            tapes_before=now - self._bounds.tapes,
            tapes_bytes=self._bounds.tapes_bytes,
            runs_before=now - self._bounds.run_tokens,
        )


def figures(report: RetentionReport) -> dict[str, int | bool]:
    """A report's numbers by name, for logs and JSON. What a dry run did not count is left out."""
    rows = report.rows
    named: dict[str, int | bool] = {
        "dry_run": report.dry_run,
        "streams": report.streams,
        "histories": report.histories,
        "tapes_bytes": report.tapes_bytes,
        "kept_bytes": report.kept_bytes,
        "in_use": report.in_use,
        "runs": rows.runs,
    }
    if not report.dry_run:
        named |= {"run_tokens": rows.tokens, "run_refusals": rows.refusals, "run_events": rows.events}
    return named


def _report(
    plan: RetentionPlan,
    went: Sequence[StoredReading],
    rows: RemovedRows,
    *,
    dry_run: bool = False,
    is_whole: bool = True,
) -> RetentionReport:
    freed = sum(one.size for one in went)
    streams = sum(one.kind is ReadingKind.STREAM for one in went)
    return RetentionReport(
        dry_run=dry_run,
        streams=streams,
        histories=len(went) - streams,
        tapes_bytes=freed,
        kept_bytes=plan.stored_bytes - freed,
        in_use=plan.in_use + len(plan.readings) - len(went) if is_whole else plan.in_use,
        rows=rows,
        is_whole=is_whole,
    )


T = TypeVar("T")


def _batches(items: Sequence[T], size: int, is_stopped: Callable[[], bool]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        if is_stopped():
            return
        yield items[start : start + size]


def _never() -> bool:
    return False
