"""The sandbox's server with a generated market."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.shared_data import shared_data
from tests.unit.sandbox_server_market import NO_TLS
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import SOL_USDC_POOL, SandboxServer, serve
from walltrack.sandbox.types import Market

NOW = 1_795_200_000
FULL = {"transactionDetails": "full", "maxSupportedTransactionVersion": 1, "sortOrder": "asc"}


@pytest.fixture(scope="module")
def market() -> Market:
    return generate(7, now=NOW, size=6_000)


@pytest.fixture(scope="module")
def server(market: Market) -> Iterator[SandboxServer]:
    with serve(market, rate_factor=10_000) as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60, verify=NO_TLS) as client:
        yield client


def history(client: httpx.Client, server: SandboxServer, mint: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = None
    while True:
        given = {**options, "paginationToken": token} if token else options
        body = {"jsonrpc": "2.0", "id": 1, "method": "getTransactionsForAddress", "params": [mint, given]}
        response = client.post(f"{server.urls.helius}/?api-key={server.key}", json=body)
        found += response.json()["result"]["data"]
        token = response.json()["result"]["paginationToken"]
        if token is None:
            return found


def test_every_tape_is_whole_and_in_order(
    client: httpx.Client, server: SandboxServer, market: Market
) -> None:
    for token in market.tokens:
        rows = history(
            client, server, token.mint, sortOrder="asc", limit=100, filters={"status": "succeeded"}
        )
        wanted = [t for t in market.transactions if token.mint in t.accounts and t.err is None]
        assert [(row["signature"], row["slot"], row["transactionIndex"]) for row in rows] == [
            (t.signature, t.slot, t.index) for t in wanted
        ]


def test_full_rows_are_those_of_get_transaction(
    client: httpx.Client, server: SandboxServer, market: Market
) -> None:
    captures = (shared_data() / "transactions").glob("*.json")
    captured = [row for row in map(msgspec.json.decode, map(Path.read_bytes, captures)) if "slot" in row]
    keys = set.intersection(*(set(row) for row in captured))
    meta_keys = set.intersection(*(set(row["meta"]) for row in captured))
    assert {"computeUnitsConsumed", "innerInstructions"} <= meta_keys
    rows = history(client, server, market.tokens[0].mint, **FULL)
    assert {row["version"] for row in rows} >= {0, 1}
    asked = [row["transaction"]["signatures"][0] for row in rows[:100]]
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": "getTransaction",
         "params": [signature, {"maxSupportedTransactionVersion": 1}]}
        for n, signature in enumerate(asked)
    ]  # fmt: skip
    answers = client.post(f"{server.urls.helius}/?api-key={server.key}", json=batch).json()
    for row, answer in zip(rows[:100], answers, strict=True):
        assert row == {**answer["result"], "transactionIndex": row["transactionIndex"]}
        assert keys <= row.keys()
        assert meta_keys <= row["meta"].keys()


def test_enhanced_items_have_the_captured_keys(
    client: httpx.Client, server: SandboxServer, market: Market
) -> None:
    captured = msgspec.json.decode((shared_data() / "providers/helius_enhanced_page_50.json").read_bytes())[
        "data"
    ]
    url = f"{server.urls.helius}/v0/addresses/{market.tokens[0].mint}/transactions"
    rows = client.get(url, params={"api-key": server.key, "limit": 100, "sort-order": "asc"}).json()
    assert len(rows) == 100
    assert all(captured[0].keys() <= row.keys() for row in rows)


def test_every_pumped_token_is_listed_by_each_provider(
    client: httpx.Client, server: SandboxServer, market: Market
) -> None:
    pumped = {token["mint"] for token in market.truth["tokens"] if token["pumped"]}
    assert pumped
    feeds = ("token-boosts/top/v1", "token-boosts/latest/v1", "token-profiles/latest/v1")
    boosted = {
        row["tokenAddress"]
        for feed in feeds
        for row in client.get(f"{server.urls.dexscreener}/{feed}").json()
    }
    trending = set()
    for page in range(1, 11):
        url = f"{server.urls.geckoterminal}/networks/solana/trending_pools?page={page}"
        for pool in client.get(url).json()["data"]:
            sides = (pool["relationships"][side]["data"]["id"] for side in ("base_token", "quote_token"))
            trending |= {side.removeprefix("solana_") for side in sides}
    traded = client.get(f"{server.urls.jupiter}/tokens/v2/toptraded/24h?limit=100").json()
    assert pumped <= boosted
    assert pumped <= trending
    assert pumped <= {row["id"] for row in traded}


def test_every_token_and_pool_is_answered_for(
    client: httpx.Client, server: SandboxServer, market: Market
) -> None:
    gecko = f"{server.urls.geckoterminal}/networks/solana"
    for token in market.tokens:
        pairs = client.get(f"{server.urls.dexscreener}/tokens/v1/solana/{token.mint}").json()
        assert {pair["pairAddress"] for pair in pairs} == {pool.address for pool in token.pools}
        for path in (f"tokens/{token.mint}", f"tokens/{token.mint}/pools"):
            assert client.get(f"{gecko}/{path}").status_code == 200
        for pool in token.pools:
            recent = [t for t in pool.trades if t.block_time >= NOW - 86_400 and t.volume_usd > 0]
            rows = client.get(f"{gecko}/pools/{pool.address}/trades").json()["data"]
            assert len(rows) == min(300, len(recent))
            assert client.get(f"{gecko}/pools/{pool.address}/ohlcv/minute").status_code == 200


def test_candles_give_the_price_of_sol(client: httpx.Client, server: SandboxServer, market: Market) -> None:
    url = f"{server.urls.geckoterminal}/networks/solana/pools/{SOL_USDC_POOL}/ohlcv/hour"
    before = NOW + 1
    while before > market.transactions[0].block_time:
        answer = client.get(url, params={"limit": 1000, "before_timestamp": before}).json()
        rows = answer["data"]["attributes"]["ohlcv_list"]
        assert all(row[4] == market.sol_usd(row[0]) for row in rows)
        before = min(row[0] for row in rows)


def test_a_wallets_history_comes_newest_first_with_what_failed_and_what_only_its_accounts_tell(
    client: httpx.Client, server: SandboxServer, market: Market
) -> None:
    asked = {w["address"] for w in market.truth["wallets"] if w["kind"] in {"skilled", "dormant", "unlucky"}}
    asked |= {f["wallet"] for f in market.truth["flags"] if f["flag"] in {"tokens_in", "exchange"}}
    wallets = {wallet["address"] for wallet in market.truth["wallets"]}
    unnamed = {o for t in market.transactions for o in t.token_owners if o in wallets and o not in t.accounts}
    asked |= unnamed
    since = NOW - 60 * 86_400
    failures = 0
    for wallet in sorted(asked):
        named = [t for t in market.transactions if wallet in t.accounts or wallet in t.token_owners]
        newest = [t.signature for t in named if t.block_time >= since][::-1]
        filters = {"blockTime": {"gte": since}, "status": "any", "tokenAccounts": "balanceChanged"}
        rows = history(client, server, wallet, **FULL | {"sortOrder": "desc"}, limit=1000, filters=filters)
        assert [row["transaction"]["signatures"][0] for row in rows] == newest
        failed = {t.signature for t in named if t.err is not None}
        assert all(
            (row["meta"]["err"] is not None) == (s in failed) for row, s in zip(rows, newest, strict=True)
        )
        failures += len(failed)
        if len(named) > 4:
            middle = named[len(named) // 2]
            later = {"slot": {"gt": middle.slot}, "tokenAccounts": "balanceChanged"}
            rows = history(client, server, wallet, sortOrder="desc", limit=3, filters=later)
            wanted = [t.signature for t in named if t.slot > middle.slot][::-1]
            assert [row["signature"] for row in rows] == wanted
    assert failures >= 9
    assert unnamed


def test_signatures_of_a_wallet_come_newest_first_with_what_failed(
    client: httpx.Client, server: SandboxServer, market: Market
) -> None:
    for wallet in (w["address"] for w in market.truth["wallets"] if w["kind"] in {"lucky", "unlucky"}):
        body = {"jsonrpc": "2.0", "id": 1, "method": "getSignaturesForAddress", "params": [wallet]}
        rows = client.post(f"{server.urls.helius}/?api-key={server.key}", json=body).json()["result"]
        named = [t for t in reversed(market.transactions) if wallet in t.accounts]
        assert [(r["signature"], r["err"]) for r in rows] == [(t.signature, t.err) for t in named]
