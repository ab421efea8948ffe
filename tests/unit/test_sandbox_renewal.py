"""A served market that another one takes the place of, and what commands call a sandbox that is served elsewhere."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
from pydantic import SecretStr

from tests.unit.sandbox_server_market import NO_TLS
from walltrack.cli_market import market, market_name
from walltrack.cli_sandbox import market_of
from walltrack.config.settings import Settings
from walltrack.sandbox.server import SANDBOX_KEY, Renewal, SandboxServer, serve
from walltrack.sandbox.types import Market

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=6)
SIZE = 1_000


def shown(client: httpx.Client, server: SandboxServer) -> int:
    """The moment up to which the market that is served goes."""
    now: int = client.get(f"{server.urls.root}/sandbox").json()["now"]
    return now


def is_mint(client: httpx.Client, server: SandboxServer, address: str) -> bool:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "getAccountInfo",
        "params": [address, {"encoding": "base64"}],
    }
    return client.post(server.urls.solana, json=body).json()["result"]["value"] is not None


def test_a_renewed_market_is_what_every_provider_shows_and_keys_go_on(tmp_path: Path) -> None:
    first, second = market_of(1, NOW, SIZE), market_of(1, LATER, SIZE)
    truth = tmp_path / "truth.json"
    # The next one is made when the test has seen the first.
    seen: list[bool] = []

    def next_market() -> Market:
        return second if seen else first

    renewal = Renewal(timedelta(seconds=0.02), next_market)
    with (
        serve(first, rate_factor=10_000, truth_file=truth, renewal=renewal) as server,
        httpx.Client(verify=NO_TLS) as client,
    ):
        assert is_mint(client, server, first.tokens[0].mint)
        assert not is_mint(client, server, second.tokens[0].mint)
        paid = server.requests("solana")
        seen.append(True)
        while shown(client, server) != second.now:
            time.sleep(0.01)
        assert is_mint(client, server, second.tokens[0].mint)
        assert not is_mint(client, server, first.tokens[0].mint)
        listed = client.get(f"{server.urls.dexscreener}/token-profiles/latest/v1").json()
        assert {one["tokenAddress"] for one in listed if one["chainId"] == "solana"} <= {
            token.mint for token in second.tokens
        }
        assert server.requests("solana")[: len(paid)] == paid
    assert msgspec.json.decode(truth.read_bytes()) == msgspec.json.decode(msgspec.json.encode(second.truth))


def test_another_moment_has_other_addresses_so_that_stored_tapes_are_not_contradicted() -> None:
    first, again, later = (market_of(1, moment, SIZE) for moment in (NOW, NOW, LATER))
    mints = [{token.mint for token in one.tokens} for one in (first, again, later)]
    assert mints[0] == mints[1]
    assert not mints[0] & mints[2]
    assert not {t.signature for t in first.transactions} & {t.signature for t in later.transactions}


def test_a_sandbox_that_another_process_serves_is_demo_data_at_the_machine_s_time() -> None:
    settings = Settings(
        helius_api_key=SecretStr(SANDBOX_KEY), helius_rpc_url="http://sandbox:8899/helius", database_url=None
    )
    name = market_name(settings, sandbox=False, seed=1)
    assert (name.token_source, name.demo) == ("sandbox at sandbox:8899 (demo data)", True)
    before = datetime.now(UTC)
    with market(settings, sandbox=False, seed=1) as place:
        assert place.settings is settings
        assert (place.description, place.demo) == (name.token_source, True)
        assert before <= place.clock.now() <= datetime.now(UTC)
    assert market_name(settings, sandbox=True, seed=3).token_source == "sandbox, seed 3 (demo data)"


def test_another_key_is_the_live_market() -> None:
    settings = Settings(helius_api_key=SecretStr("a-key-of-helius"), database_url=None)
    assert market_name(settings, sandbox=False, seed=1).demo is False
