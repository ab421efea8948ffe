"""What one transaction decodes to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_data import shared_data
from tests.unit.solana import (
    RENT,
    SOL,
    USDC,
    WSOL,
    TokenAccount,
    as_enhanced,
    as_parsed,
    pda,
    rpc_result,
    wallet,
)
from walltrack.discovery.swaps import Decoded, EscrowMove, NetSwap, TokenTransfer, decode
from walltrack.discovery.transactions import (
    MalformedTransactionError,
    Transaction,
    from_enhanced,
    from_rpc,
)

TRADER, KEEPER, MAKER = wallet("trader"), wallet("keeper"), wallet("maker")
POOL, ESCROW, FEE_ACCOUNT = pda("pool"), pda("order"), wallet("fees")
MINT, OTHER_MINT = wallet("mint"), wallet("other mint")
LIMIT_ORDERS = "j1o2qRpjcyUwEvwtcfhEQefh773ZgjxcVRry7LDqg5X"
DCA = "DCA265Vj8a9CEuX1eb1LWRnDT7uK6q1xMipnNyatn23M"


def read(result: dict[str, Any]) -> Transaction:
    return from_rpc(json.dumps(result))


def trades(decoded: Decoded) -> set[tuple[str, str, int, str, int]]:
    return {(s.wallet, s.sold_mint, s.sold_raw, s.bought_mint, s.bought_raw) for s in decoded.swaps}


def captures() -> list[tuple[dict[str, Any], bytes]]:
    folder = shared_data() / "transactions"
    expected = json.loads((folder / "expected.json").read_bytes())
    return [(entry, (folder / f"{entry['signature']}.json").read_bytes()) for entry in expected]


def expected_trades(entry: dict[str, Any]) -> set[tuple[str, str, int, str, int]]:
    return {
        (t["wallet"], t["sold_mint"], int(t["sold_raw"]), t["bought_mint"], int(t["bought_raw"]))
        for t in entry["trades"]
    }


def test_every_asserted_capture_gives_the_exact_integers_and_every_non_swap_no_trade() -> None:
    checked = 0
    for entry, raw in captures():
        if entry["is_swap"] is not None:
            assert trades(decode(from_rpc(raw))) == expected_trades(entry), entry["signature"]
            checked += 1
    assert checked == 41


def test_lamports_of_every_capture_sum_to_zero_and_all_net_changes_match() -> None:
    for entry, raw in captures():
        tx = from_rpc(raw)
        assert sum(tx.lamports.values()) == 0, entry["signature"]
        for change in entry["net_changes"]:
            owner = change["wallet"]
            tokens = {m: int(a) for m, a in change["tokens"].items() if int(a) and m != WSOL}
            assert tx.lamports.get(owner, 0) == int(change["sol_raw"]), (entry["signature"], owner)
            assert tx.tokens.get(owner, {}) == tokens, (entry["signature"], owner)


def test_both_encodings_of_a_capture_decode_alike() -> None:
    checked = 0
    for entry, raw in captures():
        result = json.loads(raw)
        if "header" not in result["transaction"]["message"]:
            continue
        one, other = decode(from_rpc(raw)), decode(read(as_parsed(result)))
        assert (one.swaps, one.transfers) == (other.swaps, other.transfers), entry["signature"]
        checked += 1
    assert checked == 46


def test_the_enhanced_form_of_a_capture_gives_the_same_trades() -> None:
    rfq = "5vBFfTGr"  # its fee payer quoted the price: without signers the rule takes the fee payer for the trader
    for entry, raw in captures():
        decoded = decode(from_enhanced(json.dumps(as_enhanced(json.loads(raw)))))
        if entry["is_swap"] is None or entry["signature"].startswith(rfq):
            continue
        assert trades(decoded) == expected_trades(entry), entry["signature"]


def test_captured_enhanced_transactions_decode_to_the_trades_their_balances_show() -> None:
    folder = shared_data() / "providers"
    sell = json.loads((folder / "helius_enhanced_pump_amm_sell.json").read_bytes())["data"][0]
    (swap,) = decode(from_enhanced(json.dumps(sell))).swaps
    assert (swap.sold_raw, swap.bought_raw) == (3_666_988_222_932, 11_143_002_859 + 7_505_001)
    page = json.loads((folder / "helius_enhanced_page_50.json").read_bytes())["data"]
    decoded = {item["signature"]: decode(from_enhanced(json.dumps(item))) for item in page}
    labelled = {item["signature"] for item in page if item["type"] == "SWAP"}
    found = {s for s, d in decoded.items() if any(not swap.round_trip for swap in d.swaps)}
    unlabelled_route = (
        "U1dH19yy8SqyPuSYeoMbXF3dZrYgBHBjRiJcmzcarhPoyyTvYki7efPP4dM3T4FmL3ydDJbDP8XCyk8zDUPZJSt"
    )
    assert len(labelled) == 6
    assert found == labelled | {unlabelled_route}


def buy(tokens: int, lamports: int, **options: Any) -> dict[str, Any]:
    return rpc_result(
        [TRADER],
        {TRADER: -lamports},
        [
            TokenAccount(TRADER, MINT, 0, tokens),
            TokenAccount(POOL, MINT, 10**15, 10**15 - tokens),
            TokenAccount(POOL, WSOL, 0, lamports),
        ],
        **options,
    )


def test_the_network_fee_stands_beside_the_price() -> None:
    (swap,) = decode(read(buy(500, 3 * SOL, fee=12_345))).swaps
    assert swap == NetSwap(TRADER, WSOL, 3 * SOL, MINT, 500, fee_lamports=12_345)


def test_a_failed_transaction_is_no_trade() -> None:
    assert decode(read(buy(500, SOL, failed=True))) == Decoded(read(buy(500, SOL, failed=True)))


def test_rent_of_own_accounts_is_no_cost_and_tips_and_rent_for_others_are() -> None:
    result = rpc_result(
        [TRADER],
        {TRADER: -SOL - RENT - 700_000 - 1_500_000, FEE_ACCOUNT: 700_000, wallet("accumulator"): 1_500_000},
        [
            TokenAccount(TRADER, MINT, None, 500),
            TokenAccount(POOL, MINT, 10**9, 10**9 - 500),
            TokenAccount(POOL, WSOL, 0, SOL),
        ],
    )
    (swap,) = decode(read(result)).swaps
    assert swap.sold_raw == SOL + 700_000 + 1_500_000


def test_a_sale_whose_costs_exceed_its_proceeds_is_a_sale_with_negative_proceeds() -> None:
    result = rpc_result(
        [TRADER],
        {TRADER: 1_000 - 5_000, FEE_ACCOUNT: 5_000},
        [
            TokenAccount(TRADER, MINT, 500, 0),
            TokenAccount(POOL, MINT, 0, 500),
            TokenAccount(POOL, WSOL, SOL, SOL - 1_000),
        ],
    )
    assert trades(decode(read(result))) == {(TRADER, MINT, 500, WSOL, -4_000)}


@given(
    hops=st.integers(1, 4),
    spent=st.integers(10**6, 10**12),
    got=st.integers(10**6, 10**15),
    residue_permille=st.integers(0, 9),
)
def test_a_route_is_one_trade_whatever_its_hops_and_what_they_leave_over(
    hops: int, spent: int, got: int, residue_permille: int
) -> None:
    middles = [wallet(f"hop mint {i}") for i in range(hops - 1)]
    accounts, flow, mint_in = [], spent, WSOL
    for i, mint_out in enumerate([*middles, MINT]):
        pool = pda(f"hop pool {i}")
        out = got if mint_out == MINT else 10**9 * (i + 1)
        accounts.append(TokenAccount(pool, mint_in, 0, flow))
        accounts.append(TokenAccount(pool, mint_out, 2 * out, out))
        residue = 0 if mint_out == MINT else out * residue_permille // 1000
        if residue:
            accounts.append(TokenAccount(TRADER, mint_out, None, residue, label=str(i)))
        flow, mint_in = out - residue, mint_out
    rent = RENT * sum(1 for a in accounts if a.owner == TRADER)
    accounts.append(TokenAccount(TRADER, MINT, 0, got))
    result = rpc_result([TRADER], {TRADER: -spent - rent}, accounts)
    for form in (result, as_parsed(result)):
        decoded = decode(read(form))
        assert trades(decoded) == {(TRADER, WSOL, spent, MINT, got)}
        assert {t.mint for t in decoded.transfers} <= set(middles)


def test_two_coins_bought_at_once_cannot_be_priced_and_arrive_as_transfers() -> None:
    result = rpc_result(
        [TRADER],
        {TRADER: -2 * SOL},
        [
            TokenAccount(TRADER, MINT, 0, 500),
            TokenAccount(TRADER, OTHER_MINT, 0, 700),
            TokenAccount(POOL, MINT, 500, 0),
            TokenAccount(POOL, WSOL, 0, SOL),
            TokenAccount(pda("pool 2"), OTHER_MINT, 700, 0),
            TokenAccount(pda("pool 2"), WSOL, 0, SOL),
        ],
    )
    decoded = decode(read(result))
    assert decoded.swaps == ()
    assert TokenTransfer(TRADER, MINT, 500, POOL) in decoded.transfers


def test_an_airdrop_that_its_receiver_pays_the_fee_for_is_a_transfer() -> None:
    accounts = [TokenAccount(TRADER, MINT, None, 500), TokenAccount(POOL, MINT, 500, 0)]
    decoded = decode(read(rpc_result([TRADER], {TRADER: -RENT}, accounts)))
    assert decoded.swaps == ()
    assert set(decoded.transfers) == {
        TokenTransfer(TRADER, MINT, 500, POOL),
        TokenTransfer(POOL, MINT, -500, TRADER),
    }


def test_a_stake_for_a_minted_receipt_is_no_trade() -> None:
    result = rpc_result(
        [TRADER],
        {TRADER: -SOL, pda("reserve"): SOL},
        [
            TokenAccount(TRADER, MINT, 0, 900_000_000, 9),
            TokenAccount(wallet("manager"), MINT, 0, 1_000_000, 9),
        ],
    )
    assert decode(read(result)).swaps == ()


def test_an_nft_sold_for_sol_is_no_trade() -> None:
    result = rpc_result(
        [TRADER],
        {TRADER: -SOL, MAKER: SOL},
        [TokenAccount(TRADER, MINT, 0, 1, decimals=0), TokenAccount(MAKER, MINT, 1, 0, decimals=0)],
    )
    assert decode(read(result)).swaps == ()


def test_tokens_handed_over_with_their_account_are_a_transfer() -> None:
    accounts = [TokenAccount(TRADER, MINT, 500, 500, new_owner=MAKER)]
    decoded = decode(read(rpc_result([TRADER], {}, accounts)))
    assert set(decoded.transfers) == {
        TokenTransfer(TRADER, MINT, -500, MAKER),
        TokenTransfer(MAKER, MINT, 500, TRADER),
    }


def test_a_delegated_trade_belongs_to_the_owner_who_did_not_sign_and_says_so() -> None:
    result = rpc_result(
        [KEEPER],
        {},
        [
            TokenAccount(TRADER, USDC, 2_000, 0),
            TokenAccount(TRADER, MINT, 0, 500),
            TokenAccount(POOL, USDC, 0, 2_000),
            TokenAccount(POOL, MINT, 500, 0),
        ],
    )
    (swap,) = decode(read(result)).swaps
    assert swap == NetSwap(TRADER, USDC, 2_000, MINT, 500, unsigned=True)


def order_accounts(*more: str) -> tuple[str, ...]:
    return (KEEPER, MAKER, ESCROW, MINT, FEE_ACCOUNT, *more)


def test_a_keepers_fill_of_a_limit_sale_is_the_order_owners_trade() -> None:
    """The order's escrow closes with the fill and its rent comes back: no proceeds."""
    proceeds, order_fee, order_rent = 3 * SOL, 3_000_000, 1_900_000
    result = rpc_result(
        [KEEPER],
        {
            MAKER: proceeds - order_fee + RENT + order_rent,
            ESCROW: -order_rent,
            FEE_ACCOUNT: order_fee,
        },
        [
            TokenAccount(ESCROW, MINT, 500, None),
            TokenAccount(POOL, MINT, 0, 500),
            TokenAccount(POOL, WSOL, 9 * SOL, 9 * SOL - proceeds),
        ],
        [(LIMIT_ORDERS, order_accounts())],
    )
    for form in (result, as_parsed(result)):
        decoded = decode(read(form))
        assert decoded.swaps == (
            NetSwap(MAKER, MINT, 500, WSOL, proceeds - order_fee, fee_lamports=0, keeper_fill=True),
        )
        assert decoded.escrow_owners == {ESCROW: MAKER}
    assert trades(decode(from_enhanced(json.dumps(as_enhanced(result))))) == trades(decode(read(result)))


def test_a_keepers_fill_of_a_limit_purchase_is_the_order_owners_trade() -> None:
    result = rpc_result(
        [KEEPER],
        {MAKER: RENT},
        [
            TokenAccount(ESCROW, WSOL, SOL, None),
            TokenAccount(MAKER, MINT, 0, 495),
            TokenAccount(FEE_ACCOUNT, MINT, 0, 5),
            TokenAccount(POOL, MINT, 500, 0),
            TokenAccount(POOL, WSOL, 0, SOL),
        ],
        [(LIMIT_ORDERS, order_accounts())],
    )
    assert trades(decode(read(result))) == {(MAKER, WSOL, SOL, MINT, 495)}


def test_a_keepers_surplus_does_not_make_it_the_trader() -> None:
    result = rpc_result(
        [KEEPER],
        {MAKER: SOL, KEEPER: 20_000},
        [
            TokenAccount(ESCROW, MINT, 1_000, 500),
            TokenAccount(KEEPER, MINT, 0, 2),
            TokenAccount(POOL, MINT, 0, 498),
            TokenAccount(POOL, WSOL, 9 * SOL, 8 * SOL - 20_000),
        ],
        [(LIMIT_ORDERS, order_accounts())],
    )
    assert (MAKER, MINT, 500, WSOL, SOL) in trades(decode(read(result)))
    assert {s.wallet for s in decode(read(result)).swaps} == {MAKER}


def dca_fill() -> dict[str, Any]:
    return rpc_result(
        [KEEPER],
        {},
        [
            TokenAccount(ESCROW, USDC, 2_000, 1_000),
            TokenAccount(ESCROW, MINT, 0, 499),
            TokenAccount(FEE_ACCOUNT, MINT, 0, 1),
            TokenAccount(POOL, USDC, 0, 1_000),
            TokenAccount(POOL, MINT, 500, 0),
        ],
        [(DCA, (KEEPER, ESCROW, USDC, MINT, FEE_ACCOUNT))],
    )


def test_proceeds_that_stay_in_escrow_are_nobodys_until_the_owner_is_known() -> None:
    assert decode(read(dca_fill())).swaps == ()
    (swap,) = decode(read(dca_fill()), {ESCROW: MAKER}).swaps
    assert swap == NetSwap(MAKER, USDC, 1_000, MINT, 499, keeper_fill=True)


def test_a_deposit_into_escrow_names_its_owner_and_is_neither_trade_nor_transfer() -> None:
    result = rpc_result(
        [MAKER],
        {MAKER: -RENT - 1_900_000, ESCROW: 1_900_000},
        [TokenAccount(MAKER, MINT, 500, 0), TokenAccount(ESCROW, MINT, None, 500)],
        [(LIMIT_ORDERS, (MAKER, ESCROW, MINT))],
    )
    decoded = decode(read(result))
    assert (decoded.swaps, decoded.transfers) == ((), ())
    assert decoded.escrow_moves == (EscrowMove(MAKER, ESCROW, MINT, -500),)
    assert decoded.escrow_owners == {ESCROW: MAKER}


def test_a_deposit_of_sol_into_escrow_names_its_owner() -> None:
    result = rpc_result(
        [MAKER],
        {MAKER: -SOL - RENT - 1_900_000, ESCROW: 1_900_000},
        [TokenAccount(ESCROW, WSOL, None, SOL)],
        [(DCA, (MAKER, ESCROW, MINT))],
    )
    assert decode(read(result)).escrow_owners == {ESCROW: MAKER}


@pytest.mark.parametrize("signer", [MAKER, KEEPER])
def test_funds_taken_back_out_of_escrow_are_no_trade(signer: str) -> None:
    result = rpc_result(
        [signer],
        {MAKER: RENT},
        [TokenAccount(ESCROW, MINT, 500, None), TokenAccount(MAKER, MINT, 0, 500)],
        [(LIMIT_ORDERS, order_accounts())],
    )
    decoded = decode(read(result))
    assert (decoded.swaps, decoded.transfers) == ((), ())
    assert decoded.escrow_moves == (EscrowMove(MAKER, ESCROW, MINT, 500),)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda r: r | {"meta": None}, "without its meta"),
        (lambda r: r | {"transaction": {"signatures": [], "message": {"accountKeys": []}}}, "no signature"),
        (lambda r: {k: v for k, v in r.items() if k != "slot"}, "slot"),
        (lambda r: r | {"meta": r["meta"] | {"preBalances": [1]}}, "1 balances before"),
        (
            lambda r: (
                r
                | {
                    "meta": r["meta"]
                    | {"preTokenBalances": [r["meta"]["preTokenBalances"][0] | {"owner": 5}]}
                }
            ),
            "owner",
        ),
    ],
)
def test_a_delivered_thing_that_is_no_transaction_is_a_typed_fault(spoil: Any, said: str) -> None:
    with pytest.raises(MalformedTransactionError, match=said):
        read(spoil(buy(500, SOL)))


@pytest.mark.parametrize("junk", [b"", b"null", b"[]", b"\xff\xfe", b'{"slot": 1e999}', b"[" * 100_000])
def test_junk_is_a_typed_fault(junk: bytes) -> None:
    with pytest.raises(MalformedTransactionError):
        from_rpc(junk)
    with pytest.raises(MalformedTransactionError):
        from_enhanced(junk)
