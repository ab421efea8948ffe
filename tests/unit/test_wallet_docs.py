"""What docs/wallets.md tells the operator is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from walltrack.config.settings import Settings
from walltrack.discovery import flag_bundle, flag_launch, flag_trading, flag_transfers, flag_wash, score
from walltrack.discovery.holdings import ABANDONED_AFTER_SECONDS, DUST_PARTS
from walltrack.discovery.wallet_models import EVIDENCE_SIGNATURES, Flag, FlagEvidence, WalletStatus
from walltrack.scheduler.tasks.outcome_task import MOST_WALLETS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "wallets.md").read_text()
ROWS = {row[0].strip("`"): row[1:] for row in (
    [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")
)}  # fmt: skip


def test_every_flag_stands_there_with_whether_it_keeps_a_wallet_back() -> None:
    assert set(Flag) <= ROWS.keys()
    for flag in Flag:
        once = score.gate([FlagEvidence(flag, None, 1, "seen")])
        often = score.gate([FlagEvidence(flag, None, score.SNIPED_LAUNCHES, "seen")])
        said = ROWS[flag][1]
        assert said.startswith("yes" if once else "from 3 launches" if often else "no"), flag


def test_the_bounds_of_flags_are_those_of_the_code() -> None:
    expected: dict[Flag, list[object]] = {
        Flag.SNIPER: [flag_launch.SNIPER_SLOTS],
        Flag.BUNDLE: [
            f"{100 * flag_bundle.SAME_AMOUNT_OF_TWO:g} %",
            f"{100 * flag_bundle.SAME_AMOUNT_OF_THREE:g} %",
        ],
        Flag.TOKENS_IN: [f"{100 * flag_transfers.LEAST_SHARE:g} %"],
        Flag.PASSES_ON: [f"{100 * flag_transfers.LEAST_SHARE:g} %"],
        Flag.INSIDER: [f"{100 * flag_transfers.LEAST_INSIDER_SHARE:g} %"],
        Flag.WASH: [
            f"{flag_wash.MIN_TRIPS} purchases",
            f"{100 * flag_wash.MAX_NET_TOKENS:g} %",
            f"{100 * flag_wash.MIN_TURNS_SHARE:g} %",
            f"{flag_wash.MIN_TURNS} turns",
            f"{flag_wash.MIN_HAND_OVERS} trades",
            f"{100 * flag_wash.HAND_OVER_SHARE:g} %",
            f"{flag_wash.HAND_OVER_ROWS} trades and {flag_wash.HAND_OVER_SECONDS} seconds",
        ],
        Flag.FAST_TRADE: [f"{flag_trading.FAST_SECONDS} seconds"],
        Flag.INFRASTRUCTURE: [
            f"{flag_launch.MIN_PRESENCE} launches",
            f"{100 * flag_launch.MIN_PRESENCE_SHARE:g} %",
            f"{flag_launch.MAX_CHANCE:.4f} wallets",
        ],
    }
    for flag, bounds in expected.items():
        for bound in bounds:
            assert str(bound) in ROWS[flag][0], (flag, bound)


def test_the_score_and_its_bounds_are_those_of_the_code() -> None:
    assert {name: ROWS[name][0] for name in score.WEIGHTS} == {
        name: str(weight) for name, weight in score.WEIGHTS.items()
    }
    assert set(WalletStatus) <= ROWS.keys()
    for said in (
        f"`score_version` (now {score.SCORE_VERSION})",
        f"fewer than {score.MIN_SETTLED} settled positions there is no score",
        f"not active for more than {score.DORMANT_DAYS} days",
        f"at most {100 // DUST_PARTS} % of the largest quantity",
        f"for {ABANDONED_AFTER_SECONDS // 86_400} days, and then counts as worth nothing",
        f"up to {EVIDENCE_SIGNATURES} signatures",
        f"(`--wallets`, {MOST_WALLETS})",
    ):
        assert said in re.sub(r"\s+", " ", PAGE), said


def test_the_settings_have_the_defaults_that_are_told() -> None:
    for name, field in Settings.model_fields.items():
        if name.startswith("profile_"):
            assert ROWS[str(field.alias)][0] == f"{field.default:,}"
