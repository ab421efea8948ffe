"""Whether each configured provider answers with the key it is given, and which methods its plan has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from walltrack.config.settings import Settings
from walltrack.services import providers
from walltrack.services.dexscreener.client import DexScreener
from walltrack.services.faults import ProviderFault
from walltrack.services.geckoterminal.client import GeckoTerminal
from walltrack.services.helius import HeliusHistory
from walltrack.services.http import Http
from walltrack.services.jupiter.client import Jupiter
from walltrack.services.rows import Found
from walltrack.services.solana_rpc import SolanaRpc


@dataclass(frozen=True, slots=True)
class ProviderCheck:
    """What one provider said. `key` is masked; `says` is what it has, or why it does not work."""

    provider: str
    key: str
    works: bool
    says: str
    credits_this_month: int


async def check_providers(http: Http, settings: Settings, credits: Mapping[str, int]) -> list[ProviderCheck]:
    """Ask every configured provider once. `credits` is what was spent on each this month."""
    found = await asyncio.gather(
        *([_helius(http, settings)] if settings.helius_api_key else []),
        _node(http, settings),
        _market("dexscreener", None, DexScreener(http, providers.dexscreener(settings)).candidates()),
        _market(
            "geckoterminal",
            settings.coingecko_api_key,
            GeckoTerminal(http, providers.geckoterminal(settings)).listed(),
        ),
        *(
            [
                _market(
                    "jupiter", settings.jupiter_api_key, Jupiter(http, providers.jupiter(settings)).listed()
                )
            ]
            if settings.jupiter_api_key
            else []
        ),
    )
    return [
        ProviderCheck(name, masked(key), works, says, credits.get(name, 0))
        for name, key, works, says in found
    ]


def masked(key: SecretStr | None) -> str:
    """Enough of a key to tell which one it is."""
    if key is None:
        return "none"
    text = key.get_secret_value()
    return f"{text[:3]}…{text[-2:]}" if len(text) >= 12 else "****"


Answer = tuple[str, SecretStr | None, bool, str]


async def _helius(http: Http, settings: Settings) -> Answer:
    try:
        has = await HeliusHistory(http, providers.helius_rpc(settings)).is_in_plan()
    except ProviderFault as fault:
        return "helius", settings.helius_api_key, False, str(fault)
    said = (
        "getTransactionsForAddress" if has else "no getTransactionsForAddress: tapes are read by signatures"
    )
    return "helius", settings.helius_api_key, True, said


async def _node(http: Http, settings: Settings) -> Answer:
    try:
        slot = await SolanaRpc(http, providers.solana_rpc(settings)).finalized_slot()
    except ProviderFault as fault:
        return "solana_rpc", None, False, str(fault)
    return "solana_rpc", None, True, f"finalised slot {slot:,}"


async def _market(name: str, key: SecretStr | None, asked: Awaitable[object]) -> Answer:
    answer = await asked
    found = answer[1] if isinstance(answer, tuple) else answer
    assert isinstance(found, Found)
    if found.faults:
        return name, key, False, str(found.faults[0])
    return name, key, True, f"{len(found.listings):,} listings" if found.listings else "it answers"
