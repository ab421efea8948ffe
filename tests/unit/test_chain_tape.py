"""Transactions of one mint become its tape."""

from __future__ import annotations

import json
from typing import Any

from tests.shared_data import shared_data
from tests.unit.solana import RENT, SOL, WSOL, TokenAccount, pda, rpc_result, wallet
from walltrack.discovery.chain_tape import assemble_tape, tape_rows
from walltrack.discovery.tape import TAPE_SCHEMA, Tape, TapeFlag, Unmeasurable
from walltrack.discovery.transactions import Transaction, from_rpc

TRADER, KEEPER, MAKER = wallet("trader"), wallet("keeper"), wallet("maker")
POOL, ESCROW, MINT = pda("pool"), pda("order"), wallet("mint")
PUMPSWAP = "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA"
LIMIT_ORDERS = "j1o2qRpjcyUwEvwtcfhEQefh773ZgjxcVRry7LDqg5X"


def swap(
    label: str, tokens: int, lamports: int, who: str = TRADER, decimals: int = 6, **place: Any
) -> Transaction:
    """A purchase (`tokens` > 0) or a sale of the mint in a pool."""
    result = rpc_result(
        [who],
        {who: -lamports if tokens > 0 else lamports},
        [
            TokenAccount(who, MINT, 10**9, 10**9 + tokens, decimals),
            TokenAccount(POOL, MINT, 10**12, 10**12 - tokens, decimals),
            TokenAccount(POOL, WSOL, 10**12, 10**12 + (lamports if tokens > 0 else -lamports)),
        ],
        [(PUMPSWAP, (POOL, who, MINT))],
        label=label,
        **place,
    )
    return from_rpc(json.dumps(result))


def chain_tape(mint: str, *transactions: Transaction) -> Tape | Unmeasurable:
    rows = tape_rows(mint, transactions)
    return assemble_tape(mint, [rows.frame], decimals=rows.decimals or 0)


def measured(*transactions: Transaction) -> Tape:
    tape = chain_tape(MINT, *transactions)
    assert isinstance(tape, Tape)
    return tape


def test_rows_stand_in_chain_order_with_price_fee_and_venue() -> None:
    first = swap("a", 500, SOL, slot=7, tx_index=3, block_time=100)
    second = swap("b", -200, SOL // 2, slot=7, tx_index=9, block_time=100, fee=8_000)
    tape = measured(first, second)
    assert tape.events.schema == TAPE_SCHEMA
    assert (tape.launch_slot, tape.launch_time, tape.decimals) == (7, 100, 6)
    rows = tape.events.select("kind", "tx_index", "token_raw", "quote_raw", "fee_lamports", "venue").rows()
    assert rows == [
        ("buy", 3, 500, SOL, 5_000, "pumpswap"),
        ("sell", 9, 200, SOL // 2, 8_000, "pumpswap"),
    ]


def test_a_transaction_delivered_twice_counts_once() -> None:
    once = swap("a", 500, SOL)
    assert measured(once, once).events.height == 1


def test_without_an_index_the_order_of_arrival_holds_within_a_slot() -> None:
    tape = measured(swap("a", 500, SOL, slot=7), swap("b", -500, SOL, slot=7), swap("c", 1, SOL, slot=8))
    assert tape.events["tx_index"].to_list() == [0, 1, 0]


def test_the_launch_is_the_first_trade_not_the_first_transaction() -> None:
    minted = rpc_result([TRADER], {}, [TokenAccount(POOL, MINT, None, 10**12)], label="mint", slot=1)
    minted["blockTime"] = 50
    tape = measured(from_rpc(json.dumps(minted)), swap("a", 500, SOL, slot=9, block_time=900))
    assert (tape.launch_slot, tape.launch_time) == (9, 900)
    assert tape.events["kind"].to_list() == ["transfer_in", "buy"]


def test_pages_give_the_tape_that_all_transactions_at_once_give() -> None:
    first, second = swap("a", 500, SOL, slot=7), swap("b", -200, SOL // 2, slot=8)
    third = swap("c", -300, SOL, slot=9)
    pages = [tape_rows(MINT, part).frame for part in ([first, second], [second, third])]
    tape = assemble_tape(MINT, pages, decimals=6)
    assert isinstance(tape, Tape)
    assert tape.events.equals(measured(first, second, third).events)


def test_an_escrows_owner_is_remembered_from_page_to_page() -> None:
    result = rpc_result(
        [MAKER],
        {MAKER: -SOL - RENT},
        [TokenAccount(ESCROW, WSOL, None, SOL)],
        [(LIMIT_ORDERS, (MAKER, ESCROW, MINT))],
        label="deposit",
    )
    assert tape_rows(MINT, [from_rpc(json.dumps(result))]).escrow_owners == {ESCROW: MAKER}


def test_a_mint_without_trades_is_unmeasurable() -> None:
    assert isinstance(chain_tape(MINT), Unmeasurable)


def test_an_order_sells_for_its_owner_out_of_escrow() -> None:
    deposit = rpc_result(
        [MAKER],
        {MAKER: -RENT},
        [TokenAccount(MAKER, MINT, 500, 0), TokenAccount(ESCROW, MINT, None, 500)],
        [(LIMIT_ORDERS, (MAKER, ESCROW, MINT))],
        label="deposit",
        slot=2,
    )
    fill = rpc_result(
        [KEEPER],
        {MAKER: 3 * SOL + RENT},
        [
            TokenAccount(ESCROW, MINT, 500, None),
            TokenAccount(POOL, MINT, 0, 500),
            TokenAccount(POOL, WSOL, 9 * SOL, 6 * SOL),
        ],
        [(LIMIT_ORDERS, (KEEPER, MAKER, ESCROW, MINT))],
        label="fill",
        slot=3,
    )
    bought = swap("buy", 500, SOL, MAKER, slot=1)
    tape = measured(bought, from_rpc(json.dumps(deposit)), from_rpc(json.dumps(fill)))
    rows = tape.events.select("wallet", "kind", "token_raw", "quote_raw", "flags").rows()
    assert rows == [
        (MAKER, "buy", 500, SOL, 0),
        (MAKER, "escrow_out", 500, 0, 0),
        (MAKER, "sell", 500, 3 * SOL, int(TapeFlag.KEEPER_FILL)),
    ]


def test_a_captured_creation_with_a_first_buy_is_the_launch_and_its_creator_buys_in_it() -> None:
    path = next((shared_data() / "transactions").glob("2RoRJxat*.json"))
    mint = "CWiTGbCiDd8BKtNYNE2boT9fJGFG2MU53Uf6HQk4pump"
    tape = chain_tape(mint, from_rpc(path.read_bytes()))
    assert isinstance(tape, Tape)
    assert tape.launch_slot == 435_946_190
    assert tape.events.select("kind", "token_raw", "quote_raw", "venue").rows() == [
        ("buy", 96_449_438_144_093, 3_037_683_840, "pump_curve")
    ]
