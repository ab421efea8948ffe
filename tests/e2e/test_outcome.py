"""Did they keep winning? From the command line, on a served market."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import CommandLine
from tests.e2e.test_sandbox import KEY, UNLIMITED
from walltrack.cli_market import sandbox_environment
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import SandboxServer, serve

BACK = "interval '1 day'"


@dataclass(frozen=True)
class Past:
    """A run as if it had been made a day ago, on a market that went on since."""

    walltrack: CommandLine
    server: SandboxServer
    at: dict[str, str]
    run_id: str

    def outcome(self, *options: str) -> dict[str, Any]:
        done = self.walltrack("runs", "outcome", self.run_id, *options, "--json", **self.at)
        assert done.returncode == 0, done.stderr
        record: dict[str, Any] = json.loads(done.stdout)
        return record


@pytest.fixture(scope="module")
def past(_server: CommandLine) -> Iterator[Past]:
    _server.empty()
    market = generate(5, now=int(time.time()), size=6_000)
    with serve(market, keys={KEY: "developer"}, rate_factor=1000.0) as running:
        at = sandbox_environment(running.urls) | UNLIMITED | {"HELIUS_API_KEY": KEY, "JUPITER_API_KEY": KEY}
        done = _server("discover", "--max-tokens", "100", "--json", **at)
        assert done.returncode == 0, done.stderr
        run_id = json.loads(done.stdout)["run"]["id"]
        with _server.sql() as connection:
            connection.execute(
                f"UPDATE discovery_runs SET started_at = started_at - {BACK}, completed_at = completed_at - {BACK}"
            )
        yield Past(_server, running, at, run_id)


def test_figures_after_the_run_are_read_stored_and_shown(past: Past) -> None:
    spent = past.server.credits_used(KEY)
    record = past.outcome("--read", "--wallets", "12")
    assert record["stored"]
    assert record["since"] < record["as_of"]
    found = record["found"]
    assert (found["wallets"], len(record["found_wallets"])) == (12, 12)
    assert found["measured"] + sum(found["unmeasurable"].values()) == 12
    assert found["wallets_with_trades"] > 0
    assert found["wins"] <= found["settled"] <= found["positions"]
    assert 0 < record["control"]["measured"] <= len(record["control_wallets"]) <= 12
    assert set(record["control_wallets"]).isdisjoint(record["found_wallets"])
    assert record["cost"]["credits"] == past.server.credits_used(KEY) - spent
    again = past.outcome("--read", "--wallets", "12")
    assert again["found"] == found
    assert again["control_wallets"] == record["control_wallets"]
    table = past.walltrack("runs", "outcome", past.run_id, "--read", "--wallets", "12", **past.at)
    assert table.returncode == 0
    assert all(word in table.stdout for word in ("found", "control", "return on cost", "realized SOL"))
    (parameters,) = past.walltrack.json("runs", "outcomes")["parameter_sets"]
    assert [run["id"] for run in parameters["runs"]] == [past.run_id]
    assert parameters["found"]["wallets"] == 12
    assert "min_profit_pct 50" in past.walltrack("runs", "outcomes").stdout


def test_without_a_budget_nothing_is_spent_and_everybody_unmeasurable_is_counted(past: Past) -> None:
    with past.walltrack.sql() as connection:
        connection.execute("TRUNCATE wallet_histories CASCADE")
    spent = past.server.credits_used(KEY)
    record = past.outcome("--read", "--max-credits", "0", "--wallets", "5")
    assert past.server.credits_used(KEY) == spent
    assert record["found"]["unmeasurable"] == {"budget": 5}
    assert not record["stored"]
    stored_only = past.outcome("--wallets", "5")
    assert stored_only["found"]["unmeasurable"] == {"no stored history": 5}
    assert past.server.credits_used(KEY) == spent


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-credits", "5"], "add --read"),
        (["--sandbox"], "add --read"),
        (["--read", "--wallets", "0"], "--wallets"),
        (["--read", "--sandbox"], "was not made on a sandbox"),
    ],
)
def test_wrong_usage_is_said(past: Past, options: list[str], said: str) -> None:
    done = past.walltrack("runs", "outcome", past.run_id, *options, **past.at)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_outcome_without_a_key_or_a_run_is_refused(past: Past) -> None:
    done = past.walltrack("runs", "outcome", past.run_id, "--read")
    assert done.returncode == 2
    assert "HELIUS_API_KEY" in done.stderr
    nobody = past.walltrack("runs", "outcome", "00000000-0000-0000-0000-000000000000")
    assert nobody.returncode == 2
    assert "there is no run" in nobody.stderr
