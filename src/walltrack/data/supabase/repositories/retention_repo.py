"""What is kept no longer: tapes and histories that are not used any more, and the rows by token of runs long ended.

Whoever removes holds the one row of `retention`, by a lease and a fence. Each batch is a transaction of its own, of a
bounded size, that looks at the fence and at what is in use again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg import sql

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.repositories.rows import aware, storable, utc
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.retention import ReadingKind, RemovedRows, RetentionPlan, StoredReading

STREAMS_AT_ONCE: Final = 100
PAGES_AT_ONCE: Final = 200
HISTORIES_AT_ONCE: Final = 20
RUNS_AT_ONCE: Final = 20
"""Of a batch. A page of a tape has about 100 KB, a history some hundred pages, a run some hundred rows."""

LEASE: Final = timedelta(minutes=5)
"""How long one who removes may be silent. A batch takes less, and prolongs it."""

# A due time further off than any that is given was noted by a server whose clock has been put back since.
_CLAIM: Final = """
    INSERT INTO retention AS turn (attempt, claimed_by, lease_expires_at, due_at)
    VALUES (1, %(claimed_by)s, clock_timestamp() + %(lease)s, clock_timestamp())
    ON CONFLICT (one_row) DO UPDATE
    SET attempt = turn.attempt + 1, claimed_by = %(claimed_by)s, lease_expires_at = clock_timestamp() + %(lease)s
    WHERE (turn.lease_expires_at IS NULL OR turn.lease_expires_at <= clock_timestamp())
      AND (%(every)s::interval IS NULL OR turn.due_at <= clock_timestamp()
           OR turn.due_at > clock_timestamp() + %(every)s::interval)
    RETURNING attempt
"""

_HOLDER: Final = "SELECT claimed_by FROM retention"

_HOLD: Final = """
    UPDATE retention SET lease_expires_at = clock_timestamp() + %(lease)s WHERE attempt = %(attempt)s
    RETURNING attempt
"""

_RELEASE: Final = """
    UPDATE retention
    SET lease_expires_at = NULL, claimed_by = NULL, last_error = %(error)s,
        done_at = CASE WHEN %(done)s THEN clock_timestamp() ELSE done_at END,
        due_at = coalesce(clock_timestamp() + %(next_in)s::interval, due_at)
    WHERE attempt = %(attempt)s
"""

_ADD_UP: Final = "SELECT compact_wallet_counts()"

# A stream that is on its way out has this for its mint, and its id for its address: nobody finds its pages any more.
_BUSY: Final = sql.SQL("""
    SELECT token.mint FROM discovery_runs run JOIN discovery_run_tokens token ON token.run_id = run.id
    WHERE run.status = 'running'
    UNION SELECT unnest(mints) FROM discovery_runs WHERE status = 'running'
""")

# A stream is used when it is read, and when a run lists its token. What is in use counts for the size, and stays.
_PLAN: Final = sql.SQL("""
    WITH busy AS MATERIALIZED ({busy}),
    listed AS (
        SELECT read.mint, last.listed_at FROM (SELECT DISTINCT mint FROM tape_streams) read
        CROSS JOIN LATERAL (
            SELECT max(created_at) AS listed_at FROM discovery_run_tokens WHERE mint = read.mint
        ) last
    ), pages AS (
        SELECT stream_id, sum(octet_length(parquet)) AS size FROM token_tapes GROUP BY stream_id
    ), signatures AS (
        SELECT stream_id, sum(octet_length(signatures)) AS size FROM tape_signatures GROUP BY stream_id
    ), history_pages AS (
        SELECT wallet, sum(octet_length(parquet) + octet_length(times) + coalesce(octet_length(undecided), 0)) AS size
        FROM wallet_history_pages GROUP BY wallet
    ), stored AS (
        SELECT 'stream' AS kind, stream.id::text AS key, greatest(stream.updated_at, listed.listed_at) AS used_at,
               coalesce(pages.size, 0) + coalesce(signatures.size, 0) AS size,
               coalesce(stream.lease_expires_at <= clock_timestamp(), TRUE)
                   AND stream.mint NOT IN (SELECT mint FROM busy) AS is_free
        FROM tape_streams stream
        LEFT JOIN listed ON listed.mint = stream.mint
        LEFT JOIN pages ON pages.stream_id = stream.id
        LEFT JOIN signatures ON signatures.stream_id = stream.id
        WHERE stream.mint <> 'removed'
        UNION ALL
        SELECT 'history', history.wallet, history.updated_at, coalesce(history_pages.size, 0),
               coalesce(history.lease_expires_at <= clock_timestamp(), TRUE)
        FROM wallet_histories history LEFT JOIN history_pages ON history_pages.wallet = history.wallet
    ), placed AS MATERIALIZED (
        SELECT *, sum(size) OVER () AS total, coalesce(
            sum(size) FILTER (WHERE is_free)
                OVER (ORDER BY used_at, kind, key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0
        ) AS freed_before
        FROM stored
    )
    SELECT sums.total::int8 AS total, now() AS made_at, going.kind, going.key, going.size::int8 AS size, going.is_free
    FROM (SELECT coalesce(max(total), 0) AS total FROM placed) sums
    LEFT JOIN (
        SELECT * FROM placed WHERE used_at < %(before)s OR total - freed_before > %(at_most)s
    ) going ON TRUE
    ORDER BY going.used_at, going.kind, going.key
""").format(busy=_BUSY)

_RUNS: Final = sql.SQL("""
    FROM discovery_runs run
    WHERE run.tokens_removed_at IS NULL AND run.status <> 'running'
      AND coalesce(run.completed_at, run.started_at) < %(before)s
      AND NOT EXISTS (SELECT FROM discovery_runs again WHERE again.again_of = run.id AND again.status = 'running')
""")

_COUNT_RUNS: Final = sql.SQL("SELECT count(*) AS runs {runs}").format(runs=_RUNS)

_TAKE_RUNS: Final = sql.SQL("""
    SELECT run.id {runs}
    ORDER BY coalesce(run.completed_at, run.started_at)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
""").format(runs=_RUNS)

# What the run's views count from these rows.
_NOTE_REMOVED: Final = """
    UPDATE discovery_runs run
    SET tokens_removed_at = clock_timestamp(), removed_tokens = jsonb_build_object(
        'listed', sums.listed, 'measured', sums.measured, 'buyers', sums.buyers, 'early', sums.early,
        'refused', (SELECT count(*) FROM discovery_run_refusals WHERE run_id = run.id),
        'requests', sums.requests, 'credits', sums.credits,
        'statuses', (
            SELECT coalesce(jsonb_object_agg(status, count), '{}') FROM (
                SELECT status, count(*) FROM discovery_run_tokens WHERE run_id = run.id GROUP BY status
            ) counted
        )
    )
    FROM unnest(%(runs)s::uuid[]) AS given (id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS listed, count(launch_at) AS measured, sum(requests) AS requests, sum(credits) AS credits,
               coalesce(sum(wallets_seen) FILTER (WHERE launch_at IS NOT NULL), 0) AS buyers,
               coalesce(sum(wallets_early) FILTER (WHERE launch_at IS NOT NULL), 0) AS early
        FROM discovery_run_tokens WHERE run_id = given.id
    ) sums
    WHERE run.id = given.id
"""

_REMOVE_TOKENS: Final = "DELETE FROM discovery_run_tokens WHERE run_id = ANY (%(runs)s)"
_REMOVE_REFUSALS: Final = "DELETE FROM discovery_run_refusals WHERE run_id = ANY (%(runs)s)"
_REMOVE_EVENTS: Final = "DELETE FROM run_events WHERE run_id = ANY (%(runs)s)"

_TAKE_STREAMS: Final = sql.SQL("""
    SELECT id, mint, address FROM tape_streams stream
    WHERE id = ANY (%(streams)s) AND mint <> 'removed' AND updated_at <= %(unused_since)s
      AND coalesce(lease_expires_at <= clock_timestamp(), TRUE)
      AND mint NOT IN ({busy})
      AND NOT EXISTS (
          SELECT FROM discovery_run_tokens token WHERE token.mint = stream.mint AND token.created_at > %(unused_since)s
      )
    ORDER BY id
    FOR UPDATE SKIP LOCKED
""").format(busy=_BUSY)

_NOTE_TAPES: Final = """
    UPDATE discovery_run_tokens token SET tape_removed_at = clock_timestamp()
    FROM unnest(%(mints)s::text[], %(addresses)s::text[]) AS gone (mint, address)
    WHERE token.mint = gone.mint AND token.status = 'done' AND token.tape_removed_at IS NULL
      AND (token.tape_segments IS NULL OR token.tape_segments ? gone.address)
"""

# The new attempt is a fence: a reader whose lease has expired stores nothing more.
_PUT_OUT: Final = """
    UPDATE tape_streams
    SET mint = 'removed', address = id::text, attempt = attempt + 1, claimed_by = NULL, lease_expires_at = NULL
    WHERE id = ANY (%(streams)s)
"""

_EMPTY: Final = (
    """
    DELETE FROM token_tapes WHERE id = ANY (ARRAY(
        SELECT tape.id FROM tape_streams stream JOIN token_tapes tape ON tape.stream_id = stream.id
        WHERE stream.mint = 'removed' LIMIT %(limit)s
    ))
    """,
    """
    DELETE FROM tape_signatures page USING (
        SELECT listed.stream_id, listed.walk, listed.page
        FROM tape_streams stream JOIN tape_signatures listed ON listed.stream_id = stream.id
        WHERE stream.mint = 'removed' LIMIT %(limit)s
    ) gone
    WHERE (page.stream_id, page.walk, page.page) = (gone.stream_id, gone.walk, gone.page)
    """,
    """
    DELETE FROM tape_streams WHERE id = ANY (ARRAY(
        SELECT id FROM tape_streams stream
        WHERE mint = 'removed' AND NOT EXISTS (SELECT FROM token_tapes WHERE stream_id = stream.id)
          AND NOT EXISTS (SELECT FROM tape_signatures WHERE stream_id = stream.id)
        LIMIT %(limit)s
    ))
    """,
)

_REMOVE_HISTORIES: Final = """
    DELETE FROM wallet_histories WHERE wallet = ANY (ARRAY(
        SELECT wallet FROM wallet_histories
        WHERE wallet = ANY (%(wallets)s) AND updated_at <= %(unused_since)s
          AND coalesce(lease_expires_at <= clock_timestamp(), TRUE)
        ORDER BY wallet
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING wallet
"""


class RetentionBusyError(WallTrackError):
    """Somebody else is removing what is kept no longer."""

    def __init__(self, held_by: str | None) -> None:
        super().__init__(
            f"retention: {held_by or 'another process'} is at it already; try again when it has ended, or 5 minutes "
            "after it died"
        )


class RetentionLostError(WallTrackError):
    """The turn went to somebody else after a silence. What was removed by then is removed."""

    def __init__(self, attempt: int) -> None:
        super().__init__(
            f"retention: attempt {attempt} was silent too long, and another process took its place"
        )


class RetentionRepository:
    """Deletes for retention, and whose turn it is. Leases and due times go by the server's clock, the bounds by the
    caller's.

    Every method raises the errors of `walltrack.data.supabase.errors`; those that take an attempt raise
    RetentionLostError where it no longer holds the turn.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, claimed_by: str, *, lease: timedelta = LEASE) -> int:
        """Take the turn at once, and return the attempt. Raises RetentionBusyError while another has it."""
        async with self._database.transaction() as connection:
            attempt = await _claim(connection, claimed_by, lease, None)
            if attempt is None:
                holder = await (await connection.execute(_HOLDER)).fetchone()
                raise RetentionBusyError(holder["claimed_by"] if holder else None)
        return attempt

    async def claim_due(self, claimed_by: str, *, every: timedelta, lease: timedelta = LEASE) -> int | None:
        """Take the turn if it is time, at most `every` so often. None: it is not, or another has it."""
        async with self._database.transaction() as connection:
            return await _claim(connection, claimed_by, lease, every)

    async def release(
        self, attempt: int, *, next_in: timedelta | None, done: bool = False, error: str | None = None
    ) -> None:
        """Give the turn back. The next one is due in so long; None: when it was. Nothing where the turn is lost."""
        values = {"attempt": attempt, "next_in": next_in, "done": done, "error": storable(error)}
        async with self._database.autocommit() as connection:
            await connection.execute(_RELEASE, values)

    async def add_up_counts(self) -> None:
        """Add up the changes of the number of wallets, which lists would add up each time."""
        async with self._database.autocommit() as connection:
            await connection.execute(_ADD_UP)

    async def plan(self, *, tapes_before: datetime, tapes_bytes: int, runs_before: datetime) -> RetentionPlan:
        """What was not used since, what is more than so many bytes, and how many runs ended before. Changes nothing."""
        values = {"before": aware(tapes_before), "at_most": tapes_bytes}
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(_PLAN, values)).fetchall()
            cursor = await connection.execute(_COUNT_RUNS, {"before": aware(runs_before)})
            runs = await cursor.fetchone()
        assert runs is not None
        going = [row for row in rows if row["key"] is not None]
        return RetentionPlan(
            made_at=utc(rows[0]["made_at"]),
            readings=tuple(
                StoredReading(ReadingKind(row["kind"]), row["key"], row["size"])
                for row in going
                if row["is_free"]
            ),
            in_use=sum(not row["is_free"] for row in going),
            stored_bytes=rows[0]["total"],
            runs=runs["runs"],
        )

    async def remove_streams(
        self, attempt: int, streams: Sequence[str], *, unused_since: datetime
    ) -> set[str]:
        """Let nobody find these streams any more, and note it where runs used them. Returns those that went: not one
        that is held, was used since, or is of a running run. Their pages go by `empty_streams`.
        """
        values = {"streams": [UUID(one) for one in streams], "unused_since": aware(unused_since)}
        async with self._database.transaction() as connection:
            await _hold(connection, attempt)
            rows = await (await connection.execute(_TAKE_STREAMS, values)).fetchall()
            names = {"mints": [row["mint"] for row in rows], "addresses": [row["address"] for row in rows]}
            await connection.execute(_NOTE_TAPES, names)
            await connection.execute(_PUT_OUT, {"streams": [row["id"] for row in rows]})
        return {str(row["id"]) for row in rows}

    async def empty_streams(self, attempt: int) -> bool:
        """Delete some pages of the streams that went, and those without pages. Returns whether there is more to do."""
        async with self._database.transaction() as connection:
            await _hold(connection, attempt)
            for statement in _EMPTY:
                cursor = await connection.execute(statement, {"limit": PAGES_AT_ONCE})
                if cursor.rowcount == PAGES_AT_ONCE:
                    return True
        return False

    async def remove_histories(
        self, attempt: int, wallets: Sequence[str], *, unused_since: datetime
    ) -> set[str]:
        """Delete these wallets' histories. Returns those that went: not one that is held or was read since."""
        values = {"wallets": list(wallets), "unused_since": aware(unused_since)}
        async with self._database.transaction() as connection:
            await _hold(connection, attempt)
            rows = await (await connection.execute(_REMOVE_HISTORIES, values)).fetchall()
        return {row["wallet"] for row in rows}

    async def remove_run_rows(self, attempt: int, *, ended_before: datetime) -> RemovedRows:
        """Delete the rows by token, the refusals and the events of some runs, the longest ended first; what they came
        to stays on the run. Zero runs: there are no more. Not of a run that a running one repeats.
        """
        values = {"before": aware(ended_before), "limit": RUNS_AT_ONCE}
        async with self._database.transaction() as connection:
            await _hold(connection, attempt)
            rows = await (await connection.execute(_TAKE_RUNS, values)).fetchall()
            runs = {"runs": [row["id"] for row in rows]}
            if not rows:
                return RemovedRows()
            await connection.execute(_NOTE_REMOVED, runs)
            return RemovedRows(
                runs=len(rows),
                tokens=(await connection.execute(_REMOVE_TOKENS, runs)).rowcount,
                refusals=(await connection.execute(_REMOVE_REFUSALS, runs)).rowcount,
                events=(await connection.execute(_REMOVE_EVENTS, runs)).rowcount,
            )


async def _claim(
    connection: Connection, claimed_by: str, lease: timedelta, every: timedelta | None
) -> int | None:
    values = {"claimed_by": storable(claimed_by), "lease": lease, "every": every}
    row = await (await connection.execute(_CLAIM, values)).fetchone()
    return None if row is None else int(row["attempt"])


async def _hold(connection: Connection, attempt: int) -> None:
    if await (await connection.execute(_HOLD, {"attempt": attempt, "lease": LEASE})).fetchone() is None:
        raise RetentionLostError(attempt)
