from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from solders.signature import Signature

from tests.unit import oracle
from tests.unit.oracle import Event, event, tape
from walltrack.discovery import addresses
from walltrack.discovery.early_buyers import (
    LaunchSlotBuyer,
    NeverBought,
    NeverTraded,
    NotAWallet,
    NothingBasedSold,
    ProfitBelow,
    Refused,
    TooLate,
    early_buyers,
    explain,
)
from walltrack.discovery.models import DiscoveryRunParams, QualifiedWallet

SOL = 10**9
MINT = str(Pubkey.from_bytes(b"\x05" * 32))


def trade(wallet: str, kind: str, second: int, tokens: int, sol: float, **other: object) -> Event:
    return event(wallet, kind, tokens, round(sol * SOL), block_time=second, **other)


def round_trip(wallet: str, second: int, gain_pct: float, **other: object) -> list[Event]:
    return [
        trade(wallet, "buy", second, 100, 1, **other),
        trade(wallet, "sell", second + 10_000, 100, 1 + gain_pct / 100),
    ]


def found_in(rows: list[Event], **params: object) -> list[str]:
    ordered = sorted(rows, key=lambda row: row["block_time"])
    found = early_buyers(tape(ordered), DiscoveryRunParams.model_validate(params))
    return [wallet.wallet_address for wallet in found.wallets]


@st.composite
def tapes(draw: st.DrawFn) -> list[Event]:
    """Rows in chain order, few wallets, few distinct slots, times and amounts: bounds and ties are hit all the time."""
    with_slots = draw(st.booleans())
    rows = []
    second = draw(st.integers(-400, 0))
    for at in range(draw(st.integers(0, 40))):
        second += draw(st.sampled_from((0, 0, 0, 1, 150, 300)))
        kind = draw(st.sampled_from(("buy", "buy", "sell", "sell", "sell", "transfer_in", "transfer_out")))
        rows.append(
            event(
                draw(st.sampled_from("abcdef")),
                kind,
                draw(st.integers(1, 4)),
                draw(st.sampled_from((0, 2, 3, 4, 6, 9))) if kind in ("buy", "sell") else 0,
                block_time=second,
                slot=1000 + second // 2 if with_slots and draw(st.integers(0, 9)) else None,
                tx_index=at,
            )
        )
    return rows


@settings(max_examples=300, deadline=None)
@given(
    tapes(),
    st.sampled_from((None, 1000, 1001)),
    st.sampled_from((5, 10, 30)),
    st.sampled_from((0.0, 12.5, 50.0, 100.0)),
    st.booleans(),
)
def test_the_wallets_that_qualify_are_those_of_the_oracle(
    rows: list[Event], launch_slot: int | None, minutes: int, pct: float, with_launch_slot: bool
) -> None:
    params = DiscoveryRunParams(
        early_window_minutes=minutes, min_profit_pct=pct, include_launch_slot=with_launch_slot
    )
    made = tape(rows, launch_slot=launch_slot)
    expected = oracle.early(
        rows,
        launch_time=0,
        launch_slot=launch_slot,
        window_minutes=minutes,
        least_pct=Fraction(pct),
        with_launch_slot=with_launch_slot,
    )
    found = early_buyers(made, params)
    accounts = oracle.accounts(rows)
    assert {
        one.wallet_address: (
            one.entry_rank,
            one.seconds_after_launch,
            one.realized_pct,
            "launch_slot" in one.flags,
        )
        for one in found.wallets
    } == {
        wallet: (rank, seconds, Decimal(f"{round(exact * 10**12)}E-12"), at_launch)
        for wallet, (rank, seconds, exact, at_launch) in expected.items()
    }
    for one in found.wallets:
        account = accounts[one.wallet_address]
        assert one.cost_sol == oracle.in_sol(account.cost)
        assert one.realized_pnl_sol == oracle.in_sol(account.realized)
        assert one.held_tokens == Decimal(int(account.held)) / 10**6
        assert one.completeness == oracle.completeness(account, made)
    assert [one.entry_rank for one in found.wallets] == sorted(one.entry_rank for one in found.wallets)
    assert found.wallets_seen == len(accounts)
    qualified = {one.wallet_address: one for one in found.wallets}
    for wallet in accounts:
        verdict = explain(made, params, wallet)
        if wallet in qualified:
            assert verdict == qualified[wallet]
        else:
            assert isinstance(verdict, Refused)
            assert verdict.reasons


def test_a_first_buy_on_the_last_second_of_the_window_is_early() -> None:
    rows = round_trip("last", 300, 100) + round_trip("after", 301, 100)
    assert found_in(rows, early_window_minutes=5) == ["last"]


def test_a_profit_exactly_at_the_bound_is_enough() -> None:
    rows = [
        *round_trip("at", 1, 50),
        trade("below", "buy", 2, 100, 1),
        event("below", "sell", 100, 1_499_999_999, block_time=9000),
    ]
    assert found_in(rows, min_profit_pct=50) == ["at"]


def test_the_bound_is_the_number_as_it_was_written() -> None:
    assert found_in(round_trip("w", 1, 33.3), min_profit_pct=33.3) == ["w"]


def test_a_profit_below_the_bound_by_less_than_its_last_decimal_is_not_enough() -> None:
    # 2^63 units for 2 10^18 lamports, one unit less sold for 1.5 times their cost, less one lamport.
    rows = [
        event("w", "buy", 2**63, 2 * 10**18, block_time=1),
        event("w", "sell", 2**63, 3 * 10**18 - 1, block_time=2),
    ]
    (figures,) = [oracle.accounts(rows)["w"].realized_pct]
    assert figures is not None
    assert 0 < Fraction(50) - figures < Fraction(1, 10**12)
    assert found_in(rows, min_profit_pct=50) == []
    verdict = explain(tape(rows), DiscoveryRunParams(), "w")
    assert isinstance(verdict, Refused)
    assert verdict.reasons == (ProfitBelow(Decimal("50.000000000000"), Decimal("50.0")),)


def test_buyers_of_the_launch_slot_are_left_out_unless_asked_for() -> None:
    rows = [
        *round_trip("sniper", 0, 100, slot=7),
        *round_trip("same second", 0, 100, slot=8),
        *round_trip("other", 5, 100, slot=9),
    ]
    made = tape(sorted(rows, key=lambda row: row["block_time"]), launch_slot=7)
    without = early_buyers(made, DiscoveryRunParams())
    assert [(one.wallet_address, one.entry_rank) for one in without.wallets] == [
        ("same second", 2),
        ("other", 3),
    ]
    assert without.wallets_early == 3
    with_them = early_buyers(made, DiscoveryRunParams(include_launch_slot=True))
    assert [(one.wallet_address, one.flags) for one in with_them.wallets] == [
        ("sniper", ("launch_slot",)),
        ("same second", ()),
        ("other", ()),
    ]


def test_without_slots_the_launch_second_counts_as_the_launch_slot() -> None:
    assert found_in(round_trip("sniper", 0, 100) + round_trip("next", 1, 100)) == ["next"]


def test_a_first_buy_before_the_given_launch_is_early() -> None:
    rows = round_trip("w", -90, 100)
    (found,) = early_buyers(tape(rows), DiscoveryRunParams()).wallets
    assert found.seconds_after_launch == -90


def test_the_rank_counts_every_buyer_in_tape_order() -> None:
    rows = [
        trade("first", "sell", 0, 1, 1),
        trade("second", "buy", 1, 1, 1, tx_index=1),
        trade("first", "buy", 1, 1, 1, tx_index=2),
        trade("second", "buy", 1, 1, 1, tx_index=3),
        trade("w", "buy", 1, 1, 1, tx_index=4),
        trade("w", "sell", 2, 1, 3),
    ]
    (found,) = early_buyers(tape(rows), DiscoveryRunParams()).wallets
    assert (found.wallet_address, found.entry_rank) == ("w", 3)


def test_signatures_are_those_of_the_wallets_trades_oldest_first_once_each() -> None:
    one, two, three = (bytes([at]) * 64 for at in (1, 2, 3))
    rows = [
        trade("w", "buy", 1, 1, 1, signature=two),
        trade("other", "buy", 1, 1, 1, signature=three),
        trade("w", "transfer_in", 2, 1, 0, signature=three),
        trade("w", "buy", 3, 1, 1, signature=None),
        trade("w", "sell", 4, 1, 3, signature=one),
        trade("w", "sell", 4, 1, 3, signature=one),
    ]
    (found,) = early_buyers(tape(rows), DiscoveryRunParams()).wallets
    assert found.signatures == (str(Signature.from_bytes(two)), str(Signature.from_bytes(one)))


def test_a_qualified_wallet_carries_its_figures() -> None:
    rows = [
        trade("w", "buy", 60, 3_000_000, 1, slot=12, fee_lamports=5000),
        trade("w", "sell", 90, 2_000_000, 2, slot=13, fee_lamports=5000),
    ]
    (found,) = early_buyers(tape(rows, mint=MINT, launch_slot=1), DiscoveryRunParams()).wallets
    assert found == QualifiedWallet(
        wallet_address="w",
        source_token=MINT,
        entry_rank=1,
        seconds_after_launch=60,
        first_buy_at=datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
        first_buy_slot=12,
        buys=1,
        sells=1,
        cost_sol=Decimal("1.000005"),
        proceeds_sol=Decimal("1.999995"),
        cost_of_sold_sol=Decimal("0.66667"),
        realized_pnl_sol=Decimal("1.333325"),
        realized_pct=Decimal("199.997750011250"),
        held_tokens=Decimal(1),
        held_cost_sol=Decimal("0.333335"),
        completeness="complete",
    )


def test_an_empty_tape_has_nobody() -> None:
    found = early_buyers(tape([]), DiscoveryRunParams())
    assert (found.wallets, found.events, found.wallets_seen, found.wallets_early) == ([], 0, 0, 0)
    assert found.first_event_at is found.last_event_at is None


@pytest.mark.parametrize(
    ("wallet", "reasons"),
    [
        ("nobody", (NeverTraded(),)),
        ("receiver", (NeverTraded(),)),
        ("seller", (NeverBought(),)),
        ("late", (TooLate(1801, 1800),)),
        ("late and poor", (TooLate(1900, 1800), ProfitBelow(Decimal(49), Decimal("50.0")))),
        ("sniper", (LaunchSlotBuyer(),)),
        ("holder", (NothingBasedSold(),)),
        ("poor", (ProfitBelow(Decimal(-20), Decimal("50.0")),)),
    ],
)
def test_each_wallet_that_does_not_qualify_can_be_asked_why(wallet: str, reasons: tuple[object, ...]) -> None:
    rows = [
        trade("receiver", "transfer_in", 0, 1, 0),
        trade("seller", "sell", 0, 1, 1),
        trade("holder", "buy", 9, 1, 1),
        *round_trip("sniper", 0, 100),
        *round_trip("poor", 8, -20),
        *round_trip("late", 1801, 100),
        *round_trip("late and poor", 1900, 49),
    ]
    made = tape(sorted(rows, key=lambda row: row["block_time"]))
    verdict = explain(made, DiscoveryRunParams(), wallet)
    assert isinstance(verdict, Refused)
    assert verdict.reasons == reasons
    assert all(str(reason) for reason in verdict.reasons)


@pytest.mark.parametrize(
    "address",
    [
        "BwWK17cbHxwWBKZkUYvzxLcNQ1YVyaFezduWbtm2de6s",
        "HV1KXxWFaSeriyFvXyx48FqG9BoFbfinB8njCJonqP7K",
        "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P",
        "96gYZGLnJYVFmbjzopPSU6QiEV5fGqZNyN9nmNhvrZU5",
        "7LCZckF6XXGQ1hDY6HFXBKWAtiUgL9QY5vj1C4Bn1Qjj",
        "62qc2CNXwrYqQScmEdiZFFAnJR262PxWEuNQtxfafNgV",
        "So11111111111111111111111111111111111111112",
        "5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1",
        MINT,
    ],
    ids=["mayhem", "router", "program", "tips", "bot fees", "pump fees", "quote mint", "pools", "the mint"],
)
def test_programs_pools_and_takers_of_fees_and_tips_are_never_wallets(address: str) -> None:
    rows = sorted(round_trip(address, 1, 100) + round_trip("w", 2, 100), key=lambda row: row["block_time"])
    made = tape(rows, mint=MINT)
    found = early_buyers(made, DiscoveryRunParams())
    assert [(one.wallet_address, one.entry_rank) for one in found.wallets] == [("w", 1)]
    assert (found.wallets_seen, found.wallets_early) == (1, 1)
    verdict = explain(made, DiscoveryRunParams(), address)
    assert isinstance(verdict, Refused)
    assert isinstance(verdict.reasons[0], NotAWallet)


def test_the_owners_of_pools_are_derived_from_their_programs() -> None:
    seeds = {
        "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8": b"amm authority",
        "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C": b"vault_and_lp_mint_auth_seed",
        "LanMV9sAd7wArD4vJFi2qDdfnVhFxYSUg6eADduJ3uj": b"vault_auth_seed",
        "cpamdpZCGKUy5JxQXB4dcpGPiikHawvSWAd6mEn1sGG": b"pool_authority",
        "dbcij3LWUppWqq96dh6gJWwBifmcGfLSB5D4DuSMaqN": b"pool_authority",
    }
    derived = {
        str(Pubkey.find_program_address([seed], Pubkey.from_string(program))[0])
        for program, seed in seeds.items()
    }
    assert derived == addresses.POOL_AUTHORITIES
    assert set(seeds) <= addresses.PROGRAMS


def test_every_listed_address_is_one() -> None:
    for address in addresses.no_wallets():
        assert str(Pubkey.from_string(address)) == address
