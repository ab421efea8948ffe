"""The sandbox's Helius and Solana RPC: standard methods, keys, plans, rates, batches, credits."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.shared_data import shared_data
from tests.unit.sandbox_server_market import (
    ALICE,
    ALPHA,
    BETA,
    FIRST_SLOT,
    NO_TLS,
    NOW,
    TOKEN_2022,
    TOKEN_PROGRAM,
    address,
    market,
    signature,
)
from walltrack.sandbox.server import PLANS, Faults, Plan, SandboxServer, serve

MARKET = market()
CHAIN = MARKET.transactions
V1 = {"maxSupportedTransactionVersion": 1}


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


def request(method: str, *params: Any, id_: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": list(params)}


def post(server: SandboxServer, body: Any, *, key: str | None = None, solana: bool = False) -> httpx.Response:
    url = server.urls.solana if solana else f"{server.urls.helius}/?api-key={key or server.key}"
    return httpx.post(url, json=body, timeout=30, verify=NO_TLS)


def result(server: SandboxServer, method: str, *params: Any, solana: bool = False) -> Any:
    body = post(server, request(method, *params), solana=solana).json()
    assert "error" not in body, body
    return body["result"]


def error_code(server: SandboxServer, method: str, *params: Any) -> int:
    response = post(server, request(method, *params))
    assert response.status_code == 200
    return int(response.json()["error"]["code"])


def helius_error(case: str) -> dict[str, Any]:
    rows = msgspec.json.decode((shared_data() / "providers/helius_errors.json").read_bytes())["data"]
    found: dict[str, Any] = next(row for row in rows if row["case"] == case)
    return found


@pytest.mark.parametrize("solana", [False, True])
def test_a_transaction_is_found_by_signature(server: SandboxServer, solana: bool) -> None:
    wanted = CHAIN[2]
    got = result(server, "getTransaction", wanted.signature, V1, solana=solana)
    assert got == msgspec.json.decode(msgspec.json.encode(wanted.rpc("json")))
    assert result(server, "getTransaction", wanted.signature, {**V1, "encoding": "jsonParsed"}, solana=solana)
    assert result(server, "getTransaction", signature("unknown"), V1, solana=solana) is None


def test_versions_that_the_client_does_not_read_are_refused(server: SandboxServer) -> None:
    assert (
        error_code(server, "getTransaction", CHAIN[2].signature, {"maxSupportedTransactionVersion": 0})
        == -32015
    )
    assert error_code(server, "getTransaction", CHAIN[1].signature) == -32015
    assert result(server, "getTransaction", CHAIN[0].signature)["version"] == "legacy"
    assert error_code(server, "getTransaction", "short") == -32602


@pytest.mark.parametrize("solana", [False, True])
def test_signatures_are_walked_newest_first_to_the_launch(server: SandboxServer, solana: bool) -> None:
    found: list[str] = []
    while True:
        options = {"limit": 50, **({"before": found[-1]} if found else {})}
        rows = result(server, "getSignaturesForAddress", ALPHA, options, solana=solana)
        found += [row["signature"] for row in rows]
        if not rows:
            break
    assert found == [t.signature for t in reversed(CHAIN) if ALPHA in t.accounts]


def test_before_and_until_are_exclusive(server: SandboxServer) -> None:
    every = [t.signature for t in reversed(CHAIN) if ALPHA in t.accounts]
    rows = result(server, "getSignaturesForAddress", ALPHA, {"before": every[4], "until": every[9]})
    assert [row["signature"] for row in rows] == every[5:9]
    assert result(server, "getSignaturesForAddress", ALPHA, {"before": signature("unknown")}) == []


def test_rows_of_signatures_have_the_captured_keys(server: SandboxServer) -> None:
    captured = msgspec.json.decode((shared_data() / "providers/rpc_signatures_page_1.json").read_bytes())[
        "data"
    ]
    rows = result(server, "getSignaturesForAddress", ALPHA, {"limit": 1})
    assert rows[0].keys() == captured["result"][0].keys()


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": 1001}, {"before": "x"}, {"commitment": "processed"}]
)
def test_bad_options_for_signatures_are_refused(server: SandboxServer, options: dict[str, Any]) -> None:
    assert error_code(server, "getSignaturesForAddress", ALPHA, options) == -32602
    assert error_code(server, "getSignaturesForAddress", "not an address", {}) == -32602


def test_slots_have_times_and_the_future_has_none(server: SandboxServer) -> None:
    assert result(server, "getBlockTime", FIRST_SLOT) == CHAIN[0].block_time
    assert CHAIN[0].block_time <= result(server, "getBlockTime", FIRST_SLOT + 1) <= CHAIN[4].block_time
    newest = result(server, "getSlot")
    assert newest > CHAIN[-1].slot
    assert abs(result(server, "getBlockTime", newest) - NOW) <= 1
    assert result(server, "getBlockTime", FIRST_SLOT - 10) == CHAIN[0].block_time - 4
    assert error_code(server, "getBlockTime", newest + 1) == -32004
    assert result(server, "getHealth") == "ok"


def test_statuses_are_null_for_unknown_signatures(server: SandboxServer) -> None:
    got = result(
        server, "getSignatureStatuses", [CHAIN[0].signature, signature("unknown"), CHAIN[1].signature]
    )
    failed, unknown, fine = got["value"]
    assert (failed["slot"], failed["status"]) == (FIRST_SLOT, {"Err": CHAIN[0].err})
    assert unknown is None
    assert fine["status"] == {"Ok": None}
    assert error_code(server, "getSignatureStatuses", [signature("x")] * 257) == -32602


def test_a_mint_shows_its_decimals_and_its_program(server: SandboxServer) -> None:
    captured = msgspec.json.decode(
        (shared_data() / "providers/rpc_pump_bonding_curve_account.json").read_bytes()
    )
    got = result(server, "getAccountInfo", ALPHA, {"encoding": "jsonParsed"})
    assert got["value"].keys() == captured["data"]["result"]["value"].keys()
    assert got["value"]["owner"] == TOKEN_2022
    assert got["value"]["data"]["parsed"]["info"]["decimals"] == 6
    assert got["value"]["data"]["parsed"]["info"]["supply"] == str(10**15)
    raw = result(server, "getAccountInfo", BETA)["value"]
    data = base64.b64decode(raw["data"][0])
    assert (raw["owner"], len(data)) == (TOKEN_PROGRAM, 82)
    assert (int.from_bytes(data[36:44], "little"), data[44]) == (10**15, 6)
    assert result(server, "getAccountInfo", ALICE)["value"]["owner"] == "1" * 32
    assert result(server, "getAccountInfo", address("nobody"))["value"] is None


def test_an_unknown_method_is_answered_without_an_id(server: SandboxServer) -> None:
    expected = helius_error("unknown method")
    response = post(server, request("getEverything"))
    assert (response.status_code, response.json()) == (expected["http"], expected["body"])


@pytest.mark.parametrize("key", ["wrong", "%20"])
def test_a_wrong_key_is_unauthorized_in_plain_text(server: SandboxServer, key: str) -> None:
    expected = helius_error("missing or wrong key")
    response = post(server, request("getSlot"), key=key)
    assert (response.status_code, response.text) == (expected["http"], expected["body_text"])
    assert httpx.post(f"{server.urls.helius}/", json=request("getSlot"), verify=NO_TLS).status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"method": 5}', b'{"method": "a", "params": 5}'])
def test_what_is_no_request_is_an_error(server: SandboxServer, body: bytes) -> None:
    response = httpx.post(f"{server.urls.helius}/?api-key={server.key}", content=body, verify=NO_TLS)
    assert response.json()["error"]["code"] in {-32700, -32600}


def test_a_batch_answers_in_its_order_and_fails_by_entry(server: SandboxServer) -> None:
    wanted = [t.signature for t in CHAIN[:100]]
    body = [
        request("getTransaction", s, V1 if n else {"encoding": "?"}, id_=f"n{n}")
        for n, s in enumerate(wanted)
    ]
    before = server.credits_used()
    answers = post(server, body).json()
    assert [answer["id"] for answer in answers] == [f"n{n}" for n in range(100)]
    assert answers[0]["error"]["code"] == -32602
    assert [a["result"]["transaction"]["signatures"][0] for a in answers[1:]] == wanted[1:]
    assert server.credits_used() - before == 99
    assert server.requests()[-1].items == 99


def test_batches_have_a_size_by_method_and_none_for_the_history(server: SandboxServer) -> None:
    def batch(method: str, size: int) -> httpx.Response:
        params = [CHAIN[0].signature] if method == "getTransaction" else [ALPHA, {"limit": 1}]
        return post(server, [request(method, *params, id_=n) for n in range(size)])

    assert len(batch("getTransaction", 100).json()) == 100
    assert batch("getTransaction", 101).json()["error"]["code"] == -32600
    assert len(batch("getSignaturesForAddress", 10).json()) == 10
    assert batch("getSignaturesForAddress", 11).status_code == 400
    assert batch("getTransactionsForAddress", 1).status_code == 400


def test_the_plan_sets_the_rate() -> None:
    clock = Clock()
    with serve(MARKET, keys={"slow": "free", "fast": "developer"}, clock=clock) as server:
        answers = [post(server, request("getSlot"), key="slow") for _ in range(11)]
        assert [a.status_code for a in answers] == [200] * 10 + [429]
        expected = helius_error("rate limit (rpc, docs)")
        assert answers[-1].json() == expected["body"]
        assert post(server, request("getSlot"), key="fast").status_code == 200
        clock.now += 0.1
        assert [post(server, request("getSlot"), key="slow").status_code for _ in range(2)] == [200, 429]
        assert server.credits()["slow"]["used"] == 11


@pytest.mark.parametrize(("gated_as", "status"), [("http", 403), ("rpc", 200)])
def test_a_plan_without_the_history_says_so(gated_as: Any, status: int) -> None:
    plan = Plan("none", 100, 100, 1000, transactions_for_address=False, gated_as=gated_as)
    with serve(MARKET, plan=plan) as server:
        response = post(server, request("getTransactionsForAddress", ALPHA))
        assert response.status_code == status
        assert "only available for paid plans" in response.text
        if status == 200:
            assert response.json()["error"]["code"] == -32403
        assert server.credits_used() == 0
        assert result(server, "getSignaturesForAddress", ALPHA)
    assert not PLANS["free-without-history"].transactions_for_address


@pytest.mark.parametrize(
    ("spent_as", "status", "code"), [("text", 429, None), ("rpc", 429, -32429), ("rpc_200", 200, -32429)]
)
def test_a_month_whose_credits_are_used_up_is_over(spent_as: Any, status: int, code: int | None) -> None:
    with serve(MARKET, plan=Plan("tiny", 100, 100, 20, spent_as=spent_as)) as server:
        ask = request("getTransactionsForAddress", ALPHA, {"limit": 1})
        assert [post(server, ask).status_code for _ in range(2)] == [200, 200]
        response = post(server, ask)
        assert response.status_code == status
        if code is None:
            assert response.text == helius_error("monthly credits spent (plain)")["body_text"]
        else:
            assert response.json() == helius_error("monthly credits spent (rpc)")["body"]
        assert httpx.get(f"{server.urls.root}/sandbox/credits", verify=NO_TLS).json()[server.key] == {
            "plan": "tiny",
            "monthly_credits": 20,
            "used": 20,
            "by_method": {"getTransactionsForAddress": 20},
        }


def test_historical_calls_cost_10_by_the_older_list() -> None:
    with serve(MARKET, plan=Plan("older", 100, 100, 1000, historical_credits=10)) as server:
        result(server, "getTransaction", CHAIN[0].signature)
        result(server, "getSlot")
        assert server.credits()[server.key]["by_method"] == {"getTransaction": 10, "getSlot": 1}


def test_a_transaction_is_null_by_chance_and_there_the_next_time() -> None:
    with serve(MARKET, rate_factor=1000, faults=Faults(seed=1, null_transaction=0.5)) as server:
        batch = [request("getTransaction", t.signature, V1, id_=n) for n, t in enumerate(CHAIN[:100])]
        rounds = [{a["id"] for a in post(server, batch).json() if a["result"] is None} for _ in range(2)]
    assert 20 < len(rounds[0]) < 80
    assert rounds[0] != rounds[1]


def test_a_public_node_limits_by_caller_and_method_and_counts_batches_by_entry() -> None:
    clock = Clock()
    with serve(MARKET, clock=clock) as server:
        answers = [post(server, request("getSlot"), solana=True) for _ in range(41)]
        assert [a.status_code for a in answers] == [200] * 40 + [429]
        captured = msgspec.json.decode((shared_data() / "providers/solana_public_429.json").read_bytes())[
            "data"
        ]
        assert answers[-1].json() == captured["body"]
        assert captured["headers"].keys() <= answers[-1].headers.keys()
        batch = [request("getTransaction", t.signature, V1, id_=n) for n, t in enumerate(CHAIN[:30])]
        assert post(server, batch, solana=True).status_code == 200
        assert post(server, batch, solana=True).status_code == 429
        clock.now += 10
        assert post(server, batch, solana=True).status_code == 200
        refused = httpx.post(
            server.urls.solana,
            json=request("getSlot"),
            headers={"origin": "https://a.example"},
            verify=NO_TLS,
        )
        assert refused.status_code == 403


def test_a_public_node_has_no_methods_of_helius(server: SandboxServer) -> None:
    response = post(server, request("getTransactionsForAddress", ALPHA), solana=True)
    assert response.json()["error"]["code"] == -32601


def test_requests_are_logged_with_address_options_status_and_items() -> None:
    with serve(MARKET, rate_factor=1000) as server:
        post(server, request("getTransactionsForAddress", ALPHA, {"limit": 3}))
        post(server, request("getSignaturesForAddress", "bad"))
        rows = httpx.get(
            f"{server.urls.root}/sandbox/requests", params={"provider": "helius"}, verify=NO_TLS
        ).json()
        assert [(r["method"], r["address"], r["options"], r["status"], r["items"]) for r in rows] == [
            ("getTransactionsForAddress", ALPHA, {"limit": 3}, 200, 3),
            ("getSignaturesForAddress", None, ["bad"], 200, None),
        ]
        assert rows[1]["error"] == "-32602"
        server.clear_requests()
        assert server.requests() == []
