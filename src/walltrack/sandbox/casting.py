"""Who appears in which token's life: from a plan to everything that is to happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from walltrack.sandbox import oddities
from walltrack.sandbox.addresses import TOKEN, USDC, WSOL
from walltrack.sandbox.crowd import Crowd, furnish_usdc
from walltrack.sandbox.curve import SUPPLY, Curve
from walltrack.sandbox.insiders import Insiders
from walltrack.sandbox.launches import create_mint, launch_on_curve, open_pool, pull_liquidity, second_pool
from walltrack.sandbox.ledger import Mint
from walltrack.sandbox.orders import Orders
from walltrack.sandbox.pasts import OLDEST, WINNERS, YOUNGEST, Pasts
from walltrack.sandbox.plans import DAY, HOUR, TokenPlan
from walltrack.sandbox.strangers import Strangers
from walltrack.sandbox.traders import Traders
from walltrack.sandbox.trading import PLAIN, buy, swap_tokens
from walltrack.sandbox.types import SandboxToken
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Wallet, World

_FIRST: Final = (
    "Tidal",
    "Amber",
    "Quiet",
    "Giga",
    "Moss",
    "Velvet",
    "Iron",
    "Solar",
    "Paper",
    "Lucky",
    "Nimbus",
)
_SECOND: Final = (
    "Otter",
    "Falcon",
    "Kettle",
    "Comet",
    "Badger",
    "Lantern",
    "Pickle",
    "Walrus",
    "Fox",
    "Yak",
    "Mole",
)


class Casting:
    """Puts wallets into the lives of tokens."""

    def __init__(self, world: World, crowd: Crowd) -> None:
        self.world = world
        self.crowd = crowd
        self.traders = Traders(world)
        self.orders = Orders(world)
        self.insiders = Insiders(world, crowd, self.traders)
        self.strangers = Strangers(world, crowd, self.traders)
        self.pasts = Pasts(world, crowd, self.traders)
        self._names = 0
        for _ in range(40):
            crowd.members.append(world.new_wallet("random"))

    # A token's life

    def stage(self, plan: TokenPlan) -> Coin:
        """Plan a token's launch and all that its plan asks for."""
        world = self.world
        decimals = 6 if plan.venue == "curve" else world.rng.choice((6, 9))
        coin = self._new_coin(plan.kinds, decimals, plan.token_program, plan.fee_bps)
        creator = coin.creator
        world.ledger.lamports[creator.address] += int(plan.liquidity * SOL)
        coin.washed = bool(plan.wash)
        coin.launched = float(round(world.now - plan.age))
        if plan.usdc:
            furnish_usdc(world, creator, 2_000_000_000)
        if plan.venue == "curve":
            world.at(coin.launched, partial(self._launch_curve, coin, plan))
        else:
            world.at(coin.launched - max(plan.mint_age, 300), partial(create_mint, world, coin))
            world.at(coin.launched - 90, partial(self._open_pool, coin, plan))
            world.at(coin.launched, partial(self._launch_pool, coin, plan))
        self.crowd.follow(coin, plan, coin.launched)
        if plan.rug:
            world.at(coin.launched + plan.rug, partial(self._rug, coin))
        if plan.wash:
            self._wash(coin, plan)
        return coin

    def stage_old(self, number: int) -> list[Coin]:
        """Plan so many tokens of the past, their ages spread over it."""
        rng = self.world.rng
        span = (OLDEST - YOUNGEST) / number
        coins = []
        for at in range(number):
            wins = (at * WINNERS) % 1 + WINNERS >= 1
            coin = self._new_coin(("past", "winner" if wins else "dud"), rng.choice((6, 9)), TOKEN, 0)
            self.pasts.token(coin, wins=wins, age=YOUNGEST + span * (at + rng.random()))
            self.insiders.services(coin)
            coins.append(coin)
        return coins

    def _new_coin(self, kinds: tuple[str, ...], decimals: int, token_program: str, fee_bps: int) -> Coin:
        world, rng = self.world, self.world.rng
        creator = world.new_wallet("developer", sol=120)
        first, second = rng.choice(_FIRST), rng.choice(_SECOND)
        self._names += 1
        token = SandboxToken(
            mint=world.new_address(),
            name=f"{first} {second} {self._names}",
            symbol=f"{first[:3]}{second[:3]}".upper(),
            decimals=decimals,
            token_program=token_program,
            created_at=0,
            supply_raw=SUPPLY if decimals == 6 else 10**9 * 10**9,
        )
        world.ledger.mints[token.mint] = Mint(token.mint, token_program, decimals, fee_bps)
        world.share(token.mint)
        return Coin(token, kinds, creator)

    def _launch_curve(self, coin: Coin, plan: TokenPlan) -> None:
        world, rng = self.world, self.world.rng
        unit = world.sol_usd() * 1e6 if plan.usdc else SOL
        dev_buy = 0 if rng.random() < 0.12 else int(rng.uniform(0.3, 1.6) * unit)
        launch_on_curve(world, coin, USDC if plan.usdc else WSOL, dev_buy)
        bundle = [self._insider("bundler", plan) for _ in range(plan.bundle)]
        snipers = [self._insider("sniper", plan) for _ in range(plan.snipers)]
        if bundle:
            oddities.bundle(world, coin, bundle, together=2 if len(bundle) > 2 and not plan.usdc else 0)
        oddities.snipe(world, coin, snipers)
        for wallet in bundle:
            taker = world.new_wallet("bundle_receiver", sol=5)
            wait = rng.uniform(300, 2400)
            world.later(rng.uniform(30, 250), partial(oddities.hand_on, world, coin, wallet, taker, wait))
        for wallet in snipers:
            world.later(rng.uniform(20, 3000), partial(oddities.sell_all, world, coin, wallet))
        if dev_buy and not plan.rug:
            world.later(
                rng.uniform(900, 4 * HOUR), partial(oddities.sell_all, world, coin, coin.creator, 0.6)
            )

    def _open_pool(self, coin: Coin, plan: TokenPlan) -> None:
        tokens = coin.token.supply_raw * 7 // 10
        open_pool(self.world, coin, plan.venue, tokens, int(plan.liquidity * SOL))

    def _launch_pool(self, coin: Coin, plan: TokenPlan) -> None:
        """The first public trade, and snipers in its slot."""
        world, rng = self.world, self.world.rng
        buy(world, coin, world.new_wallet("random"), int(rng.uniform(0.1, 0.5) * SOL), PLAIN)
        snipers = [self._insider("sniper", plan) for _ in range(plan.snipers)]
        oddities.snipe(world, coin, snipers)
        for wallet in snipers:
            world.later(rng.uniform(20, 3000), partial(oddities.sell_all, world, coin, wallet))
        takers = [world.new_wallet("airdrop_receiver", sol=4) for _ in range(5)]
        amount = world.ledger.held(coin.creator.address, coin.mint) // 200
        drop = partial(oddities.airdrop, world, coin, coin.creator, takers, amount)
        world.later(rng.uniform(100, 1500), drop)

    def _insider(self, kind: str, plan: TokenPlan) -> Wallet:
        wallet = self.world.new_wallet(kind, sol=30)
        if plan.usdc:
            furnish_usdc(self.world, wallet, 500_000_000)
        return wallet

    def _rug(self, coin: Coin) -> None:
        """The creator takes the liquidity, or sells all it has."""
        if isinstance(coin.venue, Curve):
            oddities.sell_all(self.world, coin, coin.creator)
        else:
            pull_liquidity(self.world, coin, SOL // 5)

    def _wash(self, coin: Coin, plan: TokenPlan) -> None:
        world, rng = self.world, self.world.rng
        ring = [world.new_wallet("wash", sol=plan.wash_size * 12) for _ in range(6)]
        world.staged.ring(coin.mint, [wallet.address for wallet in ring])
        for _ in range(plan.wash):
            moment = rng.uniform(coin.launched + 1900, world.now - HOUR)
            world.at(moment, partial(oddities.wash, world, coin, ring, plan.wash_size))
        # The fees of so much volume have filled the pool: they are the ring's own, and it takes them.
        world.at(world.now - 300, partial(pull_liquidity, world, coin, int(plan.liquidity * SOL)))
        for wallet in ring:
            world.at(world.now - rng.uniform(600, 3000), partial(oddities.sell_all, world, coin, wallet))

    # Wallets across tokens

    def fill(self, coins: Sequence[Coin]) -> None:
        """Plan the visits of the wallets that go from token to token, and what else happens."""
        world, rng = self.world, self.world.rng
        self.traders.skilled(coins, wallets=len(coins))
        self.traders.lucky(coins, wallets=len(coins) * 6 // 5)
        for number, coin in enumerate(coins):
            pumped = "pumped" in coin.kinds
            self._odd(coin, 3 if pumped else 1)
            if pumped:
                self.traders.near_the_bounds(coin)
                self._orders(coin)
                self.traders.visit_in_usdc(coin)
            self._marked(coin, number)
            if "second_pool" in coin.kinds:
                self._when_early(coin, 6 * HOUR, self._second_pool)
        for _ in range(len(coins) // 3):
            one, other = rng.choice(coins), rng.choice(coins)
            if one is not other:
                self._when_early(one, rng.uniform(3, 20) * HOUR, partial(self._swap, other=other))
        for _ in range(6 * len(coins)):
            moment = rng.uniform(world.now - 8 * DAY, world.now)
            world.at(moment, self._plain)
        self.pasts.fill()

    def _marked(self, coin: Coin, number: int) -> None:
        """Those that flags are for, and those that only look like them. `number` is the token's among all."""
        insiders, strangers = self.insiders, self.strangers
        insiders.services(coin)
        if coin.washed:
            return
        pumped = "pumped" in coin.kinds
        insiders.snipers(coin, 2 if pumped else number % 2)
        if pumped or number % 3 == 0:
            insiders.fast(coin, pushed=pumped and number % 2 == 0)
            strangers.same_slot(coin, adjacent=number % 2 == 0)
        if not pumped:
            if number % 3 == 1 and "usdc" not in coin.kinds:
                insiders.late_bundle(coin)
            return
        strangers.deposit(coin)
        if "usdc" in coin.kinds:
            return
        insiders.late_bundle(coin)
        insiders.fast(coin, pushed=False)
        if number % 3 == 0 and not self.world.ledger.mints[coin.mint].fee_bps:
            insiders.ring(coin)
        strangers.same_slot(coin, adjacent=True)
        strangers.same_amount(coin)
        if number % 2 == 0:
            strangers.same_funder(coin)

    def _odd(self, coin: Coin, often: int) -> None:
        world, rng = self.world, self.world.rng
        for _ in range(often):
            mev = world.new_wallet("mev", sol=100)
            dust = rng.choice((0, 5))
            self._between(coin, 60, 5 * HOUR, partial(oddities.round_trip, world, coin, mev, dust=dust))
            self._when_early(coin, rng.uniform(300, 3000), self._shuffle)
            self._when_early(coin, rng.uniform(300, 6000), self._give_to_own)
        if often < 2:
            return
        for _ in range(2):
            attacker = world.new_wallet("mev", sol=200)
            self._between(coin, 1900, 4 * HOUR, partial(self._sandwich, coin, attacker))
        delegate = world.new_wallet("delegate", sol=20)
        self._when_early(coin, rng.uniform(2, 9) * HOUR, partial(self._delegate, delegate=delegate))
        self._between(coin, 60, HOUR, lambda: self._open_for_another(coin))

    def _orders(self, coin: Coin) -> None:
        """Sales by early buyers through orders, and purchases, some of them early."""
        rng, orders = self.world.rng, self.orders
        for share in (1.0, 0.5):
            self._visitor(coin, rng.uniform(60, 1500), partial(self._limit_sale, share=share))
        sales = partial(self._dca_sale, fills=rng.randrange(2, 5))
        self._visitor(coin, rng.uniform(60, 1500), sales)
        wait = rng.uniform(60, 500)
        self._alone(
            coin, rng.uniform(30, 900), lambda w: orders.limit_buy(coin, w, rng.randrange(SOL, 3 * SOL), wait)
        )
        late = rng.uniform(200, 600)
        self._alone(
            coin,
            rng.uniform(20, 300),
            lambda w: orders.dca(coin, w, rng.randrange(SOL, 4 * SOL), sells=False, fills=3, gap=late),
        )

    def _visitor(self, coin: Coin, delay: float, then: Callable[[Coin, Wallet], object]) -> None:
        """Somebody who buys early, and later does something with it."""
        world, rng = self.world, self.world.rng
        wallet = world.new_wallet("order_owner", sol=40)

        def arrive() -> None:
            if coin.venue.quote == USDC:
                return
            if buy(world, coin, wallet, int(rng.uniform(0.4, 1.5) * SOL)) is not None:
                world.later(rng.uniform(1800, 3 * HOUR), partial(then, coin, wallet))

        world.at(coin.launched + delay, arrive)

    def _alone(self, coin: Coin, delay: float, what: Callable[[Wallet], object]) -> None:
        """Somebody whose first purchase is an order, and who sells what it bought hours later."""
        world = self.world
        wallet = world.new_wallet("order_owner", sol=60)

        def arrive() -> None:
            if coin.venue.quote == WSOL:
                what(wallet)
                world.later(world.rng.uniform(2, 9) * HOUR, partial(oddities.sell_all, world, coin, wallet))

        world.at(coin.launched + delay, arrive)

    def _limit_sale(self, coin: Coin, wallet: Wallet, share: float) -> None:
        self.orders.limit_sell(coin, wallet, share, self.world.rng.uniform(600, 2 * HOUR))

    def _dca_sale(self, coin: Coin, wallet: Wallet, fills: int) -> None:
        if isinstance(coin.venue, Curve):
            self.world.later(HOUR, partial(self._dca_sale, coin, wallet, fills))
            return
        held = self.world.ledger.held(wallet.address, coin.mint)
        if held:
            self.orders.dca(coin, wallet, held, sells=True, fills=fills, gap=300)

    # Moments

    def _between(self, coin: Coin, least: float, most: float, what: Callable[[], object]) -> None:
        def happen() -> None:
            if coin.traded:
                what()

        self.world.at(coin.launched + self.world.rng.uniform(least, most), happen)

    def _when_early(self, coin: Coin, delay: float, what: Callable[[Coin, Wallet], object]) -> None:
        """Let something happen to one of the crowd's early buyers."""

        def happen() -> None:
            wallets = list(coin.early.values())
            if wallets:
                what(coin, self.world.rng.choice(wallets))

        self.world.at(coin.launched + delay, happen)

    def _shuffle(self, coin: Coin, wallet: Wallet) -> None:
        oddities.shuffle(self.world, coin, wallet)

    def _give_to_own(self, coin: Coin, wallet: Wallet) -> None:
        """To another wallet of the same person, which sells it."""
        other = self.world.new_wallet("own_wallet", sol=3)
        if coin.venue.quote == USDC:
            furnish_usdc(self.world, other, 1_000_000)
        wait = self.world.rng.uniform(300, 2 * HOUR)
        oddities.hand_on(self.world, coin, wallet, other, wait)

    def _delegate(self, coin: Coin, wallet: Wallet, delegate: Wallet) -> None:
        oddities.delegated_sale(self.world, coin, wallet, delegate)

    def _sandwich(self, coin: Coin, attacker: Wallet) -> None:
        if not (isinstance(coin.venue, Curve) and coin.venue.complete):
            oddities.sandwich(self.world, coin, attacker, self.crowd.stranger(), 2 * SOL)

    def _open_for_another(self, coin: Coin) -> None:
        oddities.open_for_another(self.world, coin, self.crowd.stranger(), self.crowd.stranger())

    def _second_pool(self, coin: Coin, wallet: Wallet) -> None:
        held = self.world.ledger.held(wallet.address, coin.mint)
        if held and self.world.fund(wallet, 3 * SOL):
            second_pool(self.world, coin, wallet, held, 2 * SOL)

    def _swap(self, coin: Coin, wallet: Wallet, other: Coin) -> None:
        held = self.world.ledger.held(wallet.address, coin.mint)
        for one in (coin, other):
            if not one.venues or isinstance(one.venue, Curve) or one.venue.quote != WSOL:
                return
        if held:
            swap_tokens(self.world, wallet, coin, other, held // 2)

    def _plain(self) -> None:
        giver, taker = self.crowd.stranger(), self.crowd.stranger()
        if giver is not taker:
            oddities.plain_transfer(self.world, giver, taker)
