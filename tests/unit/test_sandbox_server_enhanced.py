"""The sandbox's enhanced transactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.shared_data import shared_data
from tests.unit.sandbox_server_market import (
    ALPHA,
    CAROL,
    FIRST_SLOT,
    NO_TLS,
    NOW,
    market,
    signature,
    transaction,
)
from walltrack.sandbox.server import Faults, SandboxServer, serve

MARKET = market()
CHAIN = MARKET.transactions
EVERY = [t.signature for t in CHAIN if ALPHA in t.accounts]


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with serve(MARKET, rate_factor=1000) as running:
        yield running


def get(server: SandboxServer, address: str = ALPHA, **query: Any) -> httpx.Response:
    params = {"api-key": server.key, **{name.replace("_", "-"): value for name, value in query.items()}}
    return httpx.get(
        f"{server.urls.helius}/v0/addresses/{address}/transactions", params=params, verify=NO_TLS
    )


def signatures(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["signature"] for row in response.json()]


def walk(server: SandboxServer, order: str, cursor: str) -> list[str]:
    found: list[str] = []
    while True:
        more = {cursor: found[-1]} if found else {}
        rows = signatures(get(server, limit=50, sort_order=order, **more))
        if not rows:
            return found
        found += rows


@pytest.mark.parametrize(
    ("order", "cursor"), [("asc", "after_signature"), ("desc", "before_signature"), ("desc", "before")]
)
def test_a_walk_gives_every_transaction_once_in_order(server: SandboxServer, order: str, cursor: str) -> None:
    assert walk(server, order, cursor) == (EVERY if order == "asc" else EVERY[::-1])


def test_the_older_name_of_a_bound_ends_a_walk(server: SandboxServer) -> None:
    assert signatures(get(server, limit=100, until=EVERY[-4])) == EVERY[:-4:-1]


def test_a_parameter_of_an_sdk_is_ignored_and_the_first_page_comes_again(server: SandboxServer) -> None:
    assert signatures(get(server, limit=5, beforeSignature=EVERY[-5])) == EVERY[:-6:-1]


def test_slots_and_times_bound_a_walk_but_not_together(server: SandboxServer) -> None:
    middle = FIRST_SLOT + 90
    wanted = [t.signature for t in CHAIN if ALPHA in t.accounts and middle <= t.slot < middle + 9]
    assert signatures(get(server, limit=100, sort_order="asc", gte_slot=middle, lt_slot=middle + 9)) == wanted
    timed = [t.signature for t in CHAIN if ALPHA in t.accounts and NOW - 7190 < t.block_time <= NOW - 7180]
    assert (
        signatures(get(server, limit=100, sort_order="asc", gt_time=NOW - 7190, lte_time=NOW - 7180)) == timed
    )
    assert get(server, gt_slot=1, lt_time=NOW).status_code == 400


def test_token_accounts_of_a_wallet_count_when_asked_for(server: SandboxServer) -> None:
    assert signatures(get(server, CAROL, limit=100)) == []
    wanted = [t.signature for t in CHAIN if CAROL in t.token_owners]
    assert (
        signatures(get(server, CAROL, limit=100, sort_order="asc", token_accounts="balanceChanged")) == wanted
    )


def test_a_call_costs_100_credits_whatever_comes_back(server: SandboxServer) -> None:
    before = server.credits_used()
    assert get(server, limit=1).headers["x-sandbox-credits"] == "100"
    assert get(server, limit=1, lt_slot=5).headers["x-sandbox-credits"] == "100"
    assert get(server, limit=101).headers["x-sandbox-credits"] == "0"
    assert server.credits_used() - before == 200


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"sort_order": "up"}, {"token_accounts": "some"},
     {"commitment": "processed"}, {"before_signature": "unknown"}, {"gte_slot": "x"}],
)  # fmt: skip
def test_parameters_out_of_bounds_are_refused(server: SandboxServer, query: dict[str, Any]) -> None:
    assert get(server, **query).status_code == 400
    assert "error" in get(server, **query).json()


def test_an_address_that_is_none_is_refused(server: SandboxServer) -> None:
    assert get(server, "nonsense").status_code == 400


def test_a_wrong_key_is_unauthorized(server: SandboxServer) -> None:
    response = httpx.get(
        f"{server.urls.helius}/v0/addresses/{ALPHA}/transactions?api-key=wrong", verify=NO_TLS
    )
    assert (response.status_code, response.text) == (401, "Unauthorized")


def test_a_window_without_a_match_is_not_found_and_says_where_to_go_on() -> None:
    quiet = [transaction(FIRST_SLOT + 1000 + n, 0, [ALPHA]) for n in range(1500)]
    captured = msgspec.json.decode((shared_data() / "providers/helius_errors.json").read_bytes())["data"]
    text = next(row for row in captured if row["http"] == 404)["body"]["error"]
    with serve(market(quiet), rate_factor=1000) as server:
        response = get(server, type="SWAP", limit=100)
        assert response.status_code == 404
        assert response.headers["x-sandbox-credits"] == "100"
        message = response.json()["error"]
        on = message.split()[-1].rstrip(".")
        assert message.replace(on, "") == text.replace(text.split()[-1].rstrip("."), "")
        assert on == quiet[500].signature
        swaps = signatures(get(server, type="SWAP", limit=100, before_signature=on))
        assert swaps == [t.signature for t in reversed(CHAIN) if ALPHA in t.accounts and t.index == 3][:50]
        assert signatures(get(server, type="SWAP", limit=10, lt_slot=FIRST_SLOT)) == []
        assert "`after-signature`" in get(server, type="NONE", sort_order="asc").json()["error"]
        assert signatures(get(server, source="PUMP_AMM", limit=3)) == [t.signature for t in quiet[:-4:-1]]


def test_transactions_are_found_by_signature_and_unknown_ones_are_missing(server: SandboxServer) -> None:
    url = f"{server.urls.helius}/v0/transactions?api-key={server.key}"
    asked = [EVERY[3], signature("unknown"), EVERY[1]]
    response = httpx.post(url, json={"transactions": asked}, verify=NO_TLS)
    assert signatures(response) == [EVERY[3], EVERY[1]]
    assert response.headers["x-sandbox-credits"] == "100"
    bodies: list[Any] = [{}, [], {"transactions": []}, {"transactions": [1]}, {"transactions": EVERY[:101]}]
    for body in bodies:
        assert httpx.post(url, json=body, verify=NO_TLS).status_code == 400


def test_the_plan_sets_a_rate_of_its_own() -> None:
    clock = 100.0
    with serve(MARKET, plan="free", clock=lambda: clock) as server:
        answers = [get(server, limit=1) for _ in range(3)]
        assert [a.status_code for a in answers] == [200, 200, 429]
        captured = msgspec.json.decode((shared_data() / "providers/helius_errors.json").read_bytes())["data"]
        assert (
            answers[2].json() == next(r for r in captured if r["case"] == "rate limit (rest, docs)")["body"]
        )
        body = {"jsonrpc": "2.0", "id": 1, "method": "getSlot"}
        assert (
            httpx.post(f"{server.urls.helius}/?api-key={server.key}", json=body, verify=NO_TLS).status_code
            == 200
        )


def test_repeated_rows_come_at_the_head_of_later_pages() -> None:
    with serve(MARKET, rate_factor=1000, faults=Faults(duplicate_rows=1.0)) as server:
        first = signatures(get(server, limit=3, sort_order="asc"))
        assert signatures(get(server, limit=3, sort_order="asc", after_signature=first[-1])) == EVERY[2:5]
        signatures_page = {"jsonrpc": "2.0", "id": 1, "method": "getSignaturesForAddress"}
        params = [ALPHA, {"limit": 3, "before": EVERY[-3]}]
        rows = httpx.post(
            server.urls.solana, json={**signatures_page, "params": params}, verify=NO_TLS
        ).json()["result"]
        assert [row["signature"] for row in rows] == EVERY[-3:-6:-1]
