"""Which market a command works on: the live one with the operator's keys, or the sandbox where there is no key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from walltrack.cli_tables import DEMO
from walltrack.config.settings import Settings
from walltrack.discovery.clock import Clock
from walltrack.sandbox.key import SANDBOX_KEY
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName

if TYPE_CHECKING:
    from walltrack.sandbox.server import Urls

SANDBOX_NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""The moment up to which the sandbox's market is made, so that the same seed is the same market on every day."""

GECKOTERMINAL_PER_MINUTE: Final = 30
"""Calls that GeckoTerminal grants without a key: the tightest limit, by which the sandbox's are scaled."""


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A market's own time, which stands still."""

    time: datetime

    def now(self) -> datetime:
        return self.time


@dataclass(frozen=True, slots=True)
class Market:
    """Settings and clock to ask a market with, and what a run's record calls it."""

    settings: Settings
    clock: Clock
    description: str
    demo: bool = False


def has_keys(settings: Settings) -> bool:
    """Whether the operator gave a key, or a node of their own, to read the live chain with."""
    return settings.helius_api_key is not None or "solana_rpc_url" in settings.model_fields_set


def is_served_elsewhere(settings: Settings) -> bool:
    """Whether the key is the sandbox's own: the providers are a sandbox then, which another process serves."""
    key = settings.helius_api_key
    return key is not None and key.get_secret_value() == SANDBOX_KEY


def market_name(settings: Settings, *, sandbox: bool, seed: int) -> MarketName:
    """What the records of runs call the market that `market` opens."""
    if not sandbox and is_served_elsewhere(settings):
        address = urlsplit(settings.helius_rpc_url).netloc
        return MarketName(f"sandbox at {address} ({DEMO})", demo=True)
    if not sandbox and has_keys(settings):
        return MarketName("live market", demo=False)
    return MarketName(f"sandbox, seed {seed} ({DEMO})", demo=True)


@contextmanager
def market(settings: Settings, *, sandbox: bool, seed: int) -> Iterator[Market]:
    """The live market, a sandbox that another process serves, or one served from this process for the time of the
    block.
    """
    name = market_name(settings, sandbox=sandbox, seed=seed)
    if not sandbox and has_keys(settings):
        yield Market(settings, SystemClock(), name.token_source, name.demo)  # a served one ends about now
        return
    # What makes and serves a market takes long to import, which commands on the live one need not wait for.
    from walltrack.sandbox.market import generate  # noqa: PLC0415
    from walltrack.sandbox.server import serve  # noqa: PLC0415

    made = generate(seed, now=int(SANDBOX_NOW.timestamp()))
    # Who sets a higher rate has a plan that grants it.
    granted = settings.geckoterminal_requests_per_minute / GECKOTERMINAL_PER_MINUTE
    with serve(made, rate_factor=max(1.0, granted)) as server:
        yield Market(
            sandbox_settings(settings, server.urls),
            FixedClock(SANDBOX_NOW),
            name.token_source,
            demo=True,
        )


def sandbox_settings(settings: Settings, urls: Urls) -> Settings:
    """The same settings with the sandbox in the place of every provider."""
    return settings.model_copy(
        update={
            "helius_api_key": SecretStr(SANDBOX_KEY),
            "jupiter_api_key": SecretStr(SANDBOX_KEY),
            "coingecko_api_key": None,
            "helius_rpc_url": urls.helius,
            "helius_rest_url": urls.helius,
            "solana_rpc_url": SecretStr(urls.solana),
            "dexscreener_url": urls.dexscreener,
            "geckoterminal_url": urls.geckoterminal,
            "jupiter_url": urls.jupiter,
            "helius_requests_per_second": 50.0,
        }
    )


def sandbox_environment(urls: Urls) -> dict[str, str]:
    """Environment variables that point another process's commands at a sandbox that is being served."""
    return {
        "HELIUS_API_KEY": SANDBOX_KEY,
        "JUPITER_API_KEY": SANDBOX_KEY,
        "WALLTRACK_HELIUS_RPC_URL": urls.helius,
        "WALLTRACK_HELIUS_REST_URL": urls.helius,
        "WALLTRACK_SOLANA_RPC_URL": urls.solana,
        "WALLTRACK_DEXSCREENER_URL": urls.dexscreener,
        "WALLTRACK_GECKOTERMINAL_URL": urls.geckoterminal,
        "WALLTRACK_JUPITER_URL": urls.jupiter,
    }
