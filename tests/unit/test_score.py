"""One number that explains itself, and where a wallet stands."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.history_oracle import DAY, at, history, of_mint
from tests.unit.oracle import Event
from walltrack.discovery.profile import ProfileOutcome, wallet_profile
from walltrack.discovery.score import SCORE_VERSION, WEIGHTS, gate, wallet_score
from walltrack.discovery.wallet_models import Flag, FlagEvidence, WalletProfile, WalletScore, WalletStatus

PROFILE = WalletProfile(
    wallet_address="w",
    as_of=at(0),
    lookback_days=90,
    transactions=100,
    failed=3,
    positions=32,
    based_positions=31,
    closed_positions=25,
    abandoned_positions=5,
    wins=23,
    trades=80,
    fast_trades=0,
    realized_pnl_sol=Decimal(40),
    cost_of_sold_sol=Decimal(38),
    lost_in_abandoned_sol=Decimal(2),
    win_rate=Decimal("0.766666666667"),
    return_on_cost_pct=Decimal(300),
    profit_factor=Decimal(4),
    median_hold_seconds=4_000,
    median_cost_sol=Decimal(1),
    trades_per_day=Decimal(1),
    largest_win_share=Decimal("0.2"),
    failed_share=Decimal("0.03"),
    last_active_at=at(-30 * DAY),
    completeness="complete",
    outcome=ProfileOutcome.MEASURED,
)


def evidence(flag: Flag, mint: str | None = "m", count: int = 1) -> FlagEvidence:
    return FlagEvidence(flag, mint, count, f"seen {count} times")


def part(score: WalletScore, name: str) -> Decimal:
    return next(one.value for one in score.parts if one.name == name)


def test_the_score_and_its_parts_are_these_forever() -> None:
    score = wallet_score(PROFILE, ())
    assert {one.name: str(one.value) for one in score.parts} == {
        "consistency": "0.655477",
        "return": "0.750000",
        "independence": "0.657143",
        "recency": "0.500000",
        "sample_size": "0.750000",
    }
    assert (score.version, str(score.value)) == (1, "0.6637")
    assert (score.status, score.reason) == (WalletStatus.ACTIVE, None)
    assert (
        score.parts[0].explanation == "23 of 30 settled positions won; at least 65.5 % with 90 % confidence"
    )
    assert SCORE_VERSION == 1


def test_the_parts_make_up_the_score() -> None:
    score = wallet_score(PROFILE, ())
    assert sum(WEIGHTS.values()) == 1
    total = sum((one.value * one.weight for one in score.parts), Decimal(0))
    assert score.value == total.quantize(Decimal("0.0001"))


@given(st.integers(5, 2_000), st.data())
def test_consistency_is_the_lower_end_of_wilsons_interval(settled: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, settled))
    found = part(
        wallet_score(replace(PROFILE, wins=wins, closed_positions=settled, abandoned_positions=0), ()),
        "consistency",
    )
    # The bound b is where wins are z standard deviations of b above it: (p - b)² = z² b (1 - b) / n.
    b, p, z = Fraction(found), Fraction(wins, settled), Fraction("1.2815515655446004")
    assert 0 <= b <= p
    slack = Fraction(2, 10**6)
    assert (p - b) ** 2 <= z**2 * (b + slack) * (1 - b + slack) / settled + slack
    if b > slack:
        assert (p - b) ** 2 >= z**2 * (b - slack) * (1 - b - slack) / settled - slack


@given(
    st.integers(0, 400 * DAY),
    st.decimals(-100, 10**6, places=12),
    st.decimals(0, 1, places=12),
    st.integers(1, 40),
)
def test_a_score_lies_between_0_and_1_whatever_the_threads_arithmetic(
    idle: int, pct: Decimal, share: Decimal, wins: int
) -> None:
    profile = replace(
        PROFILE,
        last_active_at=at(-idle),
        return_on_cost_pct=pct,
        largest_win_share=share,
        wins=wins,
        closed_positions=40,
    )
    score = wallet_score(profile, ())
    assert score.value is not None
    assert 0 <= score.value <= 1
    assert all(0 <= one.value <= 1 for one in score.parts)
    with localcontext() as context:
        context.prec, context.rounding = 5, ROUND_DOWN
        assert wallet_score(profile, ()) == score


def test_losses_are_no_return_and_one_win_no_independence() -> None:
    lost = wallet_score(replace(PROFILE, return_on_cost_pct=Decimal("-40.5")), ())
    assert part(lost, "return") == 0
    assert "-40.5 % on cost" in lost.parts[1].explanation
    one = wallet_score(replace(PROFILE, wins=1, largest_win_share=Decimal(1)), ())
    assert part(one, "independence") == 0
    none = wallet_score(replace(PROFILE, wins=0, largest_win_share=None, profit_factor=Decimal(0)), ())
    assert part(none, "independence") == part(none, "consistency") == 0


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (
            {"closed_positions": 4, "abandoned_positions": 0},
            "insufficient_data",
            "4 settled positions (bound: 5)",
        ),
        ({"closed_positions": 5, "abandoned_positions": 0, "wins": 5}, "active", None),
        ({"outcome": "only transfers in"}, "insufficient_data", "only transfers in"),
        ({"last_active_at": at(-30 * DAY - 1)}, "dormant", "not active for 30 days (bound: 30 days)"),
        ({"last_active_at": None}, "dormant", "never active (bound: 30 days)"),
        (
            {"wins": 4, "closed_positions": 10, "fast_trades": 5},
            "excluded",
            "cannot be followed: 5 of 10 closed positions held for less than 60 seconds",
        ),
        ({"wins": 4, "closed_positions": 11, "fast_trades": 5}, "active", None),
        ({"wins": 4, "closed_positions": 4, "fast_trades": 4, "abandoned_positions": 9}, "active", None),
    ],
)
def test_the_status_says_why_a_wallet_is_not_active(
    change: dict[str, Any], status: str, reason: str | None
) -> None:
    score = wallet_score(replace(PROFILE, **change), ())
    assert (score.status, score.reason) == (status, reason)
    assert (score.value is None) == (status == "insufficient_data")


def test_a_wallet_that_was_not_profiled_has_no_score() -> None:
    score = wallet_score(None, ())
    assert (score.value, score.parts, score.status) == (None, (), WalletStatus.INSUFFICIENT_DATA)
    assert score.reason == "not profiled"
    assert wallet_score(None, [evidence(Flag.WASH)]).status is WalletStatus.EXCLUDED


def test_a_missing_profile_is_told_with_its_reason() -> None:
    score = wallet_score(None, (), missing="not profiled: the budget is spent")
    assert (score.value, score.status) == (None, WalletStatus.INSUFFICIENT_DATA)
    assert score.reason == "not profiled: the budget is spent"


GATES = {
    Flag.LAUNCH_SLOT,
    Flag.BUNDLE,
    Flag.INSIDER,
    Flag.WASH,
    Flag.ROUND_TRIP,
    Flag.INFRASTRUCTURE,
    Flag.NO_TRADER,
    Flag.EXCHANGE,
}


@pytest.mark.parametrize("flag", list(Flag))
def test_some_flags_keep_a_wallet_back_and_others_only_describe(flag: Flag) -> None:
    for mint in ("m", None):
        reason = gate([evidence(flag, mint)])
        assert (reason is not None) == (flag in GATES)
        score = wallet_score(PROFILE, [evidence(flag, mint)])
        assert (score.status is WalletStatus.EXCLUDED) == (flag in GATES)
        assert score.value == wallet_score(PROFILE, ()).value


def test_a_sniper_is_who_sniped_again_and_again() -> None:
    assert (
        gate([evidence(Flag.SNIPER, None, 2), evidence(Flag.SNIPER, "a"), evidence(Flag.SNIPER, "b")]) is None
    )
    assert gate([evidence(Flag.SNIPER, None, 3)]) == "sniped launches (seen 3 times)"
    assert gate([evidence(Flag.SNIPER, mint) for mint in "abc"]) == "sniped launches (3 tokens)"


def test_all_reasons_are_said() -> None:
    flags = [evidence(Flag.WASH, "a"), evidence(Flag.LAUNCH_SLOT, "a"), evidence(Flag.LAUNCH_SLOT, "b")]
    assert gate(flags) == "bought in the slot of the launch (2 tokens); traded round in a ring (1 token)"


def trader(random_: random.Random, skill: float) -> list[Event]:
    """Picks that win with the chance `skill`; some of the others are never sold."""
    rows = []
    for number in range(random_.randint(12, 45)):
        time, size = -random_.randint(0, 85 * DAY), random_.lognormvariate(0, 0.5)
        rows.append(of_mint(f"m{number}", "buy", 10**9, size, time=time))
        wins = random_.random() < skill
        change = random_.uniform(1, 4) if wins else -random_.uniform(0.3, 0.9)
        if wins or random_.random() > 0.2:
            sold = min(time + random_.randint(70, DAY), 0)
            rows.append(of_mint(f"m{number}", "sell", 10**9, size * (1 + change), time=sold))
    return sorted(rows, key=lambda row: row["block_time"])


def ranks(values: Sequence[float]) -> list[float]:
    return [sum(other < value for other in values) + values.count(value) / 2 for value in values]


def test_the_score_follows_skill() -> None:
    random_ = random.Random(20)
    skills, scores = [], []
    for _ in range(250):
        skill = random_.uniform(0.1, 0.95)
        score = wallet_score(wallet_profile(history(trader(random_, skill)), at(0)), ())
        if score.value is not None:
            skills.append(skill)
            scores.append(float(score.value))
    assert len(scores) > 240
    assert statistics.correlation(ranks(skills), ranks(scores)) > 0.9
    pairs = [
        high > low
        for high, skilled in zip(scores, skills, strict=True)
        for low, lucky in zip(scores, skills, strict=True)
        if skilled > 0.6 and lucky < 0.45
    ]
    assert sum(pairs) / len(pairs) > 0.97


def test_recency_halves_in_thirty_days() -> None:
    for days in (0, 30, 60, 90):
        score = wallet_score(replace(PROFILE, last_active_at=PROFILE.as_of - timedelta(days=days)), ())
        assert part(score, "recency") == Decimal(1) / 2 ** (days // 30)
