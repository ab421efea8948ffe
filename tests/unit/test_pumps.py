"""Which listed tokens pumped, and why the others did not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walltrack.discovery.market_mints import NEVER_PUMPED, STAKED_SOL
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.pump_refusals import (
    BeyondMaxTokens,
    Contradicted,
    FewSellers,
    FewTraders,
    NotACandidate,
    Reason,
    TooFlat,
    TooIlliquid,
    TooOld,
    TooQuiet,
    UnknownAge,
    UnknownLiquidity,
    UnknownPriceChange,
    UnknownVolume,
    WashedTurnover,
)
from walltrack.discovery.pumps import Listing, PumpedToken, Pumps, pumped_tokens
from walltrack.discovery.wash_rules import MAX_FACTOR, MAX_TURNOVER

NOW = datetime(2026, 10, 9, 12, tzinfo=UTC)
MINT = "DppWLLeBgn49Poy15Jqq8vewEEtSrMBQNzKKzYgZpump"
PARAMS = DiscoveryRunParams()
GOOD = Listing(
    provider="dexscreener",
    mint=MINT,
    pool="pool-a",
    symbol="KYS",
    created_at=NOW - timedelta(hours=20),
    price_usd=0.01,
    changes_pct={24.0: 250.0},
    volume_usd=400_000.0,
    liquidity_usd=40_000.0,
    buys=3_000,
    sells=2_500,
)


def nearly(value: float) -> float:
    """Equal to every number next to it."""
    return cast("float", pytest.approx(value))


def judged(
    *listings: Listing, params: DiscoveryRunParams = PARAMS, rise: float | None = None
) -> PumpedToken | Reason:
    """What becomes of the one token that these listings are about."""
    pumps = pumped_tokens(listings, params, NOW, {} if rise is None else {MINT: rise})
    found: list[PumpedToken | Reason] = [*pumps.pumped, *(token.reason for token in pumps.refused)]
    assert len(found) == 1
    return found[0]


def test_a_token_within_all_bounds_pumped() -> None:
    assert judged(GOOD) == PumpedToken(
        mint=MINT,
        symbol="KYS",
        launched_at=NOW - timedelta(hours=20),
        price_change_24h_pct=250.0,
        rise_to_peak_pct=nearly(250.0),
        volume_24h_usd=400_000.0,
        liquidity_usd=40_000.0,
        transactions_24h=5_500,
        pools=(("", "pool-a"),),
        providers=("dexscreener",),
    )


@pytest.mark.parametrize("mint", sorted(NEVER_PUMPED))
def test_quote_mints_stablecoins_and_staked_sol_never_pump(mint: str) -> None:
    pumps = pumped_tokens([replace(GOOD, mint=mint)], PARAMS, NOW)
    assert [token.reason for token in pumps.refused] == [NotACandidate()]


def test_the_addresses_of_staked_sol_are_addresses() -> None:
    from solders.pubkey import Pubkey

    assert all(str(Pubkey.from_string(mint)) == mint for mint in STAKED_SOL)


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (replace(GOOD, created_at=None), UnknownAge()),
        (replace(GOOD, created_at=NOW + timedelta(hours=1)), UnknownAge()),
        (replace(GOOD, liquidity_usd=None), UnknownLiquidity()),
        (replace(GOOD, volume_usd=None), UnknownVolume()),
        (replace(GOOD, changes_pct=None), UnknownPriceChange()),
        (replace(GOOD, changes_pct={1.0: 900.0}), UnknownPriceChange()),
        (replace(GOOD, created_at=NOW - timedelta(hours=72, seconds=36)), TooOld(72.01, 72)),
        (replace(GOOD, liquidity_usd=9_999.99), TooIlliquid(9_999.99, 10_000.0)),
        (replace(GOOD, volume_usd=49_999.0), TooQuiet(49_999.0, 50_000.0)),
        (replace(GOOD, changes_pct={24.0: 99.9}), TooFlat(nearly(99.9), 100.0)),
        (replace(GOOD, volume_usd=8_000_001.0), WashedTurnover(nearly(200.000025), MAX_TURNOVER)),
        (replace(GOOD, buyers=1_000, sellers=199), FewSellers(0.199, 0.2)),
        (replace(GOOD, buys=3_000, sells=3), FewSellers(0.001, 0.2)),
        (replace(GOOD, buyers=100, sellers=100), FewTraders(55.0, 40.0)),
    ],
)
def test_a_token_outside_of_a_bound_is_refused_with_figure_and_bound(
    listing: Listing, reason: Reason
) -> None:
    assert judged(listing) == reason


def test_every_reason_says_itself_in_a_line() -> None:
    from walltrack.discovery import pump_refusals

    shown = [
        str(reason)
        for reason in (
            *(kind() for kind in get_args(pump_refusals.Reason) if not kind.__dataclass_fields__),
            TooOld(100.04, 72),
            TooIlliquid(0.0, 10_000),
            TooQuiet(1.5, 50_000),
            TooFlat(-92.55, 100),
            WashedTurnover(float("inf"), 200),
            FewSellers(0.016, 0.2),
            FewTraders(59.01, 40),
            Contradicted("price", ("a", "b"), (0.0, 1.0), float("inf"), 10),
            BeyondMaxTokens(21, 20),
        )
    ]
    assert len(shown) == len(get_args(pump_refusals.Reason))
    assert all("\n" not in line and 10 < len(line) < 120 for line in shown)
    assert str(TooOld(100.04, 72)) == "launched 100.0 hours ago, at most 72"


FIGURES = st.floats(0, 1e9, allow_nan=False)


@given(
    change=st.floats(0, 1000),
    volume=FIGURES,
    liquidity=st.floats(1, 1e9),
    age=st.integers(1, 168),
    data=st.data(),
)
def test_all_bounds_are_inclusive(
    change: float, volume: float, liquidity: float, age: int, data: st.DataObject
) -> None:
    volume = min(volume, liquidity * MAX_TURNOVER * 0.999)
    params = DiscoveryRunParams(
        min_price_change_pct=change,
        min_volume_usd=volume,
        min_liquidity_usd=liquidity,
        max_token_age_hours=age,
    )
    exact = replace(
        GOOD,
        changes_pct={24.0: change},
        volume_usd=volume,
        liquidity_usd=liquidity,
        created_at=NOW - timedelta(hours=age),
        buys=None,
        sells=None,
    )
    assert isinstance(judged(exact, params=params), PumpedToken)
    beyond = data.draw(st.sampled_from(["age", "volume", "liquidity"]))
    if beyond == "age":
        over = replace(exact, created_at=NOW - timedelta(hours=age, microseconds=1))
        assert isinstance(judged(over, params=params), TooOld)
    elif beyond == "volume" and volume > 1:
        assert isinstance(judged(replace(exact, volume_usd=volume * 0.999), params=params), TooQuiet)
    elif beyond == "liquidity":
        assert isinstance(judged(replace(exact, liquidity_usd=liquidity * 0.999), params=params), TooIlliquid)


LISTINGS = st.builds(
    Listing,
    provider=st.sampled_from(["dexscreener", "geckoterminal", "jupiter"]),
    mint=st.sampled_from(["A" * 40, "B" * 40, "C" * 40]),
    pool=st.sampled_from([None, "p1", "p2"]),
    created_at=st.none() | st.integers(-1_000, 1).map(lambda hours: NOW + timedelta(hours=hours)),
    changes_pct=st.none()
    | st.dictionaries(st.sampled_from([1.0, 6.0, 24.0]), st.floats(-100, 1e15), max_size=3),
    volume_usd=st.none() | st.floats(0, 1e13),
    liquidity_usd=st.none() | st.floats(0, 1e13),
    price_usd=st.none() | st.floats(0, 1e13),
    buys=st.none() | st.integers(0, 10**12),
    sells=st.none() | st.integers(0, 10**12),
    buyers=st.none() | st.integers(0, 10**12),
    sellers=st.none() | st.integers(0, 10**12),
)


@given(st.lists(LISTINGS, max_size=12), st.randoms())
def test_every_listed_token_is_pumped_or_refused_once_whatever_the_order(
    listings: list[Listing], order: object
) -> None:
    unique = list({(x.provider, x.mint, x.pool): x for x in listings}.values())
    loose = DiscoveryRunParams(
        min_price_change_pct=0, min_volume_usd=0, min_liquidity_usd=0, max_token_age_hours=168, max_tokens=2
    )
    found = pumped_tokens(unique, loose, NOW)
    named = sorted([*(t.mint for t in found.pumped), *(t.mint for t in found.refused)])
    assert named == sorted({x.mint for x in unique})
    assert len(found.pumped) <= 2
    assert found == pumped_tokens(unique[::-1], loose, NOW) or _same(
        found, pumped_tokens(unique[::-1], loose, NOW)
    )


def _same(first: Pumps, second: Pumps) -> bool:
    return first.pumped == second.pumped and set(first.refused) == set(second.refused)


def test_the_launch_is_the_oldest_creation_that_anybody_knows() -> None:
    newest = replace(GOOD, created_at=NOW - timedelta(hours=1))
    curve = replace(newest, pool="curve", created_at=NOW - timedelta(hours=90), liquidity_usd=None)
    assert judged(newest, curve) == TooOld(90.0, 72)


def test_the_mint_is_the_launch_only_where_no_pool_is_known_by_its_age() -> None:
    old_mint = Listing(provider="jupiter", mint=MINT, token_created_at=NOW - timedelta(hours=100))
    assert isinstance(judged(GOOD, old_mint), PumpedToken)
    assert judged(replace(GOOD, created_at=None), old_mint) == TooOld(100.0, 72)


def test_the_deepest_pool_speaks_for_price_and_liquidity() -> None:
    later = NOW - timedelta(hours=5)
    mispriced = {24.0: 40_000.0}
    shallow = replace(GOOD, pool="pool-b", created_at=later, liquidity_usd=50.0, changes_pct=mispriced)
    flat = replace(GOOD, changes_pct={24.0: 10.0})
    assert judged(flat, shallow) == TooFlat(nearly(10.0), 100.0)
    found = judged(GOOD, shallow)
    assert isinstance(found, PumpedToken)
    assert found.liquidity_usd == 40_000.0
    assert found.pools == (("", "pool-a"), ("", "pool-b"))


def test_a_pool_is_as_deep_as_the_least_that_is_said_of_it() -> None:
    other = replace(GOOD, provider="geckoterminal", liquidity_usd=8_000.0)
    assert judged(GOOD, other) == TooIlliquid(8_000.0, 10_000.0)


def test_volume_and_trades_are_sums_over_pools_of_the_provider_that_knows_most() -> None:
    second = replace(GOOD, pool="pool-b", liquidity_usd=5_000.0, volume_usd=100_000.0, buys=10, sells=5)
    other = replace(GOOD, provider="geckoterminal", volume_usd=410_000.0)
    found = judged(GOOD, second, other)
    assert isinstance(found, PumpedToken)
    assert found.volume_24h_usd == 500_000.0
    assert found.transactions_24h == 5_515
    assert found.providers == ("dexscreener", "geckoterminal")


def test_a_token_that_rose_and_fell_back_pumped() -> None:
    # Launched 20 hours ago at 1, at 11 an hour ago, at 1.5 now.
    fallen = replace(GOOD, changes_pct={1.0: (1.5 / 11 - 1) * 100, 24.0: 50.0})
    found = judged(fallen)
    assert isinstance(found, PumpedToken)
    assert found.rise_to_peak_pct == pytest.approx(1000.0)
    older = replace(fallen, created_at=NOW - timedelta(hours=30))
    assert judged(older) == TooFlat(50.0, 100.0)
    measured = judged(older, rise=100.0)
    assert isinstance(measured, PumpedToken)
    assert measured.rise_to_peak_pct == 100.0


def test_changes_of_a_later_pool_say_nothing_of_the_rise_since_launch_and_those_of_the_curve_do() -> None:
    migrated = replace(GOOD, changes_pct={1.0: -90.0, 24.0: 20.0}, created_at=NOW - timedelta(hours=2))
    curve = replace(GOOD, pool="curve", liquidity_usd=None, volume_usd=1.0, changes_pct=None)
    assert judged(migrated, curve) == TooFlat(20.0, 100.0)
    found = judged(migrated, replace(curve, changes_pct={24.0: 1_300.0}))
    assert isinstance(found, PumpedToken)
    assert found.rise_to_peak_pct == pytest.approx(1_300.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price_usd", 0.01 * (MAX_FACTOR + 0.1)),
        ("liquidity_usd", 40_000.0 * (MAX_FACTOR + 0.1)),
        ("volume_usd", 400_000.0 / (MAX_FACTOR + 0.1)),
        ("changes_pct", {24.0: -80.0}),
    ],
)
def test_providers_that_contradict_each_other_are_a_reason_to_refuse(field: str, value: object) -> None:
    other = replace(GOOD, provider="geckoterminal", **{field: value})  # type: ignore[arg-type]
    params = PARAMS.model_copy(update={"min_price_change_pct": 0.0})
    reason = judged(GOOD, other, params=params, rise=500.0)
    assert isinstance(reason, Contradicted)
    assert reason.providers == ("dexscreener", "geckoterminal")
    assert reason.factor > MAX_FACTOR


def test_a_provider_that_sees_a_tenth_of_the_volume_contradicts_the_others() -> None:
    whole = Listing(provider="jupiter", mint=MINT, volume_usd=39_000.0)
    assert isinstance(judged(GOOD, whole), Contradicted)
    assert isinstance(judged(GOOD, replace(whole, volume_usd=41_000.0)), PumpedToken)
    # It may know of pools that the others do not list.
    assert isinstance(judged(GOOD, replace(whole, volume_usd=7_000_000.0)), PumpedToken)


def test_an_empty_pool_is_washed_even_where_no_liquidity_is_asked_for() -> None:
    params = PARAMS.model_copy(update={"min_liquidity_usd": 0.0})
    assert judged(replace(GOOD, liquidity_usd=0.0), params=params) == WashedTurnover(
        float("inf"), MAX_TURNOVER
    )


def test_where_only_a_provider_of_whole_tokens_answers_its_figures_count() -> None:
    whole = replace(GOOD, provider="jupiter", pool=None)
    found = judged(whole)
    assert isinstance(found, PumpedToken)
    assert found.pools == ()


def test_tokens_are_ranked_by_volume_and_cut_at_the_most_asked_for() -> None:
    volumes = [100_000.0, 300_000.0, 200_000.0, 300_000.0]
    listings = [
        replace(GOOD, mint=letter * 40, pool=letter, volume_usd=volume)
        for letter, volume in zip("ABCD", volumes, strict=True)
    ]
    found = pumped_tokens(listings, PARAMS.model_copy(update={"max_tokens": 2}), NOW)
    assert [token.mint[0] for token in found.pumped] == ["B", "D"]
    assert [(token.mint[0], token.reason) for token in found.refused] == [
        ("C", BeyondMaxTokens(3, 2)),
        ("A", BeyondMaxTokens(4, 2)),
    ]


def test_nothing_listed_is_nothing_pumped() -> None:
    assert pumped_tokens([], PARAMS, NOW) == Pumps((), ())
