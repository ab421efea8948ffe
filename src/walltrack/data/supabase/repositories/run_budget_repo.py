"""The credits of a bounded run, as all processes that work on it share them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import RunNotFoundError

RESERVED_FOR: Final = timedelta(minutes=10)
"""Longer than any call takes. What is still set aside then belonged to a process that died. It may have been billed, so
it counts as spent.
"""

_LOOK_SECONDS: Final = 0.1

# Whoever reserves for the run waits for this row: two never get the same credits.
_ALONE: Final = "SELECT id FROM discovery_runs WHERE id = %s FOR NO KEY UPDATE"

_STATE: Final = """
    SELECT run.credits_spent AS spent, coalesce(sum(given.credits), 0)::bigint AS reserved,
           coalesce(sum(given.credits) FILTER (WHERE given.expires_at > now()), 0)::bigint AS under_way
    FROM discovery_runs run LEFT JOIN run_reservations given ON given.run_id = run.id
    WHERE run.id = %s
    GROUP BY run.id
"""

_RESERVE: Final = """
    INSERT INTO run_reservations (id, run_id, credits, expires_at) VALUES (%s, %s, %s, now() + %s)
"""

_SETTLE: Final = """
    WITH gone AS (DELETE FROM run_reservations WHERE id = %(id)s RETURNING run_id)
    UPDATE discovery_runs SET credits_spent = credits_spent + %(used)s WHERE id = (SELECT run_id FROM gone)
"""


class RunBudget:
    """The budget of one run, with its bound. Raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database, run_id: UUID, max_credits: int) -> None:
        self._database = database
        self._run_id = run_id
        self._max_credits = max_credits
        self._held: dict[int, list[UUID]] = {}
        self._spent = 0

    async def reserve(self, credits: int) -> bool:
        """Set credits aside for a call. False where there are not so many."""
        reservation = uuid4()
        async with self._database.transaction() as connection:
            await connection.execute(_ALONE, (self._run_id,))
            state = await self._state(connection)
            if credits > self._max_credits - state["spent"] - state["reserved"]:
                return False
            await connection.execute(_RESERVE, (reservation, self._run_id, credits, RESERVED_FOR))
        self._held.setdefault(credits, []).append(reservation)
        return True

    async def settle(self, reserved: int, used: int) -> None:
        """Book what a call has used of what was set aside for it."""
        reservation = self._held[reserved].pop()
        async with self._database.autocommit() as connection:
            await connection.execute(_SETTLE, {"id": reservation, "used": used})

    async def available(self) -> int:
        """What nobody has spent or set aside."""
        async with self._database.transaction() as connection:
            state = await self._state(connection)
        return max(0, self._max_credits - int(state["spent"]) - int(state["reserved"]))

    async def others_may_give_back(self) -> bool:
        """Whether calls are under way, in any process."""
        async with self._database.transaction() as connection:
            return bool((await self._state(connection))["under_way"])

    async def changed(self) -> None:
        """Return a moment later: others tell nobody what they give back."""
        await asyncio.sleep(_LOOK_SECONDS)

    async def _state(self, connection: Connection) -> dict[str, Any]:
        state = await (await connection.execute(_STATE, (self._run_id,))).fetchone()
        if state is None:
            raise RunNotFoundError(self._run_id)
        self._spent = state["spent"]
        return state

    def __str__(self) -> str:
        return f"{self._spent:,} of max_credits {self._max_credits:,}"
