"""The SOL / USDC pool, from which the price of SOL is read."""

from __future__ import annotations

from typing import Any, Final

from walltrack.sandbox.server.pool_stats import USDC, WINDOWS, WSOL
from walltrack.sandbox.types import Market

SOL_USDC_POOL: Final = "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE"
"""Orca's SOL / USDC pool, by its address on mainnet."""

_VOLUME_USD: Final = 1_200_000.0


def sol_usdc_pool(market: Market) -> dict[str, Any]:
    """The pool's item."""
    price = market.sol_usd(market.now)
    changes = {
        name: f"{100 * (price / market.sol_usd(market.now - seconds) - 1):.3f}"
        for name, seconds in WINDOWS.items()
    }
    counts = {
        name: {"buys": seconds // 2, "sells": seconds // 2, "buyers": seconds // 10, "sellers": seconds // 10}
        for name, seconds in WINDOWS.items()
    }
    return {
        "id": f"solana_{SOL_USDC_POOL}",
        "type": "pool",
        "attributes": {
            "base_token_price_usd": str(price),
            "base_token_price_native_currency": "1.0",
            "quote_token_price_usd": "1.0",
            "quote_token_price_native_currency": str(1 / price),
            "base_token_price_quote_token": str(price),
            "quote_token_price_base_token": str(1 / price),
            "address": SOL_USDC_POOL,
            "name": "SOL / USDC",
            "pool_created_at": "2023-07-05T14:34:02Z",
            "fdv_usd": None,
            "market_cap_usd": None,
            "price_change_percentage": changes,
            "transactions": counts,
            "volume_usd": {name: str(_VOLUME_USD * seconds / 3600) for name, seconds in WINDOWS.items()},
            "reserve_in_usd": "29909335.2531",
        },
        "relationships": {
            "base_token": {"data": {"id": f"solana_{WSOL}", "type": "token"}},
            "quote_token": {"data": {"id": f"solana_{USDC}", "type": "token"}},
            "dex": {"data": {"id": "orca", "type": "dex"}},
        },
    }


def sol_candle(market: Market, start: int) -> list[float]:
    """A candle that opens and closes at the price of SOL then: [unix s, open, high, low, close, volume USD]."""
    price = market.sol_usd(start)
    return [start, price, price, price, price, _VOLUME_USD]
