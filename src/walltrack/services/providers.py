"""The providers as they are called: where, with which key, and how often."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from walltrack.config.provider_settings import CoinGeckoPlan, ProviderSettings
from walltrack.services.quota import Quota
from walltrack.services.redaction import secrets_of_url


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. `quotas` are its separate buckets by name; every provider has "default".

    The key travels as the query parameter `key_query` or the header `key_header`. `base_url` may have a path, to which
    the paths of calls are appended, and a query of its own. `url_is_secret`: the URL itself carries the key, as those
    of many RPC nodes do. `first_wait_when_limited` is in seconds, after a first refusal for asking too often.
    """

    name: str
    base_url: str = field(repr=False)
    quotas: Mapping[str, Quota]
    key: SecretStr | None = None
    key_query: str | None = None
    key_header: str | None = None
    url_is_secret: bool = False
    max_in_flight: int = 32
    first_wait_when_limited: float = 1.0

    @property
    def secrets(self) -> list[str]:
        """What must never be shown."""
        found = secrets_of_url(self.base_url) if self.url_is_secret else []
        return [*found, self.key.get_secret_value()] if self.key else found

    def key_hash(self, bucket: str) -> bytes:
        """Names a bucket of this key for all processes: an HMAC under the key itself, which does not give it away.

        Without a key the quota is the address's of this machine; processes that share a database then share it too.
        """
        secret = "\n".join(self.secrets)
        named = f"walltrack quota\n{self.name}\n{bucket}\n{self.base_url}"
        return hmac.digest(secret.encode(), named.encode(), "sha256")


def helius_rpc(settings: ProviderSettings) -> Provider:
    """Helius' JSON-RPC. Without a key every call is refused with HTTP 401 (docs/providers.md)."""
    return Provider(
        "helius",
        settings.helius_rpc_url,
        {"default": Quota(settings.helius_requests_per_second)},
        key=settings.helius_api_key,
        key_query="api-key",
    )


def helius_rest(settings: ProviderSettings) -> Provider:
    """Helius' Enhanced Transactions (docs/providers.md), which has a rate of its own and spends the same credits."""
    return Provider(
        "helius",
        settings.helius_rest_url,
        {"default": Quota(settings.helius_rest_requests_per_second)},
        key=settings.helius_api_key,
        key_query="api-key",
    )


def solana_rpc(settings: ProviderSettings) -> Provider:
    """Any Solana RPC (docs/providers.md)."""
    return Provider(
        "solana_rpc",
        settings.solana_rpc_url.get_secret_value(),
        {"default": Quota(settings.solana_rpc_requests_per_second)},
        url_is_secret=True,
    )


def dexscreener(settings: ProviderSettings) -> Provider:
    """DexScreener: feeds and pairs are separate buckets; back off for 10 s at least (docs/providers.md)."""
    return Provider(
        "dexscreener",
        settings.dexscreener_url,
        {
            "feeds": Quota(settings.dexscreener_feed_requests_per_minute / 60, burst=4),
            "default": Quota(settings.dexscreener_pair_requests_per_minute / 60, burst=5),
        },
        first_wait_when_limited=10.0,
    )


def geckoterminal(settings: ProviderSettings) -> Provider:
    """GeckoTerminal, or CoinGecko's onchain interface, of the same paths, where there is a key.

    Bursts of four to six pass (docs/providers.md).
    """
    quotas = {"default": Quota(settings.geckoterminal_requests_per_minute / 60, burst=4)}
    if settings.coingecko_api_key is None:
        return Provider("geckoterminal", settings.geckoterminal_url, quotas, first_wait_when_limited=10.0)
    host, header = {
        CoinGeckoPlan.DEMO: ("api.coingecko.com", "x-cg-demo-api-key"),
        CoinGeckoPlan.PRO: ("pro-api.coingecko.com", "x-cg-pro-api-key"),
    }[settings.coingecko_plan]
    return Provider(
        "geckoterminal",
        settings.coingecko_url or f"https://{host}/api/v3/onchain",
        quotas,
        key=settings.coingecko_api_key,
        key_header=header,
        first_wait_when_limited=10.0,
    )


def jupiter(settings: ProviderSettings) -> Provider:
    """Jupiter: one sliding minute for all its endpoints (docs/providers.md)."""
    return Provider(
        "jupiter",
        settings.jupiter_url,
        {"default": Quota(settings.jupiter_requests_per_minute / 60)},
        key=settings.jupiter_api_key,
        key_header="x-api-key",
        first_wait_when_limited=5.0,
    )
