"""GeckoTerminal's candles and trades of one pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from walltrack.sandbox.server.exchange import Answer, Call, json_answer
from walltrack.sandbox.server.gecko_limits import refused
from walltrack.sandbox.server.gecko_sol import SOL_USDC_POOL, sol_candle
from walltrack.sandbox.server.pool_stats import PoolView, chance, coins
from walltrack.sandbox.server.state import ServerState
from walltrack.sandbox.types import SandboxTrade, SandboxTransaction

_AGGREGATES: Final = {"minute": (60, (1, 5, 15)), "hour": (3600, (1, 4, 12)), "day": (86400, (1,))}
_LIMIT: Final = 100
_MOST: Final = 1000
_FREE_HISTORY: Final = 180 * 86400
_TRADES: Final = 300
_DAY: Final = 86400


class PoolHistory:
    """Handlers of a pool's history."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def candles(self, call: Call) -> Answer:
        """Rows [unix s, open, high, low, close, volume USD], newest first; without trades no row.

        The newest row of some pools is doubled, as it is at times at GeckoTerminal.
        """
        if call.path["timeframe"] not in _AGGREGATES:
            raise refused(400, "Invalid timeframe")
        unit, allowed = _AGGREGATES[call.path["timeframe"]]
        aggregate = _whole(call, "aggregate", 1)
        limit = _whole(call, "limit", _LIMIT)
        before = _whole(call, "before_timestamp", self._state.market.now + 1)
        if aggregate not in allowed:
            raise refused(400, "Invalid aggregate")
        if not 1 <= limit <= _MOST:
            raise refused(400, "Invalid limit")
        if call.query.get("currency", "usd") not in {"usd", "token"}:
            raise refused(400, "Invalid currency")
        if before < self._state.market.now - _FREE_HISTORY:
            raise refused(401, "Unlock history of more than 180 days with a paid plan")
        step = unit * aggregate
        address = call.path["address"]
        if address == SOL_USDC_POOL:
            rows = self._sol_candles(step, min(before, self._state.market.now + 1), limit)
        else:
            rows = self._pool_candles(self._known(address), step, before, call)[:limit]
        if rows and chance(address, 2):
            rows = [rows[0], *rows][:limit]
        data = {
            "id": f"solana_{address}",
            "type": "ohlcv_request_response",
            "attributes": {"ohlcv_list": rows},
        }
        return json_answer({"data": data}, items=len(rows))

    def _sol_candles(self, step: int, before: int, limit: int) -> list[list[float]]:
        newest = (before - 1) // step * step
        oldest = self._state.market.now - _FREE_HISTORY
        starts = range(newest, max(oldest, newest - step * limit), -step)
        return [sol_candle(self._state.market, start) for start in starts]

    def _pool_candles(self, view: PoolView, step: int, before: int, call: Call) -> list[list[float]]:
        token = call.query.get("token", "base")
        if token not in {"base", "quote", view.pool.base_mint, view.pool.quote_mint}:
            raise refused(400, "Invalid token")
        side = {"base": view.pool.base_mint, "quote": view.pool.quote_mint}.get(token, token)
        of_token = side == view.token.mint
        native = call.query.get("currency", "usd") == "token"
        rows: dict[int, list[float]] = {}
        for trade in view.pool.trades:
            if trade.block_time < before:
                price = self._price(view, trade, of_token=of_token, native=native)
                start = trade.block_time // step * step
                row = rows.setdefault(start, [start, price, price, price, price, 0.0])
                row[2:] = [max(row[2], price), min(row[3], price), price, row[5] + trade.volume_usd]
        return [rows[start] for start in sorted(rows, reverse=True)]

    def _price(self, view: PoolView, trade: SandboxTrade, *, of_token: bool, native: bool) -> float:
        quote = coins(trade.quote_raw, view.quote.decimals) or 1e-18
        amount = coins(trade.token_raw, view.token.decimals) or 1e-18
        if native:
            return quote / amount if of_token else amount / quote
        return trade.price_usd if of_token else trade.price_usd * amount / quote

    def trades(self, call: Call) -> Answer:
        """The newest 300 trades of the last 24 hours; there is no second page."""
        view = self._known(call.path["address"])
        at_least = call.query.get("trade_volume_in_usd_greater_than", "0")
        try:
            floor = float(at_least)
        except ValueError:
            raise refused(400, "Invalid trade_volume_in_usd_greater_than") from None
        since = self._state.market.now - _DAY
        newest = (t for t in reversed(view.pool.trades) if t.block_time >= since and t.volume_usd > floor)
        rows = list(islice(self._trade_items(view, newest), _TRADES))
        return json_answer({"data": rows}, items=len(rows))

    def _trade_items(self, view: PoolView, trades: Iterable[SandboxTrade]) -> Iterator[dict[str, Any]]:
        given: set[str] = set()
        for trade in trades:
            transaction = self._transaction(view, trade, given)
            if transaction is not None:
                given.add(transaction.signature)
                yield self._trade_item(view, trade, transaction)

    def _transaction(self, view: PoolView, trade: SandboxTrade, given: set[str]) -> SandboxTransaction | None:
        """The newest transaction of that second in which the wallet met the pool, rather one not given yet."""
        chain = self._state.chain
        low, high = chain.from_time(trade.block_time), chain.from_time(trade.block_time + 1)
        found = [
            transaction
            for transaction in reversed(chain.transactions[low:high])
            if transaction.err is None
            and view.pool.address in transaction.accounts
            and (trade.wallet in transaction.accounts or trade.wallet in transaction.token_owners)
        ]
        return next((t for t in found if t.signature not in given), found[0] if found else None)

    def _trade_item(
        self, view: PoolView, trade: SandboxTrade, transaction: SandboxTransaction
    ) -> dict[str, Any]:
        bought = trade.kind == "buy"
        token = (view.token.mint, coins(trade.token_raw, view.token.decimals), trade.price_usd)
        native = self._price(view, trade, of_token=True, native=True)
        quote_usd = self._price(view, trade, of_token=False, native=False)
        quote = (view.quote_mint, coins(trade.quote_raw, view.quote.decimals), quote_usd)
        paid, got = (quote, token) if bought else (token, quote)
        attributes = {
            "block_number": transaction.slot,
            "tx_hash": transaction.signature,
            "tx_from_address": transaction.accounts[0],
            "from_token_amount": _text(paid[1]),
            "to_token_amount": _text(got[1]),
            "price_from_in_currency_token": _text(1.0 if bought else native),
            "price_to_in_currency_token": _text(native if bought else 1.0),
            "price_from_in_usd": _text(paid[2]),
            "price_to_in_usd": _text(got[2]),
            "block_timestamp": datetime.fromtimestamp(trade.block_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "kind": "buy" if bought != view.flipped else "sell",
            "volume_in_usd": _text(trade.volume_usd),
            "from_token_address": paid[0],
            "to_token_address": got[0],
        }
        return {
            "id": f"solana_{transaction.slot}_{transaction.signature}_{transaction.index}_{trade.block_time}",
            "type": "trade",
            "attributes": attributes,
        }

    def _known(self, address: str) -> PoolView:
        view = self._state.view.pools.get(address)
        if view is None:
            raise refused(404, "Not Found")
        return view


def _whole(call: Call, name: str, default: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 12:
        raise refused(400, f"Invalid {name}")
    return int(text)


def _text(number: float) -> str:
    return format(Decimal(repr(float(number))), "f")
