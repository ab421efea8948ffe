"""Figures of runs over spans of time: whole days from the rollups, what is left at both ends from the runs themselves.

Days are those of UTC. They are reckoned here and not by the server, whose session may be in a zone with summer time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from psycopg import sql

from walltrack.data.supabase.client import Connection

Unit = Literal["day", "week"]

DAY: Final = timedelta(days=1)

WEEK: Final = timedelta(days=7)
LENGTHS: Final[Mapping[Unit, timedelta]] = {"day": DAY, "week": WEEK}

_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)

_FIGURES_KEPT: Final = (
    *("completed", "failed", "cancelled", "running", "new_wallets", "updated_wallets"),
    *("counted_runs", "counted_wallets", "timed_runs", "duration_seconds"),
)
_COLUMNS: Final = (
    *("day", "status", "runs", "new_wallets", "updated_wallets"),
    *("counted_runs", "counted_wallets", "timed_runs", "duration_seconds"),
)

# The runs of a whole day are in the rollups, the others are at most those of two days.
_PART_DAYS: Final = sql.SQL("""
    SELECT {part_columns} FROM discovery_runs run CROSS JOIN LATERAL run_part(run) part
    WHERE run.started_at >= {starts} AND run.started_at < {head_ends} AND {kinds}
    UNION ALL
    SELECT {part_columns} FROM discovery_runs run CROSS JOIN LATERAL run_part(run) part
    WHERE run.started_at >= {tail_starts} AND run.started_at < {ends} AND {kinds}
""")
_DAY_BOUNDS: Final = ("first_day", "first_week", "end_week", "end_day")
_TIME_BOUNDS: Final = ("starts", "head_ends", "tail_starts", "ends")
_BOUNDS: Final = dict.fromkeys(_DAY_BOUNDS, "date") | dict.fromkeys(_TIME_BOUNDS, "timestamptz")

# Days and weeks are numbered from the first day there is, a Monday. A span by weeks has whole weeks from their rollups,
# and days before and after them; one by days has days before its `first_week`, which is its end, and no weeks.
_FIGURES: Final = sql.SQL("""
    SELECT asked.place, (day - DATE '0001-01-01') / asked.days AS number, {sums}, sum(credits)::int8 AS credits
    FROM unnest(%(days)s::int[], {arrays}) WITH ORDINALITY AS asked (days, {names}, place)
    CROSS JOIN LATERAL (
        SELECT week AS day, {figures}, 0 AS credits FROM week_rollups
        WHERE week >= asked.first_week AND week < asked.end_week
        UNION ALL
        SELECT day, {by_status}, 0 FROM (
            SELECT {columns} FROM run_rollups WHERE day >= asked.first_day AND day < asked.first_week
            UNION ALL
            SELECT {columns} FROM run_rollups WHERE day >= asked.end_week AND day < asked.end_day
            UNION ALL
            {part_days}
        ) of_days
        UNION ALL
        SELECT day, {zeros}, credits FROM credit_rollups WHERE day >= asked.first_day AND day < asked.end_day
        UNION ALL
        SELECT used.run_day, {zeros}, used.credits
        FROM discovery_runs run CROSS JOIN LATERAL ({used}) used
        WHERE run.started_at >= asked.starts AND run.started_at < asked.head_ends
        UNION ALL
        SELECT used.run_day, {zeros}, used.credits
        FROM discovery_runs run CROSS JOIN LATERAL ({used}) used
        WHERE run.started_at >= asked.tail_starts AND run.started_at < asked.ends
    ) parts
    GROUP BY 1, 2
""").format(
    sums=sql.SQL(", ").join(
        sql.SQL("sum({0}){1} AS {0}").format(
            sql.Identifier(name), sql.SQL("" if name == "duration_seconds" else "::int8")
        )
        for name in _FIGURES_KEPT
    ),
    figures=sql.SQL(", ").join(map(sql.Identifier, _FIGURES_KEPT)),
    # As the week's rollups have them: runs by status, wallets of all, and the rest of completed runs.
    by_status=sql.SQL("""
        (status = 'completed')::int * runs, (status = 'failed')::int * runs, (status = 'cancelled')::int * runs,
        (status = 'running')::int * runs, new_wallets, updated_wallets,
        (status = 'completed')::int * counted_runs, (status = 'completed')::int * counted_wallets,
        (status = 'completed')::int * timed_runs, (status = 'completed')::int * duration_seconds
    """),
    # OFFSET 0: looked up for each run. The server takes those of two days for many, and would read all of the table.
    used=sql.SQL("SELECT run_day, credits FROM provider_usage WHERE run_id = run.id OFFSET 0"),
    zeros=sql.SQL(", ").join([sql.SQL("0")] * len(_FIGURES_KEPT)),
    names=sql.SQL(", ").join(map(sql.Identifier, _BOUNDS)),
    arrays=sql.SQL(", ").join(
        sql.SQL("{}::{}[]").format(sql.Placeholder(name), sql.SQL(kind)) for name, kind in _BOUNDS.items()
    ),
    columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
    part_days=_PART_DAYS.format(
        part_columns=sql.SQL(", ").join(sql.Identifier("part", name) for name in _COLUMNS),
        kinds=sql.SQL("TRUE"),
        **{name: sql.Identifier("asked", name) for name in _TIME_BOUNDS},
    ),
)

# A span by weeks has no triggers: the rollups of weeks know none.
_COUNT: Final = sql.SQL("""
    SELECT coalesce(sum(runs), 0)::int8 AS total FROM (
        SELECT CASE WHEN %(statuses)s::text[] IS NULL THEN completed + failed + cancelled + running
            ELSE ('completed' = ANY (%(statuses)s::text[]))::int * completed
                + ('failed' = ANY (%(statuses)s::text[]))::int * failed
                + ('cancelled' = ANY (%(statuses)s::text[]))::int * cancelled
                + ('running' = ANY (%(statuses)s::text[]))::int * running END AS runs
        FROM week_rollups WHERE week >= %(first_week)s::date AND week < %(end_week)s::date
        UNION ALL
        SELECT runs FROM run_rollups
        WHERE (day >= %(first_day)s::date AND day < %(first_week)s::date
               OR day >= %(end_week)s::date AND day < %(end_day)s::date)
          AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]))
          AND (%(triggers)s::text[] IS NULL OR trigger_type = ANY (%(triggers)s::text[]))
        UNION ALL
        {part_days}
    ) parts
""").format(
    part_days=_PART_DAYS.format(
        part_columns=sql.SQL("part.runs"),
        kinds=sql.SQL("""
            (%(statuses)s::text[] IS NULL OR run.status = ANY (%(statuses)s::text[]))
            AND (%(triggers)s::text[] IS NULL OR run.trigger_type = ANY (%(triggers)s::text[]))
        """),
        **{name: sql.SQL("{}::timestamptz").format(sql.Placeholder(name)) for name in _TIME_BOUNDS},
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

    def values(self, unit: Unit) -> dict[str, object]:
        """What the queries know it by. Where there is no whole day, all of it is the head; by days, or where there is
        no whole week, its weeks end where they begin.
        """
        has_days = self.first_day <= self.end_day
        first_week = self.end_day
        if unit == "week":
            first_week = min(week_of(self.first_day + 6 * DAY), self.end_day)
        return {
            "starts": self.starts,
            "head_ends": self.first_day if has_days else self.ends,
            "first_day": self.first_day.date(),
            "first_week": first_week.date(),
            "end_week": max(first_week, week_of(self.end_day)).date(),
            "end_day": self.end_day.date(),
            "tail_starts": self.end_day if has_days else self.ends,
            "ends": self.ends,
        }


@dataclass(slots=True)
class Sums:
    """What runs add up to, exactly: how many by status, the wallets of all, and of completed runs how many wallets they
    counted and how long they took, as far as that is known.
    """

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    new_wallets: int = 0
    updated_wallets: int = 0
    counted_runs: int = 0
    counted_wallets: int = 0
    timed_runs: int = 0
    duration_seconds: Decimal = Decimal(0)
    credits: int = 0

    def add(self, other: Sums) -> None:
        self.completed += other.completed
        self.failed += other.failed
        self.cancelled += other.cancelled
        self.running += other.running
        self.new_wallets += other.new_wallets
        self.updated_wallets += other.updated_wallets
        self.counted_runs += other.counted_runs
        self.counted_wallets += other.counted_wallets
        self.timed_runs += other.timed_runs
        self.duration_seconds += other.duration_seconds
        self.credits += other.credits

    @property
    def runs(self) -> int:
        return self.completed + self.failed + self.cancelled + self.running

    @property
    def success_rate(self) -> float | None:
        ended = self.completed + self.failed
        return self.completed / ended if ended else None

    @property
    def avg_wallets(self) -> float | None:
        """Of completed runs."""
        return self.counted_wallets / self.counted_runs if self.counted_runs else None

    @property
    def avg_seconds(self) -> float | None:
        """Of completed runs."""
        return float(self.duration_seconds / self.timed_runs) if self.timed_runs else None


def midnight(moment: datetime) -> datetime:
    """The beginning of its day in UTC."""
    return datetime.combine(moment.date(), time(), UTC)


def week_of(day: datetime) -> datetime:
    """The midnight on which the ISO week of a midnight begins."""
    return day - day.weekday() * DAY


async def fetch_ends(connection: Connection) -> tuple[datetime, datetime] | None:
    """When the first and the last run started, in UTC. None: there is no run."""
    row = await (await connection.execute(_ENDS)).fetchone()
    if row is None or row["first_at"] is None:
        return None
    return row["first_at"].astimezone(UTC), row["last_at"].astimezone(UTC)


def span_of_runs(
    ends: tuple[datetime, datetime] | None, start: datetime | None, end: datetime | None
) -> Span | None:
    """The part of `start <= t < end` in which there may be runs, by what `fetch_ends` gave. None: there is none."""
    if ends is None:
        return None
    first, last = ends
    # Compared as they are given: far dates have no like in UTC.
    starts = first if start is None or start <= first else start
    stops = last + timedelta(microseconds=1) if end is None or end > last else end
    return Span(starts.astimezone(UTC), stops.astimezone(UTC)) if starts < stops else None


async def fetch_sums(
    connection: Connection, asked: Sequence[tuple[Span, Unit]]
) -> list[Mapping[datetime, Sums]]:
    """The figures of each span by the midnight (UTC) on which its days or weeks begin; those without runs left out."""
    spans = [span.values(unit) for span, unit in asked]
    lengths = [LENGTHS[unit] for _, unit in asked]
    values = {name: [span[name] for span in spans] for name in _BOUNDS}
    values["days"] = [length.days for length in lengths]
    found: list[dict[datetime, Sums]] = [{} for _ in asked]
    for row in await (await connection.execute(_FIGURES, values)).fetchall():
        place = row.pop("place") - 1
        begins = _FIRST + row.pop("number") * lengths[place]
        found[place][begins] = Sums(**row)
    return [*found]


async def count_runs(
    connection: Connection,
    start: datetime | None,
    end: datetime | None,
    *,
    statuses: Sequence[str] = (),
    triggers: Sequence[str] = (),
) -> int:
    """How many runs started from `start` on and before `end`, of these statuses and triggers (none given: of all)."""
    span = span_of_runs(await fetch_ends(connection), start, end)
    if span is None:
        return 0
    values: dict[str, Any] = span.values("day" if triggers else "week") | {
        "statuses": list(statuses) or None,
        "triggers": list(triggers) or None,
    }
    row = await (await connection.execute(_COUNT, values)).fetchone()
    return int(row["total"]) if row else 0
