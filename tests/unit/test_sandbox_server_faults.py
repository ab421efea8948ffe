"""What goes wrong on purpose in the sandbox, hostile bodies, and the life of its server."""

from __future__ import annotations

import gzip
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.unit.sandbox_server_market import ALICE, ALPHA, FIRST_SLOT, NO_TLS, market, tokens, transaction
from walltrack.sandbox.server import Faults, SandboxServer, serve
from walltrack.sandbox.server.bodies import Body, array, part
from walltrack.sandbox.server.hostile import KINDS
from walltrack.sandbox.server.limits import SlidingWindow, TokenBucket
from walltrack.sandbox.types import Market

MARKET = market()
REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "getTransactionsForAddress", "params": [ALPHA, {"limit": 20}]}


def ask(client: httpx.Client, server: SandboxServer) -> str:
    """The outcome of one request in a word."""
    try:
        response = client.post(f"{server.urls.helius}/?api-key={server.key}", json=REQUEST)
        if response.status_code != 200:
            return str(response.status_code)
        return f"{len(response.json()['result']['data'])} rows"
    except httpx.RemoteProtocolError:
        return "incomplete"
    except httpx.ReadError:
        return "reset"
    except ValueError:
        return "unreadable"


def outcomes(faults: Faults, count: int = 200) -> list[str]:
    with serve(MARKET, rate_factor=1000, faults=faults) as server, httpx.Client(verify=NO_TLS) as client:
        return [ask(client, server) for _ in range(count)]


def test_faults_come_in_their_shares_and_the_same_for_a_seed() -> None:
    faults = Faults(seed=5, too_many=0.1, server_error=0.1, reset=0.1, truncated=0.2)
    first = outcomes(faults)
    assert first == outcomes(faults)
    assert first != outcomes(Faults(seed=6, too_many=0.1, server_error=0.1, reset=0.1, truncated=0.2))
    assert 80 < first.count("20 rows") < 120
    assert 8 < first.count("429") < 35
    assert 8 < sum(word in {"500", "502", "503", "504"} for word in first) < 35
    assert 8 < first.count("reset") < 35
    assert 8 < first.count("incomplete") < 35
    assert 8 < first.count("unreadable") < 35


def test_without_faults_nothing_goes_wrong() -> None:
    assert set(outcomes(Faults(), 30)) == {"20 rows"}


def test_faults_are_logged_and_only_what_was_computed_is_paid_for() -> None:
    with (
        serve(MARKET, rate_factor=1000, faults=Faults(reset=1.0)) as server,
        httpx.Client(verify=NO_TLS) as client,
    ):
        assert ask(client, server) == "reset"
        server.faults = Faults(too_many=1.0)
        assert ask(client, server) == "429"
        assert server.credits_used() == 0
        server.faults = Faults(truncated=1.0)
        assert ask(client, server) in {"incomplete", "unreadable"}
        assert server.credits_used() == 10
        assert [(e.fault, e.status) for e in server.requests()] == [
            ("reset", 0),
            ("too_many", 429),
            ("truncated", 200),
        ]


def test_faults_can_concern_one_provider_and_a_provider_can_be_down() -> None:
    faults = Faults(server_error=1.0, only=frozenset({"helius"}), down=frozenset({"jupiter"}))
    with serve(MARKET, faults=faults) as server, httpx.Client(verify=NO_TLS) as client:
        assert ask(client, server).startswith("50")
        assert client.get(f"{server.urls.dexscreener}/token-boosts/top/v1").status_code == 200
        assert client.get(f"{server.urls.jupiter}/tokens/v2/recent").status_code == 503


def test_every_answer_is_late_by_the_latency() -> None:
    with serve(MARKET, faults=Faults(latency_ms=60)) as server, httpx.Client(verify=NO_TLS) as client:
        begun = time.monotonic()
        ask(client, server)
        assert time.monotonic() - begun >= 0.06


@pytest.mark.parametrize(
    "options", [{"reset": 1.5}, {"empty_page": -0.1}, {"reset": 0.6, "truncated": 0.6}, {"latency_ms": -1}]
)
def test_shares_out_of_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Faults(**options)


# Hostile bodies


@pytest.fixture(scope="module")
def server() -> Any:
    with serve(MARKET, rate_factor=1000) as running:
        yield running


def hostile(server: SandboxServer, kind: str, path: str = f"tokens/v1/solana/{ALPHA}") -> httpx.Response:
    return httpx.get(f"{server.urls.hostile(kind)}/{path}", verify=NO_TLS)


def test_redirects_never_end(server: SandboxServer) -> None:
    with (
        pytest.raises(httpx.TooManyRedirects),
        httpx.Client(follow_redirects=True, max_redirects=50, verify=NO_TLS) as client,
    ):
        client.get(f"{server.urls.hostile('redirect')}/token-boosts/top/v1")


@pytest.mark.parametrize("kind", ["huge", "bomb"])
def test_a_body_of_a_gigabyte_comes_as_it_is_read(server: SandboxServer, kind: str) -> None:
    with httpx.stream(
        "GET", f"{server.urls.hostile(kind)}/tokens/v1/solana/{ALPHA}", verify=NO_TLS
    ) as response:
        read = 0
        for chunk in response.iter_bytes():
            read += len(chunk)
            if read > 5_000_000:
                break
    assert response.headers["content-type"].startswith("application/json")
    assert "content-length" not in response.headers


def test_bodies_are_of_other_types_and_depths(server: SandboxServer) -> None:
    assert "text/html" in hostile(server, "html").headers["content-type"]
    assert "image/png" in hostile(server, "wrong-type").headers["content-type"]
    assert hostile(server, "deep").content.startswith(b"[" * 50_000)
    assert hostile(server, "empty").content == b""
    assert hostile(server, "null").json() is None
    with pytest.raises(RecursionError):
        hostile(server, "deep").json()
    rpc = httpx.post(f"{server.urls.hostile('html', 'helius')}/?api-key=x", json=REQUEST, verify=NO_TLS)
    assert "text/html" in rpc.headers["content-type"]


def test_real_answers_are_twisted(server: SandboxServer) -> None:
    assert "NaN" in hostile(server, "nan").text
    assert "Infinity" in hostile(server, "infinity").text
    assert hostile(server, "negative").json()[0]["liquidity"]["usd"] == -60000
    assert hostile(server, "negative").json()[0]["priceUsd"].startswith("-0.003")
    assert hostile(server, "large").json()[0]["volume"]["h24"] == 10**40
    assert len(hostile(server, "names").json()[0]["baseToken"]["name"]) == 34_000
    row = httpx.post(
        f"{server.urls.hostile('negative', 'helius')}/?api-key={server.key}", json=REQUEST, verify=NO_TLS
    ).json()
    assert (row["id"], row["result"]["data"][0]["slot"] < 0) == (1, True)
    with pytest.raises(ValueError, match="no hostile kind"):
        server.urls.hostile("nice")
    assert {server.urls.hostile(kind) for kind in KINDS}


# The server


def test_the_truth_is_served_and_written(tmp_path: Path) -> None:
    with serve(MARKET, truth_file=tmp_path / "truth.json") as server:
        assert httpx.get(f"{server.urls.root}/sandbox/truth", verify=NO_TLS).json() == MARKET.truth
        index = httpx.get(f"{server.urls.root}/sandbox", verify=NO_TLS).json()
        assert index["what"] == "WallTrack sandbox: demo data"
        assert index["keys"] == {server.key: "developer"}
    assert msgspec.json.decode((tmp_path / "truth.json").read_bytes()) == MARKET.truth


@pytest.mark.parametrize(
    "options",
    [{"plan": "gold"}, {"rate_factor": 0}, {"page_rows": 0}, {"host": "0.0.0.0"}, {"host": "example.org"}],
)
def test_options_out_of_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError), serve(MARKET, **options):  # noqa: PT011
        pass


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        serving = serve(MARKET, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"), serving:
            pass


def test_a_market_out_of_order_is_refused() -> None:
    double = [transaction(FIRST_SLOT, 0, [ALICE]), transaction(FIRST_SLOT, 0, [ALICE])]
    with pytest.raises(ValueError, match="chain order"), serve(Market(1, 5, double, [], {}, float)):
        pass


def test_an_empty_market_is_served() -> None:
    with serve(Market(1, 1_793_000_000, [], tokens(), {}, lambda _: 100.0)) as server:
        body = {**REQUEST, "params": [ALPHA]}
        got = httpx.post(f"{server.urls.helius}/?api-key={server.key}", json=body, verify=NO_TLS).json()
        assert got["result"] == {"data": [], "paginationToken": None}


FOREGROUND = """
import sys
from tests.unit.sandbox_server_market import market
from walltrack.sandbox.server import run
run(market(), lambda server: print(server.urls.root, flush=True))
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_it_says_when_it_is_ready_and_ends_by_a_signal(stop: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "src"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        root = process.stdout.readline().strip()
        assert httpx.get(f"{root}/sandbox", verify=NO_TLS).json()["seed"] == 1
        process.send_signal(stop)
        assert process.wait(20) != 0 or stop == signal.SIGTERM
    finally:
        process.kill()
        process.communicate()


def test_any_client_reads_the_gzip_of_joined_parts(server: SandboxServer) -> None:
    url = f"{server.urls.helius}/v0/addresses/{ALPHA}/transactions?limit=100&api-key={server.key}"
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as response:
        assert len(msgspec.json.decode(gzip.decompress(response.read()))) == 100


def test_joined_parts_are_one_gzip_stream() -> None:
    chance = random.Random(4)
    pieces = [chance.randbytes(chance.choice([0, 1, 50, 160, 161, 5000, 200_000])) for _ in range(60)]
    body = Body([b"{", *array(map(part, pieces)), b"}" * 3000])
    assert body.plain() == b"{[" + b",".join(pieces) + b"]" + b"}" * 3000
    assert gzip.decompress(body.gzip()) == body.plain()


def test_a_bucket_refills_and_a_large_request_leaves_it_in_debt() -> None:
    now = 0.0
    bucket = TokenBucket(10, 5, lambda: now)
    assert [bucket.take() for _ in range(10)] == [0.0] * 10
    assert bucket.take() == pytest.approx(0.2)
    now = 2.0
    assert bucket.take(30) == 0.0
    assert bucket.take() == pytest.approx(4.2)


def test_a_window_slides() -> None:
    now = 0.0
    window = SlidingWindow(2, 60, lambda: now)
    assert (window.take(), window.take()) == (0.0, 0.0)
    assert window.take() == 60.0
    now = 60.0
    assert window.take() == 0.0
