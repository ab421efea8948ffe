"""Figures of runs over spans of time: whole days from the rollups, what is left at both ends from the runs themselves.

Days are those of UTC. They are reckoned here and not by the server, whose session may be in a zone with summer time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, Self

from psycopg import sql

from walltrack.data.supabase.client import Connection
from walltrack.data.supabase.repositories.rows import Row

Unit = Literal["day", "week"]

DAY: Final = timedelta(days=1)

_SUMMED: Final = (
    *("runs", "new_wallets", "updated_wallets"),
    *("counted_runs", "counted_wallets", "timed_runs", "duration_seconds"),
)

# The runs of a whole day are in the rollups, the others are at most those of two days.
_PARTS: Final = sql.SQL("""
    SELECT {columns} FROM run_rollups
    WHERE day >= %(first_day)s::date AND day < %(end_day)s::date AND {kinds}
    UNION ALL
    SELECT {part_columns} FROM discovery_runs run CROSS JOIN LATERAL run_part(run) part
    WHERE run.started_at >= %(starts)s AND run.started_at < %(head_ends)s AND {run_kinds}
    UNION ALL
    SELECT {part_columns} FROM discovery_runs run CROSS JOIN LATERAL run_part(run) part
    WHERE run.started_at >= %(tail_starts)s AND run.started_at < %(ends)s AND {run_kinds}
""")
_COLUMNS: Final = ("day", "status", *_SUMMED)

_EVERY_KIND: Final = sql.SQL("TRUE")

_FIGURES: Final = sql.SQL("""
    SELECT date_trunc(%(unit)s, day::timestamp)::date AS begins, status, {sums}
    FROM ({parts}) parts
    GROUP BY 1, 2
""").format(
    sums=sql.SQL(", ").join(sql.SQL("sum({0}) AS {0}").format(sql.Identifier(name)) for name in _SUMMED),
    parts=_PARTS.format(
        columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        part_columns=sql.SQL(", ").join(sql.Identifier("part", name) for name in _COLUMNS),
        kinds=_EVERY_KIND,
        run_kinds=_EVERY_KIND,
    ),
)

_CREDITS: Final = """
    SELECT date_trunc(%(unit)s, day::timestamp)::date AS begins, sum(credits) AS credits
    FROM (
        SELECT day, credits FROM credit_rollups
        WHERE day >= %(first_day)s::date AND day < %(end_day)s::date
        UNION ALL
        SELECT used.run_day, used.credits FROM discovery_runs run JOIN provider_usage used ON used.run_id = run.id
        WHERE run.started_at >= %(starts)s AND run.started_at < %(head_ends)s
        UNION ALL
        SELECT used.run_day, used.credits FROM discovery_runs run JOIN provider_usage used ON used.run_id = run.id
        WHERE run.started_at >= %(tail_starts)s AND run.started_at < %(ends)s
    ) parts
    GROUP BY 1
"""

_COUNT: Final = sql.SQL("SELECT coalesce(sum(runs), 0)::int8 AS total FROM ({parts}) parts").format(
    parts=_PARTS.format(
        columns=sql.SQL("runs"),
        part_columns=sql.SQL("part.runs"),
        kinds=sql.SQL("""
            (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]))
            AND (%(triggers)s::text[] IS NULL OR trigger_type = ANY (%(triggers)s::text[]))
        """),
        run_kinds=sql.SQL("""
            (%(statuses)s::text[] IS NULL OR run.status = ANY (%(statuses)s::text[]))
            AND (%(triggers)s::text[] IS NULL OR run.trigger_type = ANY (%(triggers)s::text[]))
        """),
    )
)

# One step along the index each.
_ENDS: Final = """
    SELECT
        (SELECT min(started_at) FROM discovery_runs) AS first_at,
        (SELECT max(started_at) FROM discovery_runs) AS last_at
"""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in UTC, `starts <= t < ends`, and the whole days in it."""

    starts: datetime
    ends: datetime

    @property
    def first_day(self) -> datetime:
        """The first midnight from the start on."""
        begun = midnight(self.starts)
        return begun if begun == self.starts else begun + DAY

    @property
    def end_day(self) -> datetime:
        """The last midnight up to the end: whole days end there."""
        return midnight(self.ends)

    def values(self) -> dict[str, object]:
        """What the queries know it by. Where there is no whole day, all of it is the head."""
        has_days = self.first_day <= self.end_day
        return {
            "starts": self.starts,
            "head_ends": self.first_day if has_days else self.ends,
            "first_day": self.first_day.date(),
            "end_day": self.end_day.date(),
            "tail_starts": self.end_day if has_days else self.ends,
            "ends": self.ends,
        }


@dataclass(slots=True)
class Sums:
    """What runs add up to, exactly. `by_status` counts them."""

    by_status: dict[str, int]
    new_wallets: int = 0
    updated_wallets: int = 0
    completed_counted: int = 0
    completed_wallets: int = 0
    completed_timed: int = 0
    completed_seconds: Decimal = Decimal(0)
    credits: int = 0

    @classmethod
    def nothing(cls) -> Self:
        return cls({})

    def add_row(self, row: Row) -> None:
        """Add the figures of the runs of one status."""
        status = row["status"]
        self.by_status[status] = self.by_status.get(status, 0) + int(row["runs"])
        self.new_wallets += int(row["new_wallets"])
        self.updated_wallets += int(row["updated_wallets"])
        if status == "completed":
            self.completed_counted += int(row["counted_runs"])
            self.completed_wallets += int(row["counted_wallets"])
            self.completed_timed += int(row["timed_runs"])
            self.completed_seconds += row["duration_seconds"]

    def add(self, other: Sums) -> None:
        for status, runs in other.by_status.items():
            self.by_status[status] = self.by_status.get(status, 0) + runs
        self.new_wallets += other.new_wallets
        self.updated_wallets += other.updated_wallets
        self.completed_counted += other.completed_counted
        self.completed_wallets += other.completed_wallets
        self.completed_timed += other.completed_timed
        self.completed_seconds += other.completed_seconds
        self.credits += other.credits

    @property
    def runs(self) -> int:
        return sum(self.by_status.values())

    @property
    def success_rate(self) -> float | None:
        completed, failed = self.by_status.get("completed", 0), self.by_status.get("failed", 0)
        return completed / (completed + failed) if completed + failed else None

    @property
    def avg_wallets(self) -> float | None:
        """Of completed runs."""
        return self.completed_wallets / self.completed_counted if self.completed_counted else None

    @property
    def avg_seconds(self) -> float | None:
        """Of completed runs."""
        return float(self.completed_seconds / self.completed_timed) if self.completed_timed else None


def midnight(moment: datetime) -> datetime:
    """The beginning of its day in UTC."""
    return datetime.combine(moment.date(), time(), UTC)


async def fetch_ends(connection: Connection) -> tuple[datetime, datetime] | None:
    """When the first and the last run started, in UTC. None: there is no run."""
    row = await (await connection.execute(_ENDS)).fetchone()
    if row is None or row["first_at"] is None:
        return None
    return row["first_at"].astimezone(UTC), row["last_at"].astimezone(UTC)


async def span_of_runs(connection: Connection, start: datetime | None, end: datetime | None) -> Span | None:
    """The part of `start <= t < end` in which there may be runs. None: there is none."""
    ends = await fetch_ends(connection)
    if ends is None:
        return None
    first, last = ends
    # Compared as they are given: far dates have no like in UTC.
    starts = first if start is None or start <= first else start
    stops = last + timedelta(microseconds=1) if end is None or end > last else end
    return Span(starts.astimezone(UTC), stops.astimezone(UTC)) if starts < stops else None


async def fetch_sums(connection: Connection, span: Span, unit: Unit) -> Mapping[datetime, Sums]:
    """The figures of a span by the midnight (UTC) on which each day or ISO week begins; those without runs left out."""
    values = span.values() | {"unit": unit}
    found: dict[datetime, Sums] = {}
    for row in await (await connection.execute(_FIGURES, values)).fetchall():
        found.setdefault(_begins(row), Sums.nothing()).add_row(row)
    for row in await (await connection.execute(_CREDITS, values)).fetchall():
        found.setdefault(_begins(row), Sums.nothing()).credits += int(row["credits"])
    return found


async def count_runs(
    connection: Connection,
    start: datetime | None,
    end: datetime | None,
    *,
    statuses: Sequence[str] = (),
    triggers: Sequence[str] = (),
) -> int:
    """How many runs started from `start` on and before `end`, of these statuses and triggers (none given: of all)."""
    span = await span_of_runs(connection, start, end)
    if span is None:
        return 0
    values: dict[str, Any] = span.values() | {
        "statuses": list(statuses) or None,
        "triggers": list(triggers) or None,
    }
    row = await (await connection.execute(_COUNT, values)).fetchone()
    return int(row["total"]) if row else 0


def _begins(row: Row) -> datetime:
    return datetime.combine(row["begins"], time(), UTC)
