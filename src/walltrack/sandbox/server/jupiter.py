"""Jupiter's token and price API (dev.jup.ag: tokens v2, price v3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.routing import Route

from walltrack.sandbox.server.exchange import Answer, Call, RefusedError, endpoint, json_answer
from walltrack.sandbox.server.limits import SlidingWindow
from walltrack.sandbox.server.pool_stats import USDC, WSOL, PoolView, TokenView, coins, quote_coin
from walltrack.sandbox.server.state import ServerState

PROVIDER: Final = "jupiter"

_KEYLESS_PER_MINUTE: Final = 30
_WINDOWS: Final = {"5m": "m5", "1h": "h1", "6h": "h6", "24h": "h24"}
_CATEGORIES: Final = ("toptrending", "toptraded", "toporganicscore")
_MOST_MINTS: Final = 100
_MOST_PRICES: Final = 50
_RECENT: Final = 30


class Jupiter:
    """One sliding minute per key, shared by all endpoints: the plan's rate, 30 without a key."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        settings = state.settings
        rates: dict[str | None, int] = {key: plan.jupiter_per_minute for key, plan in settings.keys.items()}
        rates[None] = _KEYLESS_PER_MINUTE
        self._windows = {
            key: SlidingWindow(rate * settings.rate_factor, 60, settings.clock) for key, rate in rates.items()
        }

    def routes(self) -> list[Route]:
        handlers = {
            "tokens/v2/search": self._search,
            "tokens/v2/recent": self._recent,
            "tokens/v2/{category}/{window}": self._top,
            "price/v3": self._prices,
        }
        return [self._route(path, handler) for path, handler in handlers.items()]

    def _route(self, path: str, handler: Any) -> Route:
        def answer(call: Call) -> Answer:
            try:
                self._limit(call)
                result: Answer = handler(call)
            except RefusedError as e:
                result = e.answer
            result.method = path
            result.options = {**call.path, **call.query}
            return result

        return endpoint(self._state, PROVIDER, f"/jupiter/{path}", answer, too_many)

    def _limit(self, call: Call) -> None:
        window = self._windows.get(call.headers.get("x-api-key"))
        if window is None:
            raise RefusedError(json_answer({"code": 401, "message": "Unauthorized"}, status=401, error="401"))
        if wait := window.take():
            raise RefusedError(too_many(wait))

    def _top(self, call: Call) -> Answer:
        category, window = call.path["category"], call.path["window"]
        limit = call.query.get("limit", "50")
        if category not in _CATEGORIES or window not in _WINDOWS:
            raise RefusedError(json_answer({"message": "Route not found"}, status=404, error="404"))
        if not limit.isdecimal() or not 1 <= int(limit) <= 100:
            raise RefusedError(_bad("limit must be between 1 and 100"))
        name = _WINDOWS[window]

        def rank(view: TokenView) -> float:
            if category == "toptraded":
                return sum(pool.windows[name].volume_usd for pool in view.pools)
            return sum(pool.windows[name].buys + pool.windows[name].sells for pool in view.pools)

        ranked = sorted(
            (view for view in self._state.view.tokens.values() if view.main), key=lambda v: -rank(v)
        )
        return self._tokens([view for view in ranked if rank(view) > 0][: int(limit)])

    def _search(self, call: Call) -> Answer:
        query = call.query.get("query", "").strip()
        wanted = [text for text in query.split(",") if text]
        if not wanted or len(wanted) > _MOST_MINTS:
            raise RefusedError(_bad(f"query must be a name, a symbol or up to {_MOST_MINTS} mints"))
        found = [self._state.view.tokens[mint] for mint in wanted if mint in self._state.view.tokens]
        if not found and len(wanted) == 1:
            text = query.lower()
            named = (
                v for v in self._state.view.by_volume if text in f"{v.token.name} {v.token.symbol}".lower()
            )
            found = list(named)[:20]
        return self._tokens(found)

    def _recent(self, call: Call) -> Answer:
        return self._tokens(self._state.view.by_age[:_RECENT])

    def _prices(self, call: Call) -> Answer:
        mints = [mint for mint in call.query.get("ids", "").split(",") if mint]
        if not 1 <= len(mints) <= _MOST_PRICES:
            raise RefusedError(_bad(f"ids must have between 1 and {_MOST_PRICES} mints"))
        prices = {mint: price for mint in mints if (price := self._price(mint)) is not None}
        return json_answer(prices, items=len(prices))

    def _price(self, mint: str) -> dict[str, Any] | None:
        slot = self._state.chain.slot
        if mint in {WSOL, USDC}:
            coin = quote_coin(self._state.market, mint)
            return {"usdPrice": coin.usd, "blockId": slot, "decimals": coin.decimals, "priceChange24h": 0.0}
        view = self._state.view.tokens.get(mint)
        if view is None or view.main is None:
            return None
        return {
            "createdAt": _iso(view.token.created_at),
            "liquidity": view.liquidity_usd,
            "usdPrice": view.main.token_usd,
            "blockId": slot,
            "decimals": view.token.decimals,
            "priceChange24h": view.main.windows["h24"].change_pct or 0.0,
            "launchpad": _launchpad(view),
        }

    def _tokens(self, views: Sequence[TokenView]) -> Answer:
        return json_answer([self._token(view) for view in views], items=len(views))

    def _token(self, view: TokenView) -> dict[str, Any]:
        token, main = view.token, view.main
        pools = view.pools
        graduated = next((p for p in pools if p.pool.liquidity_usd is not None), None)
        supply = coins(token.supply_raw, token.decimals)
        value = main.fdv_usd() if main else None
        row: dict[str, Any] = {
            "id": token.mint,
            "name": token.name,
            "symbol": token.symbol,
            "icon": None,
            "decimals": token.decimals,
            "circSupply": supply,
            "totalSupply": supply,
            "tokenProgram": token.token_program,
            "launchpad": _launchpad(view),
            "createdAt": _iso(token.created_at),
            "holderCount": len({trade.wallet for pool in pools for trade in pool.pool.trades}),
            "fdv": value,
            "mcap": value,
            "usdPrice": main.token_usd if main else None,
            "priceBlockId": self._state.chain.slot,
            "liquidity": view.liquidity_usd,
            **{f"stats{window}": _stats(view, name) for window, name in _WINDOWS.items()},
            "audit": {"mintAuthorityDisabled": True, "freezeAuthorityDisabled": True},
            "organicScore": 0,
            "organicScoreLabel": "low",
            "tags": ["unknown"],
            "updatedAt": _iso(self._state.market.now),
        }
        if pools:
            row["firstPool"] = {"id": pools[0].pool.address, "createdAt": _iso(pools[0].pool.created_at)}
        if graduated is not None and graduated is not pools[0]:
            row |= {"graduatedPool": graduated.pool.address, "graduatedAt": _iso(graduated.pool.created_at)}
        return row


def _stats(view: TokenView, window: str) -> dict[str, Any]:
    """Over all pools of a token. The change is that of the main pool, and missing without a trade."""
    stats = [pool.windows[window] for pool in view.pools]
    row: dict[str, Any] = {
        "buyVolume": math.fsum(s.buy_usd for s in stats),
        "sellVolume": math.fsum(s.sell_usd for s in stats),
        "numBuys": sum(s.buys for s in stats),
        "numSells": sum(s.sells for s in stats),
        "numTraders": sum(s.buyers + s.sellers for s in stats),
        "numNetBuyers": sum(s.buyers - s.sellers for s in stats),
    }
    change = view.main.windows[window].change_pct if view.main else None
    return row if change is None else {"priceChange": change, **row}


def _launchpad(view: TokenView) -> str | None:
    first: PoolView | None = view.pools[0] if view.pools else None
    return "pump.fun" if first is not None and first.pool.dex == "pumpfun" else None


def _iso(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bad(problem: str) -> Answer:
    return json_answer({"code": 400, "message": problem}, status=400, error="400")


def too_many(wait: float) -> Answer:
    """Jupiter's body is not known."""
    return json_answer({"code": 429, "message": "Rate limit exceeded"}, status=429, error="429")
