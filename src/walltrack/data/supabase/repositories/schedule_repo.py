"""The one configuration, what became of every due time, and who changed what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import SchemaOutdatedError
from walltrack.data.supabase.notices import CONFIG, notify
from walltrack.data.supabase.repositories.rows import (
    PARAMETERS,
    Row,
    aware,
    aware_or_none,
    cursor_after,
    page_size,
    params_from_row,
    read_cursor,
    row_id,
    storable,
    utc,
    utc_or_none,
)
from walltrack.data.supabase.repositories.run_starts import hold_starts
from walltrack.discovery.models import DiscoveryRunParams, RunStatus
from walltrack.discovery.schedule import Schedule, SchedulerConfig
from walltrack.discovery.schedule_records import (
    ConfigChange,
    ConfigChangePage,
    SkipCause,
    Tick,
    TickPage,
    TickStatus,
)

_CONFIG: Final = """
    SELECT config.*, run.status AS last_result
    FROM discovery_config config LEFT JOIN discovery_runs run ON run.id = config.last_run_id
    WHERE config.id = 1
"""

_SAVE: Final = sql.SQL("""
    UPDATE discovery_config
    SET enabled = %(enabled)s, schedule_hours = %(schedule_hours)s, schedule_cron = %(schedule_cron)s,
        schedule_timezone = %(schedule_timezone)s, jitter_seconds = %(jitter_seconds)s, paused_note = %(paused_note)s,
        next_run_at = %(next_run_at)s, updated_by = %(updated_by)s, updated_at = %(updated_at)s,
        version = version + 1, {parameters}
    WHERE id = 1
""").format(
    parameters=sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in PARAMETERS
    )
)

_AUDIT: Final = """
    INSERT INTO config_audit (version, changed_at, changed_by, field, old_value, new_value)
    VALUES (%(version)s, %(changed_at)s, %(changed_by)s, %(field)s, %(old)s, %(new)s)
"""

_MOVE: Final = "UPDATE discovery_config SET next_run_at = %s WHERE id = 1"

_STARTED: Final = "UPDATE discovery_config SET last_run_at = %s, last_run_id = %s WHERE id = 1"

# A due time that was missed or dropped may come again where the clock is set back: it has had no run, and gets one.
_TICK: Final = """
    INSERT INTO schedule_ticks AS tick (due_at, status, skipped_because, reason, run_id, decided_at, decided_by)
    VALUES (
        %(due_at)s, %(status)s, %(skipped_because)s, %(reason)s, %(run_id)s, %(decided_at)s, %(decided_by)s
    )
    ON CONFLICT (due_at) DO UPDATE
    SET status = excluded.status, skipped_because = excluded.skipped_because, reason = excluded.reason,
        run_id = excluded.run_id, decided_at = excluded.decided_at, decided_by = excluded.decided_by
    WHERE tick.skipped_because IN ('missed', 'changed')
    RETURNING due_at
"""

_SKIP: Final = """
    INSERT INTO schedule_ticks (due_at, due_until, status, skipped_because, reason, decided_at, decided_by)
    SELECT due_at, CASE WHEN place = cardinality(%(times)s) THEN %(until)s::timestamptz END,
        'skipped', %(skipped_because)s, %(reason)s, %(decided_at)s, %(decided_by)s
    FROM unnest(%(times)s::timestamptz[]) WITH ORDINALITY AS given (due_at, place)
    ON CONFLICT (due_at) DO UPDATE
    SET due_until = greatest(schedule_ticks.due_until, excluded.due_until)
    WHERE excluded.due_until IS NOT NULL
"""

_DECIDED: Final = """
    SELECT FROM schedule_ticks WHERE due_at = %s AND coalesce(skipped_because NOT IN ('missed', 'changed'), TRUE)
"""

_TICKS: Final = """
    SELECT * FROM schedule_ticks
    WHERE %(after)s::timestamptz IS NULL OR due_at < %(after)s
    ORDER BY due_at DESC
    LIMIT %(limit)s
"""

_CHANGES: Final = """
    SELECT * FROM config_audit
    WHERE %(after)s::timestamptz IS NULL OR id < %(after_id)s::bigint
    ORDER BY id DESC
    LIMIT %(limit)s
"""


class HeldSchedule:
    """The configuration and the schedule within one transaction, held against everybody else until its end."""

    def __init__(self, connection: Connection, config: SchedulerConfig, *, now: datetime, by: str) -> None:
        self.connection = connection
        self.config = config
        self._now = aware(now)
        self._by = storable(by)

    async def read(self) -> SchedulerConfig:
        """The configuration as it stands after what was stored here."""
        return await _config(self.connection)

    async def is_decided(self, due_at: datetime) -> bool:
        """Whether a due time has had its run already, or was skipped for one."""
        cursor = await self.connection.execute(_DECIDED, (aware(due_at),))
        return await cursor.fetchone() is not None

    async def move_to(self, next_run_at: datetime | None) -> None:
        """Store the next due time."""
        await self.connection.execute(_MOVE, (aware_or_none(next_run_at),))
        await notify(self.connection, CONFIG)

    async def store_started(self, due_at: datetime, run_id: UUID) -> None:
        """Note the run of a due time, which is not decided yet."""
        await self._store(due_at, TickStatus.STARTED, run_id)
        await self.connection.execute(_STARTED, (self._now, run_id))

    async def store_overlap(self, due_at: datetime, run_id: UUID, reason: str) -> None:
        """Note that a due time, which is not decided yet, was skipped because of a run."""
        await self._store(due_at, TickStatus.SKIPPED, run_id, SkipCause.OVERLAP, reason)

    async def store_skipped(
        self, times: Sequence[datetime], cause: SkipCause, reason: str, *, until: datetime | None = None
    ) -> None:
        """Note that these due times, oldest first, got no run. One that is noted already stays as it is.

        With `until`, the last one stands for all from it up to that.
        """
        if not times:
            return
        await self.connection.execute(
            _SKIP,
            {
                "times": list(times),
                "until": until,
                "skipped_because": cause.value,
                "reason": storable(reason),
                "decided_at": self._now,
                "decided_by": self._by,
            },
        )

    async def save(
        self,
        schedule: Schedule,
        params: DiscoveryRunParams,
        note: str | None,
        next_run_at: datetime | None,
        *,
        updated_by: str | None,
        changed_by: str,
    ) -> None:
        """Store another configuration, and every field that it changes with who, when, old and new value."""
        old = _columns(self.config.schedule, self.config.params, self.config.note)
        new = _columns(schedule, params, note)
        await self.connection.execute(
            _SAVE,
            {
                **new,
                "next_run_at": aware_or_none(next_run_at),
                "updated_by": storable(updated_by),
                "updated_at": self._now,
            },
        )
        changes = [
            {
                "version": self.config.version + 1,
                "changed_at": self._now,
                "changed_by": storable(changed_by),
                "field": name,
                "old": Jsonb(old[name]),
                "new": Jsonb(value),
            }
            for name, value in new.items()
            if value != old[name]
        ]
        if changes:
            async with self.connection.cursor() as cursor:
                await cursor.executemany(_AUDIT, changes)
        await notify(self.connection, CONFIG)

    async def _store(
        self,
        due_at: datetime,
        status: TickStatus,
        run_id: UUID,
        cause: SkipCause | None = None,
        reason: str | None = None,
    ) -> None:
        cursor = await self.connection.execute(
            _TICK,
            {
                "due_at": aware(due_at),
                "status": status.value,
                "skipped_because": cause.value if cause else None,
                "reason": storable(reason),
                "run_id": run_id,
                "decided_at": self._now,
                "decided_by": self._by,
            },
        )
        if await cursor.fetchone() is None:
            raise AssertionError(f"{due_at.isoformat()}: was decided already, by a holder of the same row")


class ScheduleRepository:
    """Rows of `discovery_config`, `schedule_ticks` and `config_audit`.

    Every method raises the errors of `walltrack.data.supabase.errors`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_config(self) -> SchedulerConfig:
        """The configuration and where the schedule stands."""
        async with self._database.autocommit() as connection:
            return await _config(connection)

    @asynccontextmanager
    async def held(self, *, now: datetime, by: str) -> AsyncIterator[HeldSchedule]:
        """Hold the schedule: one at a time, in one transaction, in which a run can be started too.

        `now` and `by` (which process) are noted on what is stored.
        """
        async with self._database.transaction() as connection:
            await hold_starts(connection)
            yield HeldSchedule(connection, await _config(connection), now=now, by=by)

    async def get_ticks(self, *, limit: int = 50, cursor: str | None = None) -> TickPage:
        """A page of what became of due times, the newest first. Raises BadInputError as `get_runs` does."""
        after, _ = read_cursor(cursor, str)
        async with self._database.autocommit() as connection:
            found = await connection.execute(_TICKS, {"after": after, "limit": page_size(limit) + 1})
            rows = await found.fetchall()
        ticks = [_tick(row) for row in rows[:limit]]
        return TickPage(ticks, cursor_after(ticks[-1].due_at, "") if len(rows) > limit else None)

    async def get_changes(self, *, limit: int = 50, cursor: str | None = None) -> ConfigChangePage:
        """A page of the changes of the configuration, the newest first. Raises BadInputError as `get_runs` does."""
        after, after_id = read_cursor(cursor, row_id)
        async with self._database.autocommit() as connection:
            values = {"after": after, "after_id": after_id, "limit": page_size(limit) + 1}
            rows = await (await connection.execute(_CHANGES, values)).fetchall()
        changes = [
            ConfigChange(
                version=row["version"],
                changed_at=utc(row["changed_at"]),
                changed_by=row["changed_by"],
                field=row["field"],
                old=row["old_value"],
                new=row["new_value"],
            )
            for row in rows[:limit]
        ]
        last = rows[limit - 1] if len(rows) > limit else None
        return ConfigChangePage(
            changes, cursor_after(utc(last["changed_at"]), str(last["id"])) if last else None
        )


async def _config(connection: Connection) -> SchedulerConfig:
    row = await (await connection.execute(_CONFIG)).fetchone()
    if row is None:
        raise SchemaOutdatedError("discovery_config has lost its row; run `walltrack migrate`")
    return SchedulerConfig(
        schedule=Schedule(
            enabled=row["enabled"],
            hours=row["schedule_hours"],
            cron=row["schedule_cron"],
            timezone=row["schedule_timezone"],
            jitter_seconds=row["jitter_seconds"],
        ),
        params=params_from_row(row),
        note=row["paused_note"],
        next_run_at=utc_or_none(row["next_run_at"]),
        last_run_at=utc_or_none(row["last_run_at"]),
        last_run_id=row["last_run_id"],
        last_result=RunStatus(row["last_result"]) if row["last_result"] else None,
        updated_at=utc_or_none(row["updated_at"]),
        updated_by=row["updated_by"],
        version=row["version"],
    )


def _columns(schedule: Schedule, params: DiscoveryRunParams, note: str | None) -> Mapping[str, Any]:
    """What an operator may change, by column."""
    return {
        "enabled": schedule.enabled,
        "schedule_hours": schedule.hours,
        "schedule_cron": schedule.cron,
        "schedule_timezone": schedule.timezone,
        "jitter_seconds": schedule.jitter_seconds,
        "paused_note": storable(note),
        **{name: getattr(params, name) for name in PARAMETERS},
    }


def _tick(row: Row) -> Tick:
    return Tick(
        due_at=utc(row["due_at"]),
        status=TickStatus(row["status"]),
        decided_at=utc(row["decided_at"]),
        skipped_because=SkipCause(row["skipped_because"]) if row["skipped_because"] else None,
        reason=row["reason"],
        run_id=row["run_id"],
        due_until=utc_or_none(row["due_until"]),
        decided_by=row["decided_by"],
    )
