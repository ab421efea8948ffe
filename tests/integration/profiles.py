"""Runs, profiles and flags that tests store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from solders.pubkey import Pubkey

from tests.integration.databases import LEASE, NOW, SUMMARY, listed
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, QualifiedWallet, TriggerType
from walltrack.discovery.wallet_models import (
    Flag,
    FlagEvidence,
    ScorePart,
    WalletProfile,
    WalletScore,
    WalletStatus,
)

PROFILE = WalletProfile(
    wallet_address="set by the test",
    as_of=NOW,
    lookback_days=90,
    transactions=1000,
    failed=17,
    positions=41,
    based_positions=40,
    closed_positions=30,
    abandoned_positions=4,
    wins=21,
    trades=160,
    fast_trades=3,
    realized_pnl_sol=Decimal("12345678901.123456789012345678"),
    cost_of_sold_sol=Decimal("0.000000000000000001"),
    lost_in_abandoned_sol=Decimal("1.5"),
    win_rate=Decimal("0.617647058823529412"),
    return_on_cost_pct=Decimal("-12.5"),
    profit_factor=None,
    median_hold_seconds=3600,
    median_cost_sol=Decimal("0.25"),
    trades_per_day=Decimal("1.777777777777777778"),
    largest_win_share=Decimal("0.3"),
    failed_share=Decimal("0.017"),
    last_active_at=NOW - timedelta(days=2),
    completeness="history_cut+unpriced",
    outcome="measured",
)
PARTS = (
    ScorePart("win rate", Decimal("0.4821"), Decimal("0.6"), "21 of 34 positions won; at least 48 % is sure"),
    ScorePart("recency", Decimal("0.9"), Decimal("0.4"), "last active 2 days ago"),
)


def account(number: int) -> str:
    """A valid address. These sort otherwise than by number."""
    return str(Pubkey(number.to_bytes(32, "big")))


def evidence(flag: Flag, mint: str | None = None, **changes: object) -> FlagEvidence:
    one = FlagEvidence(
        flag,
        mint,
        2,
        f"{flag} was seen twice",
        of=7,
        signatures=("5" * 88, "4" * 87),
        wallets=(account(900),),
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def score(
    value: str | None, status: WalletStatus = WalletStatus.ACTIVE, reason: str | None = None
) -> WalletScore:
    return WalletScore(None if value is None else Decimal(value), 1, PARTS, status, reason)


async def begun(database: Database, started_at: datetime = NOW, *, demo: bool = False) -> DiscoveryRun:
    return await DiscoveryRepository(database).create_run(
        TriggerType.MANUAL, DiscoveryRunParams(), started_at=started_at, lease_expires_at=LEASE, demo=demo
    )


async def found(
    database: Database, run_id: UUID, on_tokens: Mapping[str, Sequence[QualifiedWallet]], at: datetime = NOW
) -> None:
    tokens = RunTokenRepository(database)
    await listed(database, run_id, list(on_tokens))
    for mint, wallets in on_tokens.items():
        attempt = await tokens.start_token(run_id, mint, now=at, lease_expires_at=LEASE)
        assert attempt is not None
        await tokens.finish_token(run_id, mint, attempt, completed_at=at, summary=SUMMARY, wallets=wallets)


async def profiled(
    database: Database,
    run_id: UUID | None,
    wallet: str,
    value: WalletScore,
    flags: Sequence[FlagEvidence] = (),
    *,
    computed_at: datetime = NOW,
    **changes: object,
) -> bool:
    """Store PROFILE, with what is changed in it, as the wallet's."""
    profile = replace(PROFILE, **({"wallet_address": wallet, "as_of": computed_at} | changes))  # type: ignore[arg-type]
    return await ProfileRepository(database).store_profile(
        run_id,
        wallet,
        computed_at=computed_at,
        as_of=computed_at,
        profile=profile,
        flags=flags,
        score=value,
    )
