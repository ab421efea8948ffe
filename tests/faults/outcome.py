"""What a run came to, beside what it should have come to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.faults.stage import Stage
from walltrack.sandbox.server import LoggedRequest

# Figures that depend on when the run was made, and what names rows. Of a score's parts, recency does.
_OF_THE_MOMENT = {"id", "run_id", "created_at", "computed_at", "as_of", "score", "initial_score"}
_PARTS = "score_parts"
_OF_THE_WORK = {
    "attempt", "claimed_by", "lease_expires_at", "started_at", "completed_at", "created_at", "run_id", "deaths",
    "requests", "credits", "plan", "tape_segments", "listing", "forecast_requests", "forecast_credits", "position",
}  # fmt: skip

_COUNT = "getSignaturesForAddress"
"""What the transactions of an address are counted by, where its key reads them by getTransactionsForAddress."""

Rows = dict[tuple[str, ...], dict[str, Any]]


@dataclass
class Outcome:
    """Everything a run found, by what names it. `twice` is what stands there more than once."""

    run: dict[str, Any]
    tokens: Rows
    findings: Rows
    profiles: Rows
    twice: list[str] = field(default_factory=list)


@dataclass
class Difference:
    """How an outcome differs from the truth, one line for each thing."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)

    @property
    def none(self) -> bool:
        return not self.lost and not self.duplicated

    def __str__(self) -> str:
        return "; ".join(
            [*(f"lost {one}" for one in self.lost), *(f"twice {one}" for one in self.duplicated)]
        )


def outcome_of(stage: Stage, run_id: UUID) -> Outcome:
    """Read what is stored of a run."""
    (run,) = stage.rows("SELECT * FROM discovery_runs WHERE id = %s", run_id)
    outcome = Outcome(run, {}, {}, {})
    for table, key, left_out, kept in (
        ("discovery_run_tokens", ("mint",), _OF_THE_WORK, outcome.tokens),
        ("discovery_run_wallets", ("wallet_address", "source_token"), _OF_THE_MOMENT, outcome.findings),
        ("wallet_profiles", ("wallet_address",), _OF_THE_MOMENT, outcome.profiles),
    ):
        for row in stage.rows(f"SELECT * FROM {table} WHERE run_id = %s", run_id):
            name = tuple(row[column] for column in key)
            if name in kept:
                outcome.twice.append(f"{table} {name}")
            if _PARTS in row:
                row[_PARTS] = [part for part in row[_PARTS] if part["name"] != "recency"]
            kept[name] = {column: value for column, value in row.items() if column not in left_out}
    return outcome


def difference(stage: Stage, outcome: Outcome, truth: Outcome) -> Difference:
    """What is lost, changed or there twice, in the rows and in the run's own counts of them."""
    found = Difference(duplicated=list(outcome.twice))
    run = outcome.run
    if run["status"] != "completed" or run["stage"] != "ended":
        found.lost.append(f"the run is {run['status']} at {run['stage']}: {run['errors']}")
    for what, rows, expected in (
        ("token", outcome.tokens, truth.tokens),
        ("finding", outcome.findings, truth.findings),
        ("profile", outcome.profiles, truth.profiles),
    ):
        for name in expected.keys() | rows.keys():
            if name not in rows:
                found.lost.append(f"{what} {name}")
            elif name not in expected:
                found.duplicated.append(f"{what} {name} that is not in the truth")
            elif rows[name] != expected[name]:
                changed = [
                    f"{column} {rows[name][column]!r} instead of {value!r}"
                    for column, value in expected[name].items()
                    if rows[name][column] != value
                ]
                found.lost.append(f"{what} {name}: {', '.join(changed)}")
    for column, counted in counted_from_rows(stage, run["id"]).items():
        if run[column] != counted or run[column] != truth.run[column]:
            found.lost.append(f"{column} says {run[column]}, rows {counted}, truth {truth.run[column]}")
    return found


def counted_from_rows(stage: Stage, run_id: UUID) -> dict[str, int]:
    """The run's counts, counted anew."""
    (row,) = stage.rows(
        """
        SELECT
            (SELECT count(*) FROM discovery_run_tokens WHERE run_id = %(id)s AND status = 'done') AS tokens_analyzed,
            (SELECT count(DISTINCT wallet_address) FROM discovery_run_wallets finding
             JOIN wallets ON wallets.address = finding.wallet_address
             WHERE finding.run_id = %(id)s AND wallets.first_run_id = %(id)s) AS new_wallets,
            (SELECT count(DISTINCT wallet_address) FROM discovery_run_wallets finding
             JOIN wallets ON wallets.address = finding.wallet_address
             WHERE finding.run_id = %(id)s AND wallets.first_run_id IS DISTINCT FROM %(id)s) AS updated_wallets,
            (SELECT count(*) FROM wallet_profiles WHERE run_id = %(id)s AND outcome IS NOT NULL) AS profiled_wallets
        """.replace("%(id)s", f"'{run_id}'::uuid")
    )
    return row


@dataclass
class Refetched:
    """Requests that were made more than once: of pages that were stored, of counts of what an address has left, and of
    others (in flight at a fault). A count is no page: its one credit is spent again by whoever goes on with a token.
    """

    stored: list[str] = field(default_factory=list)
    counts: int = 0
    in_flight: int = 0


def refetched(stage: Stage) -> Refetched:
    """Which requests of histories came again though the answer to the first one had been stored.

    A page is stored where a segment of that address was inserted
    after it was answered and before it was asked for again: pages of an address are read one after the other.
    """
    clock_offset = time.time() - time.monotonic()
    stored: dict[str, list[float]] = {}
    for row in stage.rows(
        "SELECT stream.address, extract(epoch FROM tape.created_at)::float8 AS at"
        " FROM token_tapes tape JOIN tape_streams stream ON stream.id = tape.stream_id"
        " UNION ALL SELECT wallet, extract(epoch FROM created_at)::float8 FROM wallet_history_pages"
    ):
        stored.setdefault(row["address"], []).append(row["at"] - clock_offset)
    requests = stage.sandbox.requests()
    # Whoever reads by lists of signatures asks for each transaction too; where nobody does, the lists are only counted.
    are_counted = all(request.method != "getTransaction" for request in requests)
    found = Refetched()
    answered: dict[str, LoggedRequest] = {}
    for request in requests:
        if request.provider not in {"helius", "solana"} or request.address is None or request.error:
            continue
        name = f"{request.method} {request.address} {request.options}"
        before = answered.get(name)
        if before is not None:
            moments = [at for at in stored.get(request.address, ()) if before.seconds < at < request.seconds]
            if request.method == _COUNT and are_counted:
                found.counts += 1
            elif moments:
                found.stored.append(name)
            else:
                found.in_flight += 1
        answered[name] = request
    return found


def pages(stage: Stage) -> str:
    """In how many pages the tapes of the last run came."""
    (row,) = stage.rows(
        "SELECT count(*) AS pages, count(DISTINCT stream_id) AS streams, max(segment) + 1 AS most FROM token_tapes"
    )
    return f"{row['pages']} pages of {row['streams']} streams, {row['most']} of the longest"
