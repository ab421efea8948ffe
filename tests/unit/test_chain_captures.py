"""Captured answers about the chain, read as they came. Those of the markets are in test_market_captures."""

from __future__ import annotations

import json
from typing import Any

from tests.shared_data import shared_data
from tests.unit.solana import WSOL
from walltrack.discovery.swaps import decode
from walltrack.discovery.transactions import from_enhanced, from_rpc


def capture(name: str) -> Any:
    return json.loads((shared_data() / "providers" / f"{name}.json").read_bytes())["data"]


def test_the_shape_of_a_version_1_message_is_read() -> None:
    shape = capture("rpc_v1_message_shape")
    keys = shape["transaction"]["message"]["accountKeys"]
    whole = shape | {"slot": 447_120_001, "blockTime": 1_790_000_000}
    whole["meta"] |= {
        "err": shape["meta"]["status"]["Err"],
        "fee": 5_003,
        "preBalances": [10_000, 1, 1],
        "postBalances": [4_997, 1, 1],
    }
    tx = from_rpc(json.dumps(whole))
    assert tx.failed
    assert tx.signers == frozenset({keys[0]})
    assert tx.accounts_used_by(frozenset({keys[2]})) == {keys[0], keys[1]}
    assert decode(tx).swaps == ()


def test_account_data_alone_tells_the_trade() -> None:
    captured = capture("helius_accountdata_pump_amm_jupiter_buy")
    trader = captured["accountData"][0]["account"]
    item = captured | {"slot": 1, "timestamp": 1, "fee": 122_507, "feePayer": trader}
    (swap,) = decode(from_enhanced(json.dumps(item))).swaps
    assert (swap.wallet, swap.bought_raw) == (trader, 708_365_894_528)
    assert swap.sold_raw == 2_935_596_736 - 2_039_280 - 122_507  # its own account's rent, and the fee beside


def test_the_programs_own_events_agree_with_the_balances() -> None:
    checked = 0
    for event in capture("decoded_pump_events"):
        if event["event"] != "TradeEvent":
            continue
        fields = event["fields"]
        path = shared_data() / "transactions" / f"{event['tx']}.json"
        tx = from_rpc(path.read_bytes())
        sign = 1 if fields["is_buy"] else -1
        assert tx.tokens[fields["user"]][fields["mint"]] == sign * fields["token_amount"]
        for swap in decode(tx).swaps:
            assert swap.wallet == fields["user"]
            assert swap.sold_mint == WSOL
            assert swap.sold_raw >= fields["sol_amount"]
        checked += 1
    assert checked == 2
