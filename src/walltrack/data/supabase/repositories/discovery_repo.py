"""Runs: their beginning, their end, their history and what they found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import sql

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import RunEndedError, RunNotFoundError, RunUnfinishedError
from walltrack.data.supabase.repositories.discovery_stats import fetch_stats
from walltrack.data.supabase.repositories.findings import store_findings
from walltrack.data.supabase.repositories.rows import (
    aware,
    aware_or_none,
    finding_from_row,
    run_from_row,
    storable,
    storable_list,
    utc,
)
from walltrack.data.supabase.repositories.run_engine_repo import StaleStepError
from walltrack.data.supabase.repositories.run_pages import RunsAsked, fetch_page, fetch_run
from walltrack.data.supabase.repositories.run_starts import NewRun, insert_run
from walltrack.data.supabase.repositories.run_token_repo import hold_running
from walltrack.data.supabase.repositories.wallet_filters import KEPT_BACK, matching
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryRunWallet,
    DiscoveryStats,
    QualifiedWallet,
    RunPage,
    RunStatus,
    TriggerType,
    WalletFilters,
    WalletOrder,
)

_HEARTBEAT: Final = """
    UPDATE discovery_runs SET lease_expires_at = %(lease_expires_at)s WHERE id = %(run_id)s AND status = 'running'
    RETURNING id
"""

# Keeps others from ending the run, and its tokens from starting. _END_TOKENS then waits for those being stored.
_LOCK: Final = "SELECT status, attempt FROM discovery_runs WHERE id = %s FOR NO KEY UPDATE"

_UNFINISHED: Final = """
    SELECT count(*) AS unfinished FROM discovery_run_tokens WHERE run_id = %s AND status IN ('pending', 'running')
"""

_END_TOKENS: Final = """
    UPDATE discovery_run_tokens
    SET status = 'cancelled', reason = %(reason)s, completed_at = %(ended_at)s, lease_expires_at = NULL
    WHERE run_id = %(run_id)s AND status IN ('pending', 'running')
"""

_END: Final = """
    UPDATE discovery_runs
    SET status = %(status)s,
        stage = CASE WHEN stage IS NOT NULL THEN 'ended' END,
        completed_at = %(ended_at)s,
        duration_seconds = greatest(0, extract(epoch FROM %(ended_at)s::timestamptz - started_at)),
        lease_expires_at = NULL,
        tokens_analyzed = (
            SELECT count(*) FROM discovery_run_tokens WHERE run_id = %(run_id)s AND status = 'done'
        ),
        new_wallets = (
            SELECT count(DISTINCT wallet_address) FROM discovery_run_wallets WHERE run_id = %(run_id)s AND is_new
        ),
        updated_wallets = (
            SELECT count(DISTINCT wallet_address) FROM discovery_run_wallets WHERE run_id = %(run_id)s AND NOT is_new
        ),
        profiled_wallets = coalesce(%(profiled_wallets)s, profiled_wallets),
        errors = coalesce(errors, '[]') || %(errors)s,
        warnings = warnings || %(warnings)s
    WHERE id = %(run_id)s
    RETURNING *
"""

# The newest lease tells when the run last lived; a run of an earlier version has none.
_ABANDONED: Final = """
    SELECT run.id, run.claimed_by, greatest(run.lease_expires_at, tokens.lease) AS lease
    FROM discovery_runs run
    CROSS JOIN LATERAL (
        SELECT max(lease_expires_at) AS lease FROM discovery_run_tokens
        WHERE run_id = run.id AND status = 'running'
    ) tokens
    WHERE run.status = 'running' AND run.stage IS NULL
      AND coalesce(greatest(run.lease_expires_at, tokens.lease) <= %s, TRUE)
    ORDER BY run.started_at
    FOR NO KEY UPDATE OF run SKIP LOCKED
"""

_FINDINGS: Final = sql.SQL("""
    SELECT finding.* FROM discovery_run_wallets finding
    LEFT JOIN wallets ON wallets.address = finding.wallet_address
    {kept_back}
    WHERE finding.run_id = %(run_id)s AND finding.duplicate_of IS NULL AND {matching}
    ORDER BY {by_score} finding.realized_pnl_sol DESC NULLS LAST, finding.wallet_address, finding.source_token
""")
_ANY_WALLET: Final = sql.SQL("TRUE")
# As the ranking has it, then those that are not ranked.
_BY_SCORE: Final = sql.SQL(
    "CASE WHEN wallets.status IN ('active', 'dormant') AND kept_back.address IS NULL THEN wallets.score END"
    " DESC NULLS LAST,"
)


class DiscoveryRepository:
    """Rows of `discovery_runs` and what hangs on them.

    All times are aware and come from the caller. Every method raises the errors of `walltrack.data.supabase.errors`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_run(
        self,
        trigger_type: TriggerType,
        params: DiscoveryRunParams,
        triggered_by: str | None = None,
        *,
        started_at: datetime,
        lease_expires_at: datetime,
        token_source: str | None = None,
        demo: bool = False,
        code_version: str | None = None,
        claimed_by: str | None = None,
    ) -> DiscoveryRun:
        """Record the beginning of a run. It counts as abandoned once its lease has expired without a heartbeat."""
        new = NewRun(
            params=params,
            trigger_type=trigger_type,
            started_at=started_at,
            triggered_by=triggered_by,
            token_source=token_source,
            demo=demo,
            code_version=code_version,
            claimed_by=claimed_by,
            lease_expires_at=lease_expires_at,
        )
        async with self._database.transaction() as connection:
            return await insert_run(connection, new)

    async def heartbeat(self, run_id: UUID, lease_expires_at: datetime) -> None:
        """Say that the run lives. Raises RunEndedError (cancelled from elsewhere, for one), RunNotFoundError."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                _HEARTBEAT, {"run_id": run_id, "lease_expires_at": aware(lease_expires_at)}
            )
            if await cursor.fetchone() is None:
                await hold_running(connection, run_id)

    async def complete_run(
        self,
        run_id: UUID,
        *,
        completed_at: datetime,
        profiled_wallets: int | None = None,
        errors: Iterable[str] = (),
        warnings: Iterable[str] = (),
        attempt: int | None = None,
    ) -> DiscoveryRun:
        """End a run as completed. Its counts come from its rows; errors and warnings are added to those it has.

        `attempt` is the fence of whoever does the run's last step. Raises RunNotFoundError, RunEndedError,
        StaleStepError, and RunUnfinishedError while tokens are pending or running.
        """
        async with self._database.transaction() as connection:
            await _lock(connection, run_id, attempt)
            row = await (await connection.execute(_UNFINISHED, (run_id,))).fetchone()
            if row is not None and row["unfinished"]:
                raise RunUnfinishedError(run_id, row["unfinished"])
            return await _end(
                connection,
                run_id,
                RunStatus.COMPLETED,
                completed_at,
                errors=errors,
                warnings=warnings,
                profiled_wallets=profiled_wallets,
            )

    async def fail_run(
        self,
        run_id: UUID,
        error: str,
        *,
        completed_at: datetime,
        warnings: Iterable[str] = (),
        attempt: int | None = None,
    ) -> DiscoveryRun:
        """End a run as failed, with what it had found. Its open tokens are cancelled.

        `attempt` is the fence of whoever does a step of the run. Raises RunNotFoundError, RunEndedError,
        StaleStepError.
        """
        async with self._database.transaction() as connection:
            await _lock(connection, run_id, attempt)
            await _end_tokens(connection, run_id, completed_at, "the run failed")
            return await _end(
                connection, run_id, RunStatus.FAILED, completed_at, errors=[error], warnings=warnings
            )

    async def cancel_run(
        self, run_id: UUID, *, completed_at: datetime, reason: str | None = None, warnings: Iterable[str] = ()
    ) -> DiscoveryRun:
        """End a run as cancelled, with what it had found. Its open tokens are cancelled; late results are refused.

        Raises RunNotFoundError, RunEndedError.
        """
        async with self._database.transaction() as connection:
            await _lock(connection, run_id)
            await _end_tokens(connection, run_id, completed_at, reason or "the run was cancelled")
            errors = [reason] if reason else []
            return await _end(
                connection, run_id, RunStatus.CANCELLED, completed_at, errors=errors, warnings=warnings
            )

    async def fail_abandoned_runs(self, now: datetime) -> list[DiscoveryRun]:
        """Fail the runs whose process gives no sign of life any more, and return them.

        Those are the running ones that are none of the engine's and whose newest lease, their own or a token's, has
        expired. They end at that moment, and keep what they found.
        """
        ended = []
        async with self._database.transaction() as connection:
            cursor = await connection.execute(_ABANDONED, (aware(now),))
            for row in await cursor.fetchall():
                last_alive = row["lease"] or now
                who = f"its process ({row['claimed_by']})" if row["claimed_by"] else "its process"
                error = f"abandoned: {who} gave no sign of life and was found gone at {now.isoformat()}"
                await _end_tokens(connection, row["id"], last_alive, "the run was abandoned")
                ended.append(await _end(connection, row["id"], RunStatus.FAILED, last_alive, errors=[error]))
        return ended

    async def get_run(self, run_id: UUID) -> DiscoveryRun | None:
        """A run, or None where there is none of this id."""
        async with self._database.autocommit() as connection:
            return await fetch_run(connection, run_id)

    async def get_runs(
        self,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        *,
        statuses: Sequence[RunStatus] = (),
        triggers: Sequence[TriggerType] = (),
        limit: int = 50,
        cursor: str | None = None,
        offset: int = 0,
    ) -> RunPage:
        """A page of the runs that started from `start_date` on and before `end_date`, the newest first.

        With `offset` it begins so many runs after the first, for pages by number; a cursor reaches any depth at the
        same cost. Raises BadInputError for a limit outside 1 to 500, an offset outside 0 to 10,000 or beside a cursor,
        or a cursor that is none of ours.
        """
        asked = RunsAsked(
            aware_or_none(start_date), aware_or_none(end_date), tuple(statuses), tuple(triggers)
        )
        async with self._database.autocommit() as connection:
            return await fetch_page(connection, asked, limit=limit, cursor=cursor, offset=offset)

    async def get_stats(
        self,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        *,
        now: datetime,
        weeks: int = 8,
    ) -> DiscoveryStats:
        """Figures over the runs that started from `start_date` on and before `end_date`, and the trend at `now`.

        `weeks` is how many whole ISO weeks the trend goes back, 1 to 104; the trend knows no date range. Raises
        BadInputError for more or fewer.
        """
        async with self._database.transaction() as connection:
            return await fetch_stats(
                connection,
                aware_or_none(start_date),
                aware_or_none(end_date),
                now=utc(aware(now)),
                weeks=weeks,
            )

    async def add_wallet_to_run(self, run_id: UUID, wallet: QualifiedWallet, *, seen_at: datetime) -> None:
        """Record one wallet found by a running run. A token's findings go faster through `finish_token`.

        Raises RunNotFoundError, RunEndedError.
        """
        async with self._database.transaction() as connection:
            await hold_running(connection, run_id)
            await store_findings(connection, run_id, [wallet], seen_at=aware(seen_at))

    async def get_run_wallets(
        self, run_id: UUID, filters: WalletFilters | None = None, *, now: datetime | None = None
    ) -> list[DiscoveryRunWallet]:
        """What a run found, the largest realized profit first. A wallet found on two tokens stands twice.

        With filters, only what is known of whose wallets today passes them, in the order by score where they ask for
        it; without, everything, excluded wallets too. `now` is what `active_within_days` counts from. Raises
        BadInputError for a bound that cannot be.
        """
        condition, values = (_ANY_WALLET, {}) if filters is None else matching(filters, now)
        by_score = filters is not None and filters.order is WalletOrder.SCORE
        query = _FINDINGS.format(
            kept_back=KEPT_BACK, matching=condition, by_score=_BY_SCORE if by_score else sql.SQL("")
        )
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(query, values | {"run_id": run_id})).fetchall()
        return [finding_from_row(row) for row in rows]


async def _lock(connection: Connection, run_id: UUID, attempt: int | None = None) -> None:
    row = await (await connection.execute(_LOCK, (run_id,))).fetchone()
    if row is None:
        raise RunNotFoundError(run_id)
    if row["status"] != RunStatus.RUNNING:
        raise RunEndedError(run_id, row["status"])
    if attempt is not None and row["attempt"] != attempt:
        raise StaleStepError(run_id, attempt)


async def _end_tokens(connection: Connection, run_id: UUID, ended_at: datetime, reason: str) -> None:
    await connection.execute(
        _END_TOKENS, {"run_id": run_id, "ended_at": aware(ended_at), "reason": storable(reason)}
    )


async def _end(
    connection: Connection,
    run_id: UUID,
    status: RunStatus,
    ended_at: datetime,
    *,
    errors: Iterable[str],
    warnings: Iterable[str] = (),
    profiled_wallets: int | None = None,
) -> DiscoveryRun:
    cursor = await connection.execute(
        _END,
        {
            "run_id": run_id,
            "status": status.value,
            "ended_at": aware(ended_at),
            "errors": storable_list(errors),
            "warnings": storable_list(warnings),
            "profiled_wallets": profiled_wallets,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return run_from_row(row)
