"""What wallets traded in the three months before: tokens that are no news any more, and who picked which of them.

Such a token trades in one deep pool. A winner's price is carried up by somebody with a long purse and stays there; a
dud's creator sells the greater part of its supply into the pool. So whoever bought before the turn and sells after it
has won on a winner, and lost on a dud.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from walltrack.sandbox.crowd import Crowd
from walltrack.sandbox.launches import create_mint, open_pool
from walltrack.sandbox.plans import DAY, HOUR
from walltrack.sandbox.traders import Traders
from walltrack.sandbox.trading import PLAIN, buy, sell
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Wallet, World

WINNERS: Final = 0.55
"""Share of the old tokens that pumped."""

OLDEST: Final = 89 * DAY
YOUNGEST: Final = 4.5 * DAY

_QUIET: Final = 30 * HOUR
_FEW: Final = 0.18
_MOST: Final = 45
_ABANDONED: Final = 0.25

SHARE_WITH_PAST: Final = {
    "skilled": 1.0,
    "lucky": 1.0,
    "order_owner": 0.3,
    "near_bound": 0.25,
    "funded": 0.3,
    "late_bundler": 0.3,
    "ring": 0.5,
    "fast_trader": 0.3,
    "slot_sniper": 0.3,
}
"""Of the wallets of a kind, how many have traded before."""

INSIDERS: Final = frozenset({"late_bundler", "ring", "fast_trader", "slot_sniper"})
"""Kinds whose wins are not of their picking: they win often, and have no skill."""


@dataclass(frozen=True, slots=True)
class OldToken:
    """A token of the past: launched, its price turned from `turn` on and stood from `settled` on, quiet after `end`."""

    coin: Coin
    wins: bool
    launched: float
    turn: float
    settled: float
    end: float


class Pasts:
    """Plans old tokens and who traded in them. `tokens` are all of them."""

    def __init__(self, world: World, crowd: Crowd, traders: Traders) -> None:
        self.world = world
        self.crowd = crowd
        self.traders = traders
        self.tokens: list[OldToken] = []

    # Tokens

    def token(self, coin: Coin, *, wins: bool, age: float) -> None:
        """Plan the life of an old token."""
        world, rng = self.world, self.world.rng
        launched = float(round(world.now - age))
        coin.launched = launched
        turn = launched + min(max(rng.lognormvariate(math.log(2 * HOUR), 0.9), 1200), 18 * HOUR)
        settled = turn + rng.uniform(0.5, 5) * HOUR
        end = min(settled + rng.uniform(1, 4) * DAY, world.now - _QUIET)
        old = OldToken(coin, wins, launched, turn, settled, end)
        self.tokens.append(old)
        liquidity = rng.uniform(150, 300)
        world.ledger.lamports[coin.creator.address] += int(liquidity * SOL)
        in_pool = 0.7 if wins else rng.uniform(0.35, 0.5)
        tokens = int(coin.token.supply_raw * in_pool)
        world.at(launched - 300, partial(create_mint, world, coin))
        world.at(launched - 90, partial(open_pool, world, coin, "cpmm", tokens, int(liquidity * SOL)))
        first = int(rng.uniform(0.1, 0.5) * SOL)
        world.at(launched, partial(buy, world, coin, world.new_wallet("random"), first, PLAIN))
        for moment in (rng.uniform(launched + 40, turn) for _ in range(4)):
            world.at(moment, partial(self._crowd_buys, old))
        steps = sorted(rng.uniform(turn, settled) for _ in range(6 if wins else 4))
        if wins:
            promoter = world.new_wallet("promoter", sol=liquidity * 3)
            peak = rng.uniform(3.5, 9)
            for step, moment in enumerate(steps, 1):
                target = peak ** (step / len(steps))
                world.at(moment, partial(self._push, coin, promoter, target))
        else:
            for step, moment in enumerate(steps):
                world.at(moment, partial(self._dump, coin, 1 / (len(steps) - step)))

    def _crowd_buys(self, old: OldToken) -> None:
        world, rng = self.world, self.world.rng
        wallet = self.crowd.stranger()
        if buy(world, old.coin, wallet, int(rng.uniform(0.05, 0.8) * SOL)) is not None and rng.random() < 0.7:
            world.at(rng.uniform(old.turn, old.end), partial(self.traders.leave, old.coin, wallet, 1.0))

    def _push(self, coin: Coin, promoter: Wallet, target: float) -> None:
        """Buy the price up to so many times that of the launch."""
        rise = coin.launch_price * target / coin.venue.price()
        spend = int(coin.venue.reserves()[1] * (math.sqrt(max(rise, 1)) - 1))
        if spend and self.world.fund(promoter, spend):
            buy(self.world, coin, promoter, spend, PLAIN)

    def _dump(self, coin: Coin, share: float) -> None:
        held = self.world.ledger.held(coin.creator.address, coin.mint)
        sell(self.world, coin, coin.creator, int(held * share), PLAIN)

    # Wallets

    def fill(self) -> None:
        """Give the market's wallets their past, as many of each kind as have one; add some that have nothing else."""
        world, rng = self.world, self.world.rng
        dormant = [
            world.new_wallet("dormant", sol=50, skill=_drawn(rng, 0.1, 0.95)) for _ in self.tokens[::7]
        ]
        for wallet in list(world.wallets.values()):
            share = SHARE_WITH_PAST.get(wallet.kind)
            if share is None or rng.random() >= share:
                continue
            if wallet.kind in INSIDERS:
                chance = rng.uniform(0.6, 0.95)
            else:
                chance = wallet.skill = wallet.skill or _drawn(rng, 0.1, 0.95)
            self._trade(wallet, chance, self.tokens)
        oldest = sorted(self.tokens, key=lambda old: old.launched)[: len(self.tokens) // 2]
        for wallet in dormant:
            self._trade(wallet, wallet.skill or 0.0, oldest)
        for _ in range(3):
            wallet = world.new_wallet("unlucky", sol=5)
            for old in rng.sample(self.tokens, 3):
                self._fails(old, wallet, rng.uniform(old.launched + 60, old.turn))

    def _trade(self, wallet: Wallet, chance: float, tokens: Sequence[OldToken]) -> None:
        """So many picks, each a winner with this chance. There is one position a token: where those of a sort are used
        up, the wallet picks no more.
        """
        rng = self.world.rng
        picks = rng.randrange(1, 5) if rng.random() < _FEW else 12 + int(rng.expovariate(1 / 7))
        left = rng.sample(tokens, len(tokens))
        sorts = {wins: [old for old in left if old.wins == wins] for wins in (True, False)}
        size = min(rng.lognormvariate(math.log(0.3), 0.5), 1.0)
        failing = rng.choice((0.0, 0.0, 0.0, 0.1, 0.3, 0.6))
        for _ in range(min(picks, _MOST)):
            sort = sorts[rng.random() < chance]
            if not sort:
                return
            old = sort.pop()
            moment = old.launched + 30 + (old.turn - old.launched - 90) * rng.random() ** 1.5
            if rng.random() < failing:
                self._fails(old, wallet, moment - rng.uniform(2, 20))
            spend = int(min(size * rng.lognormvariate(0, 0.6), 2.5) * SOL)
            self.world.at(moment, partial(self._visit, old, wallet, spend))

    def _visit(self, old: OldToken, wallet: Wallet, spend: int) -> None:
        world, rng = self.world, self.world.rng
        if not world.fund(wallet, spend) or buy(world, old.coin, wallet, spend) is None:
            return
        if not old.wins and rng.random() < _ABANDONED:
            return
        parts = rng.choice((1, 1, 1, 1, 2, 3))
        moments = sorted(rng.uniform(old.settled + 60, old.end) for _ in range(parts))
        for part, moment in enumerate(moments):
            world.at(moment, partial(self.traders.leave, old.coin, wallet, 1 / (parts - part)))

    def _fails(self, old: OldToken, wallet: Wallet, moment: float) -> None:
        def arrive() -> None:
            if old.coin.venues:
                buy(self.world, old.coin, wallet, SOL // 5, PLAIN, fails=True)

        self.world.at(moment, arrive)


def _drawn(rng: random.Random, least: float, most: float) -> float:
    return round(rng.uniform(least, most), 3)
