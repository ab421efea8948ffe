"""Planted secrets come back from no endpoint, no log line and no metric, whatever goes wrong."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import structlog
from pydantic import SecretStr

from tests.integration.api import CONFIG, RUN, RUNS, SECRET_KEY, ApiServer, api_settings, serving
from tests.integration.api_runs import a_found_run
from tests.integration.databases import Server, settings_for
from walltrack.cli_market import sandbox_settings
from walltrack.cli_running import log_from, log_to
from walltrack.config.settings import LogLevel
from walltrack.contract import Scope
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import Faults, SandboxServer, serve
from walltrack.scheduler.trigger import MarketName

HELIUS_KEY: Final = "planted-helius-3f7a-9b1c2d4e"
JUPITER_KEY: Final = "planted-jupiter-77aa-0c1d2e3f"
COINGECKO_KEY: Final = "planted-coingecko-51ce-4a5b6c7d"
URL_KEY: Final = "planted-in-an-rpc-url-8e9f0a1b"
PASSWORD: Final = "planted-password-2b3c4d5e"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    market = generate(7, now=int(time.time()), size=3_200)
    with serve(market, keys={HELIUS_KEY: "developer"}, rate_factor=10_000.0) as running:
        yield running


@pytest.fixture(scope="module")
def planted(embedded_server: Server, sandbox: SandboxServer) -> Iterator[ApiServer]:
    """A server with a secret at every place that takes one."""
    with embedded_server.migrated_database() as name:
        given = api_settings(settings_for(embedded_server.url(name, password=PASSWORD)))
        secrets = {
            "helius_api_key": SecretStr(HELIUS_KEY),
            "jupiter_api_key": SecretStr(JUPITER_KEY),
            "coingecko_api_key": SecretStr(COINGECKO_KEY),
            "solana_rpc_url": SecretStr(f"{sandbox.urls.solana}/?api-key={URL_KEY}"),
        }
        settings = sandbox_settings(given, sandbox.urls).model_copy(update=secrets)
        with serving(settings, market=MarketName("live market", demo=False)) as running:
            yield running


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, as `walltrack` writes it, and by libraries down to their debug messages."""
    text = io.StringIO()
    before = structlog.get_config()
    log_to(text)
    log_from(LogLevel.DEBUG)
    handler, root, level = logging.StreamHandler(text), logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in ("hpack", "httpcore", "httpx"):  # of the tests' own client, which sends the keys
        logging.getLogger(name).propagate = False
    yield text
    root.removeHandler(handler)
    root.setLevel(level)
    structlog.configure(**before)
    for name in ("hpack", "httpcore", "httpx"):
        logging.getLogger(name).propagate = True


def everything(client: httpx.Client, run_id: object) -> list[httpx.Response]:
    """An answer of every endpoint, and refusals of many kinds."""
    paths = [
        path for path, methods in client.get("/openapi.json").json()["paths"].items() if "get" in methods
    ]
    wallet = "7JznjW7JXS69Ja8LiyShPB5ih8QXbtmRsYRhhmrd4ZGA"
    parameters = {"run_id": run_id, "a": run_id, "b": run_id, "address": wallet}
    asked = [client.get(path.format(**parameters)) for path in paths]
    asked += [client.get(path) for path in ("/openapi.json", "/docs", "/nowhere", f"{RUNS}?page=0")]
    asked += [
        client.post(f"{CONFIG}/preview", json={"forecast": True}),
        client.put(CONFIG, json={"schedule_cron": "x"}),
        client.post(RUN, json={}, headers={"Idempotency-Key": "a"}),
        client.post(RUN, json={"max_tokens": 1}, headers={"Idempotency-Key": "a"}),
        client.post(f"{RUNS}/{run_id}/cancel"),
        client.post(RUN, content=b" " * 70_000),
    ]
    return asked


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(down=frozenset({"helius", "solana"})),
        Faults(down=frozenset({"dexscreener", "geckoterminal", "jupiter", "helius", "solana"})),
        Faults(too_many=0.5, server_error=0.3, truncated=0.2),
    ],
    ids=["well", "chain down", "all down", "faulty"],
)
def test_no_secret_comes_back(
    planted: ApiServer,
    sandbox: SandboxServer,
    logged: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
) -> None:
    planted.empty()
    sandbox.faults = faults
    keys = [planted.new_key(scope) for scope in Scope]
    run_id = planted.do(a_found_run(planted.context.database))
    answers = []
    for key in keys:
        with planted.client(key) as client:
            answers += everything(client, run_id)
            # In the wrong place, too.
            answers += [
                client.post(RUN, json={"mints": [key], "max_tokens": key}),
                client.post(
                    RUN, content=b'{"key": "' + key.encode(), headers={"Content-Type": "application/json"}
                ),
                client.post(RUN, json={}, headers={"Idempotency-Key": key}),
                client.put(CONFIG, json={}, headers={"If-Match": key}),
                client.get(RUNS, params={"cursor": key, "status": key}),
                client.get(f"/api/wallets/{key}"),
                client.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": key}),
            ]

            async def broken(key: str = key) -> Any:
                held = (key, planted.settings.secret_key)
                raise ZeroDivisionError(len(held))

            monkeypatch.setattr(planted.context.scheduler, "load_config", broken)
            answers += [client.get(CONFIG), client.get("/health/detailed")]
            monkeypatch.undo()
    told = "".join(f"{answer.headers}{answer.text}" for answer in answers if answer.request.method)
    assert "request_failed" in logged.getvalue()
    assert len(answers) > 60
    for secret in (HELIUS_KEY, JUPITER_KEY, COINGECKO_KEY, URL_KEY, PASSWORD, SECRET_KEY, *keys):
        assert secret not in told
        assert secret not in logged.getvalue()
