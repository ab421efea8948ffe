"""Commands against a market that is served in the providers' formats."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.e2e.conftest import CommandLine
from tests.unit.solana import pda, wallet
from walltrack.cli_market import sandbox_environment
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import Faults, SandboxServer, serve
from walltrack.sandbox.types import Market

KEY = "planted-key-4c1d9a7e55b2"
UNLIMITED = {
    "WALLTRACK_HELIUS_REQUESTS_PER_SECOND": "1000",
    "WALLTRACK_DEXSCREENER_FEED_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_DEXSCREENER_PAIR_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_GECKOTERMINAL_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_JUPITER_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_SOLANA_RPC_REQUESTS_PER_SECOND": "1000",
    "WALLTRACK_PROFILE_MAX_WALLETS": "10",  # histories are not what these tests are about
}


ONE_TRY = {"WALLTRACK_HTTP_TRIES": "1"}


@pytest.fixture(scope="module")
def market() -> Market:
    return generate(7, now=int(time.time()), size=12_000)


@pytest.fixture
def server(market: Market) -> Iterator[SandboxServer]:
    with serve(market, keys={KEY: "developer"}, rate_factor=1000.0) as running:
        yield running


@pytest.fixture
def at(server: SandboxServer) -> dict[str, str]:
    """The environment of commands that ask the served market."""
    return sandbox_environment(server.urls) | UNLIMITED | {"HELIUS_API_KEY": KEY, "JUPITER_API_KEY": KEY}


def discover(walltrack: CommandLine, at: dict[str, str], *options: str) -> dict[str, Any]:
    done = walltrack("discover", "--max-tokens", "100", *options, "--json", **at)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def found(record: dict[str, Any]) -> set[tuple[str, str]]:
    return {(w["source_token"], w["wallet_address"]) for w in record["wallets"]}


def true_wallets(market: Market) -> set[tuple[str, str]]:
    return {(one["mint"], one["wallet"]) for one in market.truth["qualified"]}


def pumped_mints(market: Market) -> list[str]:
    return [token["mint"] for token in market.truth["tokens"] if token["pumped"]]


def test_a_run_finds_exactly_the_true_wallets_and_the_next_one_pays_next_to_nothing(
    walltrack: CommandLine, market: Market, server: SandboxServer, at: dict[str, str]
) -> None:
    first = discover(walltrack, at)
    assert found(first) == true_wallets(market)
    shown = walltrack.json("runs", "show", first["run"]["id"])
    assert {r["mint"] for r in shown["left_out"]}.isdisjoint({t["mint"] for t in shown["tokens"]})
    used = {u["provider"]: u["credits"] for u in shown["usage"]}
    assert used["helius"] == server.credits_used(KEY)
    paid = server.credits_used(KEY)
    second = discover(walltrack, at)
    assert found(second) == true_wallets(market)
    assert not any(w["is_new"] for w in second["wallets"])
    # A credit for each mint, and for each pool that is read beside it: is there anything newer?
    pools = [
        pool
        for one in market.truth["tokens"]
        if one["pumped"]
        for pool in one["pools"]
        if not pool["names_mint"]
    ]
    assert server.credits_used(KEY) - paid <= len(pumped_mints(market)) + len(pools)


def test_faults_change_nothing_but_the_time(
    walltrack: CommandLine, market: Market, server: SandboxServer, at: dict[str, str]
) -> None:
    server.faults = Faults(
        too_many=0.10,
        server_error=0.05,
        reset=0.03,
        truncated=0.02,
        duplicate_rows=0.02,
        only=frozenset({"helius"}),
    )
    assert found(discover(walltrack, at)) == true_wallets(market)


def test_a_plan_without_history_gives_the_same_wallets(walltrack: CommandLine) -> None:
    market = generate(7, now=int(time.time()), size=4_000)
    with serve(market, plan="developer-without-history", rate_factor=1000.0) as server:
        # A transaction is a request on this plan: histories would only add to the wait for its rate.
        at = sandbox_environment(server.urls) | UNLIMITED | {"WALLTRACK_PROFILE_MAX_WALLETS": "1"}
        assert found(discover(walltrack, at)) == true_wallets(market)


def test_the_budget_is_never_exceeded_and_what_it_did_not_suffice_for_says_so(
    walltrack: CommandLine, server: SandboxServer, at: dict[str, str]
) -> None:
    record = discover(walltrack, at, "--max-credits", "200")
    assert 0 < server.credits_used(KEY) <= 200
    shown = walltrack.json("runs", "show", record["run"]["id"])
    left_out = [token for token in shown["tokens"] if token["status"] == "unmeasurable"]
    assert left_out
    assert all("budget" in token["reason"] for token in left_out)
    assert any(token["status"] == "done" for token in shown["tokens"])


def test_one_market_down_is_a_warning_and_all_down_fail_the_run(
    walltrack: CommandLine, server: SandboxServer, at: dict[str, str]
) -> None:
    server.faults = Faults(down=frozenset({"jupiter"}))
    record = discover(walltrack, at | ONE_TRY)
    assert any("jupiter" in warning for warning in record["run"]["warnings"])
    server.faults = Faults(down=frozenset({"jupiter", "dexscreener", "geckoterminal"}))
    done = walltrack("discover", "--json", **(at | ONE_TRY))
    assert done.returncode == 1
    assert json.loads(done.stdout)["run"]["status"] == "failed"


def test_named_tokens_are_taken_as_they_are_and_a_wrong_one_does_not_end_the_run(
    walltrack: CommandLine, market: Market, at: dict[str, str]
) -> None:
    mint, nothing, no_mint = pumped_mints(market)[0], wallet("no token"), pda("no mint")
    options = [part for one in (mint, nothing, no_mint, "rubbish") for part in ("--mint", one)]
    record = discover(walltrack, at, *options)
    shown = walltrack.json("runs", "show", record["run"]["id"])
    status = {token["mint"]: token["status"] for token in shown["tokens"]}
    assert status == {
        mint: "done",
        nothing: "unmeasurable",
        no_mint: "unmeasurable",
        "rubbish": "unmeasurable",
    }
    assert found(record) == {pair for pair in true_wallets(market) if pair[0] == mint}


def test_a_wrong_key_fails_the_run_and_is_not_shown(walltrack: CommandLine, at: dict[str, str]) -> None:
    wrong = "wrong-key-0123456789abcdef"
    done = walltrack("discover", "--json", **(at | {"HELIUS_API_KEY": wrong}))
    assert done.returncode == 1
    assert "Unauthorized" in json.loads(done.stdout)["run"]["errors"][0]
    assert wrong not in done.stdout + done.stderr


def test_pumps_are_listed_with_the_reasons_of_the_others(
    walltrack: CommandLine, market: Market, at: dict[str, str]
) -> None:
    done = walltrack("pumps", "--max-tokens", "100", "--json", **at)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert {token["mint"] for token in record["pumped"]} == set(pumped_mints(market))
    assert record["refused"]
    assert all(token["reason"] for token in record["refused"])


def test_providers_are_checked_with_their_keys_masked(walltrack: CommandLine, at: dict[str, str]) -> None:
    done = walltrack("providers", "check", **at)
    assert done.returncode == 0, done.stdout
    assert "getTransactionsForAddress" in done.stdout
    assert KEY not in done.stdout + done.stderr
    refused = walltrack("providers", "check", **(at | {"HELIUS_API_KEY": "wrong-key-0123456789abcdef"}))
    assert refused.returncode == 1


def test_every_view_of_a_made_up_market_says_demo_data(walltrack: CommandLine, market: Market) -> None:
    with serve(market, rate_factor=1000.0) as server:
        at = sandbox_environment(server.urls) | UNLIMITED
        made = [
            walltrack("discover", "--max-tokens", "1", **at),
            walltrack("providers", "check", **at),
        ]
    assert [done.stderr for done in made if done.returncode] == []
    (run,) = walltrack.json("runs", "list")["runs"]
    address = walltrack.json("runs", "show", run["id"])["wallets"][0]["wallet_address"]
    views = [
        *made,
        walltrack("runs", "list"),
        walltrack("runs", "show", run["id"]),
        walltrack("wallets", "list"),
        walltrack("wallets", "show", address),
        walltrack("pumps", "--sandbox", **UNLIMITED),
    ]
    assert [view.args for view in views if "demo data" not in view.stdout] == []


def everything_stored(connection: psycopg.Connection[Any]) -> str:
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    texts = []
    for schema, table in tables:
        query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table))
        texts += [row[0] for row in connection.execute(query).fetchall()]
    return "\n".join(texts)


def test_a_planted_key_is_in_nothing_that_the_system_wrote(
    walltrack: CommandLine, market: Market, server: SandboxServer, at: dict[str, str]
) -> None:
    server.faults = Faults(too_many=0.2, server_error=0.2, reset=0.1, truncated=0.1)
    options = ["--mint", pumped_mints(market)[0]]
    # Each fault is met with its real wait: one history meets enough of them.
    written = [walltrack("discover", *options, "--json", **(at | {"WALLTRACK_PROFILE_MAX_WALLETS": "1"}))]
    server.faults = Faults(down=frozenset({"helius", "solana", "dexscreener", "geckoterminal", "jupiter"}))
    commands = (("discover",), ("providers", "check"), ("pumps",), ("config", "show"), ("runs", "list"))
    written += [walltrack(*command, **(at | ONE_TRY)) for command in commands]
    shown = "".join(done.stdout + done.stderr for done in written)
    with walltrack.sql() as connection:
        shown += everything_stored(connection)
    assert "run_id" in shown or "completed" in shown
    assert KEY not in shown
    assert KEY.encode().hex() not in shown


def test_a_served_sandbox_is_used_by_other_processes_until_it_is_stopped(
    walltrack: CommandLine, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.json"
    reach = ("--host", "0.0.0.0", "--advertise", "localhost", "--port", "0")
    process = walltrack.start("sandbox", "--size", "3200", *reach, "--truth", truth)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        assert "demo data" in lines[0]
        lines = [process.stdout.readline() for _ in range(8)]
        at = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        done = walltrack("pumps", "--json", **(at | UNLIMITED | ONE_TRY))
        assert done.returncode == 0, done.stderr
        listed = json.loads(done.stdout)
        address = at["WALLTRACK_HELIUS_RPC_URL"].removeprefix("http://").removesuffix("/helius")
        assert address.startswith("localhost:")
        assert listed["source"] == f"sandbox at {address} (demo data)"
        mints = {token["mint"] for token in json.loads(truth.read_bytes())["tokens"]}
        assert {token["mint"] for token in listed["pumped"] + listed["refused"]} & mints
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
    finally:
        process.kill()
        process.communicate()


def test_a_sandbox_is_not_advertised_by_what_is_no_host_name(walltrack: CommandLine) -> None:
    done = walltrack("sandbox", "--advertise", "http://sandbox/")
    assert done.returncode == 2
    assert "--advertise: 'http://sandbox/' is no host name" in done.stderr
