"""DexScreener's public API (docs.dexscreener.com; captures of July to October 2026)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from starlette.routing import Route

from walltrack.sandbox.addresses import RAYDIUM_CPMM
from walltrack.sandbox.server.exchange import Answer, Call, endpoint, json_answer, text_answer
from walltrack.sandbox.server.limits import TokenBucket
from walltrack.sandbox.server.pool_stats import Coin, PoolView, TokenView, WindowStats, chance
from walltrack.sandbox.server.state import ServerState

PROVIDER: Final = "dexscreener"

_ROWS: Final = 30
_ADDRESSES: Final = 30
_SITE: Final = "https://dexscreener.com"
_WINDOWS: Final = ("m5", "h1", "h6", "h24")
_OTHER_CHAINS: Final = (
    ("ethereum", "0x6982508145454ce325ddbe47a25d4ec3d2311933"),
    ("base", "0x532f27101965dd16442e59d40670faf5ebb142e4"),
    ("bsc", "0x0e09fabb73bd3ade0a17ecc321fd13a19e81ce82"),
)


class DexScreener:
    """Feeds: 60 requests a minute. Pairs: 300 a minute, a bucket of their own."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        factor, clock = state.settings.rate_factor, state.settings.clock
        self._feeds = TokenBucket(60 * factor, factor, clock)
        self._pairs = TokenBucket(300 * factor, 5 * factor, clock)

    def routes(self) -> list[Route]:
        feeds: dict[str, Callable[[Call], Answer]] = {
            "token-profiles/latest/v1": self._latest_profiles,
            "token-profiles/recent-updates/v1": self._updated_profiles,
            "token-boosts/latest/v1": self._latest_boosts,
            "token-boosts/top/v1": self._top_boosts,
        }
        pairs: dict[str, Callable[[Call], Answer]] = {
            "tokens/v1/{chain}/{addresses}": self._tokens,
            "token-pairs/v1/{chain}/{token}": self._token_pairs,
            "latest/dex/search": self._search,
            "latest/dex/pairs/{chain}/{addresses}": self._by_pair,
            "latest/dex/tokens/{addresses}": self._legacy_tokens,
        }
        return [self._route(path, handler, self._feeds) for path, handler in feeds.items()] + [
            self._route(path, handler, self._pairs) for path, handler in pairs.items()
        ]

    def _route(self, path: str, handler: Callable[[Call], Answer], bucket: TokenBucket) -> Route:
        method = path.split("{", maxsplit=1)[0].rstrip("/")

        def answer(call: Call) -> Answer:
            agent = call.headers.get("user-agent", "")
            if not agent or agent.lower().startswith("python-urllib"):
                result = Answer(status=403, body=b"<html>Forbidden</html>", media_type="text/html")
            elif wait := bucket.take():
                result = too_many(wait)
            else:
                result = handler(call)
            result.method = method
            result.address = call.path.get("addresses") or call.path.get("token")
            result.options = dict(call.query)
            return result

        return endpoint(self._state, PROVIDER, f"/dexscreener/{path}", answer, too_many)

    def _latest_profiles(self, call: Call) -> Answer:
        return _rows([_profile(t) for t in self._profiled(0)] + [_other_chain(n) for n in range(3)])

    def _updated_profiles(self, call: Call) -> Answer:
        return _rows([{**_profile(t), "updatedAt": self._state.market.now * 1000} for t in self._profiled(1)])

    def _profiled(self, side: int) -> list[TokenView]:
        """The two profile feeds barely overlap."""
        return [t for t in self._state.view.by_age if chance(t.token.mint, 2) == side][: _ROWS - 3]

    def _latest_boosts(self, call: Call) -> Answer:
        rows = [{**_boost(t), "amount": 10} for t in self._state.view.by_age[: _ROWS - 2]]
        return _rows(rows + [{**_other_chain(n), "amount": 10, "totalAmount": 10} for n in range(2)])

    def _top_boosts(self, call: Call) -> Answer:
        rows = [_boost(t) for t in self._state.view.by_volume[: _ROWS - 2]]
        return _rows(rows + [{**_other_chain(n), "totalAmount": 500} for n in range(2)])

    def _tokens(self, call: Call) -> Answer:
        """The asked token is the base. Cut at 30 rows: a token with many pools pushes the later ones out."""
        if call.path["chain"] != "solana":
            return _rows([])
        addresses = _split(call.path["addresses"])
        if len(addresses) > _ADDRESSES:
            return json_answer({"error": f"more than {_ADDRESSES} addresses"}, status=400, error="400")
        return _rows(
            [pair for address in addresses for pair in self._pairs_of(address, asked_is_base=True)][:_ROWS]
        )

    def _token_pairs(self, call: Call) -> Answer:
        found = self._pairs_of(call.path["token"]) if call.path["chain"] == "solana" else []
        return _rows(found)

    def _legacy_tokens(self, call: Call) -> Answer:
        found = [
            pair for a in _split(call.path["addresses"]) for pair in self._pairs_of(a, asked_is_base=True)
        ]
        return _wrapped(found[:_ROWS])

    def _by_pair(self, call: Call) -> Answer:
        known = self._state.view.pools if call.path["chain"] == "solana" else {}
        found = [_pair(known[a], asked_is_base=False) for a in _split(call.path["addresses"]) if a in known]
        return json_answer(
            {"schemaVersion": "1.0.0", "pairs": found or None, "pair": found[0] if found else None},
            items=len(found),
        )

    def _search(self, call: Call) -> Answer:
        wanted = call.query.get("q", "").strip()
        if not wanted:
            return _wrapped([])
        found = [
            _pair(pool, asked_is_base=False)
            for view in self._state.view.by_volume
            for pool in view.pools
            if wanted in {view.token.mint, pool.pool.address}
            or wanted.lower() in f"{view.token.name} {view.token.symbol}".lower()
        ]
        return _wrapped(found[:_ROWS])

    def _pairs_of(self, mint: str, *, asked_is_base: bool = False) -> list[dict[str, Any]]:
        view = self._state.view.tokens.get(mint)
        if view is None:
            return []
        pools = sorted(view.pools, key=lambda p: -(p.pool.liquidity_usd or 0.0))
        return [_pair(pool, asked_is_base=asked_is_base) for pool in pools]


def too_many(wait: float) -> Answer:
    """DexScreener's body is not known."""
    return text_answer("Too Many Requests", status=429, error="429")


def _rows(rows: Sequence[dict[str, Any]]) -> Answer:
    return json_answer(rows, items=len(rows))


def _wrapped(pairs: Sequence[dict[str, Any]]) -> Answer:
    return json_answer({"schemaVersion": "1.0.0", "pairs": pairs}, items=len(pairs))


def _split(addresses: str) -> list[str]:
    return list(dict.fromkeys(address for address in addresses.split(",") if address))


def _profile(view: TokenView) -> dict[str, Any]:
    mint = view.token.mint
    return {
        "url": f"{_SITE}/solana/{mint.lower()}",
        "chainId": "solana",
        "tokenAddress": mint,
        "icon": f"https://cdn.dexscreener.com/cms/images/{mint}",
        "header": None,
        "description": None if chance(mint + "description", 3) == 0 else f"{view.token.name} (demo data)",
        "links": None
        if chance(mint + "links", 3) == 0
        else [{"type": "twitter", "label": None, "url": None}],
    }


def _boost(view: TokenView) -> dict[str, Any]:
    return {**_profile(view), "totalAmount": 10 + 10 * chance(view.token.mint + "boost", 50)}


def _other_chain(number: int) -> dict[str, Any]:
    chain, address = _OTHER_CHAINS[number]
    return {
        "url": f"{_SITE}/{chain}/{address}",
        "chainId": chain,
        "tokenAddress": address,
        "icon": f"https://cdn.dexscreener.com/cms/images/{address}",
    }


def _pair(view: PoolView, *, asked_is_base: bool) -> dict[str, Any]:
    """A pair object. A pool whose base is the quote coin is shown from that side, unless the token was asked for.

    A washed pool's volume is reported higher here than at the other providers.
    """
    pool = view.pool
    flipped = view.flipped and not asked_is_base
    base, quote = (view.quote, view.coin) if flipped else (view.coin, view.quote)
    native = view.token_native
    if flipped and native:
        native = 1 / native
    windows = {name: view.windows[name] for name in _WINDOWS}
    changes = {
        name: _rounded(view.quote_change_pct(name) if flipped else stats.change_pct)
        for name, stats in windows.items()
        if stats.change_pct is not None
    }
    pair: dict[str, Any] = {
        "chainId": "solana",
        "dexId": pool.dex,
        "url": f"{_SITE}/solana/{pool.address.lower()}",
        "pairAddress": pool.address,
        "baseToken": _token(base),
        "quoteToken": _token(quote),
        "priceNative": _price(native) or "0",
        "priceUsd": _price(base.usd),
        "txns": {name: _counts(stats, flipped=flipped) for name, stats in windows.items()},
        "volume": {name: round(s.volume_usd * pool.reported_volume_factor, 2) for name, s in windows.items()},
        "priceChange": changes,
        **_liquidity(view, flipped=flipped),
    }
    if pool.program == RAYDIUM_CPMM:
        pair["labels"] = ["CPMM"]
    fdv = view.fdv_usd()
    if fdv is not None and not flipped:
        pair |= {"fdv": round(fdv), "marketCap": round(fdv)}
    pair["pairCreatedAt"] = pool.created_at * 1000
    if chance(pool.address + "info", 3) == 0:
        pair["info"] = {
            "imageUrl": f"https://cdn.dexscreener.com/{view.token.mint}",
            "websites": [],
            "socials": [],
        }
    return pair


def _liquidity(view: PoolView, *, flipped: bool) -> dict[str, Any]:
    """A curve has none: null, or no such key at all."""
    if view.pool.liquidity_usd is None:
        return {"liquidity": None} if chance(view.pool.address, 2) else {}
    token, quote = view.reserves()
    base, other = (quote, token) if flipped else (token, quote)
    usd = round(view.pool.liquidity_usd, 2)
    return {"liquidity": {"usd": usd, "base": _coins(base), "quote": _coins(other)}}


def _coins(amount: float) -> float:
    return round(amount) if amount >= 1_000_000 else round(amount, 4)


def _token(coin: Coin) -> dict[str, str]:
    return {"address": coin.address, "name": coin.name, "symbol": coin.symbol}


def _counts(stats: WindowStats, *, flipped: bool) -> dict[str, int]:
    buys, sells = (stats.sells, stats.buys) if flipped else (stats.buys, stats.sells)
    return {"buys": buys, "sells": sells}


def _rounded(percent: float | None) -> float:
    percent = percent or 0.0
    return round(percent) if abs(percent) >= 100 else round(percent, 2)


def _price(price: float | None) -> str | None:
    """Four digits, never an exponent."""
    return None if price is None else format(Decimal(f"{price:.3e}"), "f")
