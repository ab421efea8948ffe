"""GeckoTerminal's public API (api.geckoterminal.com/api/v2): pools and tokens, in JSON:API, numbers as strings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from starlette.routing import Route

from walltrack.sandbox.server.exchange import Answer, Call, RefusedError, endpoint, json_answer
from walltrack.sandbox.server.gecko_history import PoolHistory
from walltrack.sandbox.server.gecko_limits import PROVIDER, GeckoLimits, refused, too_many
from walltrack.sandbox.server.gecko_sol import SOL_USDC_POOL, sol_usdc_pool
from walltrack.sandbox.server.pool_stats import WINDOWS, Coin, PoolView, TokenView, WindowStats, coins
from walltrack.sandbox.server.state import ServerState

_ROOT: Final = "/geckoterminal/api/v2/networks/solana"
_PAGE: Final = 20
_LAST_PAGE: Final = 10
_MULTI: Final = 30
_DEXES: Final = {"pumpfun": "pump-fun", "pumpswap": "pumpswap", "raydium": "raydium"}
_INCLUDES: Final = ("base_token", "quote_token", "dex")
_DURATIONS: Final = {"5m": "m5", "1h": "h1", "6h": "h6", "24h": "h24"}
_SORTS: Final = ("h24_tx_count_desc", "h24_volume_usd_desc")


class GeckoTerminal:
    """Lists of 20 a page, 10 pages; pools and tokens by address; candles and trades of a pool."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._limits = GeckoLimits(state.settings)

    def routes(self) -> list[Route]:
        history = PoolHistory(self._state)
        handlers: dict[str, Callable[[Call], Answer]] = {
            "trending_pools": self._trending,
            "new_pools": self._new,
            "pools": self._top,
            "pools/multi/{addresses}": self._pools,
            "pools/{address}": self._pool,
            "pools/{address}/ohlcv/{timeframe}": history.candles,
            "pools/{address}/trades": history.trades,
            "tokens/multi/{addresses}": self._tokens,
            "tokens/{address}": self._token,
            "tokens/{address}/pools": self._token_pools,
        }
        return [self._route(path, handler) for path, handler in handlers.items()]

    def _route(self, path: str, handler: Callable[[Call], Answer]) -> Route:
        def answer(call: Call) -> Answer:
            try:
                self._limits.check(f"{sorted(call.path.items())}{call.query}{path}")
                result = handler(call)
            except RefusedError as e:
                result = e.answer
            result.method = path
            result.address = call.path.get("address") or call.path.get("addresses")
            result.options = dict(call.query)
            return result

        return endpoint(self._state, PROVIDER, f"{_ROOT}/{path}", answer, too_many)

    def _trending(self, call: Call) -> Answer:
        window = _choice(call, "duration", list(_DURATIONS), "24h")
        name = _DURATIONS[window]
        pools = [p for p in self._state.view.pools.values() if _count(p, name)]
        ranked = sorted(pools, key=lambda p: -_count(p, name))
        return self._page(call, [None, *ranked])

    def _new(self, call: Call) -> Answer:
        newest = sorted(self._state.view.pools.values(), key=lambda p: -p.pool.created_at)
        return self._page(call, newest)

    def _top(self, call: Call) -> Answer:
        sort = _choice(call, "sort", _SORTS, _SORTS[0])
        if sort == _SORTS[0]:
            ranked = sorted(self._state.view.pools.values(), key=lambda p: -_count(p, "h24"))
        else:
            ranked = sorted(self._state.view.pools.values(), key=lambda p: -p.windows["h24"].volume_usd)
        return self._page(call, ranked)

    def _token_pools(self, call: Call) -> Answer:
        view = self._known_token(call.path["address"])
        ranked = sorted(view.pools, key=lambda p: -p.windows["h24"].volume_usd)
        return self._page(call, ranked)

    def _page(self, call: Call, pools: Sequence[PoolView | None]) -> Answer:
        """A page of pools; None stands for SOL / USDC."""
        page = call.query.get("page", "1")
        if not page.isdecimal() or int(page) < 1 or len(page) > 9:
            raise refused(400, "Invalid page")
        if int(page) > _LAST_PAGE:
            raise refused(401, f"Unlock more than {_LAST_PAGE} pages with a paid plan")
        start = (int(page) - 1) * _PAGE
        return self._rendered(call, pools[start : start + _PAGE])

    def _pools(self, call: Call) -> Answer:
        addresses = call.path["addresses"].split(",")
        if len(addresses) > _MULTI:
            raise refused(400, f"More than {_MULTI} addresses")
        return self._rendered(
            call, [self._state.view.pools[a] for a in addresses if a in self._state.view.pools]
        )

    def _pool(self, call: Call) -> Answer:
        address = call.path["address"]
        if address == SOL_USDC_POOL:
            return json_answer({"data": sol_usdc_pool(self._state.market)}, items=1)
        if address not in self._state.view.pools:
            raise refused(404, "Not Found")
        view = self._state.view.pools[address]
        return json_answer({"data": _pool(view), **self._included(call, [view])}, items=1)

    def _rendered(self, call: Call, pools: Sequence[PoolView | None]) -> Answer:
        items = [sol_usdc_pool(self._state.market) if view is None else _pool(view) for view in pools]
        body = {"data": items, **self._included(call, [view for view in pools if view is not None])}
        return json_answer(body, items=len(pools))

    def _included(self, call: Call, pools: Sequence[PoolView]) -> dict[str, Any]:
        wanted = [name for name in call.query.get("include", "").split(",") if name]
        if not wanted:
            return {}
        if set(wanted) - set(_INCLUDES):
            raise refused(400, "Invalid include")
        included: dict[str, dict[str, Any]] = {}
        for view in pools:
            base, quote = _sides(view)
            for name, coin in (("base_token", base), ("quote_token", quote)):
                if name in wanted:
                    item = _included_token(coin)
                    included[item["id"]] = item
            if "dex" in wanted:
                dex = _DEXES[view.pool.dex]
                included[dex] = {"id": dex, "type": "dex", "attributes": {"name": dex}}
        return {"included": list(included.values())}

    def _token(self, call: Call) -> Answer:
        return json_answer({"data": self._token_item(self._known_token(call.path["address"]))}, items=1)

    def _tokens(self, call: Call) -> Answer:
        addresses = call.path["addresses"].split(",")
        if len(addresses) > _MULTI:
            raise refused(400, f"More than {_MULTI} addresses")
        found = [
            self._token_item(self._state.view.tokens[a]) for a in addresses if a in self._state.view.tokens
        ]
        return json_answer({"data": found}, items=len(found))

    def _known_token(self, mint: str) -> TokenView:
        if mint not in self._state.view.tokens:
            raise refused(404, "Not Found")
        return self._state.view.tokens[mint]

    def _token_item(self, view: TokenView) -> dict[str, Any]:
        token, main = view.token, view.main
        pools = sorted(view.pools, key=lambda p: -p.windows["h24"].volume_usd)
        return {
            "id": f"solana_{token.mint}",
            "type": "token",
            "attributes": {
                "address": token.mint,
                "name": token.name,
                "symbol": token.symbol,
                "decimals": token.decimals,
                "image_url": "missing.png",
                "coingecko_coin_id": None,
                "total_supply": f"{token.supply_raw}.0",
                "normalized_total_supply": _text(coins(token.supply_raw, token.decimals)),
                "price_usd": _text(main.token_usd if main else None),
                "fdv_usd": _text(main.fdv_usd() if main else None),
                "total_reserve_in_usd": _text(view.liquidity_usd),
                "volume_usd": {"h24": _text(view.volume_24h)},
                "market_cap_usd": None,
                "launchpad_details": _launchpad(view),
            },
            "relationships": {
                "top_pools": {"data": [{"id": f"solana_{p.pool.address}", "type": "pool"} for p in pools[:3]]}
            },
        }


def _choice(call: Call, name: str, choices: Sequence[str], default: str) -> str:
    value = call.query.get(name, default)
    if value not in choices:
        raise refused(400, f"Invalid {name}")
    return value


def _count(view: PoolView, window: str) -> int:
    return view.windows[window].buys + view.windows[window].sells


def _sides(view: PoolView) -> tuple[Coin, Coin]:
    return (view.quote, view.coin) if view.flipped else (view.coin, view.quote)


def _pool(view: PoolView) -> dict[str, Any]:
    """A pool as it is: where its base is the quote coin, prices and changes are that coin's."""
    pool, (base, quote) = view.pool, _sides(view)
    native = view.token_native
    inverse = 1 / native if native else None
    own, other = (inverse, native) if view.flipped else (native, inverse)
    sol = view.sol_usd
    fdv = None if view.flipped else view.fdv_usd()
    return {
        "id": f"solana_{pool.address}",
        "type": "pool",
        "attributes": {
            "base_token_price_usd": _text(base.usd),
            "base_token_price_native_currency": _text(None if base.usd is None else base.usd / sol),
            "quote_token_price_usd": _text(quote.usd),
            "quote_token_price_native_currency": _text(None if quote.usd is None else quote.usd / sol),
            "base_token_price_quote_token": _text(own),
            "quote_token_price_base_token": _text(other),
            "address": pool.address,
            "name": f"{base.symbol} / {quote.symbol}",
            "pool_created_at": datetime.fromtimestamp(pool.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "fdv_usd": _text(fdv),
            "market_cap_usd": None,
            "price_change_percentage": {name: _change(view, name) for name in WINDOWS},
            "transactions": {name: _counts(view.windows[name], flipped=view.flipped) for name in WINDOWS},
            "volume_usd": {name: _text(view.windows[name].volume_usd) for name in WINDOWS},
            "reserve_in_usd": _text(pool.liquidity_usd),
        },
        "relationships": {
            "base_token": {"data": {"id": f"solana_{base.address}", "type": "token"}},
            "quote_token": {"data": {"id": f"solana_{quote.address}", "type": "token"}},
            "dex": {"data": {"id": _DEXES[pool.dex], "type": "dex"}},
        },
    }


def _change(view: PoolView, window: str) -> str:
    change = view.windows[window].change_pct
    if change is None:
        return "0"
    return f"{view.quote_change_pct(window) if view.flipped else change:.3f}"


def _counts(stats: WindowStats, *, flipped: bool) -> dict[str, int]:
    if flipped:
        return {"buys": stats.sells, "sells": stats.buys, "buyers": stats.sellers, "sellers": stats.buyers}
    return {"buys": stats.buys, "sells": stats.sells, "buyers": stats.buyers, "sellers": stats.sellers}


def _included_token(coin: Coin) -> dict[str, Any]:
    attributes = {
        "address": coin.address,
        "name": coin.name,
        "symbol": coin.symbol,
        "decimals": coin.decimals,
        "image_url": "missing.png",
        "coingecko_coin_id": None,
    }
    return {"id": f"solana_{coin.address}", "type": "token", "attributes": attributes}


def _launchpad(view: TokenView) -> dict[str, Any] | None:
    curve = next((p.pool for p in view.pools if p.pool.dex == "pumpfun"), None)
    if curve is None:
        return None
    pool = next(
        (p.pool for p in view.pools if p.pool.created_at >= curve.created_at and p.pool is not curve), None
    )
    return {
        "graduation_percentage": 100.0 if pool else 0.0,
        "completed": pool is not None,
        "completed_at": None if pool is None else datetime.fromtimestamp(pool.created_at, UTC).isoformat(),
        "migrated_destination_pool_address": None if pool is None else pool.address,
    }


def _text(number: float | None) -> str | None:
    """A number as GeckoTerminal writes it: in full, as text."""
    return None if number is None else format(Decimal(repr(float(number))), "f")
