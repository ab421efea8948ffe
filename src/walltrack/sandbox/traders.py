"""Wallets with a mind of their own: skilled ones and lucky ones, losers, and those near the bounds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from walltrack.sandbox.addresses import USDC, WSOL
from walltrack.sandbox.crowd import furnish_usdc
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.plans import HOUR
from walltrack.sandbox.trading import buy, buy_with_usdc, sell
from walltrack.sandbox.venues import EARLY_SECONDS, Coin
from walltrack.sandbox.world import SOL, Wallet, World


class Traders:
    """Plans the visits of such wallets to the tokens of a market."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._order = count()

    def skilled(self, coins: Sequence[Coin], wallets: int) -> None:
        """Wallets that pick tokens which will pump, as often as they are skilled, early, and sell in profit."""
        rng = self.world.rng
        pumped = [coin for coin in coins if "pumped" in coin.kinds]
        others = [coin for coin in coins if "pumped" not in coin.kinds and not coin.washed]
        for _ in range(wallets):
            skill = round(rng.uniform(0.6, 0.95), 3)
            wallet = self.world.new_wallet("skilled", sol=rng.uniform(60, 300), skill=skill)
            for coin in self._picks(pumped, others, skill, rng.randrange(4, 9)):
                self.visit(coin, wallet, rng.uniform(4, 600), aim=rng.uniform(2.0, 6.0))

    def lucky(self, coins: Sequence[Coin], wallets: int) -> None:
        """Wallets with one good trade, and some like anybody's."""
        rng = self.world.rng
        pumped = [coin for coin in coins if "pumped" in coin.kinds]
        for _ in range(wallets):
            skill = round(rng.uniform(0.1, 0.45), 3)
            wallet = self.world.new_wallet("lucky", sol=rng.uniform(20, 80), skill=skill)
            self.visit(rng.choice(pumped), wallet, rng.uniform(10, 1500), aim=rng.uniform(2.0, 8.0))
            for coin in rng.sample(coins, min(3, len(coins))):
                if "pumped" not in coin.kinds:
                    self.visit(
                        coin, wallet, rng.uniform(60, 2 * HOUR), aim=9.0, stay=rng.uniform(0.2, 6) * HOUR
                    )

    def near_the_bounds(self, coin: Coin) -> None:
        """Wallets that just qualify, and just do not: by profit, and by the time of their first buy; and one
        that buys in the second of the launch, but in the slot after it.
        """
        new = self.world.new_wallet
        for low, high in ((52.0, 58.0), (42.0, 48.0)):
            self.visit(coin, new("near_bound", sol=60), 240, between=(low, high))
        for delay in (0.4, EARLY_SECONDS - 45, EARLY_SECONDS + 45):
            self.visit(coin, new("near_bound", sol=60), delay, aim=2.2)

    def visit_in_usdc(self, coin: Coin) -> None:
        """Somebody buys a token that trades against SOL with USDC, and sells it for SOL."""
        world = self.world
        wallet = world.new_wallet("random", sol=30)
        wallet.keeps_wsol = False
        world.ledger.token_accounts.pop(world.ledger.account_of(wallet.address, WSOL), None)
        world.ledger.lamports.pop(world.ledger.account_of(wallet.address, WSOL), None)
        usdc = world.rng.randrange(50_000_000, 400_000_000)
        furnish_usdc(world, wallet, usdc)

        def arrive() -> None:
            if isinstance(coin.venue, Curve) or buy_with_usdc(world, coin, wallet, usdc) is None:
                return
            world.later(world.rng.uniform(600, 9000), partial(self.leave, coin, wallet, 1.0))

        world.at(coin.launched + world.rng.uniform(60, 1500), arrive)

    def _picks(self, pumped: Sequence[Coin], others: Sequence[Coin], skill: float, number: int) -> list[Coin]:
        rng = self.world.rng
        found: dict[str, Coin] = {}
        for _ in range(number):
            coin = rng.choice(pumped if rng.random() < skill or not others else others)
            found[coin.mint] = coin
        return list(found.values())

    def visit(
        self,
        coin: Coin,
        wallet: Wallet,
        delay: float,
        *,
        aim: float = 0.0,
        between: tuple[float, float] | None = None,
        stay: float = 0.0,
    ) -> None:
        """Buy `delay` seconds after launch; sell at `aim` times the price, at a profit `between`, or after `stay`."""
        world, rng = self.world, self.world.rng

        def arrive() -> None:
            if not coin.venues or (isinstance(coin.venue, Curve) and coin.venue.complete):
                return
            spend = int(rng.uniform(0.25, 1.6) * SOL)
            if coin.venue.quote == USDC:
                spend = int(spend * world.sol_usd() / 1000)
                if world.ledger.held(wallet.address, USDC) < spend and not furnish_usdc(world, wallet, spend):
                    return
            if buy(world, coin, wallet, spend) is None:
                return
            price = coin.venue.price()
            if between is not None:
                self._aim(coin, price * (1 + between[0] / 100), partial(self._take, coin, wallet, between))
            if stay:
                world.later(stay, partial(self.leave, coin, wallet, 1.0))
            else:
                self.hold(coin, wallet, aim if between is None else 0.0)

        world.at(coin.launched + delay, arrive)

    def hold(self, coin: Coin, wallet: Wallet, aim: float = 0.0) -> None:
        """Sell, in parts, from `aim` times the price on, and what is left within a day or so."""
        world, rng = self.world, self.world.rng
        if aim:
            parts = rng.choice((1, 1, 2, 3))
            for part in range(parts):
                level = coin.venue.price() * aim * (1 + 0.35 * part)
                self._aim(coin, level, partial(self.leave, coin, wallet, 1 / (parts - part)))
        world.later(rng.uniform(3, 30) * HOUR, partial(self.leave, coin, wallet, 1.0))

    def _aim(self, coin: Coin, price: float, what: Callable[[], object]) -> None:
        heapq.heappush(coin.targets, (price, next(self._order), what))

    def leave(self, coin: Coin, wallet: Wallet, share: float) -> None:
        """Sell a share of what is held; later, where it cannot be now."""
        world = self.world
        if not coin.venues:
            return
        held = world.ledger.held(wallet.address, coin.mint)
        raw = held if share >= 1 else int(held * share)
        if raw <= 0:
            return
        if sell(world, coin, wallet, raw) is None:
            world.later(world.rng.uniform(60, 600), partial(self.leave, coin, wallet, share))

    def _take(self, coin: Coin, wallet: Wallet, between: tuple[float, float]) -> None:
        """Sell all once the profit lies between two bounds; wait for the price where it does not."""
        held = self.world.ledger.held(wallet.address, coin.mint)
        if not held:
            return
        position = self.world.books.position(coin.mint, wallet.address)
        pct = position.pct_if_sold(held, self._expected(coin, held))
        low, high = between
        if low < pct < high:
            sell(self.world, coin, wallet, held)
        elif pct <= low:
            price = coin.venue.price() * (1 + min((low + 2 - pct) / 150, 0.2))
            self._aim(coin, price, partial(self._take, coin, wallet, between))
        else:
            self.world.later(self.world.rng.uniform(20, 150), partial(self._take, coin, wallet, between))

    def _expected(self, coin: Coin, token_raw: int) -> int:
        """About what a sale brings now, in lamports."""
        token, quote = coin.venue.reserves()
        net = token_raw * quote / (token + token_raw) * 0.9875
        return int(net if coin.venue.quote == WSOL else net / 1e6 / self.world.sol_usd() * 1e9)
