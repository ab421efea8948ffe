"""Settings of the providers, and the providers as they are called by them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from walltrack.config.settings import Settings, show_settings
from walltrack.services import providers
from walltrack.services.quota import Quota
from walltrack.services.redaction import Redactor, secrets_of_url, silence_http_client_logs
from walltrack.services.wire import HttpBounds

KEY = "0b9a5f1d-planted-key"


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(Settings.env_name(name), raising=False)


def test_defaults_are_the_documented_addresses_and_rates() -> None:
    plain = settings()
    helius = providers.helius_rpc(plain)
    assert (helius.base_url, helius.quotas["default"]) == ("https://mainnet.helius-rpc.com", Quota(10))
    assert providers.helius_rest(plain).quotas["default"] == Quota(2)
    assert providers.solana_rpc(plain).base_url == "https://api.mainnet-beta.solana.com"
    dexscreener = providers.dexscreener(plain)
    assert (dexscreener.quotas["feeds"].rate, dexscreener.quotas["default"].rate) == (1, 5)
    assert providers.geckoterminal(plain).quotas["default"].rate == 0.5
    assert providers.jupiter(plain).quotas["default"].rate == 1
    assert HttpBounds.of(plain) == HttpBounds()


@pytest.mark.parametrize(
    ("plan", "url", "header"),
    [
        ("demo", "https://api.coingecko.com/api/v3/onchain", "x-cg-demo-api-key"),
        ("pro", "https://pro-api.coingecko.com/api/v3/onchain", "x-cg-pro-api-key"),
    ],
)
def test_a_coingecko_key_takes_the_place_of_geckoterminal(plan: str, url: str, header: str) -> None:
    provider = providers.geckoterminal(settings(coingecko_api_key=KEY, coingecko_plan=plan))
    assert (provider.name, provider.base_url, provider.key_header) == ("geckoterminal", url, header)


@pytest.mark.parametrize(
    "given",
    [
        {"helius_api_key": "short"},
        {"helius_api_key": f"{KEY} "},
        {"jupiter_api_key": f"{KEY}\r\nx-evil: 1"},
        {"coingecko_api_key": f"{KEY}é"},
        {"helius_rpc_url": f"https://mainnet.helius-rpc.com/?api-key={KEY}"},
        {"helius_rest_url": f"https://{KEY}@host"},
        {"jupiter_url": f"ftp://{KEY}"},
        {"dexscreener_url": f"https://host:99999/{KEY}"},
        {"solana_rpc_url": f"https://host/{KEY} x"},
        {"solana_rpc_url": f"http://[{KEY}"},
        {"helius_requests_per_second": 0},
        {"helius_requests_per_second": float("nan")},
        {"http_max_body_mb": 0},
    ],
)
def test_a_setting_that_cannot_be_right_is_refused_without_quoting_it(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as raised:
        settings(**given)
    assert KEY not in str(raised.value)


def test_keys_and_addresses_with_keys_are_shown_masked() -> None:
    given = settings(
        helius_api_key=KEY,
        jupiter_api_key=KEY,
        solana_rpc_url=f"https://user:{KEY}@node.example/v2/{KEY}?k={KEY}",
    )
    views = {view.name: view.value for view in show_settings(given)}
    assert views["helius_api_key"] == views["jupiter_api_key"] == "****"
    assert views["solana_rpc_url"] == "https://node.example/****"
    shown = f"{views} {given!r} {providers.solana_rpc(given)!r} {providers.helius_rpc(given)!r}"
    assert KEY not in shown


@pytest.mark.parametrize(
    "url",
    [
        f"https://node.example/v2/{KEY}",
        f"https://node.example/{KEY}/",
        f"https://node.example/?token={KEY}&x=1",
        f"https://{KEY}:x@node.example",
        f"https://user:{KEY}@node.example/rpc",
    ],
)
def test_a_key_is_found_wherever_a_node_has_it_in_its_address(url: str) -> None:
    assert KEY in secrets_of_url(url)


SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=6, max_size=40)


@given(SECRETS, st.text(max_size=50), st.text(max_size=50), st.integers(5, 200))
def test_a_secret_is_masked_before_a_text_is_cut(secret: str, before: str, after: str, length: int) -> None:
    redact = Redactor([secret])
    text = f"{before}{secret}{after}"
    assert secret not in redact(text)
    assert len(redact.clipped(text, length)) <= length
    for spelling in (secret, "".join(f"%{byte:02X}" for byte in secret.encode())):
        assert redact(f"<{spelling}>") == "<****>"


def test_a_word_too_short_for_a_secret_is_left_alone() -> None:
    assert Redactor(["ab", ""])("abc") == "abc"


def test_the_http_libraries_say_nothing_below_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    silence_http_client_logs()
    silence_http_client_logs()
    for name in ("httpx", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name)
        logging.getLogger(name).info("GET https://x.example/?api-key=%s", KEY)
        logging.getLogger(name).warning("%s warns", name)
        assert len(logging.getLogger(name).filters) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "httpx warns",
        "httpcore.http11 warns",
        "httpcore.connection warns",
    ]
