"""What the endpoints share: the market, its indexes, the keys, the faults, the log."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from walltrack.sandbox.server.chain_index import ChainIndex
from walltrack.sandbox.server.connections import Connections
from walltrack.sandbox.server.exchange import LoggedRequest
from walltrack.sandbox.server.limits import TokenBucket
from walltrack.sandbox.server.options import Plan, Settled
from walltrack.sandbox.server.pool_stats import MarketView
from walltrack.sandbox.server.transaction_json import TransactionJson
from walltrack.sandbox.types import Market

_LOGGED: Final = 200_000


class Ledger:
    """Credits used, per key and method."""

    def __init__(self) -> None:
        self._used: dict[str, Counter[str]] = {}

    def book(self, key: str, method: str, credits: int) -> None:
        if credits:
            self._used.setdefault(key, Counter())[method] += credits

    def used(self, key: str) -> int:
        """Credits of this key, since the server began."""
        return sum(self._used.get(key, Counter()).values())

    def by_method(self, key: str) -> dict[str, int]:
        return dict(self._used.get(key, Counter()))


class KeyLimits:
    """The buckets of one key at Helius."""

    def __init__(self, plan: Plan, settings: Settled) -> None:
        factor = settings.rate_factor
        rpc, enhanced = plan.rpc_per_second * factor, plan.enhanced_per_second * factor
        self.rpc = TokenBucket(rpc, rpc, settings.clock)
        self.enhanced = TokenBucket(enhanced, enhanced, settings.clock)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A market and what is found in it."""

    market: Market
    chain: ChainIndex
    json: TransactionJson
    view: MarketView

    @classmethod
    def of(cls, market: Market) -> Self:
        return cls(market, ChainIndex(market), TransactionJson(market.transactions), MarketView(market))


class ServerState:
    """Everything a running server knows. Belongs to the thread of its event loop; `log` may be read by others.

    The market may become another one between two requests: nobody keeps a part of it.
    """

    def __init__(self, market: Market, settings: Settled) -> None:
        self.settings = settings
        self.faults = settings.faults
        self.ledger = Ledger()
        self.log: deque[LoggedRequest] = deque(maxlen=_LOGGED)
        self.connections = Connections()
        self.key_limits = {key: KeyLimits(plan, settings) for key, plan in settings.keys.items()}
        self._numbers: Counter[str] = Counter()
        self._shown = _Shown.of(market)

    def show(self, market: Market) -> None:
        """Let this be the market from now on. Raises ValueError if it is out of order. May be called in a thread."""
        self._shown = _Shown.of(market)

    @property
    def market(self) -> Market:
        return self._shown.market

    @property
    def chain(self) -> ChainIndex:
        return self._shown.chain

    @property
    def json(self) -> TransactionJson:
        return self._shown.json

    @property
    def view(self) -> MarketView:
        return self._shown.view

    @property
    def keys(self) -> Mapping[str, Plan]:
        return self.settings.keys

    def next_number(self, provider: str) -> int:
        self._numbers[provider] += 1
        return self._numbers[provider]
