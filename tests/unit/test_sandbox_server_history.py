"""The sandbox's getTransactionsForAddress: walks, filters, limits, errors, credits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx
import msgspec
import pytest

from tests.shared_data import shared_data
from tests.unit.sandbox_server_market import (
    ALICE,
    ALPHA,
    BETA,
    CAROL,
    FIRST_SLOT,
    NO_TLS,
    NOW,
    HandMade,
    address,
    market,
    transaction,
)
from walltrack.sandbox.server import Faults, SandboxServer, serve

METHOD = "getTransactionsForAddress"
MARKET = market()
CHAIN: list[HandMade] = list(MARKET.transactions)  # type: ignore[arg-type]
FULL = {"transactionDetails": "full", "maxSupportedTransactionVersion": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with serve(MARKET, rate_factor=1000) as running:
        yield running


def ask(server: SandboxServer, params: list[Any], method: str = METHOD) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(f"{server.urls.helius}/?api-key={server.key}", json=body, timeout=30, verify=NO_TLS)


def page(server: SandboxServer, whose: str, **options: Any) -> dict[str, Any]:
    response = ask(server, [whose, options])
    assert response.status_code == 200
    body = response.json()
    assert "error" not in body, body
    result: dict[str, Any] = body["result"]
    return result


def walk(server: SandboxServer, whose: str, **options: Any) -> tuple[list[str], list[str]]:
    """All signatures, and the tokens that led to them."""
    found: list[str] = []
    tokens: list[str] = []
    while True:
        more = {"paginationToken": tokens[-1]} if tokens else {}
        got = page(server, whose, **options, **more)
        found += [
            row["signature"] if "signature" in row else row["transaction"]["signatures"][0]
            for row in got["data"]
        ]
        if got["paginationToken"] is None:
            return found, tokens
        assert got["paginationToken"] not in tokens
        tokens.append(got["paginationToken"])


def error(server: SandboxServer, params: list[Any]) -> dict[str, Any]:
    response = ask(server, params)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()["error"]
    return found


def names(address: str) -> Callable[[HandMade], bool]:
    return lambda t: address in t.accounts


MIDDLE = FIRST_SLOT + 90
SOME = CHAIN[100]
LATER = CHAIN[180]

FILTERS: list[tuple[dict[str, Any], Callable[[HandMade], bool]]] = [
    ({}, lambda t: True),
    ({"status": "any"}, lambda t: True),
    ({"status": "succeeded"}, lambda t: t.err is None),
    ({"status": "failed"}, lambda t: t.err is not None),
    ({"slot": {"gte": MIDDLE}}, lambda t: t.slot >= MIDDLE),
    ({"slot": {"gt": MIDDLE, "lt": MIDDLE + 60}}, lambda t: MIDDLE < t.slot < MIDDLE + 60),
    ({"slot": {"lte": MIDDLE}}, lambda t: t.slot <= MIDDLE),
    ({"slot": {"eq": MIDDLE}}, lambda t: t.slot == MIDDLE),
    ({"blockTime": {"gt": NOW - 7180, "lte": NOW - 7120}}, lambda t: NOW - 7180 < t.block_time <= NOW - 7120),
    ({"blockTime": {"gte": NOW - 7180, "lt": NOW - 7120}}, lambda t: NOW - 7180 <= t.block_time < NOW - 7120),
    ({"blockTime": {"eq": SOME.block_time}}, lambda t: t.block_time == SOME.block_time),
    (
        {"signature": {"gt": SOME.signature, "lte": LATER.signature}},
        lambda t: (SOME.slot, SOME.index) < (t.slot, t.index) <= (LATER.slot, LATER.index),
    ),
    (
        {"signature": {"gte": SOME.signature, "lt": LATER.signature}},
        lambda t: (SOME.slot, SOME.index) <= (t.slot, t.index) < (LATER.slot, LATER.index),
    ),
    (
        {"slot": {"gte": MIDDLE}, "blockTime": {"lt": NOW - 7120}, "status": "succeeded"},
        lambda t: t.slot >= MIDDLE and t.block_time < NOW - 7120 and t.err is None,
    ),
]


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(("filters", "wanted"), FILTERS)
def test_a_walk_gives_every_transaction_once_in_order(
    server: SandboxServer, filters: dict[str, Any], wanted: Callable[[HandMade], bool], order: str, limit: int
) -> None:
    if limit == 1 and not filters.get("slot", {}).get("eq"):
        filters = {**filters, "slot": {**filters.get("slot", {}), "lt": MIDDLE + 12}}
    expected = [
        t.signature
        for t in CHAIN
        if names(ALPHA)(t) and wanted(t) and t.slot < filters.get("slot", {}).get("lt", MIDDLE * 2)
    ]
    found, tokens = walk(server, ALPHA, filters=filters, sortOrder=order, limit=limit)
    assert found == (expected if order == "asc" else expected[::-1])
    assert len(tokens) == max(0, -(-len(expected) // limit) - 1)


def test_newest_first_signatures_of_any_status_are_the_defaults(server: SandboxServer) -> None:
    rows = page(server, ALPHA)["data"]
    assert [row["signature"] for row in rows] == [t.signature for t in reversed(CHAIN) if ALPHA in t.accounts]
    assert any(row["err"] for row in rows)


@pytest.mark.parametrize(
    ("owned", "wanted"),
    [
        ("none", lambda t: False),
        ("balanceChanged", lambda t: CAROL in t.token_owners),
        ("all", lambda t: CAROL in t.token_owners or any(b.owner == CAROL for b in t.token_balances)),
    ],
)
def test_token_accounts_of_a_wallet_count_as_far_as_asked_for(
    server: SandboxServer, owned: str, wanted: Callable[[HandMade], bool]
) -> None:
    found, _ = walk(server, CAROL, filters={"tokenAccounts": owned}, sortOrder="asc", limit=5)
    assert found == [t.signature for t in CHAIN if wanted(t)]


def test_rows_have_the_documented_keys(server: SandboxServer) -> None:
    captured = msgspec.json.decode((shared_data() / "providers/helius_gtfa_signatures.json").read_bytes())[
        "data"
    ]
    got = page(server, ALPHA, limit=2)
    assert got.keys() == captured["result"].keys()
    assert got["data"][0].keys() == captured["result"]["data"][0].keys()
    assert isinstance(got["paginationToken"], str)


def test_full_rows_have_the_envelope_of_a_transaction_and_its_place(server: SandboxServer) -> None:
    row = page(server, ALPHA, **FULL, sortOrder="asc", limit=3)["data"][2]
    assert row.keys() == {"slot", "transactionIndex", "blockTime", "version", "transaction", "meta"}
    assert (row["slot"], row["transactionIndex"], row["version"]) == (FIRST_SLOT, 6, 1)
    assert row["transaction"]["message"]["encoding"] == "json"
    parsed = page(server, ALPHA, **FULL, encoding="jsonParsed", limit=1)["data"][0]
    assert parsed["transaction"]["message"]["encoding"] == "jsonParsed"


def test_an_empty_range_is_an_empty_page_without_a_token(server: SandboxServer) -> None:
    assert page(server, ALPHA, filters={"slot": {"lt": 5}}) == {"data": [], "paginationToken": None}
    assert page(server, address("nobody")) == {"data": [], "paginationToken": None}


@pytest.mark.parametrize(
    ("case", "params"),
    [
        ("bad address", ["not base58 0OIl", {}]),
        ("limit too large (5000)", [ALPHA, {"limit": 5000}]),
        ("bad pagination token", [ALPHA, {"paginationToken": "nonsense"}]),
        (
            "v1 transaction met with maxSupportedTransactionVersion 0",
            [ALPHA, {"transactionDetails": "full", "maxSupportedTransactionVersion": 0}],
        ),
    ],
)
def test_errors_are_those_that_were_measured(server: SandboxServer, case: str, params: list[Any]) -> None:
    rows = msgspec.json.decode((shared_data() / "providers/helius_errors.json").read_bytes())["data"]
    expected = next(row for row in rows if row["case"] == case)
    response = ask(server, params)
    assert (response.status_code, response.json()) == (expected["http"], expected["body"])
    assert response.headers["x-sandbox-credits"] == "0"


def test_a_page_without_newer_versions_needs_no_version_1(server: SandboxServer) -> None:
    legacy = CHAIN[0]
    rows = page(server, ALPHA, transactionDetails="full", sortOrder="asc", limit=1)["data"]
    assert rows[0]["transaction"]["signatures"] == [legacy.signature]
    assert (
        error(server, [ALPHA, {"transactionDetails": "full", "sortOrder": "asc", "limit": 2}])["code"]
        == -32015
    )


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": "10"},
        {"sortOrder": "up"},
        {"transactionDetails": "some"},
        {"commitment": "processed"},
        {"encoding": "base58", "transactionDetails": "full"},
        {"filters": {"status": "ok"}},
        {"filters": {"slot": {"gte": "1"}}},
        {"filters": {"slot": 5}},
        {"filters": {"slot": {"between": 1}}},
        {"filters": {"signature": {"gt": "abc"}}},
        {"filters": {"unknown": 1}},
        {"filters": []},
        {"unknown": 1},
        {"paginationToken": "-1:5"},
        {"paginationToken": 7},
    ],
)
def test_options_out_of_bounds_are_refused(server: SandboxServer, options: dict[str, Any]) -> None:
    assert error(server, [ALPHA, options])["code"] in {-32602, -32603}


def test_a_slot_still_to_come_is_refused_as_minimum(server: SandboxServer) -> None:
    assert error(server, [ALPHA, {"minContextSlot": FIRST_SLOT + 10**9}])["code"] == -32016
    assert page(server, ALPHA, minContextSlot=FIRST_SLOT, limit=1)["data"]


@pytest.mark.parametrize(
    ("options", "rows", "credits"),
    [
        ({"limit": 1000}, 180, 10),
        ({**FULL, "limit": 1000}, 180, 20),
        ({**FULL, "limit": 100}, 100, 10),
        ({**FULL, "limit": 101}, 101, 20),
        ({**FULL, "limit": 1}, 1, 10),
        ({**FULL, "filters": {"slot": {"lt": 3}}}, 0, 10),
    ],
)
def test_credits_are_10_per_100_full_transactions_and_10_for_signatures(
    server: SandboxServer, options: dict[str, Any], rows: int, credits: int
) -> None:
    before = server.credits_used()
    response = ask(server, [ALPHA, options])
    assert len(response.json()["result"]["data"]) == rows
    assert response.headers["x-sandbox-credits"] == str(credits)
    assert server.credits_used() - before == credits
    assert server.requests(method=METHOD)[-1].items == rows


def test_repeated_rows_come_at_the_head_of_later_pages_and_are_paid_for() -> None:
    expected = [t.signature for t in CHAIN if ALPHA in t.accounts and t.err is None]
    for order, wanted in (("asc", expected), ("desc", expected[::-1])):
        with serve(MARKET, rate_factor=1000, faults=Faults(duplicate_rows=1.0)) as server:
            found, tokens = walk(server, ALPHA, sortOrder=order, limit=10, filters={"status": "succeeded"})
        assert list(dict.fromkeys(found)) == wanted
        assert len(found) == len(wanted) + len(tokens)
        assert sum(a == b for a, b in pairwise(found)) == len(tokens)


def test_empty_pages_have_a_token_to_go_on_with_that_never_repeats() -> None:
    expected = [t.signature for t in CHAIN if ALPHA in t.accounts]
    for share in (0.4, 1.0):
        for order, wanted in (("asc", expected), ("desc", expected[::-1])):
            faults = Faults(seed=3, empty_page=share, duplicate_rows=share / 2, last_page_token=0.5)
            with serve(MARKET, rate_factor=1000, faults=faults) as server:
                found, _ = walk(server, ALPHA, sortOrder=order, limit=40)
                assert list(dict.fromkeys(found)) == wanted
                assert any(entry.items == 0 for entry in server.requests()[:-1])


def test_the_last_page_may_have_a_token() -> None:
    with serve(MARKET, rate_factor=1000, faults=Faults(last_page_token=1.0)) as server:
        found, tokens = walk(server, BETA, limit=60)
    assert len(found) == 60
    assert len(tokens) == 1


def test_a_full_page_of_a_thousand_comes_gzipped_and_the_second_time_from_the_cache() -> None:
    made = [
        transaction(FIRST_SLOT + 1000 + n // 5, n % 5, [ALICE, BETA], padding=4000, version=1)
        for n in range(1200)
    ]
    with serve(market(made), rate_factor=1000) as server:
        options = {**FULL, "filters": {"slot": {"gte": FIRST_SLOT + 1000}}, "sortOrder": "asc"}
        responses = [ask(server, [BETA, options]) for _ in range(2)]
        plain = httpx.post(
            f"{server.urls.helius}/?api-key={server.key}",
            json={"jsonrpc": "2.0", "id": 1, "method": METHOD, "params": [BETA, options]},
            headers={"accept-encoding": "identity"},
            verify=NO_TLS,
        )
    assert responses[0].headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert responses[0].content == responses[1].content == plain.content
    assert len(responses[0].json()["result"]["data"]) == 1000
    assert len(plain.content) > 4_000_000


def test_pages_may_be_made_smaller_than_what_is_asked_for(server: SandboxServer) -> None:
    whole, _ = walk(server, ALPHA, limit=100)
    with serve(MARKET, rate_factor=1000, page_rows=2) as small:
        found, tokens = walk(small, ALPHA, limit=100)
        assert found == whole
        assert len(tokens) == -(-len(whole) // 2) - 1
