"""Transactions that name a wallet become its history."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.unit.solana import RENT, SOL, USDC, WSOL, TokenAccount, as_enhanced, pda, rpc_result, wallet
from walltrack.discovery.chain_tape import tape_rows
from walltrack.discovery.holdings import events_by_mint
from walltrack.discovery.tape import TAPE_SCHEMA, TapeFlag
from walltrack.discovery.transactions import (
    MalformedTransactionError,
    Transaction,
    from_enhanced,
    from_rpc,
)
from walltrack.discovery.wallet_history import (
    HISTORY_SCHEMA,
    TIMES_SCHEMA,
    HistoryRows,
    WalletHistory,
    history_rows,
    stable_hours,
    valued,
)

TRADER, OTHER = wallet("trader"), wallet("other")
POOL, SECOND_POOL = pda("pool"), pda("second pool")
COIN, DOG = wallet("coin"), wallet("dog")
JITO_SOL = "J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn"
PUMPSWAP = "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA"


def transaction(
    changes: dict[str, int], label: str, *, sol: int = 0, who: str = TRADER, **other: Any
) -> Transaction:
    """The wallet's tokens (by mint) and SOL change; a pool is on the other side of each."""
    accounts = []
    for mint, raw in changes.items():
        accounts += [
            TokenAccount(who, mint, 10**12, 10**12 + raw),
            TokenAccount(POOL, mint, 10**15, 10**15 - raw),
        ]
    if sol:
        accounts.append(TokenAccount(POOL, WSOL, 10**12, 10**12 - sol))
    lamports = {who: sol} if sol else {}
    return from_rpc(
        json.dumps(rpc_result([who], lamports, accounts, [(PUMPSWAP, (POOL, who))], label=label, **other))
    )


def sent(mint: str, raw: int, label: str, **other: Any) -> Transaction:
    """Somebody sends tokens to the wallet, unasked."""
    accounts = [TokenAccount(OTHER, mint, 10**12, 10**12 - raw), TokenAccount(TRADER, mint, 0, raw)]
    return from_rpc(json.dumps(rpc_result([OTHER], {}, accounts, label=label, **other)))


def history_of(rows: HistoryRows) -> WalletHistory:
    return WalletHistory(TRADER, rows.frame, rows.times, 0, 2_000_000_000, 90)


def test_rows_of_all_mints_stand_in_chain_order_and_are_those_of_each_mints_tape() -> None:
    given = [
        transaction({COIN: 500}, "a", sol=-SOL, slot=7, block_time=100),
        transaction({DOG: 900}, "b", sol=-2 * SOL, slot=7, block_time=100),
        transaction({COIN: -200}, "c", sol=SOL, slot=8, block_time=101),
        sent(COIN, 40, "d", slot=9, block_time=102),
    ]
    rows = history_rows(TRADER, given)
    assert rows.frame.schema == HISTORY_SCHEMA
    assert rows.frame.select("mint", "kind", "token_raw", "tx_index", "decimals").rows() == [
        (COIN, "buy", 500, 0, 6),
        (DOG, "buy", 900, 1, 6),
        (COIN, "sell", 200, 0, 6),
        (COIN, "transfer_in", 40, 0, 6),
    ]
    for mint in (COIN, DOG):
        tape = tape_rows(mint, given).frame.filter(wallet=TRADER)
        assert rows.frame.filter(mint=mint).select(TAPE_SCHEMA.names()).equals(tape)
    assert (rows.first_slot, rows.last_slot) == (7, 9)
    history = history_of(rows)
    assert (history.first_time, history.last_time, history.transactions) == (100, 102, 4)


def test_a_token_swapped_for_another_is_sold_and_the_other_bought_both_without_a_price() -> None:
    rows = history_rows(TRADER, [transaction({COIN: -300, DOG: 700}, "a")]).frame
    assert rows.select("mint", "kind", "token_raw", "quote_mint", "quote_raw").rows() == [
        (COIN, "sell", 300, DOG, 700),
        (DOG, "buy", 700, COIN, 300),
    ]
    assert [mint.events.values for mint in events_by_mint(rows)] == [[None], [None]]


@pytest.mark.parametrize("mint", [USDC, JITO_SOL])
def test_what_tokens_are_paid_with_is_no_position(mint: str) -> None:
    given = [
        transaction({mint: 500}, "a", sol=-SOL),
        transaction({mint: -500, COIN: 80}, "b"),
        sent(mint, 7, "c"),
    ]
    rows = history_rows(TRADER, given)
    assert rows.frame.select("mint", "kind", "quote_mint").rows() == [(COIN, "buy", mint)]
    assert rows.times.height == 3


def test_trades_against_a_stablecoin_have_a_cost_where_the_hour_has_a_price() -> None:
    rows = history_rows(
        TRADER,
        [
            transaction({USDC: -200_000_000, COIN: 80}, "a", block_time=7_200),
            transaction({USDC: -200_000_000, DOG: 80}, "b", block_time=3_600),
        ],
    )
    history = history_of(rows)
    hours = stable_hours(history)
    assert [int(hour.timestamp()) for hour in hours] == [3_600, 7_200]
    priced = valued(history, {hours[1]: Decimal(100)}).frame
    assert priced.schema == HISTORY_SCHEMA
    values = {mint.mint: mint.events.values for mint in events_by_mint(priced)}
    assert values == {COIN: [2 * SOL + 5_000], DOG: [None]}
    assert priced["flags"].to_list() == [int(TapeFlag.VALUED), 0]


def test_failed_transactions_and_those_that_others_signed_are_counted_and_told_apart() -> None:
    mine = transaction({COIN: 500}, "a", sol=-SOL, block_time=100, failed=True)
    spam = sent(DOG, 1_000, "b", block_time=200)
    rows = history_rows(TRADER, [mine, mine, spam])
    assert rows.times.schema == TIMES_SCHEMA
    assert rows.times.rows() == [(100, True, True), (200, False, False)]
    assert rows.frame["kind"].to_list() == ["transfer_in"]
    history = history_of(rows)
    assert (history.transactions, history.failed) == (2, 1)


def test_where_the_source_names_no_signers_who_paid_the_fee_signed() -> None:
    accounts = [TokenAccount(OTHER, COIN, 500, 0), TokenAccount(TRADER, COIN, None, 500)]
    result = rpc_result([OTHER], {OTHER: -RENT}, accounts)
    for who, signed in ((TRADER, False), (OTHER, True)):
        rows = history_rows(who, [from_enhanced(json.dumps(as_enhanced(result)))])
        assert rows.times["signed"].to_list() == [signed]


def test_a_transaction_without_a_time_has_that_of_the_one_before_it() -> None:
    given = [
        transaction({COIN: 5}, label, sol=-SOL, slot=slot, block_time=time)
        for slot, (label, time) in enumerate((("a", None), ("b", 500), ("c", None), ("d", 600)))
    ]
    rows = history_rows(TRADER, given)
    assert rows.times["block_time"].to_list() == [500, 500, 500, 600]
    assert rows.frame["block_time"].to_list() == [500, 500, 500, 600]
    with pytest.raises(MalformedTransactionError, match="none of 1 transactions"):
        history_rows(TRADER, given[:1])


def test_pages_give_the_history_that_all_transactions_at_once_give() -> None:
    given = [transaction({COIN: n}, str(n), sol=-SOL, slot=n, block_time=n) for n in range(1, 7)]
    whole = history_rows(TRADER, given)
    older, newer = history_rows(TRADER, given[:4]), history_rows(TRADER, given[4:])
    assert pl.concat([older.frame, newer.frame]).equals(whole.frame)
    assert pl.concat([older.times, newer.times]).equals(whole.times)


def test_no_transactions_give_an_empty_history() -> None:
    rows = history_rows(TRADER, [])
    assert (rows.frame.height, rows.times.height, rows.first_slot, rows.last_slot) == (0, 0, None, None)
    history = history_of(rows)
    assert (history.first_time, history.last_time, history.known_from) == (None, None, 0)
