"""The crowd: trades that carry a token's price along its plan, by wallets that come and go."""

from __future__ import annotations

import heapq
import math
from functools import partial

from walltrack.sandbox.addresses import PUMP_MIGRATOR, USDC, WSOL
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.launches import migrate
from walltrack.sandbox.plans import Segment, TokenPlan
from walltrack.sandbox.trading import How, buy, sell
from walltrack.sandbox.types import SandboxPool
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Wallet, World


class Crowd:
    """Who trades for the price's sake. `members` are all of them; few are new once the crowd is large."""

    def __init__(self, world: World, size: int) -> None:
        self.world = world
        self.size = size
        self.members: list[Wallet] = []

    def follow(self, coin: Coin, plan: TokenPlan, launched: float) -> None:
        """Plan all trades of a token's segments."""
        rng, world, start, level = self.world.rng, self.world, launched, 1.0
        for segment in plan.segments:
            end = launched + segment.until
            for moment in sorted(rng.uniform(start, end) for _ in range(segment.trades)):
                share = (moment - start) / max(end - start, 1)
                target = math.exp(math.log(level) * (1 - share) + math.log(segment.multiple) * share)
                world.at(moment, partial(self._step, coin, target, segment))
            start, level = end, segment.multiple

    def traded(self, pool: SandboxPool) -> None:
        """After every trade: a curve may be complete, targets of a token's holders may be reached."""
        coin, world = self.world.venue_of[pool.address].coin, self.world
        if not coin.venues:
            return
        if not coin.traded:
            coin.traded, coin.launched = True, world.time
            for what in coin.on_launch:
                what()
        venue = coin.venue
        if isinstance(venue, Curve) and not venue.complete and venue.real()[0] <= 0:
            venue.complete = True
            world.later(world.rng.uniform(2, 40), partial(self._migrate, coin))
        price = venue.price()
        while coin.targets and coin.targets[0][0] <= price:
            _, _, what = heapq.heappop(coin.targets)
            world.later(world.rng.uniform(1, 25), what)

    def _migrate(self, coin: Coin) -> None:
        rng = self.world.rng
        by = PUMP_MIGRATOR if rng.random() < 0.8 else self.stranger().address
        migrate(self.world, coin, by)

    def stranger(self) -> Wallet:
        """Any member of the crowd."""
        return self.world.rng.choice(self.members)

    # One trade

    def _step(self, coin: Coin, target: float, segment: Segment) -> None:
        world, rng = self.world, self.world.rng
        if not coin.venues or (isinstance(coin.venue, Curve) and coin.venue.complete):
            return
        price = coin.venue.price()
        if price <= 0:
            return
        gap = math.log(coin.launch_price * target / price) + rng.gauss(0, segment.noise)
        depth = coin.venue.reserves()[1]
        in_sol = coin.venue.quote == WSOL
        unit = SOL if in_sol else world.sol_usd() * 1e6
        amount = segment.size * unit * min(rng.lognormvariate(-0.2, 0.65), 5)
        if abs(gap) > 0.4:
            amount = max(amount, 0.6 * depth * abs(math.expm1(gap / 2)))
        spend = int(min(amount, 0.6 * depth))
        if rng.random() < 0.05:
            self._fail(coin, spend)
        if gap > 0:
            self._buy(coin, spend)
        elif not self._sell(coin, spend / price):
            self._buy(coin, spend // 4)

    def _fail(self, coin: Coin, spend: int) -> None:
        wallet = self.stranger()
        if coin.venue.quote == WSOL and self.world.fund(wallet, spend):
            buy(self.world, coin, wallet, spend, fails=True)

    def _buy(self, coin: Coin, spend: int) -> None:
        world, rng = self.world, self.world.rng
        if coin.at_the_windows_end(world.time) and not coin.holders:
            return
        wallet = self._buyer(coin)
        if wallet.kind == "holder":
            # They never sell: a token that is traded much would be left without anybody who can.
            spend = min(spend, coin.venue.reserves()[1] // 80)
        if coin.venue.quote == WSOL:
            if not world.fund(wallet, spend):
                spend = int(world.ledger.lamports[wallet.address] * rng.uniform(0.2, 0.7))
        elif world.ledger.held(wallet.address, USDC) < spend and not furnish_usdc(world, wallet, spend):
            return
        self.joins(coin, wallet, spend)

    def joins(
        self, coin: Coin, wallet: Wallet, spend: int, how: How | None = None, *, adjacent: bool = False
    ) -> bool:
        """Have somebody buy for so many quote units who may sell for the price's sake later. False where it cannot."""
        if buy(self.world, coin, wallet, spend, how, adjacent=adjacent) is None:
            return False
        if coin.is_early(self.world.time):
            coin.early.setdefault(wallet.address, wallet)
        if wallet.kind != "holder" and wallet not in coin.holders:
            coin.holders.append(wallet)
        return True

    def _buyer(self, coin: Coin) -> Wallet:
        rng = self.world.rng
        again = coin.at_the_windows_end(self.world.time) or rng.random() < 0.15
        if again and coin.holders:
            return rng.choice(coin.holders)
        if self.members and (len(self.members) >= self.size or rng.random() < 0.5):
            return rng.choice(self.members)
        drawn = rng.random()
        if not coin.is_early(self.world.time) and drawn >= 0.55:
            kind = "late_buyer"
        else:
            kind = "holder" if drawn < 0.2 else "loser" if drawn < 0.45 else "random"
        wallet = self.world.new_wallet(kind)
        self.members.append(wallet)
        return wallet

    def _sell(self, coin: Coin, tokens: float) -> bool:
        """Have one of the holders sell; False where none has enough to matter."""
        world, rng = self.world, self.world.rng
        best, most = None, 0
        for _ in range(min(4, len(coin.holders))):
            wallet = rng.choice(coin.holders)
            held = world.ledger.held(wallet.address, coin.mint)
            if held > most:
                best, most = wallet, held
        if best is None:
            return False
        raw = most if tokens > 0.6 * most else int(tokens)
        sold = sell(world, coin, best, raw)
        if raw == most and sold is not None and best in coin.holders:
            coin.holders.remove(best)
        return True


def furnish_usdc(world: World, wallet: Wallet, usdc_raw: int) -> bool:
    """Give the wallet USDC from before the market began; False where its account is already known."""
    if world.ledger.account_of(wallet.address, USDC) in world.ledger.token_accounts:
        return False
    world.furnish_account(wallet.address, USDC, int(usdc_raw * world.rng.uniform(1.2, 6)) + 10**8)
    return True
