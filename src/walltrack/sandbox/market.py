"""A Solana market from a seed: the same seed, moment and size give the same market, byte for byte."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Final

from walltrack.sandbox.calendar import EARLIEST_NOW
from walltrack.sandbox.casting import Casting
from walltrack.sandbox.crowd import Crowd
from walltrack.sandbox.launches import open_sol_usdc
from walltrack.sandbox.plans import DEFAULT_TOKENS, token_plans
from walltrack.sandbox.truth import settle_pools, tell_truth
from walltrack.sandbox.types import Market
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import World

TRANSACTIONS_PER_TOKEN: Final = 500
"""About how many transactions there are for a token, those of one old token among them."""

LEAST_TOKENS: Final = 8
LEAST_OLD_TOKENS: Final = 12
"""As many tokens of the past as there are tokens of the present, at least these."""

_MOST_TRANSACTIONS: Final = 2_000_000


def generate(seed: int, *, now: int, size: int | None = None) -> Market:
    """The market of a seed up to `now` (Unix seconds), with about `size` transactions.

    Left out, the size is that of the default market: some 70 tokens, and as many old
    ones that pumped or fell in the three months before. Raises ValueError where `now` lies before the
    first slot whose time is known, or the size is out of bounds.
    """
    if now < EARLIEST_NOW:
        raise ValueError(f"now is {now}, the earliest moment of a market is {EARLIEST_NOW}")
    if size is not None and not 1 <= size <= _MOST_TRANSACTIONS:
        raise ValueError(f"size is {size}, it must be 1 to {_MOST_TRANSACTIONS} transactions")
    tokens = DEFAULT_TOKENS if size is None else max(LEAST_TOKENS, round(size / TRANSACTIONS_PER_TOKEN))
    # Nothing of what is made here is garbage: the collector would look through all of it again and again.
    collects = gc.isenabled()
    gc.disable()
    try:
        world = World(seed, now)
        open_sol_usdc(world)
        coins = _play(world, tokens)
        settle_pools(world, coins)
        return Market(
            seed=seed,
            now=now,
            transactions=world.transactions,
            tokens=[coin.token for coin in coins if coin.token.pools],
            truth=tell_truth(world, coins),
            sol_price=world.prices.at,
        )
    finally:
        if collects:
            gc.enable()


def _play(world: World, tokens: int) -> Sequence[Coin]:
    crowd = Crowd(world, size=45 * tokens)
    world.on_trade = crowd.traded
    casting = Casting(world, crowd)
    coins = [casting.stage(plan) for plan in token_plans(world.rng, tokens)]
    old = casting.stage_old(max(LEAST_OLD_TOKENS, tokens))
    casting.fill(coins)
    world.run()
    return [*coins, *old]
