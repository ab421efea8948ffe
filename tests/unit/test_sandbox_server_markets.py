"""The sandbox's DexScreener, GeckoTerminal and Jupiter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.shared_data import shared_data
from tests.unit.sandbox_server_market import (
    ALICE,
    ALPHA,
    ALPHA_CURVE,
    ALPHA_POOL,
    BETA,
    BOB,
    CROWDED,
    FIRST_SLOT,
    GAMMA,
    GAMMA_POOL,
    NO_TLS,
    NOW,
    WASHED,
    WSOL,
    address,
    market,
    sol_price,
    transaction,
)
from walltrack.sandbox.server import SOL_USDC_POOL, SandboxServer, serve

SOLD = transaction(FIRST_SLOT + 14_200, 0, [ALICE, ALPHA, ALPHA_POOL])
BOUGHT = transaction(FIRST_SLOT + 10_400, 0, [ALICE, ALPHA, ALPHA_POOL], owners=(BOB,))
MARKET = market([SOLD, BOUGHT])


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with serve(MARKET, rate_factor=1000) as running:
        yield running


def captured(name: str) -> Any:
    return msgspec.json.decode((shared_data() / f"providers/{name}.json").read_bytes())["data"]


def dex(server: SandboxServer, path: str, **query: Any) -> Any:
    response = httpx.get(f"{server.urls.dexscreener}/{path}", params=query, verify=NO_TLS)
    assert response.status_code == 200, response.text
    return response.json()


def gecko(server: SandboxServer, path: str, *, status: int = 200, **query: Any) -> Any:
    response = httpx.get(f"{server.urls.geckoterminal}/networks/solana/{path}", params=query, verify=NO_TLS)
    assert response.status_code == status, response.text
    return response.json()


def jupiter(server: SandboxServer, path: str, *, key: str | None = None, **query: Any) -> httpx.Response:
    headers = {"x-api-key": key or server.key}
    return httpx.get(f"{server.urls.jupiter}/{path}", params=query, headers=headers, verify=NO_TLS)


def keys(value: Any, path: str = "") -> set[str]:
    """All paths of keys in a JSON value."""
    if isinstance(value, dict):
        return {f"{path}/{k}" for k in value} | {p for k, v in value.items() for p in keys(v, f"{path}/{k}")}
    if isinstance(value, list):
        return {p for v in value for p in keys(v, path)}
    return set()


# DexScreener


def test_a_token_shows_its_pools_with_the_captured_keys(server: SandboxServer) -> None:
    pairs = dex(server, f"tokens/v1/solana/{ALPHA}")
    assert [p["pairAddress"] for p in pairs] == [ALPHA_POOL, ALPHA_CURVE]
    pool = pairs[0]
    assert keys(captured("dexscreener_tokens_11_pairs")[0]) <= keys(pool)
    assert pool["pairCreatedAt"] == (NOW - 20_000) * 1000
    assert (pool["priceUsd"], pool["priceNative"]) == ("0.003000", "0.00003000")
    assert pool["liquidity"] == {"usd": 60000.0, "base": 5.0, "quote": 7.0}
    assert pool["txns"]["h24"] == {"buys": 2, "sells": 1}
    assert pool["txns"]["m5"] == {"buys": 0, "sells": 1}
    assert pool["volume"] == {"m5": 60.0, "h1": 360.0, "h6": 460.0, "h24": 460.0}
    assert pool["priceChange"] == {"m5": -25.0, "h1": 50.0, "h6": 50.0, "h24": 50.0}
    assert pool["fdv"] == 3_000_000


def test_a_curve_has_no_liquidity_and_a_quiet_window_no_change(server: SandboxServer) -> None:
    curve = dex(server, f"tokens/v1/solana/{ALPHA}")[1]
    assert curve["dexId"] == "pumpfun"
    assert curve.get("liquidity") is None
    assert curve["priceChange"].keys() == {"h24"}
    untraded = dex(server, f"tokens/v1/solana/{BETA}")[0]
    assert untraded["priceUsd"] is None
    assert untraded["priceChange"] == {}


def test_the_asked_token_is_the_base_also_of_a_reversed_pool(server: SandboxServer) -> None:
    asked = dex(server, f"tokens/v1/solana/{GAMMA}")[0]
    assert (asked["baseToken"]["address"], asked["quoteToken"]["address"]) == (GAMMA, WSOL)
    assert asked["priceUsd"] == "3.000"
    as_it_is = dex(server, f"latest/dex/pairs/solana/{GAMMA_POOL}")["pair"]
    assert (as_it_is["baseToken"]["address"], as_it_is["quoteToken"]["address"]) == (WSOL, GAMMA)
    assert float(as_it_is["priceUsd"]) == sol_price(NOW)
    assert as_it_is["txns"]["h24"] == {"buys": 0, "sells": 2}


def test_rows_are_cut_at_30_and_push_the_later_tokens_out(server: SandboxServer) -> None:
    pairs = dex(server, f"tokens/v1/solana/{CROWDED},{ALPHA}")
    assert len(pairs) == 30
    assert {p["baseToken"]["address"] for p in pairs} == {CROWDED}
    assert len(dex(server, f"token-pairs/v1/solana/{CROWDED}")) == 32
    assert len(dex(server, f"tokens/v1/solana/{ALPHA},{CROWDED}")) == 30
    assert dex(server, f"tokens/v1/ethereum/{ALPHA}") == []
    assert dex(server, f"tokens/v1/solana/{address('nobody')}") == []
    many = ",".join(address(f"n{n}") for n in range(31))
    assert httpx.get(f"{server.urls.dexscreener}/tokens/v1/solana/{many}", verify=NO_TLS).status_code == 400


def test_a_washed_pool_is_told_differently_by_another_provider(server: SandboxServer) -> None:
    here = dex(server, f"tokens/v1/solana/{WASHED}")[0]["volume"]["h24"]
    there = float(gecko(server, f"tokens/{WASHED}")["data"]["attributes"]["volume_usd"]["h24"])
    assert here == 4 * there


def test_feeds_mix_chains_and_top_boosts_have_no_amount(server: SandboxServer) -> None:
    for feed in ("token-profiles/latest/v1", "token-boosts/latest/v1", "token-boosts/top/v1"):
        rows = dex(server, feed)
        assert 0 < len(rows) <= 30
        assert {"solana"} < {row["chainId"] for row in rows}
    assert all("amount" not in row for row in dex(server, "token-boosts/top/v1"))
    assert all("amount" in row for row in dex(server, "token-boosts/latest/v1"))
    row = captured("dexscreener_boosts_and_metas")["token-boosts/top/v1"][0]
    assert row.keys() <= dex(server, "token-boosts/top/v1")[0].keys()
    latest = {row["tokenAddress"] for row in dex(server, "token-profiles/latest/v1")}
    updated = {row["tokenAddress"] for row in dex(server, "token-profiles/recent-updates/v1")}
    assert not latest & updated


def test_pairs_search_and_the_legacy_form_are_wrapped(server: SandboxServer) -> None:
    expected = captured("dexscreener_latest_dex_pairs").keys()
    assert expected <= dex(server, f"latest/dex/pairs/solana/{ALPHA_POOL}").keys()
    assert dex(server, f"latest/dex/pairs/solana/{address('nothing')}")["pairs"] is None
    assert len(dex(server, "latest/dex/search", q="crowd")["pairs"]) == 30
    assert dex(server, "latest/dex/search", q="zzz")["pairs"] == []
    assert len(dex(server, f"latest/dex/tokens/{ALPHA}")["pairs"]) == 2


def test_a_request_without_a_user_agent_is_forbidden(server: SandboxServer) -> None:
    url = f"{server.urls.dexscreener}/token-boosts/top/v1"
    assert httpx.get(url, headers={"user-agent": ""}, verify=NO_TLS).status_code == 403
    assert httpx.get(url, headers={"user-agent": "Python-urllib/3.11"}, verify=NO_TLS).status_code == 403


def test_feeds_and_pairs_have_a_bucket_each() -> None:
    clock = Clock()
    with (
        serve(MARKET, clock=clock) as server,
        httpx.Client(base_url=server.urls.dexscreener, verify=NO_TLS) as client,
    ):
        feeds = [client.get("/token-boosts/top/v1").status_code for _ in range(61)]
        assert feeds == [200] * 60 + [429]
        pairs = [client.get(f"/tokens/v1/solana/{BETA}").status_code for _ in range(301)]
        assert pairs == [200] * 300 + [429]
        clock.now += 1
        assert client.get("/token-profiles/latest/v1").status_code == 200


# GeckoTerminal


def test_pools_have_the_captured_keys_and_all_numbers_are_strings(server: SandboxServer) -> None:
    pools = gecko(server, "trending_pools")["data"]
    expected = captured("geckoterminal_trending_pools")["data"][1]
    found = next(p for p in pools if p["attributes"]["address"] == ALPHA_POOL)
    assert keys(found) == keys(expected)
    attributes = found["attributes"]
    assert not [k for k, v in attributes.items() if isinstance(v, int | float)]
    assert attributes["market_cap_usd"] is None
    assert attributes["price_change_percentage"]["m5"] == "-25.000"
    assert attributes["price_change_percentage"]["m15"] == "-25.000"
    assert attributes["transactions"]["h24"] == {"buys": 2, "sells": 1, "buyers": 2, "sellers": 1}
    assert attributes["pool_created_at"].endswith("Z")
    assert found["relationships"]["dex"]["data"]["id"] == "pumpswap"


def test_the_pool_of_sol_stands_among_the_trending_ones(server: SandboxServer) -> None:
    first = gecko(server, "trending_pools")["data"][0]
    assert first["attributes"]["name"] == "SOL / USDC"
    assert keys(first) == keys(captured("geckoterminal_trending_pools")["data"][0])
    assert gecko(server, f"pools/{SOL_USDC_POOL}")["data"] == first


def test_a_reversed_pool_is_shown_as_it_is(server: SandboxServer) -> None:
    found = gecko(server, f"pools/{GAMMA_POOL}")["data"]
    assert found["relationships"]["base_token"]["data"]["id"] == f"solana_{WSOL}"
    assert float(found["attributes"]["base_token_price_usd"]) == sol_price(NOW)
    assert found["attributes"]["quote_token_price_usd"] == "3.0"
    assert found["attributes"]["transactions"]["h24"]["sells"] == 2


def test_lists_have_20_a_page_and_10_pages(server: SandboxServer) -> None:
    pages = [gecko(server, "new_pools", page=n)["data"] for n in (1, 2, 3)]
    assert [len(page) for page in pages] == [20, 17, 0]
    ages = [pool["attributes"]["pool_created_at"] for page in pages for pool in page]
    assert ages == sorted(ages, reverse=True)
    assert "errors" in gecko(server, "new_pools", page=11, status=401)
    for bad in ({"page": 0}, {"page": "x"}):
        errors = gecko(server, "pools", status=400, **bad)["errors"]
        assert errors[0].keys() == {"status", "title"}
    gecko(server, "pools", sort="nothing", status=400)
    gecko(server, "trending_pools", duration="2h", status=400)
    gecko(server, "new_pools", include="everything", status=400)
    by_volume = gecko(server, "pools", sort="h24_volume_usd_desc")["data"]
    assert by_volume[0]["attributes"]["address"] == address("washed pool")


def test_included_tokens_and_exchanges_come_when_asked_for(server: SandboxServer) -> None:
    body = gecko(server, f"pools/multi/{ALPHA_POOL},{GAMMA_POOL}", include="base_token,quote_token,dex")
    assert {item["type"] for item in body["included"]} == {"token", "dex"}
    assert {f"solana_{ALPHA}", f"solana_{WSOL}", f"solana_{GAMMA}", "raydium"} <= {
        i["id"] for i in body["included"]
    }
    assert "included" not in gecko(server, f"pools/{ALPHA_POOL}")


def test_tokens_say_where_they_graduated_to(server: SandboxServer) -> None:
    found = gecko(server, f"tokens/{ALPHA}")["data"]["attributes"]
    assert found["launchpad_details"]["migrated_destination_pool_address"] == ALPHA_POOL
    assert found["price_usd"] == "0.003"
    several = gecko(server, f"tokens/multi/{BETA},{address('x')},{WASHED}")["data"]
    assert [item["id"] for item in several] == [f"solana_{BETA}", f"solana_{WASHED}"]
    assert several[0]["attributes"]["launchpad_details"]["completed"] is False
    assert several[1]["attributes"]["launchpad_details"] is None
    assert len(gecko(server, f"tokens/{CROWDED}/pools", page=2)["data"]) == 12
    gecko(server, f"tokens/{address('x')}", status=404)
    gecko(server, f"pools/{address('x')}", status=404)


def test_the_price_of_sol_stands_in_hourly_candles(server: SandboxServer) -> None:
    body = gecko(server, f"pools/{SOL_USDC_POOL}/ohlcv/hour", limit=200, currency="usd")
    assert keys(captured("geckoterminal_ohlcv")) <= keys(body)
    rows = body["data"]["attributes"]["ohlcv_list"]
    assert rows[0][0] == NOW // 3600 * 3600
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)
    assert all(row[1:5] == [sol_price(row[0])] * 4 for row in rows)
    older = gecko(server, f"pools/{SOL_USDC_POOL}/ohlcv/hour", limit=2, before_timestamp=rows[5][0])
    assert older["data"]["attributes"]["ohlcv_list"][-1][0] < rows[5][0]


def test_candles_of_a_pool_have_gaps_and_both_currencies(server: SandboxServer) -> None:
    path = f"pools/{ALPHA_POOL}/ohlcv/minute"
    rows = gecko(server, path, aggregate=15)["data"]["attributes"]["ohlcv_list"]
    by_start = {row[0]: row for row in rows}
    assert len(by_start) == 3
    assert by_start[(NOW - 2000) // 900 * 900][1:] == [0.004, 0.004, 0.004, 0.004, 300.0]
    native = gecko(server, path, aggregate=15, currency="token")["data"]["attributes"]["ohlcv_list"]
    assert native[0][4] == pytest.approx(0.00003)
    quote = gecko(server, path, token="quote")["data"]["attributes"]["ohlcv_list"]
    assert quote[0][4] == pytest.approx(100.0)
    for bad in (
        {"aggregate": 7},
        {"limit": 1001},
        {"currency": "eur"},
        {"token": "x"},
        {"before_timestamp": "x"},
    ):
        gecko(server, path, status=400, **bad)
    gecko(server, path, status=401, before_timestamp=NOW - 181 * 86400)
    gecko(server, f"pools/{ALPHA_POOL}/ohlcv/week", status=400)


def test_trades_name_transactions_of_the_chain(server: SandboxServer) -> None:
    rows = gecko(server, f"pools/{ALPHA_POOL}/trades")["data"]
    assert [(r["attributes"]["tx_hash"], r["attributes"]["kind"]) for r in rows] == [
        (SOLD.signature, "sell"),
        (BOUGHT.signature, "buy"),
    ]
    bought = rows[1]["attributes"]
    assert bought["tx_from_address"] == ALICE
    assert bought["from_token_address"] == WSOL
    assert (bought["volume_in_usd"], bought["price_to_in_usd"]) == ("300.0", "0.004")
    assert len(gecko(server, f"pools/{ALPHA_POOL}/trades", trade_volume_in_usd_greater_than=100)["data"]) == 1
    gecko(server, f"pools/{ALPHA_POOL}/trades", trade_volume_in_usd_greater_than="x", status=400)


def test_a_burst_ends_in_429_with_a_useless_header() -> None:
    clock = Clock()
    with (
        serve(MARKET, clock=clock) as server,
        httpx.Client(base_url=server.urls.geckoterminal, verify=NO_TLS) as client,
    ):

        def ask(page: int) -> httpx.Response:
            return client.get("/networks/solana/new_pools", params={"page": page})

        answers = [ask(page) for page in range(1, 7)]
        assert [a.status_code for a in answers] == [200] * 5 + [429]
        assert answers[5].headers["retry-after"] == "0"
        assert keys(answers[5].json()) == keys(captured("geckoterminal_errors")[0]["body"])
        assert ask(1).status_code == 200
        clock.now += 2
        assert [ask(6).status_code, ask(7).status_code] == [200, 429]


# Jupiter


def test_missing_mints_are_left_out(server: SandboxServer) -> None:
    rows = jupiter(server, "tokens/v2/search", query=f"{ALPHA},{address('x')},{GAMMA}").json()
    assert [row["id"] for row in rows] == [ALPHA, GAMMA]
    prices = jupiter(server, "price/v3", ids=f"{ALPHA},{address('x')},{BETA},{WSOL}").json()
    assert prices.keys() == {ALPHA, WSOL}
    assert next(iter(captured("jupiter_price_v3").values())).keys() == prices[ALPHA].keys()
    assert prices[WSOL]["usdPrice"] == sol_price(NOW)


def test_tokens_have_their_figures_over_all_pools(server: SandboxServer) -> None:
    row = jupiter(server, "tokens/v2/search", query="alpha").json()[0]
    assert (row["usdPrice"], row["liquidity"], row["decimals"]) == (0.003, 60_000.0, 6)
    assert row["graduatedPool"] == ALPHA_POOL
    assert row["firstPool"]["id"] == ALPHA_CURVE
    assert row["stats24h"]["numBuys"] == 3
    assert row["stats24h"]["priceChange"] == pytest.approx(50)
    assert row["stats5m"]["sellVolume"] == 60.0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["createdAt"])


def test_lists_are_ranked_and_cut(server: SandboxServer) -> None:
    traded = jupiter(server, "tokens/v2/toptraded/24h", limit=2).json()
    assert [row["id"] for row in traded] == [WASHED, ALPHA]
    assert jupiter(server, "tokens/v2/toptrending/24h").json()[0]["id"] == ALPHA
    assert jupiter(server, "tokens/v2/recent").json()[0]["id"] == BETA
    assert jupiter(server, "tokens/v2/toptraded/24h", limit=101).status_code == 400
    assert jupiter(server, "tokens/v2/toptraded/2h").status_code == 404
    assert jupiter(server, "tokens/v2/search").status_code == 400


def test_a_sliding_minute_limits_each_key() -> None:
    clock = Clock()
    with (
        serve(MARKET, clock=clock) as server,
        httpx.Client(base_url=server.urls.jupiter, verify=NO_TLS) as client,
    ):

        def ask(**headers: str) -> int:
            return client.get("/tokens/v2/recent", headers=headers).status_code

        keyed = {"x-api-key": server.key}
        assert [ask(**keyed) for _ in range(61)] == [200] * 60 + [429]
        assert [ask() for _ in range(31)] == [200] * 30 + [429]
        assert ask(**{"x-api-key": "wrong"}) == 401
        clock.now += 59
        assert ask(**keyed) == 429
        clock.now += 1
        assert ask(**keyed) == 200
