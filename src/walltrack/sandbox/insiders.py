"""Wallets that no one should follow, and that qualify all the same: late bundles, small rings, services that buy at
every launch, snipers right after it, and those that are out again within a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from walltrack.sandbox import oddities
from walltrack.sandbox.addresses import USDC, WSOL
from walltrack.sandbox.crowd import Crowd, furnish_usdc
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.plans import HOUR
from walltrack.sandbox.traders import Traders
from walltrack.sandbox.trading import PLAIN, buy, sell
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Wallet, World

_SERVICES: Final = 4
_SLOTS: Final = (0, 0, 1, 1, 2, 3)
_HAND_OVERS: Final = 16


class Insiders:
    """Puts such wallets into the lives of tokens, before these begin."""

    def __init__(self, world: World, crowd: Crowd, traders: Traders) -> None:
        self.world = world
        self.crowd = crowd
        self.traders = traders
        rng = world.rng
        self._bundles = 0
        self._snipers: list[Wallet] = []
        self._services: list[tuple[Wallet, float]] = []
        for _ in range(_SERVICES):
            wallet = world.new_wallet("infrastructure", sol=300)
            world.staged.mark("infrastructure", wallet.address)
            self._services.append((wallet, rng.uniform(0.35, 0.6)))

    def services(self, coin: Coin) -> None:
        """Services that snipe for many: each is there at a share of all launches, for little, and soon gone."""
        for wallet, share in self._services:
            if self.world.rng.random() < share:
                coin.on_launch.append(partial(self._at_launch, coin, wallet, (0.05, 0.25), 0.0))

    def snipers(self, coin: Coin, wallets: int) -> None:
        """Wallets that buy in one of the three slots after the launch, a few of them twice. Some are soon
        gone, others wait for the pump.
        """
        rng = self.world.rng
        for _ in range(wallets):
            if self._snipers and rng.random() < 0.2:
                wallet = self._snipers.pop(rng.randrange(len(self._snipers)))
            else:
                wallet = self.world.new_wallet("slot_sniper", sol=30)
                self._snipers.append(wallet)
            aim = rng.choice((0.0, rng.uniform(2, 6)))
            coin.on_launch.append(partial(self._at_launch, coin, wallet, (0.2, 0.8), aim))

    def _at_launch(self, coin: Coin, wallet: Wallet, sol: tuple[float, float], aim: float) -> None:
        world, rng = self.world, self.world.rng
        is_service = wallet.kind == "infrastructure"

        def arrive() -> None:
            if coin.venue.quote == USDC and (is_service or not furnish_usdc(world, wallet, 500_000_000)):
                return
            if (
                buy(world, coin, wallet, int(rng.uniform(*sol) * oddities.quote_unit(world, coin)), PLAIN)
                is None
            ):
                return
            if aim:
                self.traders.hold(coin, wallet, aim)
            else:
                most = 3 * HOUR if is_service else HOUR
                world.later(rng.uniform(90, most), partial(self.traders.leave, coin, wallet, 1.0))

        world.at_slot(world.slot + rng.choice(_SLOTS if is_service else _SLOTS[2:]), arrive)

    def late_bundle(self, coin: Coin) -> None:
        """One hand's wallets buy together some seconds after the launch, and leave the token each on its own. By turns
        they buy in one transaction, and in adjacent ones.
        """
        world, rng = self.world, self.world.rng
        wallets = [world.new_wallet("late_bundler", sol=40) for _ in range(rng.choice((2, 3, 3)))]
        one_transaction = self._bundles % 2 == 0
        self._bundles += 1

        def arrive() -> None:
            if coin.venue.quote != WSOL:
                return
            oddities.bundle(world, coin, wallets, together=len(wallets) if one_transaction else 0)
            for wallet in wallets:
                self.traders.hold(coin, wallet, rng.uniform(1.8, 5))

        world.at(coin.launched + rng.uniform(5, 120), arrive)

    def ring(self, coin: Coin) -> None:
        """Four wallets hand two bags round, sale against purchase, while the token is young; who holds them in the
        end waits for the pump.
        """
        world, rng = self.world, self.world.rng
        wallets = [world.new_wallet("ring", sol=60) for _ in range(4)]
        world.staged.ring(coin.mint, [wallet.address for wallet in wallets])
        moments = sorted(rng.uniform(120, 1500) for _ in range(_HAND_OVERS))
        for wallet in wallets[:2]:
            spend = int(rng.uniform(0.3, 0.5) * SOL)
            world.at(
                coin.launched + rng.uniform(20, 100),
                partial(buy, world, coin, wallet, spend, PLAIN, note="wash"),
            )
        for turn, moment in enumerate(moments):
            bag = turn % 2
            giver, taker = wallets[bag::2] if turn // 2 % 2 == 0 else wallets[bag::2][::-1]
            world.at(coin.launched + moment, partial(self._hand_over, coin, giver, taker))
        world.at(coin.launched + 1600, partial(self._wait_for_the_pump, coin, wallets))

    def _hand_over(self, coin: Coin, giver: Wallet, taker: Wallet) -> None:
        """A sale of all, and seconds later a purchase of about as much."""
        world = self.world
        held = world.ledger.held(giver.address, coin.mint)
        if not held or sell(world, coin, giver, held, PLAIN, note="wash") is None:
            return
        token, quote = coin.venue.reserves()
        spend = int(held * quote / max(token - held, 1) * 1.013)
        wait = world.rng.choice((0.0, world.rng.uniform(1, 8)))

        def take() -> None:
            if world.fund(taker, spend):
                buy(world, coin, taker, spend, PLAIN, note="wash", adjacent=not wait)

        if wait:
            world.later(wait, take)
        else:
            take()

    def _wait_for_the_pump(self, coin: Coin, wallets: Sequence[Wallet]) -> None:
        for wallet in wallets:
            if self.world.ledger.held(wallet.address, coin.mint):
                self.traders.hold(coin, wallet, self.world.rng.uniform(1.8, 3.5))

    def fast(self, coin: Coin, *, pushed: bool) -> None:
        """Somebody buys early and is out within 50 seconds. A large purchase in between may make it worth its while."""
        world, rng = self.world, self.world.rng
        wallet = world.new_wallet("fast_trader", sol=30)

        def arrive() -> None:
            if coin.venue.quote != WSOL or (isinstance(coin.venue, Curve) and coin.venue.complete):
                return
            if buy(world, coin, wallet, int(rng.uniform(0.3, 1.2) * SOL), PLAIN) is None:
                return
            stays = rng.uniform(15, 46)
            if pushed:
                world.later(stays - rng.uniform(4, 10), partial(self._push, coin))
            world.later(stays, partial(self._out, coin, wallet))

        world.at(coin.launched + rng.uniform(40, 1500), arrive)

    def _push(self, coin: Coin) -> None:
        whale = self.world.new_wallet("random", sol=300)
        self.crowd.joins(coin, whale, int(coin.venue.reserves()[1] * 0.36), PLAIN)

    def _out(self, coin: Coin, wallet: Wallet) -> None:
        held = self.world.ledger.held(wallet.address, coin.mint)
        if held and sell(self.world, coin, wallet, held, PLAIN) is None:
            self.world.later(2, partial(self._out, coin, wallet))
