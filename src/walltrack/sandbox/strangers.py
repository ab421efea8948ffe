"""Exchanges, and strangers whom chance makes look as if they were of one hand: they are not."""

from __future__ import annotations

from functools import partial
from typing import Final

from walltrack.sandbox import oddities
from walltrack.sandbox.addresses import WSOL
from walltrack.sandbox.crowd import Crowd
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.ledger import OverdrawnError
from walltrack.sandbox.plans import DAY, HOUR
from walltrack.sandbox.traders import Traders
from walltrack.sandbox.trading import PLAIN
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Story, Wallet, World

_NAMES: Final = ("Northgate", "Kestrel", "Palisade")


class Strangers:
    """Puts them into the lives of tokens. The exchanges fund wallets with SOL, and take and give tokens."""

    def __init__(self, world: World, crowd: Crowd, traders: Traders) -> None:
        self.world = world
        self.crowd = crowd
        self.traders = traders
        self.exchanges = [world.new_wallet("exchange", sol=60_000) for _ in _NAMES]
        for wallet, name in zip(self.exchanges, _NAMES, strict=True):
            world.exchanges[wallet.address] = name
            world.staged.mark("exchange", wallet.address)

    def same_slot(self, coin: Coin, *, adjacent: bool) -> None:
        """Two of the crowd buy in one slot, for different amounts."""
        world, rng = self.world, self.world.rng

        def arrive() -> None:
            one, other = self.crowd.stranger(), self.crowd.stranger()
            spend = int(rng.uniform(0.1, 0.5) * SOL)
            if self._trades_in_sol(coin) and one is not other and self.crowd.joins(coin, one, spend, PLAIN):
                more = int(spend * rng.uniform(1.4, 4))
                self.crowd.joins(coin, other, more, PLAIN, adjacent=adjacent)

        world.at(coin.launched + rng.uniform(60, 1500), arrive)

    def same_amount(self, coin: Coin) -> None:
        """Some of the crowd buy for the same round amount, in slots of their own."""
        spend = self.world.rng.choice((SOL // 4, SOL // 2, SOL))

        def arrive() -> None:
            if self._trades_in_sol(coin):
                self.crowd.joins(coin, self.crowd.stranger(), spend, PLAIN)

        for number in range(3):
            self.world.at(coin.launched + 70 + 450 * number + self.world.rng.uniform(0, 430), arrive)

    def same_funder(self, coin: Coin) -> None:
        """Wallets that had their SOL of one exchange within an hour trade, each for itself."""
        world, rng = self.world, self.world.rng
        exchange = rng.choice(self.exchanges)
        first = coin.launched - rng.uniform(2, 30) * HOUR
        for _ in range(4):
            wallet = world.new_wallet("funded", sol=4)
            amount = rng.choice((5, 10, 10, 20)) * SOL
            world.at(first + rng.uniform(0, HOUR), partial(self._fund, exchange, wallet, amount))
            self.traders.visit(coin, wallet, rng.uniform(20, 1600), aim=rng.uniform(1.5, 6))

    def deposit(self, coin: Coin) -> None:
        """An early buyer sends half of its tokens to an exchange; the exchange lets somebody else have some of them."""
        world, rng = self.world, self.world.rng
        exchange = rng.choice(self.exchanges)

        def arrive() -> None:
            if not coin.early:
                return
            giver = rng.choice(list(coin.early.values()))
            held = world.ledger.held(giver.address, coin.mint)
            if held and oddities.give(world, coin, giver, exchange, held // 2):
                world.later(rng.uniform(600, DAY / 4), pay_out)

        def pay_out() -> None:
            held = world.ledger.held(exchange.address, coin.mint)
            if held and rng.random() < 0.7:
                taker = rng.choice([self.crowd.stranger(), *coin.early.values()])
                oddities.give(world, coin, exchange, taker, held // 3)

        world.at(coin.launched + rng.uniform(300, 5 * HOUR), arrive)

    def _fund(self, exchange: Wallet, wallet: Wallet, lamports: int) -> None:
        story = Story(self.world, exchange.address)
        try:
            story.transfer(exchange.address, wallet.address, lamports)
        except OverdrawnError:
            story.take_back()
            return
        self.world.submit(story)

    def _trades_in_sol(self, coin: Coin) -> bool:
        if not coin.venues or coin.at_the_windows_end(self.world.time):
            return False
        return coin.venue.quote == WSOL and not (isinstance(coin.venue, Curve) and coin.venue.complete)
