"""Requests that start a run once, however often they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from walltrack.data.supabase.client import Connection
from walltrack.data.supabase.repositories.rows import run_from_row, storable
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRun

# Whoever comes second with the same key waits here until the first one's transaction has ended.
_CLAIM: Final = """
    INSERT INTO run_requests (requested_by, idempotency_key, request_hash)
    VALUES (%(requested_by)s, %(idempotency_key)s, %(request_hash)s)
    ON CONFLICT (requested_by, idempotency_key) DO NOTHING
    RETURNING idempotency_key
"""

_FIND: Final = """
    SELECT request.request_hash AS hash_of_request, run.* FROM run_requests request
    JOIN discovery_runs run ON run.id = request.run_id
    WHERE requested_by = %(requested_by)s AND idempotency_key = %(idempotency_key)s
"""

_NOTE: Final = """
    UPDATE run_requests SET run_id = %(run_id)s
    WHERE requested_by = %(requested_by)s AND idempotency_key = %(idempotency_key)s
"""


class KeyReusedError(BadInputError):
    """The same idempotency key came with another request. Nothing was started."""


@dataclass(frozen=True, slots=True)
class RunRequestKey:
    """What makes two requests one: who sent them, the key they gave, and a SHA-256 of what they asked for."""

    requested_by: str
    idempotency_key: str
    request_hash: bytes


async def claim_request(connection: Connection, key: RunRequestKey) -> DiscoveryRun | None:
    """The run that an earlier request of this key started; None where this is the first, which the caller's
    transaction then holds. Raises KeyReusedError.
    """
    values = _values(key) | {"request_hash": key.request_hash}
    if await (await connection.execute(_CLAIM, values)).fetchone() is not None:
        return None
    row = await (await connection.execute(_FIND, _values(key))).fetchone()
    if row is None or bytes(row["hash_of_request"]) != key.request_hash:
        raise KeyReusedError(
            "Idempotency-Key: was given before with another request; give each request a key of its own"
        )
    return run_from_row(row)


async def note_run(connection: Connection, key: RunRequestKey, run_id: UUID) -> None:
    """Note which run a claimed request started."""
    await connection.execute(_NOTE, _values(key) | {"run_id": run_id})


def _values(key: RunRequestKey) -> dict[str, object]:
    return {"requested_by": storable(key.requested_by), "idempotency_key": storable(key.idempotency_key)}
