"""Two runs side by side: what is different, and the reason that what they stored tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryRunWallet,
    QualifiedWallet,
    RunToken,
    TokenStatus,
    TokenSummary,
    TriggerType,
)
from walltrack.discovery.run_diff import (
    NOT_TOLD,
    Difference,
    RunDiff,
    RunResult,
    TokenDifference,
    diff_runs,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RUN_A, RUN_B = UUID(int=1), UUID(int=2)
SUMMARY = TokenSummary(NOW, 1, NOW, NOW, events=100, wallets_seen=10, wallets_early=5)


def a_token(mint: str = "M", status: TokenStatus = TokenStatus.DONE, **changes: object) -> RunToken:
    token = RunToken(RUN_A, mint, status, summary=SUMMARY, segments={"pool": 3})
    return replace(token, **changes)  # type: ignore[arg-type]


def found(wallet: str = "W", mint: str = "M", **changes: object) -> DiscoveryRunWallet:
    values: dict[str, object] = {
        "wallet_address": wallet,
        "source_token": mint,
        "entry_rank": 1,
        "seconds_after_launch": 700,
        "first_buy_at": NOW,
        "first_buy_slot": 1,
        "buys": 1,
        "sells": 1,
        "cost_sol": Decimal(1),
        "proceeds_sol": Decimal(2),
        "cost_of_sold_sol": Decimal(1),
        "realized_pnl_sol": Decimal("0.8"),
        "realized_pct": Decimal("80.0"),
        "held_tokens": Decimal(0),
        "held_cost_sol": Decimal(0),
        "completeness": "complete",
    }
    figures = QualifiedWallet(**(values | changes))  # type: ignore[arg-type]
    return DiscoveryRunWallet(uuid4(), RUN_A, wallet, mint, True, None, figures)


def a_run(
    *wallets: DiscoveryRunWallet,
    tokens: Sequence[RunToken] | None = None,
    run_id: UUID = RUN_A,
    code: str = "1.0",
    mints: tuple[str, ...] = (),
    refusals: Mapping[str, str] | None = None,
    **params: object,
) -> RunResult:
    run = DiscoveryRun(
        id=run_id,
        started_at=NOW,
        trigger_type=TriggerType.MANUAL,
        code_version=code,
        mints=mints,
        params=DiscoveryRunParams(**params),
    )
    return RunResult(run, [a_token()] if tokens is None else tokens, wallets, refusals or {})


def lost_because(diff: RunDiff) -> tuple[str, ...]:
    (one,) = diff.wallets_lost
    assert not diff.wallets_gained
    return one.why


def test_a_run_has_nothing_otherwise_than_itself() -> None:
    run = a_run(found("W"), found("V"), found("W", "N"), tokens=[a_token("M"), a_token("N")])
    diff = diff_runs(run, run)
    assert diff == RunDiff((), None, None, (), (), (), (), (), (), same=3, causes=())


@given(
    st.lists(st.tuples(st.sampled_from("UVW"), st.sampled_from("MN"), st.integers(1, 3)), max_size=6),
    st.lists(st.tuples(st.sampled_from("UVW"), st.sampled_from("MN"), st.integers(1, 3)), max_size=6),
)
def test_every_finding_is_told_once_and_backwards_it_is_the_mirror(
    before: list[tuple[str, str, int]], after: list[tuple[str, str, int]]
) -> None:
    def run(rows: list[tuple[str, str, int]]) -> RunResult:
        unique = {(wallet, mint): rank for wallet, mint, rank in rows}
        return a_run(
            *(found(*key, entry_rank=rank) for key, rank in unique.items()),
            tokens=[a_token("M"), a_token("N")],
        )

    a, b = run(before), run(after)
    there, back = diff_runs(a, b), diff_runs(b, a)
    keys = [
        {(one.wallet_address, one.source_token) for one in part}
        for part in (there.wallets_gained, there.wallets_lost, there.wallets_changed)
    ]
    assert len(keys[0]) + len(keys[2]) + there.same == len(b.wallets)
    assert len(keys[1]) + len(keys[2]) + there.same == len(a.wallets)
    assert keys == [
        {(one.wallet_address, one.source_token) for one in part}
        for part in (back.wallets_lost, back.wallets_gained, back.wallets_changed)
    ]
    assert all(one.why for one in (*there.wallets_gained, *there.wallets_lost, *there.wallets_changed))


def test_a_wallet_lost_to_a_parameter_says_which_rule_it_breaks() -> None:
    a = a_run(found())
    assert lost_because(diff_runs(a, a_run(min_profit_pct=100.0))) == (
        "parameters: realized 80.00 %, below min_profit_pct 100",
    )
    assert lost_because(diff_runs(a, a_run(early_window_minutes=10))) == (
        "parameters: bought 700 s after launch, beyond early_window_minutes 10",
    )
    at_launch = a_run(found(flags=("launch_slot",)), include_launch_slot=True)
    assert lost_because(diff_runs(at_launch, a_run())) == (
        "parameters: bought in the launch slot, include_launch_slot no",
    )
    both = lost_because(diff_runs(a, a_run(early_window_minutes=5, min_profit_pct=80.1)))
    assert len(both) == 2


def test_a_wallet_gained_says_which_rule_kept_it_out_before() -> None:
    diff = diff_runs(a_run(min_profit_pct=100.0), a_run(found()))
    (gained,) = diff.wallets_gained
    assert gained.why == ("parameters: realized 80.00 %, below min_profit_pct 100",)
    assert diff.parameters == (Difference("min_profit_pct", 100.0, 50.0),)
    assert diff.causes == ("parameters: min_profit_pct 100 -> 50",)


def test_a_bound_that_the_wallet_reaches_is_no_reason() -> None:
    diff = diff_runs(
        a_run(found(seconds_after_launch=600)), a_run(min_profit_pct=80.0, early_window_minutes=10)
    )
    assert not any("below" in why or "beyond" in why for why in lost_because(diff))


def test_other_data_is_told_by_the_segments_and_without_them_by_the_events() -> None:
    a = a_run(found())
    more = diff_runs(a, a_run(tokens=[a_token(segments={"pool": 4})]))
    assert lost_because(more) == ("data: the tape was made of 3 stored segments, then of 4",)
    assert more.causes == ("data: 1 of the 1 tokens of both were measured on other tapes",)
    without = a_token(segments=None, summary=replace(SUMMARY, events=120))
    assert lost_because(diff_runs(a, a_run(tokens=[without]))) == ("data: the tape had 100 events, then 120",)
    cut = a_token(summary=replace(SUMMARY, tape_cut="budget"))
    assert lost_because(diff_runs(a, a_run(tokens=[cut]))) == ("data: the tape was cut: no, then budget",)
    # A stream without a segment is none.
    same = diff_runs(a_run(found()), a_run(found(), tokens=[a_token(segments={"pool": 3, "mint": 0})]))
    assert same.causes == ()


def test_changed_figures_are_named_with_both_values_and_the_code_that_changed_them() -> None:
    diff = diff_runs(a_run(found()), a_run(found(realized_pct=Decimal("79.5"), sells=2), code="1.1"))
    (changed,) = diff.wallets_changed
    assert set(changed.figures) == {
        Difference("realized_pct", Decimal("80.0"), Decimal("79.5")),
        Difference("sells", 1, 2),
    }
    assert changed.why == ("code version: 1.0 -> 1.1",)
    assert diff.same == 0


def test_another_score_alone_is_told_as_that() -> None:
    diff = diff_runs(
        a_run(found()), a_run(replace(found(), initial_score=Decimal("0.5")), profile_immediately=False)
    )
    (changed,) = diff.wallets_changed
    assert changed.figures == (Difference("initial_score", None, Decimal("0.5")),)
    assert "parameters: profile_immediately yes -> no" in changed.why


def test_tokens_of_one_run_only_and_tokens_that_ended_otherwise_say_why() -> None:
    a = a_run(
        found("W", "M"), found("V", "N"), tokens=[a_token("M"), a_token("N"), a_token("O")], run_id=RUN_A
    )
    failed = a_token("N", TokenStatus.FAILED, reason="the provider refused", summary=None, segments=None)
    b = a_run(
        tokens=[failed, a_token("O"), a_token("P")],
        run_id=RUN_B,
        refusals={"M": "volume 40 USD, at least 60 asked for"},
        min_volume_usd=60_000.0,
    )
    diff = diff_runs(a, b)
    choosing = "parameters: min_volume_usd 50000 -> 60000"
    left_out = ("left out: volume 40 USD, at least 60 asked for", choosing)
    assert diff.tokens_lost == (TokenDifference("M", TokenStatus.DONE, None, left_out),)
    (gained,) = diff.tokens_gained
    assert (gained.mint, gained.before, gained.why[0]) == ("P", None, choosing)
    assert diff.tokens_changed == (
        TokenDifference("N", TokenStatus.DONE, TokenStatus.FAILED, ("after: the provider refused",)),
    )
    why = {one.wallet_address: one.why for one in diff.wallets_lost}
    assert why["W"] == (f"the token is not in run {RUN_B}", *left_out)
    assert why["V"] == (f"the token is failed in run {RUN_B}: the provider refused",)
    assert diff.causes == (choosing, "data: 2 tokens are of one of the runs only")


def test_tokens_that_were_named_are_no_matter_of_the_market() -> None:
    diff = diff_runs(a_run(), a_run(tokens=[a_token("N")], mints=("N",)))
    assert {one.why for one in (*diff.tokens_gained, *diff.tokens_lost)} == {
        ("the tokens of one of the runs were named",)
    }


def test_what_nothing_tells_is_said_to_be_not_told() -> None:
    assert lost_because(diff_runs(a_run(found()), a_run())) == (NOT_TOLD,)
