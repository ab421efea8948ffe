"""Where tokens trade: what a curve and a pool have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from walltrack.sandbox.addresses import WSOL
from walltrack.sandbox.types import SandboxPool, SandboxToken, SandboxTrade
from walltrack.sandbox.world import Story, Wallet, World

EARLY_SECONDS: Final = 1800
"""The default early window, from the first public trade."""

_CLEAR_SECONDS: Final = 12


@dataclass(slots=True, eq=False)
class Coin:
    """A token while it is simulated. `venue` is where it trades now; `holders` are those of the crowd that may sell;
    `targets` (a heap) what happens when a price is reached; `early` the wallets that bought early; `on_launch` what
    happens once somebody has traded.
    """

    token: SandboxToken
    kinds: tuple[str, ...]
    creator: Wallet
    venues: list[Venue] = field(default_factory=list)
    holders: list[Wallet] = field(default_factory=list)
    targets: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    launched: float = 0.0
    traded: bool = False
    launch_price: float = 0.0
    washed: bool = False
    early: dict[str, Wallet] = field(default_factory=dict)
    on_launch: list[Callable[[], object]] = field(default_factory=list)

    def is_early(self, time: int) -> bool:
        """Whether this time lies within the default early window."""
        return time - self.launched <= EARLY_SECONDS

    def at_the_windows_end(self, time: int) -> bool:
        """Whether this time is so near to the early window's end that nobody should come for the first time."""
        return abs(time - self.launched - EARLY_SECONDS) <= _CLEAR_SECONDS

    @property
    def mint(self) -> str:
        return self.token.mint

    @property
    def venue(self) -> Venue:
        return self.venues[-1]


class Venue(ABC):
    """A curve or pool of one token. Prices are raw quote units for a raw token unit.

    `native` venues take lamports from the trader's own account; others a token account of the quote mint.
    """

    native = False

    def __init__(self, world: World, coin: Coin, pool: SandboxPool, quote: str) -> None:
        self.world = world
        self.coin = coin
        self.pool = pool
        self.quote = quote
        world.venue_of[pool.address] = self

    @abstractmethod
    def reserves(self) -> tuple[int, int]:
        """Token and quote reserves that make the price."""

    @abstractmethod
    def buy(self, story: Story, user: str, accounts: tuple[str, str], spend: int) -> tuple[int, int]:
        """Spend so many quote units at most, everything included. `accounts` are the user's quote and token account.
        Returns the tokens that arrive and the quote units spent.
        """

    @abstractmethod
    def sell(self, story: Story, user: str, accounts: tuple[str, str], token_raw: int) -> int:
        """Sell so many tokens. Returns the quote units that arrive."""

    def price(self) -> float:
        token, quote = self.reserves()
        return quote / token if token else 0.0

    def quote_usd(self) -> float:
        """USD for one raw quote unit."""
        return self.world.sol_usd() / 1e9 if self.quote == WSOL else 1e-6

    def record(
        self, story: Story, kind: Literal["buy", "sell"], wallet: str, amounts: tuple[int, int]
    ) -> None:
        """Note a trade for the market's statistics. `amounts`: tokens and quote units."""
        wallet = story.trader or wallet
        token_raw, quote_raw = amounts
        usd = quote_raw * self.quote_usd()
        price = usd / token_raw * 10**self.coin.token.decimals if token_raw else 0.0
        story.pool_trades.append(
            (self.pool, SandboxTrade(self.world.time, kind, wallet, token_raw, quote_raw, price, usd))
        )
