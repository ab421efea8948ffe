"""Runs as lists show them: a page of the history at any depth, and one run, each with what it used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Final
from uuid import UUID

from psycopg import sql

from walltrack.data.supabase.client import Connection
from walltrack.data.supabase.repositories.rows import cursor_after, page_size, read_cursor, run_from_row
from walltrack.data.supabase.repositories.run_figures import count_runs
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRun, RunPage, RunStatus, TriggerType

LARGEST_OFFSET: Final = 10_000

_USED: Final = sql.SQL("""
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(requests), 0)::int8 AS used_requests, coalesce(sum(credits), 0)::int8 AS used_credits
        FROM provider_usage WHERE run_id = run.id
    ) used
""")

_GET: Final = sql.SQL("SELECT run.*, used.* FROM discovery_runs run {used} WHERE run.id = %s").format(
    used=_USED
)

# Keys alone come from the index. Runs of several kinds are merged from the index's stretch of each, so that a kind that
# is rare costs no more than one that is not. Each has its order and its bound, or the server sorts all runs of a kind.
_KEYS: Final = sql.SQL("""
    (SELECT started_at, id FROM discovery_runs
    WHERE {kind}
      AND (%(start)s::timestamptz IS NULL OR started_at >= %(start)s)
      AND (%(end)s::timestamptz IS NULL OR started_at < %(end)s)
      AND (%(after)s::timestamptz IS NULL OR (started_at, id) < (%(after)s, %(after_id)s::uuid))
    ORDER BY started_at DESC, id DESC
    LIMIT %(deepest)s)
""")
_PAGE: Final = sql.SQL("""
    SELECT run.*, used.*
    FROM (
        SELECT id FROM ({keys}) keys ORDER BY started_at DESC, id DESC OFFSET %(offset)s LIMIT %(limit)s
    ) page
    JOIN discovery_runs run ON run.id = page.id
    {used}
    ORDER BY run.started_at DESC, run.id DESC
""")


@dataclass(frozen=True, slots=True)
class RunsAsked:
    """Which runs a list has: `start <= started_at < end`, of these statuses and triggers; none given: of all."""

    start: datetime | None = None
    end: datetime | None = None
    statuses: tuple[RunStatus, ...] = ()
    triggers: tuple[TriggerType, ...] = ()


async def fetch_run(connection: Connection, run_id: UUID) -> DiscoveryRun | None:
    """A run with what it used, or None where there is none of this id."""
    row = await (await connection.execute(_GET, (run_id,))).fetchone()
    return None if row is None else run_from_row(row)


async def fetch_page(
    connection: Connection, asked: RunsAsked, *, limit: int, cursor: str | None, offset: int
) -> RunPage:
    """A page of runs, the newest first. Raises BadInputError as `DiscoveryRepository.get_runs` says."""
    after, after_id = read_cursor(cursor, UUID)
    if not 0 <= offset <= LARGEST_OFFSET:
        raise BadInputError(
            f"offset: {offset} is out of bounds, 0 to {LARGEST_OFFSET}; to go further, take next_cursor of a page as "
            "cursor"
        )
    if offset and cursor is not None:
        raise BadInputError("offset: a page begins at an offset or at a cursor, not at both")
    values = {
        "start": asked.start,
        "end": asked.end,
        "after": after,
        "after_id": after_id,
        "offset": offset,
        "limit": page_size(limit) + 1,
        "deepest": offset + limit + 1,
    }
    kinds = list(_kinds(asked))
    keys = sql.SQL(" UNION ALL ").join(_KEYS.format(kind=kind) for kind in kinds)
    rows = await (await connection.execute(_PAGE.format(keys=keys, used=_USED), values)).fetchall()
    runs = [run_from_row(row) for row in rows[:limit]]
    total = await count_runs(
        connection, asked.start, asked.end, statuses=asked.statuses, triggers=asked.triggers
    )
    more = cursor_after(runs[-1].started_at, str(runs[-1].id)) if len(rows) > limit else None
    return RunPage(runs=runs, total=total, next_cursor=more)


def _kinds(asked: RunsAsked) -> Iterator[sql.Composable]:
    """A condition for each kind of run that is asked for, so that an index has its runs in order."""
    statuses, triggers = dict.fromkeys(asked.statuses), dict.fromkeys(asked.triggers)
    if triggers:
        for status, trigger in product(statuses or RunStatus, triggers):
            yield sql.SQL("status = {} AND trigger_type = {}").format(
                sql.Literal(status.value), sql.Literal(trigger.value)
            )
    elif statuses:
        for status in statuses:
            yield sql.SQL("status = {}").format(sql.Literal(status.value))
    else:
        yield sql.SQL("TRUE")
