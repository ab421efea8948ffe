"""Profiles and scores of wallets, each with its date, and the newest of them on the wallet itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from psycopg import sql
from psycopg.types.json import Jsonb

from walltrack.data.supabase.client import Connection, Database
from walltrack.data.supabase.errors import RunEndedError, RunNotFoundError
from walltrack.data.supabase.repositories.rows import (
    Row,
    aware,
    evidence_from_json,
    evidence_json,
    storable,
    utc,
    utc_or_none,
)
from walltrack.discovery.models import RunStatus, WalletToProfile
from walltrack.discovery.wallet_models import (
    FlagEvidence,
    ScorePart,
    StoredProfile,
    WalletProfile,
    WalletScore,
    WalletStatus,
)

_FIGURES: Final = tuple(
    one.name for one in fields(WalletProfile) if one.name not in ("wallet_address", "as_of")
)
"""Columns of wallet_profiles that hold the figures: one for each field, of the same name."""

# Others who store a profile of the run, or end it, wait: so the count below misses none.
_HOLD_RUN: Final = "SELECT status FROM discovery_runs WHERE id = %s FOR NO KEY UPDATE"

_ADD: Final = sql.SQL("""
    INSERT INTO wallet_profiles (
        id, wallet_address, run_id, computed_at, as_of, flags, score, score_version, score_parts, status, status_reason,
        {columns}
    ) VALUES (
        %(id)s, %(wallet_address)s, %(run_id)s, %(computed_at)s, %(as_of)s, %(evidence)s, %(score)s, %(score_version)s,
        %(score_parts)s, %(status)s, %(status_reason)s, {values}
    )
    ON CONFLICT (run_id, wallet_address) WHERE run_id IS NOT NULL DO NOTHING
    RETURNING id
""").format(
    columns=sql.SQL(", ").join(sql.Identifier(name) for name in _FIGURES),
    values=sql.SQL(", ").join(sql.Placeholder(name) for name in _FIGURES),
)

_SHOW: Final = """
    UPDATE wallets
    SET score = %(score)s, score_version = %(score_version)s, status = %(status)s, status_reason = %(status_reason)s,
        flags = ARRAY(
            SELECT unnest(flags) FROM discovery_run_wallets
            WHERE wallet_address = %(wallet_address)s AND duplicate_of IS NULL
            UNION SELECT unnest(%(flags)s::text[])
            ORDER BY 1
        ),
        closed_positions = %(closed_positions)s, last_active_at = %(last_active_at)s, profiled_at = %(computed_at)s,
        profile_as_of = %(as_of)s
    WHERE address = %(wallet_address)s
      AND (
        profile_as_of IS NULL
        OR (closed_positions IS NOT NULL OR status <> 'insufficient_data', profile_as_of, profiled_at)
            < (%(tells)s, %(as_of)s, %(computed_at)s)
      )
"""

_SCORE_FINDINGS: Final = """
    UPDATE discovery_run_wallets SET initial_score = %(score)s
    WHERE run_id = %(run_id)s AND wallet_address = %(wallet_address)s
"""

_COUNT_PROFILED: Final = """
    UPDATE discovery_runs SET profiled_wallets = (
        SELECT count(*) FROM wallet_profiles WHERE run_id = %(run_id)s AND outcome IS NOT NULL
    ) WHERE id = %(run_id)s
"""

_WALLETS_OF_RUN: Final = """
    SELECT finding.wallet_address, count(*) AS source_tokens, sum(finding.realized_pnl_sol) AS realized_pnl_sol,
           jsonb_agg(finding.evidence ORDER BY finding.source_token) AS evidence,
           EXISTS (
               SELECT FROM wallet_profiles profile
               WHERE profile.run_id = %(run_id)s AND profile.wallet_address = finding.wallet_address
           ) AS is_profiled
    FROM discovery_run_wallets finding
    WHERE finding.run_id = %(run_id)s AND finding.duplicate_of IS NULL
    GROUP BY finding.wallet_address
    ORDER BY source_tokens DESC, realized_pnl_sol DESC NULLS LAST, finding.wallet_address
"""

_HISTORY: Final = """
    SELECT * FROM wallet_profiles WHERE wallet_address = %s ORDER BY as_of DESC, computed_at DESC, id
"""

# In the order of _SHOW.
_SHOWN: Final = """
    SELECT * FROM wallet_profiles
    WHERE wallet_address = %(wallet_address)s
      AND (%(known_at)s::timestamptz IS NULL OR computed_at <= %(known_at)s)
    ORDER BY outcome IS NOT NULL OR status <> 'insufficient_data' DESC, as_of DESC, computed_at DESC, id
    LIMIT 1
"""


class ProfileRepository:
    """Rows of `wallet_profiles`. Every method raises the errors of `walltrack.data.supabase.errors`.

    A profile is newer than another where its `as_of` is later, or, where they are equal, where it was computed later;
    one that tells nothing, since the wallet was not profiled and no flag keeps it back, is older than any that does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store_profile(
        self,
        run_id: UUID | None,
        wallet_address: str,
        *,
        computed_at: datetime,
        as_of: datetime,
        profile: WalletProfile | None,
        flags: Sequence[FlagEvidence],
        score: WalletScore,
    ) -> bool:
        """Keep what is known of a wallet, with its date, for a running run or outside of runs (None).

        `profile` None: it was not profiled, and `score` says why. `as_of` is the moment up to which things were known,
        that of the profile where there is one. The newest one
        stands on the wallet too; one that comes late changes nothing there. The score goes to the run's findings of
        the wallet, and the run's count of profiled wallets is taken anew from the rows. Returns False, and changes
        nothing, where the run has one of this wallet already. Raises RunNotFoundError, RunEndedError, and ValueError
        for the profile of another wallet.
        """
        if profile is not None and profile.wallet_address != wallet_address:
            raise ValueError(f"{wallet_address}: the profile is that of {profile.wallet_address}")
        values = _values(
            run_id,
            wallet_address,
            computed_at=computed_at,
            as_of=as_of,
            profile=profile,
            flags=flags,
            score=score,
        )
        async with self._database.transaction() as connection:
            if run_id is not None:
                await _hold_run(connection, run_id)
            if await (await connection.execute(_ADD, values)).fetchone() is None:
                return False
            await connection.execute(_SHOW, values)
            if run_id is not None:
                await connection.execute(_SCORE_FINDINGS, values)
                await connection.execute(_COUNT_PROFILED, values)
        return True

    async def wallets_of_run(self, run_id: UUID) -> list[WalletToProfile]:
        """The wallets that a run found, each once.

        Those of most source tokens first, then those of the largest realized profit over all of them, then by address.
        """
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_WALLETS_OF_RUN, {"run_id": run_id})).fetchall()
        return [
            WalletToProfile(
                wallet_address=row["wallet_address"],
                source_tokens=row["source_tokens"],
                realized_pnl_sol=row["realized_pnl_sol"],
                is_profiled=row["is_profiled"],
                evidence=tuple(
                    dict.fromkeys(one for of_token in row["evidence"] for one in evidence_from_json(of_token))
                ),
            )
            for row in rows
        ]

    async def newest_profile(self, wallet_address: str) -> StoredProfile | None:
        """A wallet's newest profile, which its record shows, or None where there is none."""
        return await self._shown(wallet_address, None)

    async def profile_known_at(self, wallet_address: str, time: datetime) -> StoredProfile | None:
        """The newest profile of those that had been computed by then, or None where there was none."""
        return await self._shown(wallet_address, aware(time))

    async def profiles_of(self, wallet_address: str) -> list[StoredProfile]:
        """Every profile of a wallet, the latest `as_of` first, also those that tell nothing."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_HISTORY, (wallet_address,))).fetchall()
        return [_stored(row) for row in rows]

    async def _shown(self, wallet_address: str, known_at: datetime | None) -> StoredProfile | None:
        values = {"wallet_address": wallet_address, "known_at": known_at}
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_SHOWN, values)).fetchone()
        return None if row is None else _stored(row)


async def _hold_run(connection: Connection, run_id: UUID) -> None:
    row = await (await connection.execute(_HOLD_RUN, (run_id,))).fetchone()
    if row is None:
        raise RunNotFoundError(run_id)
    if row["status"] != RunStatus.RUNNING:
        raise RunEndedError(run_id, row["status"])


def _values(
    run_id: UUID | None,
    wallet_address: str,
    *,
    computed_at: datetime,
    as_of: datetime,
    profile: WalletProfile | None,
    flags: Sequence[FlagEvidence],
    score: WalletScore,
) -> Mapping[str, Any]:
    figures = {name: None if profile is None else getattr(profile, name) for name in _FIGURES}
    parts = [
        {
            "name": part.name,
            "value": str(part.value),
            "weight": str(part.weight),
            "explanation": storable(part.explanation),
        }
        for part in score.parts
    ]
    return figures | {
        "id": uuid4(),
        "wallet_address": wallet_address,
        "run_id": run_id,
        "computed_at": aware(computed_at),
        "as_of": aware(as_of if profile is None else profile.as_of),
        "tells": profile is not None or score.status is not WalletStatus.INSUFFICIENT_DATA,
        "completeness": storable(figures["completeness"]),
        "outcome": storable(figures["outcome"]),
        "evidence": Jsonb(evidence_json(flags)),
        "flags": [one.flag.value for one in flags],
        "score": score.value,
        "score_version": score.version,
        "score_parts": Jsonb(parts),
        "status": score.status.value,
        "status_reason": storable(score.reason),
    }


def _stored(row: Row) -> StoredProfile:
    profile = None
    if row["outcome"] is not None:
        figures = {name: row[name] for name in _FIGURES}
        profile = WalletProfile(
            wallet_address=row["wallet_address"],
            as_of=utc(row["as_of"]),
            **(figures | {"last_active_at": utc_or_none(row["last_active_at"])}),
        )
    return StoredProfile(
        id=row["id"],
        wallet_address=row["wallet_address"],
        run_id=row["run_id"],
        computed_at=utc(row["computed_at"]),
        profile=profile,
        flags=evidence_from_json(row["flags"]),
        score=WalletScore(
            value=row["score"],
            version=row["score_version"],
            parts=tuple(_part(item) for item in row["score_parts"]),
            status=WalletStatus(row["status"]),
            reason=row["status_reason"],
        ),
    )


def _part(item: Mapping[str, Any]) -> ScorePart:
    return ScorePart(item["name"], Decimal(item["value"]), Decimal(item["weight"]), item["explanation"])
