"""Settings of the providers: keys, addresses, rates and bounds. Defaults are those that docs/providers.md documents."""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

_MASK: Final = "****"
_KEY_LENGTHS: Final = range(6, 257)


class CoinGeckoPlan(StrEnum):
    DEMO = "demo"
    PRO = "pro"


class ProviderSettings(BaseSettings):
    """The part of the settings that is about providers."""

    helius_api_key: SecretStr | None = Field(
        None, alias="HELIUS_API_KEY", description="key of Helius, from which tapes are read"
    )
    jupiter_api_key: SecretStr | None = Field(
        None, alias="JUPITER_API_KEY", description="key of Jupiter; left out, its listings are not asked"
    )
    coingecko_api_key: SecretStr | None = Field(
        None,
        alias="COINGECKO_API_KEY",
        description="key of CoinGecko; left out, GeckoTerminal is asked, which needs none",
    )
    coingecko_plan: CoinGeckoPlan = Field(
        CoinGeckoPlan.DEMO,
        alias="WALLTRACK_COINGECKO_PLAN",
        description="what the CoinGecko key is for: demo or pro",
    )

    helius_rpc_url: str = Field(
        "https://mainnet.helius-rpc.com",
        alias="WALLTRACK_HELIUS_RPC_URL",
        description="address of Helius' JSON-RPC, without the key",
    )
    helius_rest_url: str = Field(
        "https://api-mainnet.helius-rpc.com",
        alias="WALLTRACK_HELIUS_REST_URL",
        description="address of Helius' REST interface, without the key",
    )
    solana_rpc_url: SecretStr = Field(
        SecretStr("https://api.mainnet-beta.solana.com"),
        alias="WALLTRACK_SOLANA_RPC_URL",
        description="address of any Solana RPC; it may hold a key, and is shown without",
    )
    dexscreener_url: str = Field(
        "https://api.dexscreener.com",
        alias="WALLTRACK_DEXSCREENER_URL",
        description="address of DexScreener",
    )
    geckoterminal_url: str = Field(
        "https://api.geckoterminal.com/api/v2",
        alias="WALLTRACK_GECKOTERMINAL_URL",
        description="address of GeckoTerminal",
    )
    coingecko_url: str = Field(
        "",
        alias="WALLTRACK_COINGECKO_URL",
        description="address of CoinGecko's onchain interface; left out, the one of the plan",
    )
    jupiter_url: str = Field(
        "https://api.jup.ag", alias="WALLTRACK_JUPITER_URL", description="address of Jupiter"
    )

    helius_requests_per_second: float = Field(
        10,
        gt=0,
        le=1000,
        alias="WALLTRACK_HELIUS_REQUESTS_PER_SECOND",
        description="RPC calls a second of your Helius plan: Free 10, Developer 50, Business 200",
    )
    helius_rest_requests_per_second: float = Field(
        2,
        gt=0,
        le=1000,
        alias="WALLTRACK_HELIUS_REST_REQUESTS_PER_SECOND",
        description="REST calls a second of your Helius plan: Free 2, Developer 10, Business 50",
    )
    helius_historical_credits: int = Field(
        1,
        ge=1,
        le=100,
        alias="WALLTRACK_HELIUS_HISTORICAL_CREDITS",
        description="credits of one getTransaction or getSignaturesForAddress: 1, before mid-2026 10",
    )
    solana_rpc_requests_per_second: float = Field(
        4,
        gt=0,
        le=1000,
        alias="WALLTRACK_SOLANA_RPC_REQUESTS_PER_SECOND",
        description="calls a second of the Solana RPC; entries of a batch count each",
    )
    dexscreener_feed_requests_per_minute: float = Field(
        60,
        gt=0,
        le=60_000,
        alias="WALLTRACK_DEXSCREENER_FEED_REQUESTS_PER_MINUTE",
        description="calls a minute of DexScreener's boosts and profiles",
    )
    dexscreener_pair_requests_per_minute: float = Field(
        300,
        gt=0,
        le=60_000,
        alias="WALLTRACK_DEXSCREENER_PAIR_REQUESTS_PER_MINUTE",
        description="calls a minute of DexScreener's tokens and pairs",
    )
    geckoterminal_requests_per_minute: float = Field(
        30,
        gt=0,
        le=60_000,
        alias="WALLTRACK_GECKOTERMINAL_REQUESTS_PER_MINUTE",
        description="calls a minute of GeckoTerminal, or of CoinGecko where its key is set",
    )
    jupiter_requests_per_minute: float = Field(
        60,
        gt=0,
        le=60_000,
        alias="WALLTRACK_JUPITER_REQUESTS_PER_MINUTE",
        description="calls a minute of your Jupiter plan: Free 60, Developer 600",
    )

    http_connect_timeout_seconds: float = Field(
        10,
        gt=0,
        le=120,
        alias="WALLTRACK_HTTP_CONNECT_TIMEOUT_SECONDS",
        description="seconds to wait for a connection to a provider",
    )
    http_read_timeout_seconds: float = Field(
        60,
        gt=0,
        le=600,
        alias="WALLTRACK_HTTP_READ_TIMEOUT_SECONDS",
        description="seconds without a byte of an answer after which a try is given up",
    )
    http_total_timeout_seconds: float = Field(
        180,
        gt=0,
        le=1800,
        alias="WALLTRACK_HTTP_TOTAL_TIMEOUT_SECONDS",
        description="seconds after which a try is given up whatever comes in",
    )
    http_max_body_mb: int = Field(
        64,
        ge=1,
        le=1024,
        alias="WALLTRACK_HTTP_MAX_BODY_MB",
        description="largest answer in MiB, unpacked",
    )
    http_tries: int = Field(
        5,
        ge=1,
        le=5,
        alias="WALLTRACK_HTTP_TRIES",
        description="tries of a call that fails for the moment, waiting longer after each",
    )

    profile_lookback_days: int = Field(
        90,
        ge=1,
        le=365,
        alias="WALLTRACK_PROFILE_LOOKBACK_DAYS",
        description="days back to which a wallet's own history is read for its profile",
    )
    profile_max_transactions: int = Field(
        1000,
        ge=100,
        le=10_000,
        alias="WALLTRACK_PROFILE_MAX_TRANSACTIONS",
        description="most transactions of a wallet that are read at once for its profile, the newest first",
    )

    profile_max_wallets: int = Field(
        100,
        ge=0,
        le=10_000,
        alias="WALLTRACK_PROFILE_MAX_WALLETS",
        description="most wallets of a run whose own histories are read; at the usual bounds each costs up to"
        " 100 credits",
    )

    @field_validator("helius_api_key", "jupiter_api_key", "coingecko_api_key")
    @classmethod
    def _a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key = value.get_secret_value()
            if len(key) not in _KEY_LENGTHS or not all("!" <= character <= "~" for character in key):
                raise ValueError(
                    f"must be {_KEY_LENGTHS.start} to {_KEY_LENGTHS.stop - 1} visible ASCII characters without spaces"
                )
        return value

    @field_validator(
        "helius_rpc_url",
        "helius_rest_url",
        "dexscreener_url",
        "geckoterminal_url",
        "coingecko_url",
        "jupiter_url",
    )
    @classmethod
    def _an_address_without_a_key(cls, value: str) -> str:
        return check_address(value) if value else value

    @field_validator("solana_rpc_url")
    @classmethod
    def _an_address(cls, value: SecretStr) -> SecretStr:
        _check_url(value.get_secret_value())
        return value


def shown_secret(value: str) -> str:
    """A key masked whole; of an address, scheme and host."""
    if not value.startswith(("http://", "https://")):
        return _MASK
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" + (f"/{_MASK}" if parts.path.strip("/") or parts.query else "")


def check_address(value: str) -> str:
    """An address without a key, and without the slash at its end. Raises ValueError for what is none."""
    _check_url(value)
    parts = urlsplit(value)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must have no user, query or fragment; a key has a setting of its own")
    return value.rstrip("/")


def _check_url(value: str) -> None:
    """Refuse what is no address, without quoting it."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("must be http://host:port/path or https://host:port/path")
