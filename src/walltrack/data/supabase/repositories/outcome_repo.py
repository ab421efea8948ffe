"""How the wallets of past runs went on, beside a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.rows import PARAMETERS, Row, aware, params_from_row, utc
from walltrack.discovery.models import ParametersOutcome, RunOutcome

_RUN: Final = "SELECT id FROM discovery_runs WHERE id = %s FOR KEY SHARE"

_ADD: Final = """
    INSERT INTO run_outcomes (run_id, computed_at, wallet_group, as_of, figures, control_wallets)
    VALUES (%(run_id)s, %(computed_at)s, 'found', %(as_of)s, %(found)s, '{}'),
           (%(run_id)s, %(computed_at)s, 'control', %(as_of)s, %(control)s, %(control_wallets)s)
"""

_NEWEST: Final = sql.SQL("""
    SELECT found.run_id, found.computed_at, found.as_of, found.figures AS found, control.figures AS control,
           control.control_wallets {more}
    FROM discovery_runs run
    CROSS JOIN LATERAL (
        SELECT * FROM run_outcomes
        WHERE run_id = run.id AND wallet_group = 'found' ORDER BY computed_at DESC LIMIT 1
    ) found
    JOIN run_outcomes control
        ON control.run_id = run.id AND control.computed_at = found.computed_at AND control.wallet_group = 'control'
""")
_OF_RUN: Final = sql.SQL("{newest} WHERE run.id = %s").format(newest=_NEWEST.format(more=sql.SQL("")))
_PARAMETERS: Final = sql.SQL(", ").join(sql.Identifier("run", name) for name in PARAMETERS)
_BY_PARAMETERS: Final = sql.SQL("""
    {newest}
    ORDER BY max(run.started_at) OVER (PARTITION BY run.demo, {parameters}) DESC, run.demo, {parameters},
             run.started_at DESC, run.id DESC
""").format(
    newest=_NEWEST.format(more=sql.SQL(", run.demo, {}").format(_PARAMETERS)),
    parameters=_PARAMETERS,
)


class OutcomeRepository:
    """Rows of `run_outcomes`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(
        self,
        run_id: UUID,
        *,
        computed_at: datetime,
        as_of: datetime,
        found: Mapping[str, object],
        control: Mapping[str, object],
        control_wallets: Sequence[str],
    ) -> None:
        """Keep the figures (values of JSON) of a run's wallets and of the control, beside earlier ones.

        Raises RunNotFoundError.
        """
        values = {
            "run_id": run_id,
            "computed_at": aware(computed_at),
            "as_of": aware(as_of),
            "found": Jsonb(dict(found)),
            "control": Jsonb(dict(control)),
            "control_wallets": list(control_wallets),
        }
        async with self._database.transaction() as connection:
            if await (await connection.execute(_RUN, (run_id,))).fetchone() is None:
                raise RunNotFoundError(run_id)
            await connection.execute(_ADD, values)

    async def newest(self, run_id: UUID) -> RunOutcome | None:
        """The outcome of a run that was computed last, or None where none was."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_OF_RUN, (run_id,))).fetchone()
        return None if row is None else _outcome(row)

    async def by_parameters(self) -> list[ParametersOutcome]:
        """The newest outcome of each run, by the parameters of the runs; those with the newest run first."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_BY_PARAMETERS)).fetchall()
        groups = groupby(rows, key=lambda row: [row["demo"], *(row[name] for name in PARAMETERS)])
        return [
            ParametersOutcome(
                params=params_from_row(together[0]),
                demo=together[0]["demo"],
                outcomes=tuple(_outcome(row) for row in together),
            )
            for together in (list(group) for _, group in groups)
        ]


def _outcome(row: Row) -> RunOutcome:
    return RunOutcome(
        run_id=row["run_id"],
        computed_at=utc(row["computed_at"]),
        as_of=utc(row["as_of"]),
        found=row["found"],
        control=row["control"],
        control_wallets=tuple(row["control_wallets"]),
    )
