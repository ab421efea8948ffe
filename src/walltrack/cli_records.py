"""What the command line shows of runs and wallets: one record each, the same in tables, JSON and exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from walltrack.discovery.models import DiscoveryRun, DiscoveryRunWallet, RunToken, WalletRecord
from walltrack.discovery.wallet_models import Standing

WALLET_COLUMNS: Final = (
    "wallet_address",
    "source_token",
    "is_new",
    "entry_rank",
    "seconds_after_launch",
    "first_buy_at",
    "first_buy_slot",
    "buys",
    "sells",
    "cost_sol",
    "proceeds_sol",
    "cost_of_sold_sol",
    "realized_pnl_sol",
    "realized_pct",
    "held_tokens",
    "held_cost_sol",
    "completeness",
    "flags",
    "signatures",
    "initial_score",
    "score",
    "status",
    "status_reason",
)

LISTED_COLUMNS: Final = (
    "address",
    "score",
    "score_version",
    "status",
    "status_reason",
    "flags",
    "closed_positions",
    "last_active_at",
    "profiled_at",
    "first_seen_at",
    "last_seen_at",
    "runs",
    "sources",
    "best_realized_pct",
    "total_realized_pnl_sol",
    "listed",
    "note",
    "demo",
)


Standings = Mapping[str, Standing]
"""What is known of a run's wallets today, by address."""

UNKNOWN: Final = Standing()


def wallet_record(wallet: DiscoveryRunWallet, standings: Standings) -> dict[str, Any]:
    """A found wallet under `WALLET_COLUMNS`. Decimals stay exact; a row of an earlier version has no figures.

    `initial_score` is the run's own; score and status are today's.
    """
    figures = dict.fromkeys(WALLET_COLUMNS) if wallet.found is None else asdict(wallet.found)
    standing = standings.get(wallet.wallet_address, UNKNOWN)
    figures |= {
        "wallet_address": wallet.wallet_address,
        "source_token": wallet.source_token,
        "is_new": wallet.is_new,
        "initial_score": wallet.initial_score,
        "score": standing.score,
        "status": standing.status,
        "status_reason": standing.reason,
    }
    return {name: figures[name] for name in WALLET_COLUMNS}


def listed_record(wallet: WalletRecord) -> dict[str, Any]:
    """A wallet over all runs under `LISTED_COLUMNS`."""
    fields = asdict(wallet)
    fields["listed"] = [which.value for which in wallet.listed]
    return {name: fields[name] for name in LISTED_COLUMNS}


def run_record(run: DiscoveryRun) -> dict[str, Any]:
    """A run: what it was asked, where it stands, what it counted, what went wrong."""
    return {
        "id": str(run.id),
        "status": run.status.value,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "duration_seconds": run.duration_seconds,
        "trigger_type": run.trigger_type.value,
        "triggered_by": run.triggered_by,
        "token_source": run.token_source,
        "demo": run.demo,
        "code_version": run.code_version,
        "parameters": run.params.model_dump(),
        "counts": {
            "tokens_analyzed": run.tokens_analyzed,
            "new_wallets": run.new_wallets,
            "updated_wallets": run.updated_wallets,
            "profiled_wallets": run.profiled_wallets,
        },
        "forecast": None if run.forecast is None else asdict(run.forecast),
        "errors": run.errors,
        "warnings": run.warnings,
        "removed": None if run.removed is None else asdict(run.removed),
    }


def token_record(token: RunToken) -> dict[str, Any]:
    """One token's outcome within a run."""
    record: dict[str, Any] = {
        "mint": token.mint,
        "status": token.status.value,
        "reason": token.reason,
        "wallets_found": token.wallets_found,
        "plan": token.plan,
        "tape_removed_at": token.tape_removed_at,
        "forecast": None if token.forecast is None else asdict(token.forecast),
        "cost": None if token.cost is None else asdict(token.cost),
    }
    if token.summary is not None:
        names = ("launch_at", "launch_slot", "events", "wallets_seen", "wallets_early", "tape_cut")
        record |= {name: getattr(token.summary, name) for name in names}
    return record


def run_details(
    run: DiscoveryRun,
    tokens: Sequence[RunToken],
    wallets: Sequence[DiscoveryRunWallet],
    standings: Standings,
) -> dict[str, Any]:
    """A run with its tokens and wallets."""
    return {
        "run": run_record(run),
        "tokens": [token_record(token) for token in tokens],
        "wallets": [wallet_record(wallet, standings) for wallet in wallets],
    }
