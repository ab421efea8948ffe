"""Statistics over runs: a period's figures, and week over week by ISO weeks in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from walltrack.data.supabase.client import Connection
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryStats, WeekFigures, WeekTrend

MOST_WEEKS: Final = 104

_TOTALS: Final = """
    SELECT
        count(*) AS total_runs,
        count(*) FILTER (WHERE status = 'completed') AS successful_runs,
        count(*) FILTER (WHERE status = 'failed') AS failed_runs,
        count(*) FILTER (WHERE status = 'completed')::float8
            / nullif(count(*) FILTER (WHERE status IN ('completed', 'failed')), 0) AS success_rate,
        coalesce(sum(new_wallets), 0) AS total_wallets_discovered,
        coalesce(sum(updated_wallets), 0) AS total_wallets_updated,
        coalesce(avg(new_wallets + updated_wallets) FILTER (WHERE status = 'completed'), 0)::float8
            AS avg_wallets_per_run,
        coalesce(avg(duration_seconds) FILTER (WHERE status = 'completed'), 0) AS avg_duration_seconds,
        max(started_at) AS last_run_at
    FROM discovery_runs
    WHERE (%(start)s::timestamptz IS NULL OR started_at >= %(start)s)
      AND (%(end)s::timestamptz IS NULL OR started_at < %(end)s)
"""

# Weeks are counted on timestamps without a zone, in UTC: in a zone with summer time a week may last 167 hours.
# Part -1 is the running week up to now, 0 the one before up to the same moment, 1 … n whole weeks, the oldest last.
_WEEKS: Final = """
    WITH moment AS (
        SELECT here, date_trunc('week', here) AS week
        FROM (SELECT %(now)s::timestamptz AT TIME ZONE 'UTC' AS here) given
    ), part AS (
        SELECT -1 AS place, week AS starts, here AS ends FROM moment
        UNION ALL
        SELECT 0, week - interval '7 days', here - interval '7 days' FROM moment
        UNION ALL
        SELECT back, week - back * interval '7 days', week - (back - 1) * interval '7 days'
        FROM moment, generate_series(1, %(weeks)s::int) AS back
    )
    SELECT
        part.place,
        to_char(part.starts, 'IYYY-"W"IW') AS week,
        part.starts AT TIME ZONE 'UTC' AS starts_at,
        part.ends AT TIME ZONE 'UTC' AS ends_at,
        count(run.id) AS total_runs,
        count(run.id) FILTER (WHERE run.status = 'completed') AS successful_runs,
        count(run.id) FILTER (WHERE run.status = 'failed') AS failed_runs,
        coalesce(sum(run.new_wallets), 0) AS wallets_discovered,
        count(run.id) FILTER (WHERE run.status = 'completed')::float8
            / nullif(count(run.id) FILTER (WHERE run.status IN ('completed', 'failed')), 0) AS success_rate,
        (avg(run.new_wallets + run.updated_wallets) FILTER (WHERE run.status = 'completed'))::float8
            AS avg_wallets_per_run
    FROM part
    LEFT JOIN discovery_runs run
        ON run.started_at >= part.starts AT TIME ZONE 'UTC' AND run.started_at < part.ends AT TIME ZONE 'UTC'
    GROUP BY part.place, part.starts, part.ends
    ORDER BY part.place DESC
"""


async def fetch_stats(
    connection: Connection, start: datetime | None, end: datetime | None, *, now: datetime, weeks: int
) -> DiscoveryStats:
    """Figures over `start ≤ started_at < end`, and the trend at `now` over whole weeks before the running one.

    Wallets discovered are those that no run had found before; the average per run counts new and known ones. Raises
    BadInputError where `weeks` is out of bounds.
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise BadInputError(f"weeks: {weeks} is out of bounds, 1 to {MOST_WEEKS}")
    totals = await (await connection.execute(_TOTALS, {"start": start, "end": end})).fetchone()
    parts = await (await connection.execute(_WEEKS, {"now": now, "weeks": weeks})).fetchall()
    assert totals is not None
    last_run_at = totals["last_run_at"]
    *whole, previous, current = [_figures(row) for row in parts]
    return DiscoveryStats(
        **{name: value for name, value in totals.items() if name != "last_run_at"},
        last_run_at=None if last_run_at is None else last_run_at.astimezone(UTC),
        trend=WeekTrend(
            current=current,
            previous_same_part=previous,
            runs_change_pct=_change_pct(previous.total_runs, current.total_runs),
            wallets_change_pct=_change_pct(previous.wallets_discovered, current.wallets_discovered),
            weeks=whole,
        ),
    )


def _figures(row: Mapping[str, Any]) -> WeekFigures:
    times = {name: row[name].astimezone(UTC) for name in ("starts_at", "ends_at")}
    return WeekFigures(**{name: value for name, value in row.items() if name != "place"} | times)


def _change_pct(before: int, after: int) -> float | None:
    return None if before == 0 else 100.0 * (after - before) / before
