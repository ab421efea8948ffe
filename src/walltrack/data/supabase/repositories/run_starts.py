"""How a run begins: its row, and that no more of them run at once than the operator allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from psycopg import sql

from walltrack.data.supabase.client import Connection
from walltrack.data.supabase.errors import RunsBusyError
from walltrack.data.supabase.repositories.rows import (
    PARAMETERS,
    aware,
    aware_or_none,
    run_from_row,
    storable,
)
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, TriggerType

_INSERT: Final = sql.SQL("""
    INSERT INTO discovery_runs (
        id, started_at, trigger_type, triggered_by, token_source, demo, code_version, claimed_by, lease_expires_at,
        stage, mints, again_of, from_stored, {columns}
    ) VALUES (
        %(id)s, %(started_at)s, %(trigger_type)s, %(triggered_by)s, %(token_source)s, %(demo)s, %(code_version)s,
        %(claimed_by)s, %(lease_expires_at)s, %(stage)s,
        %(mints)s, %(again_of)s, %(from_stored)s, {values}
    ) RETURNING *
""").format(
    columns=sql.SQL(", ").join(sql.Identifier(name) for name in PARAMETERS),
    values=sql.SQL(", ").join(sql.Placeholder(name) for name in PARAMETERS),
)

# The row that everybody who starts a run holds, whether by the schedule or by hand.
_HOLD: Final = "SELECT id FROM discovery_config FOR NO KEY UPDATE"

_RUNNING: Final = """
    SELECT id, trigger_type FROM discovery_runs WHERE status = 'running' ORDER BY started_at, id
"""


@dataclass(frozen=True, slots=True)
class NewRun:
    """What the row of a run begins with. `lease_expires_at` is None while nobody works on it.

    `stage` is where the engine takes it up; a run without one lives and ends with the process that does it.
    """

    params: DiscoveryRunParams
    trigger_type: TriggerType
    started_at: datetime
    triggered_by: str | None = None
    token_source: str | None = None
    demo: bool = False
    code_version: str | None = None
    claimed_by: str | None = None
    lease_expires_at: datetime | None = None
    stage: str | None = None
    mints: tuple[str, ...] = ()
    again_of: UUID | None = None
    from_stored: bool = False


async def start_run(connection: Connection, new: NewRun, *, at_most: int) -> DiscoveryRun:
    """Insert a run in the caller's transaction, unless `at_most` are running already.

    A scheduled run never starts beside another scheduled one. Raises RunsBusyError, having changed nothing. Holds the
    row of the configuration until the transaction ends, so that of two starts at the same time one sees the other.
    """
    await hold_starts(connection)
    await require_room(connection, new.trigger_type, at_most=at_most)
    return await insert_run(connection, new)


async def require_room(connection: Connection, trigger_type: TriggerType, *, at_most: int) -> None:
    """Raises RunsBusyError where no other run may start now. The caller holds the starts (`hold_starts`)."""
    running = await (await connection.execute(_RUNNING)).fetchall()
    in_the_way = _in_the_way(running, trigger_type, at_most)
    if in_the_way is not None:
        raise RunsBusyError(in_the_way, at_most)


async def insert_run(connection: Connection, new: NewRun) -> DiscoveryRun:
    """Insert a run in the caller's transaction, whatever else is running."""
    values = {
        "id": uuid4(),
        "started_at": aware(new.started_at),
        "trigger_type": new.trigger_type.value,
        "triggered_by": storable(new.triggered_by),
        "token_source": storable(new.token_source),
        "demo": new.demo,
        "code_version": storable(new.code_version),
        "claimed_by": storable(new.claimed_by),
        "lease_expires_at": aware_or_none(new.lease_expires_at),
        "stage": new.stage,
        "mints": [storable(mint) for mint in new.mints] or None,
        "again_of": new.again_of,
        "from_stored": new.from_stored,
    }
    row = await (await connection.execute(_INSERT, values | new.params.model_dump())).fetchone()
    assert row is not None
    return run_from_row(row)


async def hold_starts(connection: Connection) -> None:
    """Keep others from starting a run, and from changing the schedule, until the transaction ends."""
    await connection.execute(_HOLD)


def _in_the_way(running: list[dict[str, Any]], trigger_type: TriggerType, at_most: int) -> UUID | None:
    rows: list[Mapping[str, Any]] = list(running)
    if trigger_type is TriggerType.SCHEDULED:
        scheduled = [row for row in rows if row["trigger_type"] == TriggerType.SCHEDULED]
        if scheduled:
            rows, at_most = scheduled, 1
    if len(rows) < at_most:
        return None
    found: UUID = rows[0]["id"]
    return found
