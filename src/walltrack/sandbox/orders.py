"""Limit and DCA orders: funds in escrow, filled by keepers (Jupiter's programs, docs/providers.md)."""

from __future__ import annotations

import struct
from functools import partial
from itertools import count
from typing import Final

from walltrack.sandbox.addresses import (
    DCA,
    JUPITER,
    LIMIT_ORDERS,
    SYSTEM,
    TOKEN,
    WSOL,
    derived,
    raw,
)
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.ledger import OverdrawnError
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Story, Wallet, World

_KEEPER_CUT_BPS: Final = 20
# The programs' documents give no ids of instructions; nothing reads these.
_INITIALIZE: Final = bytes.fromhex("856e4aaf709ff59f")
_PRE_FILL: Final = bytes.fromhex("f02f99440dbee12a")
_FILL: Final = bytes.fromhex("e8a5cd1a0b8a2f3c")
_OPEN_DCA: Final = bytes.fromhex("2441b93601d2644b")
_FLASH: Final = bytes.fromhex("8fcd03bfa2d7f531")
_FULFILL: Final = bytes.fromhex("7340e2ea03a30e4b")
_CLOSE_DCA: Final = bytes.fromhex("160721918d594d21")


class Orders:
    """Places orders and has keepers fill them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._numbers = count()
        self.keepers = [world.new_wallet("keeper", sol=400) for _ in range(3)]
        for keeper in self.keepers:
            keeper.keeps_wsol = True
            if world.ledger.account_of(keeper.address, WSOL) not in world.ledger.token_accounts:
                world.furnish_account(keeper.address, WSOL, SOL)

    # Limit orders

    def limit_sell(self, coin: Coin, maker: Wallet, share: float, wait: float) -> None:
        """Put a share of what the maker holds into an order; it is filled `wait` seconds later, in SOL."""
        world, user = self.world, maker.address
        held = world.ledger.held(user, coin.mint)
        amount = int(held * share)
        if amount <= 0:
            return
        story, order, escrow = self._new_order(user, coin.mint, coin)
        try:
            arrived = story.send(world.ledger.account_of(user, coin.mint), escrow, amount, user)
            story.withheld(coin.mint, user, amount - arrived)
        except OverdrawnError:
            story.take_back()
            return
        story.leave()
        if world.submit(story) is not None:
            world.later(wait, partial(self._fill_sell, coin, maker, order, escrow))

    def limit_buy(self, coin: Coin, maker: Wallet, lamports: int, wait: float) -> None:
        """Put WSOL into an order that buys; the tokens go to the maker's own account, opened here."""
        world, user = self.world, maker.address
        story, order, escrow = self._new_order(user, WSOL, coin)
        story.leave()
        try:
            own = world.ledger.account_of(user, WSOL)
            temporary = own not in world.ledger.token_accounts
            story.open_account(user, user, WSOL)
            story.wrap(user, own, lamports)
            story.send(own, escrow, lamports, user)
            if temporary:
                story.close(own, user, user)
            story.open_account(user, user, coin.mint)
        except OverdrawnError:
            story.take_back()
            return
        if world.submit(story) is not None:
            world.later(wait, partial(self._fill_buy, coin, maker, order, escrow))

    def _new_order(self, user: str, mint: str, coin: Coin) -> tuple[Story, str, str]:
        """A transaction that opens an order and its escrow for this mint, still inside the program's instruction."""
        world = self.world
        order = derived(LIMIT_ORDERS, b"order", raw(user), struct.pack("<Q", next(self._numbers)))
        escrow = world.ledger.account_of(order, mint)
        story = Story(world, user)
        own = world.ledger.account_of(user, mint)
        bought = WSOL if mint != WSOL else coin.mint
        named = (user, user, order, escrow, own, mint, bought, SYSTEM, TOKEN)
        story.enter(LIMIT_ORDERS, named, _INITIALIZE + bytes(32))
        story.create_account(user, order, 372, LIMIT_ORDERS)
        story.open_account(user, order, mint)
        return story, order, escrow

    def _fill_sell(self, coin: Coin, maker: Wallet, order: str, escrow: str) -> None:
        world, ledger = self.world, self.world.ledger
        if isinstance(coin.venue, Curve):
            world.later(900, partial(self._fill_sell, coin, maker, order, escrow))
            return
        keeper = world.rng.choice(self.keepers).address
        story = Story(world, keeper)
        story.trader = keeper
        try:
            tokens, _ = story.open_account(keeper, keeper, coin.mint)
            wsol = ledger.account_of(keeper, WSOL)
            amount = ledger.token_accounts[escrow].amount
            named = (keeper, maker.address, order, escrow, tokens, coin.mint, WSOL, TOKEN, SYSTEM)
            story.enter(LIMIT_ORDERS, named, _PRE_FILL + struct.pack("<Q", amount))
            arrived = story.send(escrow, tokens, amount, order)
            story.leave()
            story.enter(JUPITER, (TOKEN, keeper, tokens, wsol, JUPITER), _FLASH + bytes(8))
            received = coin.venue.sell(story, keeper, (wsol, tokens), arrived)
            story.leave()
            paid = received * (10_000 - _KEEPER_CUT_BPS) // 10_000
            story.enter(LIMIT_ORDERS, named, _FILL + struct.pack("<Q", amount))
            story.transfer(keeper, maker.address, paid)
            story.close(escrow, maker.address, order)
            story.move(order, maker.address, ledger.lamports[order])
            story.leave()
        except OverdrawnError:
            story.take_back()
            return
        story.sold(coin.mint, maker.address, amount, WSOL, paid, note="limit order")
        world.submit(story)

    def _fill_buy(self, coin: Coin, maker: Wallet, order: str, escrow: str) -> None:
        world, ledger = self.world, self.world.ledger
        if isinstance(coin.venue, Curve) or coin.at_the_windows_end(world.time):
            world.later(900, partial(self._fill_buy, coin, maker, order, escrow))
            return
        keeper = world.rng.choice(self.keepers).address
        story = Story(world, keeper)
        story.trader = keeper
        target = ledger.account_of(maker.address, coin.mint)
        try:
            tokens, _ = story.open_account(keeper, keeper, coin.mint)
            wsol = ledger.account_of(keeper, WSOL)
            spend = ledger.token_accounts[escrow].amount
            named = (keeper, maker.address, order, escrow, wsol, WSOL, coin.mint, target, TOKEN, SYSTEM)
            story.enter(LIMIT_ORDERS, named, _PRE_FILL + struct.pack("<Q", spend))
            story.send(escrow, wsol, spend, order)
            story.leave()
            story.enter(JUPITER, (TOKEN, keeper, wsol, tokens, JUPITER), _FLASH + bytes(8))
            through = spend * (10_000 - _KEEPER_CUT_BPS) // 10_000
            arrives, _ = coin.venue.buy(story, keeper, (wsol, tokens), through)
            story.leave()
            story.enter(LIMIT_ORDERS, named, _FILL + struct.pack("<Q", spend))
            arrives = story.send(tokens, target, arrives, keeper)
            story.close(escrow, maker.address, order)
            story.move(order, maker.address, ledger.lamports[order])
            story.leave()
        except OverdrawnError:
            story.take_back()
            return
        story.bought(coin.mint, maker.address, arrives, WSOL, spend, note="limit order")
        world.submit(story)

    # DCA

    def dca(self, coin: Coin, user: Wallet, amount: int, *, sells: bool, fills: int, gap: float) -> None:
        """Spread a purchase of so many lamports, or a sale of so many tokens, over fills; the proceeds stay in escrow
        until the user takes them out.
        """
        world, ledger, owner = self.world, self.world.ledger, user.address
        given, taken = (coin.mint, WSOL) if sells else (WSOL, coin.mint)
        escrow = derived(DCA, b"dca", raw(owner), struct.pack("<Q", next(self._numbers)))
        story = Story(world, owner)
        try:
            own = ledger.account_of(owner, given)
            temporary = given == WSOL and own not in ledger.token_accounts
            if given == WSOL:
                story.open_account(owner, owner, WSOL)
                story.wrap(owner, own, amount)
            inside = ledger.account_of(escrow, given)
            outside = ledger.account_of(escrow, taken)
            named = (escrow, owner, owner, given, taken, own, inside, outside, SYSTEM, TOKEN)
            story.enter(DCA, named, _OPEN_DCA + bytes(40))
            story.create_account(owner, escrow, 289, DCA)
            story.open_account(owner, escrow, given)
            story.open_account(owner, escrow, taken)
            arrived = story.send(own, inside, amount, owner)
            story.withheld(given, owner, amount - arrived)
            story.leave()
            if temporary:
                story.close(own, owner, owner)
        except OverdrawnError:
            story.take_back()
            return
        if world.submit(story) is None:
            return
        part = arrived // fills
        for turn in range(fills):
            this = part if turn < fills - 1 else arrived - part * (fills - 1)
            world.later(gap * (turn + 1), partial(self._fill_dca, coin, user, escrow, this, sells))
        world.later(gap * (fills + 1), partial(self._take_out, coin, user, escrow, sells))

    def _fill_dca(self, coin: Coin, user: Wallet, escrow: str, amount: int, sells: bool) -> None:
        world, ledger = self.world, self.world.ledger
        if isinstance(coin.venue, Curve) or coin.at_the_windows_end(world.time):
            return
        given, taken = (coin.mint, WSOL) if sells else (WSOL, coin.mint)
        keeper = world.rng.choice(self.keepers).address
        story = Story(world, keeper)
        story.trader = keeper
        inside, outside = ledger.account_of(escrow, given), ledger.account_of(escrow, taken)
        try:
            story.open_account(keeper, keeper, coin.mint)
            tokens, wsol = ledger.account_of(keeper, coin.mint), ledger.account_of(keeper, WSOL)
            mine, theirs = (tokens, wsol) if sells else (wsol, tokens)
            story.enter(DCA, (keeper, escrow, given, mine, inside, SYSTEM, TOKEN), _FLASH + bytes(8))
            arrived = story.send(inside, mine, amount, escrow)
            story.leave()
            story.enter(JUPITER, (TOKEN, keeper, mine, theirs, JUPITER), _FLASH + bytes(8))
            if sells:
                received = coin.venue.sell(story, keeper, (wsol, tokens), arrived)
            else:
                received, _ = coin.venue.buy(story, keeper, (wsol, tokens), arrived)
            story.leave()
            if sells:
                received -= received * _KEEPER_CUT_BPS // 10_000
            story.enter(DCA, (keeper, escrow, given, taken, theirs, inside, outside, TOKEN), _FULFILL)
            received = story.send(theirs, outside, received, keeper)
            story.leave()
        except OverdrawnError:
            story.take_back()
            return
        if sells:
            story.sold(coin.mint, user.address, amount, WSOL, received, note="DCA")
        else:
            story.bought(coin.mint, user.address, received, WSOL, amount, note="DCA")
        world.submit(story)

    def _take_out(self, coin: Coin, user: Wallet, escrow: str, sells: bool) -> None:
        """The user closes the order and takes what it holds: neither trade nor transfer."""
        world, ledger, owner = self.world, self.world.ledger, user.address
        given, taken = (coin.mint, WSOL) if sells else (WSOL, coin.mint)
        story = Story(world, owner)
        try:
            story.open_account(owner, owner, coin.mint)
            own = ledger.account_of(owner, coin.mint)
            inside, outside = ledger.account_of(escrow, given), ledger.account_of(escrow, taken)
            story.enter(DCA, (owner, escrow, given, taken, inside, outside, own, SYSTEM, TOKEN), _CLOSE_DCA)
            for account in (inside, outside):
                state = ledger.token_accounts[account]
                if state.mint != WSOL and state.amount:
                    amount = state.amount
                    story.withheld(state.mint, owner, amount - story.send(account, own, amount, escrow))
                if not ledger.mints[state.mint].fee_bps:
                    story.close(account, owner, escrow)
            story.move(escrow, owner, ledger.lamports[escrow])
            story.leave()
        except OverdrawnError:
            story.take_back()
            return
        world.submit(story)
