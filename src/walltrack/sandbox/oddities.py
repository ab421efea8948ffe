"""What else happens on a chain: round trips, tokens that change hands without a sale, delegates, plain transfers."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial

from walltrack.sandbox.addresses import MEMO, WSOL
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.ledger import OverdrawnError
from walltrack.sandbox.trading import PLAIN, buy, buy_within, sell
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Story, Wallet, World


def snipe(world: World, coin: Coin, wallets: Sequence[Wallet]) -> None:
    """Buy right behind the token's creation, in its slot, each wallet on its own account."""
    for wallet in wallets:
        buy(
            world,
            coin,
            wallet,
            int(world.rng.uniform(0.3, 1.2) * quote_unit(world, coin)),
            PLAIN,
            note="sniper",
        )


def bundle(world: World, coin: Coin, wallets: Sequence[Wallet], together: int) -> None:
    """Let wallets of one hand buy for the same amount each: the first ones in one transaction that all of them sign,
    the others in transactions of their own right behind it.
    """
    spend = int(world.rng.uniform(0.3, 1.0) * quote_unit(world, coin))
    bought: list[Wallet] = []
    if together > 1 and buy_together(world, coin, wallets[:together], spend):
        bought += wallets[:together]
    for wallet in wallets[together if together > 1 else 0 :]:
        if buy(world, coin, wallet, spend, PLAIN, note="bundle", adjacent=True) is not None:
            bought.append(wallet)
    world.staged.bundle(coin.mint, [wallet.address for wallet in bought])


def buy_together(world: World, coin: Coin, wallets: Sequence[Wallet], spend: int) -> bool:
    """Have several wallets buy in one transaction; the first pays its fee and a tip."""
    story = Story(world, *(wallet.address for wallet in wallets))
    try:
        for wallet in wallets:
            buy_within(story, coin, wallet, spend, PLAIN, note="bundle")
        story.pay(wallets[0].address, world.rng.choice(world.unknown_tips), 2_000_000)
    except OverdrawnError:
        story.take_back()
        return False
    return world.submit(story, adjacent=True) is not None


def quote_unit(world: World, coin: Coin) -> int:
    """What one SOL is worth in raw quote units."""
    return SOL if coin.venue.quote == WSOL else int(world.sol_usd() * 1e6)


def hand_on(world: World, coin: Coin, giver: Wallet, taker: Wallet, sells_after: float) -> None:
    """Send all tokens to another wallet, whose account the giver pays for; that one sells them."""
    held = world.ledger.held(giver.address, coin.mint)
    if not held:
        return
    if not give(world, coin, giver, taker, held):
        return
    if sells_after:
        world.later(sells_after, partial(sell_all, world, coin, taker))


def give(world: World, coin: Coin, giver: Wallet, taker: Wallet, amount: int) -> bool:
    """Transfer tokens between two wallets. Where the taker has an account the transaction does not name the taker."""
    story = Story(world, giver.address)
    try:
        target = world.ledger.account_of(taker.address, coin.mint)
        if target not in world.ledger.token_accounts:
            story.open_account(giver.address, taker.address, coin.mint)
        source = world.ledger.account_of(giver.address, coin.mint)
        arrives = story.send(source, target, amount, giver.address)
    except (OverdrawnError, KeyError):
        story.take_back()
        return False
    story.gave(coin.mint, giver.address, amount)
    story.got(coin.mint, taker.address, arrives)
    if world.submit(story) is None:
        return False
    world.staged.gave(coin.mint, giver.address, taker.address)
    return True


def sell_all(world: World, coin: Coin, wallet: Wallet, share: float = 1.0) -> None:
    """Sell what the wallet holds, or a share of it, as soon as there is a market."""
    held = int(world.ledger.held(wallet.address, coin.mint) * share)
    if not held:
        return
    if isinstance(coin.venue, Curve) and coin.venue.complete:
        world.later(60, partial(sell_all, world, coin, wallet, share))
        return
    sell(world, coin, wallet, held)


def airdrop(world: World, coin: Coin, giver: Wallet, takers: Sequence[Wallet], amount: int) -> None:
    """Give tokens to several wallets in one transaction; some sell them."""
    story = Story(world, giver.address)
    try:
        source = world.ledger.account_of(giver.address, coin.mint)
        for taker in takers:
            target, _ = story.open_account(giver.address, taker.address, coin.mint)
            arrives = story.send(source, target, amount, giver.address)
            story.gave(coin.mint, giver.address, amount, "airdrop")
            story.got(coin.mint, taker.address, arrives, "airdrop")
    except (OverdrawnError, KeyError):
        story.take_back()
        return
    if world.submit(story) is None:
        return
    for taker in takers:
        world.staged.gave(coin.mint, giver.address, taker.address)
    for taker in takers:
        if world.rng.random() < 0.7:
            world.later(world.rng.uniform(60, 7200), partial(sell_all, world, coin, taker))


def shuffle(world: World, coin: Coin, wallet: Wallet) -> None:
    """Move half of the tokens to another token account of the same wallet, and back later."""
    held = world.ledger.held(wallet.address, coin.mint)
    if not held or world.ledger.mints[coin.mint].fee_bps:
        return
    own, extra = world.ledger.account_of(wallet.address, coin.mint), world.new_address()
    story = Story(world, wallet.address)
    try:
        story.open_extra_account(wallet.address, extra, wallet.address, coin.mint)
        story.send(own, extra, held // 2, wallet.address)
    except OverdrawnError:
        story.take_back()
        return
    if world.submit(story) is None:
        return

    def back() -> None:
        again = Story(world, wallet.address)
        try:
            again.open_account(wallet.address, wallet.address, coin.mint)
            again.send(extra, own, world.ledger.token_accounts[extra].amount, wallet.address)
            again.close(extra, wallet.address, wallet.address)
        except OverdrawnError:
            again.take_back()
            return
        world.submit(again)

    world.later(world.rng.uniform(120, 1500), back)


def round_trip(world: World, coin: Coin, wallet: Wallet, *, dust: int = 0) -> None:
    """Buy and sell in one transaction, all or all but some dust: no trade, or one of the dust."""
    if (isinstance(coin.venue, Curve) and coin.venue.complete) or coin.at_the_windows_end(world.time):
        return
    story = Story(world, wallet.address)
    user, ledger = wallet.address, world.ledger
    venue = coin.venue
    spend = int(world.rng.uniform(0.5, 3) * SOL)
    if venue.quote != WSOL:
        return
    try:
        tokens, _ = story.open_account(user, user, coin.mint)
        wsol = user
        if not venue.native:
            wsol, _ = story.open_account(user, user, WSOL)
            story.wrap(user, wsol, spend)
        before = ledger.token_accounts[tokens].amount
        arrives, spent = venue.buy(story, user, (wsol, tokens), spend)
        received = venue.sell(story, user, (wsol, tokens), arrives - dust)
        if ledger.token_accounts[tokens].amount - before != dust or ledger.mints[coin.mint].fee_bps:
            raise OverdrawnError("a fee on transfers leaves no round trip")
        if not venue.native:
            story.close(wsol, user, user)
        story.pay(user, world.rng.choice(world.unknown_tips), 10_000)
    except OverdrawnError:
        story.take_back()
        return
    if dust:
        story.bought(coin.mint, user, dust, WSOL, spent - received, note="round trip")
    if world.submit(story) is not None:
        world.staged.mark("round_trip", user, coin.mint)


def sandwich(world: World, coin: Coin, attacker: Wallet, victim: Wallet, spend: int) -> None:
    """Buy before and sell after somebody's purchase, all in one slot."""
    if coin.venue.quote != WSOL or not world.fund(victim, spend):
        return
    before = world.ledger.held(attacker.address, coin.mint)
    if buy(world, coin, attacker, spend, PLAIN, note="sandwich", adjacent=True) is None:
        return
    caught = buy(world, coin, victim, spend // 2, adjacent=True)
    held = world.ledger.held(attacker.address, coin.mint) - before
    if (
        sell(world, coin, attacker, held, PLAIN, note="sandwich", adjacent=True) is not None
        and caught is not None
    ):
        world.staged.mark("round_trip", attacker.address, coin.mint)


def delegated_sale(world: World, coin: Coin, owner: Wallet, delegate: Wallet) -> None:
    """A delegate sells the owner's tokens: it signs and pays the fee, the SOL goes to the owner's WSOL account."""
    ledger, user = world.ledger, owner.address
    held = ledger.held(user, coin.mint)
    if not held or isinstance(coin.venue, Curve) or coin.venue.quote != WSOL:
        return
    source, wsol = ledger.account_of(user, coin.mint), ledger.account_of(user, WSOL)
    approve = Story(world, user)
    approve.open_account(user, user, WSOL)
    program = ledger.mints[coin.mint].token_program
    approve.call(program, (source, delegate.address, user), struct.pack("<BQ", 4, held))
    owner.keeps_wsol = True
    if world.submit(approve) is None:
        return
    story = Story(world, delegate.address)
    story.trader = user
    try:
        received = coin.venue.sell(story, delegate.address, (wsol, source), held)
    except OverdrawnError:
        story.take_back()
        return
    story.sold(coin.mint, user, held, WSOL, received, note="delegated")
    world.submit(story)


def plain_transfer(world: World, giver: Wallet, taker: Wallet) -> None:
    """SOL from one wallet to another, with a memo now and then."""
    story = Story(world, giver.address)
    try:
        story.transfer(giver.address, taker.address, int(world.rng.uniform(0.01, 2) * SOL))
    except OverdrawnError:
        story.take_back()
        return
    if world.rng.random() < 0.3:
        story.call(MEMO, (), b"sandbox")
    world.submit(story)


def open_for_another(world: World, coin: Coin, payer: Wallet, owner: Wallet) -> None:
    """Pay for another wallet's token account, and nothing else."""
    story = Story(world, payer.address)
    if world.ledger.account_of(owner.address, coin.mint) in world.ledger.token_accounts:
        return
    try:
        story.open_account(payer.address, owner.address, coin.mint)
    except OverdrawnError:
        story.take_back()
        return
    world.submit(story)


def wash(world: World, coin: Coin, ring: Sequence[Wallet], size: float) -> None:
    """One wallet of a ring buys, another that holds sells all of it: volume out of nothing."""
    if not coin.venues:
        return
    rng = world.rng
    holders = [w for w in ring if world.ledger.held(w.address, coin.mint)]
    if len(holders) > len(ring) // 2:
        seller = rng.choice(holders)
        sell(world, coin, seller, world.ledger.held(seller.address, coin.mint), PLAIN, note="wash")
        return
    buyer = rng.choice([w for w in ring if w not in holders])
    spend = int(size * SOL * rng.uniform(0.7, 1.3))
    if world.fund(buyer, spend):
        buy(world, coin, buyer, spend, PLAIN, note="wash")
