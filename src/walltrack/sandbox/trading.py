"""How a wallet trades: directly or through a router, with tips, terminals' fees, sponsors, and wrapped SOL."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from walltrack.sandbox.addresses import (
    JUPITER,
    OKX,
    OKX_AUTHORITY,
    TIP_ACCOUNTS,
    TOKEN,
    USDC,
    WSOL,
)
from walltrack.sandbox.books import usdc_in_lamports
from walltrack.sandbox.ledger import OverdrawnError
from walltrack.sandbox.types import SandboxTransaction
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Story, Wallet, World

_JUPITER_ROUTE: Final = bytes.fromhex("e517cb977ae3ad2a")
_OKX_SWAP: Final = bytes.fromhex("f0e0260021ba0c4f")
_PLATFORM_BPS: Final = 100

# The default parameters' least profit, how far from it everybody stays, and about what a transaction costs.
_PROFIT_PCT: Final = 50.0
_CLEAR_PCT: Final = 0.75
_USUAL_FEE: Final = 60_000


@dataclass(frozen=True, slots=True)
class How:
    """How a trade is made. `route` is "direct", "jupiter" or "okx"; `sponsor` pays the network fee, and with
    `gives_rent` the deposit of the trader's new account as well.
    """

    route: str = "direct"
    tip: int = 0
    tip_account: str = ""
    sponsor: str | None = None
    gives_rent: bool = False
    bot: str | None = None


PLAIN: Final = How()


def usual(world: World, wallet: Wallet, *, routed: bool = True) -> How:
    """How this wallet happens to trade this time."""
    rng = world.rng
    drawn, tip, tip_account = rng.random(), 0, ""
    if drawn < 0.45:
        tip = int(min(rng.lognormvariate(13.5, 1.2), 0.02 * SOL)) + 1_000
        tip_account = rng.choice(TIP_ACCOUNTS if drawn < 0.33 else world.unknown_tips)
    drawn, route = rng.random(), "direct"
    if routed and drawn < 0.14:
        route = "jupiter" if drawn < 0.09 else "okx"
    sponsor = world.sponsor.address if rng.random() < 0.03 else None
    return How(route, tip, tip_account, sponsor, sponsor is not None and rng.random() < 0.4, wallet.bot)


def buy(
    world: World,
    coin: Coin,
    wallet: Wallet,
    spend: int,
    how: How | None = None,
    *,
    note: str = "",
    fails: bool = False,
    adjacent: bool = False,
) -> SandboxTransaction | None:
    """Buy for so many quote units. None where the wallet cannot, or there is nothing to buy."""
    how = how or usual(world, wallet)
    story = Story(world, how.sponsor or wallet.address, wallet.address)
    try:
        buy_within(story, coin, wallet, spend, how, note=note)
    except OverdrawnError:
        story.take_back()
        return None
    return world.submit(story, fails=fails, adjacent=adjacent)


def sell(
    world: World,
    coin: Coin,
    wallet: Wallet,
    token_raw: int,
    how: How | None = None,
    *,
    note: str = "",
    fails: bool = False,
    adjacent: bool = False,
) -> SandboxTransaction | None:
    """Sell so many tokens out of the wallet's associated account. None where it cannot, and where an early buyer's
    profit would be so near to the default bound that a lamport decides: try again at another price.
    """
    how = how or usual(world, wallet)
    story = Story(world, how.sponsor or wallet.address, wallet.address)
    try:
        sell_within(story, coin, wallet, token_raw, how, note=note)
    except OverdrawnError:
        story.take_back()
        return None
    if not fails and _near_the_bound(story, coin, wallet, token_raw):
        story.take_back()
        return None
    return world.submit(story, fails=fails, adjacent=adjacent)


def buy_within(story: Story, coin: Coin, wallet: Wallet, spend: int, how: How, *, note: str = "") -> None:
    """A purchase as part of a transaction. Raises OverdrawnError where it cannot be."""
    venue, user, world = coin.venue, wallet.address, coin.venue.world
    story.trader = user
    rent_payer = how.sponsor if how.sponsor and how.gives_rent else user
    target = world.ledger.account_of(user, coin.mint)
    if target not in world.ledger.token_accounts:
        story.open_account(rent_payer, user, coin.mint)
    temporary = venue.quote == WSOL and not venue.native and _open_wsol(story, world, wallet, spend)
    source = user if venue.native else world.ledger.account_of(user, venue.quote)
    if how.route == "okx" and venue.quote == WSOL and not venue.native:
        arrives, spent = _buy_through_okx(story, coin, user, (source, target), spend)
    elif how.route == "jupiter":
        named = (TOKEN, user, source, target, JUPITER, coin.mint)
        story.enter(JUPITER, named, _JUPITER_ROUTE + struct.pack("<QQ", spend, 0))
        arrives, spent = venue.buy(story, user, (source, target), spend)
        story.leave()
    else:
        arrives, spent = venue.buy(story, user, (source, target), spend)
    if temporary:
        story.close(source, user, user)
    _pay_costs(story, user, how, spent, in_sol=venue.quote == WSOL)
    story.bought(coin.mint, user, arrives, venue.quote, spent, note=note)


def sell_within(
    story: Story, coin: Coin, wallet: Wallet, token_raw: int, how: How, *, note: str = ""
) -> None:
    """A sale as part of a transaction. Raises OverdrawnError where it cannot be."""
    venue, user, world = coin.venue, wallet.address, coin.venue.world
    ledger = world.ledger
    story.trader = user
    source = ledger.account_of(user, coin.mint)
    if source not in ledger.token_accounts or token_raw <= 0:
        raise OverdrawnError(f"{user} has no {coin.mint}")
    temporary = venue.quote == WSOL and not venue.native and _open_wsol(story, world, wallet, 0)
    target = user if venue.native else ledger.account_of(user, venue.quote)
    if target not in ledger.token_accounts and not venue.native:
        story.open_account(user, user, venue.quote)
    if how.route == "okx" and venue.quote == WSOL and not venue.native:
        received = _sell_through_okx(story, coin, user, (target, source), token_raw)
    elif how.route == "jupiter":
        named = (TOKEN, user, source, target, JUPITER, venue.quote)
        story.enter(JUPITER, named, _JUPITER_ROUTE + struct.pack("<QQ", token_raw, 0))
        received = venue.sell(story, user, (target, source), token_raw)
        story.leave()
    else:
        received = venue.sell(story, user, (target, source), token_raw)
    if temporary:
        story.close(target, user, user)
    story.sold(coin.mint, user, token_raw, venue.quote, received, note=note)
    if ledger.token_accounts[source].amount == 0 and not ledger.mints[coin.mint].fee_bps:
        drawn = world.rng.random()
        if drawn < 0.03:
            story.give_rent_away(user, source, world.rent_collector)
        elif drawn < 0.55:
            story.close(source, user, user)
    _pay_costs(story, user, how, received, in_sol=venue.quote == WSOL)


def buy_with_usdc(world: World, coin: Coin, wallet: Wallet, usdc_raw: int) -> SandboxTransaction | None:
    """Buy a token that trades against SOL and pay in USDC: a route of two hops."""
    user = wallet.address
    story = Story(world, user)
    story.trader = user
    try:
        story.open_account(user, user, coin.mint)
        wsol = world.ledger.account_of(user, WSOL)
        temporary = wsol not in world.ledger.token_accounts
        story.open_account(user, user, WSOL)
        usdc = world.ledger.account_of(user, USDC)
        target = world.ledger.account_of(user, coin.mint)
        story.enter(JUPITER, (TOKEN, user, usdc, target, JUPITER, coin.mint), _JUPITER_ROUTE + bytes(16))
        through = world.sol_usdc.sell(story, user, (wsol, usdc), usdc_raw)
        arrives, _ = coin.venue.buy(story, user, (wsol, target), through)
        story.leave()
        if temporary:
            story.close(wsol, user, user)
    except OverdrawnError:
        story.take_back()
        return None
    story.bought(coin.mint, user, arrives, USDC, usdc_raw, note="paid in USDC")
    return world.submit(story, version=0)


def swap_tokens(
    world: World, wallet: Wallet, sold: Coin, bought: Coin, token_raw: int
) -> SandboxTransaction | None:
    """Swap one token for another through WSOL. Neither side has a SOL price of its own."""
    user = wallet.address
    story = Story(world, user)
    story.trader = user
    try:
        story.open_account(user, user, bought.mint)
        wsol = world.ledger.account_of(user, WSOL)
        temporary = wsol not in world.ledger.token_accounts
        story.open_account(user, user, WSOL)
        source = world.ledger.account_of(user, sold.mint)
        target = world.ledger.account_of(user, bought.mint)
        if source not in world.ledger.token_accounts:
            raise OverdrawnError(f"{user} has no {sold.mint}")
        story.enter(JUPITER, (TOKEN, user, source, target, JUPITER, bought.mint), _JUPITER_ROUTE + bytes(16))
        through = sold.venue.sell(story, user, (wsol, source), token_raw)
        arrives, _ = bought.venue.buy(story, user, (wsol, target), through)
        story.leave()
        if temporary:
            story.close(wsol, user, user)
    except OverdrawnError:
        story.take_back()
        return None
    story.sold(sold.mint, user, token_raw, bought.mint, arrives, note="token for token")
    story.bought(bought.mint, user, arrives, sold.mint, token_raw, note="token for token")
    return world.submit(story, version=0)


def _near_the_bound(story: Story, coin: Coin, wallet: Wallet, token_raw: int) -> bool:
    position = coin.venue.world.books.position(coin.mint, wallet.address)
    if position.first_buy is None or not coin.is_early(position.first_buy.block_time):
        return False
    (received,) = (
        quote for _, who, kind, _, _, quote, _ in story.told if who == wallet.address and kind == "sell"
    )
    lamports = (
        received if coin.venue.quote == WSOL else usdc_in_lamports(received, coin.venue.world.sol_usd())
    )
    proceeds = lamports - story.extra.get(wallet.address, 0) - _USUAL_FEE
    return abs(position.pct_if_sold(token_raw, proceeds) - _PROFIT_PCT) < _CLEAR_PCT


def _open_wsol(story: Story, world: World, wallet: Wallet, spend: int) -> bool:
    """Have a WSOL account with this much in it. True where it is a temporary one, to be closed."""
    user, held = wallet.address, world.ledger.token_accounts
    account = world.ledger.account_of(user, WSOL)
    if account in held and wallet.keeps_wsol:
        if held[account].amount < spend:
            story.wrap(user, account, spend - held[account].amount)
        return False
    story.open_account(user, user, WSOL)
    if spend:
        story.wrap(user, account, spend)
    return True


def _buy_through_okx(
    story: Story, coin: Coin, user: str, accounts: tuple[str, str], spend: int
) -> tuple[int, int]:
    source, target = accounts
    world = coin.venue.world
    through = world.ledger.account_of(OKX_AUTHORITY, WSOL)
    holding, _ = story.open_account(user, OKX_AUTHORITY, coin.mint)
    world.share(holding)
    story.enter(OKX, (user, source, target, WSOL, coin.mint, OKX_AUTHORITY), _OKX_SWAP + bytes(24))
    story.send(source, through, spend, user)
    arrives, spent = coin.venue.buy(story, OKX_AUTHORITY, (through, holding), spend)
    arrives = story.send(holding, target, arrives, OKX_AUTHORITY)
    story.leave()
    return arrives, spent


def _sell_through_okx(story: Story, coin: Coin, user: str, accounts: tuple[str, str], token_raw: int) -> int:
    target, source = accounts
    world = coin.venue.world
    through = world.ledger.account_of(OKX_AUTHORITY, WSOL)
    holding, _ = story.open_account(user, OKX_AUTHORITY, coin.mint)
    world.share(holding)
    story.enter(OKX, (user, source, target, coin.mint, WSOL, OKX_AUTHORITY), _OKX_SWAP + bytes(24))
    arrived = story.send(source, holding, token_raw, user)
    received = coin.venue.sell(story, OKX_AUTHORITY, (through, holding), arrived)
    story.send(through, target, received, OKX_AUTHORITY)
    story.leave()
    return received


def _pay_costs(story: Story, user: str, how: How, amount: int, *, in_sol: bool) -> None:
    """A terminal's fee, where the trade is against SOL, and a tip, in lamports."""
    if in_sol and how.bot and amount >= 10_000:
        story.pay(user, how.bot, amount * _PLATFORM_BPS // 10_000)
    if how.tip:
        story.pay(user, how.tip_account, how.tip)
