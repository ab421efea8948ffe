"""How tokens come into the world and change venue: creation, liquidity, migration, and liquidity pulled."""

from __future__ import annotations

import struct
from typing import Final

from walltrack.sandbox import events
from walltrack.sandbox.addresses import (
    CPMM_AUTHORITY,
    PUMP,
    PUMP_EVENTS,
    PUMP_GLOBAL,
    PUMP_MIGRATOR,
    PUMPSWAP,
    PUMPSWAP_CONFIG,
    PUMPSWAP_EVENTS,
    RAYDIUM_CPMM,
    RAYDIUM_V4,
    SYSTEM,
    TOKEN,
    USDC,
    WSOL,
    derived,
    pool_authority,
    pumpswap_pool,
    raw,
)
from walltrack.sandbox.curve import Curve
from walltrack.sandbox.ledger import Mint, OverdrawnError
from walltrack.sandbox.pools import Cpmm, Pool, PumpSwap, RaydiumV4
from walltrack.sandbox.trading import PLAIN, buy_within
from walltrack.sandbox.types import SandboxToken, SandboxTransaction
from walltrack.sandbox.venues import Coin
from walltrack.sandbox.world import SOL, Story, Wallet, World

_MIGRATION_FEE: Final = 15_000_001
_CPMM_INITIALIZE: Final = bytes.fromhex("afaf6d1f0d989bed")
_CPMM_WITHDRAW: Final = bytes.fromhex("b712469c946da122")


def launch_on_curve(world: World, coin: Coin, quote: str, dev_buy: int) -> Curve:
    """Create the token on a curve; `dev_buy` quote units are spent by the creator in the same transaction."""
    curve = Curve(world, coin, quote)
    creator = coin.creator
    story = Story(world, creator.address)
    world.ledger.lamports[coin.mint] = 0
    curve.create(story)
    coin.venues.append(curve)
    coin.token.pools.append(curve.pool)
    if dev_buy:
        buy_within(story, coin, creator, dev_buy, PLAIN, note="first buy of the developer")
    else:
        story.transfer(creator.address, world.rng.choice(world.unknown_tips), 100_000)
    world.submit(story)
    coin.token.created_at = world.time
    coin.launch_price = curve.price()
    return curve


def create_mint(world: World, coin: Coin) -> None:
    """Make a mint whose whole supply its creator holds, days before anybody can trade it for some."""
    creator, mint, program = coin.creator.address, coin.mint, coin.token.token_program
    story = Story(world, creator)
    story.signers[mint] = None
    story.create_account(creator, mint, 278 if world.ledger.mints[mint].fee_bps else 82, program)
    account, _ = story.open_account(creator, creator, mint)
    story.mint_to(mint, account, coin.token.supply_raw, creator)
    story.got(mint, creator, coin.token.supply_raw, "minted")
    coin.token.created_at = world.time
    world.submit(story)


def open_pool(world: World, coin: Coin, venue: str, tokens: int, quote_raw: int) -> None:
    """Put tokens and SOL into a new pool: "cpmm", "v4" or "reversed" (PumpSwap with base WSOL)."""
    creator = coin.creator.address
    pool: Pool
    if venue == "cpmm":
        pool, program = Cpmm(world, coin, WSOL), RAYDIUM_CPMM
    elif venue == "v4":
        pool, program = RaydiumV4(world, coin, WSOL), RAYDIUM_V4
    else:
        address = pumpswap_pool(creator, WSOL, coin.mint)
        pool, program = PumpSwap(world, coin, address, WSOL, reversed_pool=True), PUMPSWAP
    story = Story(world, creator)
    lp = derived(program, b"pool_lp_mint", raw(pool.pool.address))
    world.ledger.mints[lp] = Mint(lp, TOKEN, 9)
    wsol = world.ledger.account_of(creator, WSOL)
    keeps = wsol in world.ledger.token_accounts
    story.open_account(creator, creator, WSOL)
    story.wrap(creator, wsol, quote_raw)
    named = (creator, pool.pool.address, pool.vault_owner, coin.mint, WSOL, lp, pool.vault, pool.quote_vault)
    data = {"cpmm": _CPMM_INITIALIZE, "v4": b"\x01"}.get(venue, events.CREATE_POOL)
    story.enter(program, (*named, SYSTEM, TOKEN), data + struct.pack("<QQQ", tokens, quote_raw, 0))
    story.create_account(creator, pool.pool.address, 637, program)
    story.create_account(creator, lp, 82, TOKEN)
    _open_vault(story, creator, pool, coin.mint, pool.vault)
    _open_vault(story, creator, pool, WSOL, pool.quote_vault)
    story.send(world.ledger.account_of(creator, coin.mint), pool.vault, tokens, creator)
    story.send(wsol, pool.quote_vault, quote_raw, creator)
    shares, _ = story.open_account(creator, creator, lp)
    story.mint_to(lp, shares, quote_raw, pool.vault_owner)
    story.leave()
    if not keeps:
        story.close(wsol, creator, creator)
    story.gave(coin.mint, creator, tokens, "put into the pool")
    if world.submit(story) is None:
        raise OverdrawnError(f"{creator} cannot open a pool")
    coin.venues.append(pool)
    coin.token.pools.append(pool.pool)
    coin.launch_price = pool.price()


def pull_liquidity(world: World, coin: Coin, leave: int) -> None:
    """The creator takes the pool's tokens and SOL back, all but so many lamports and their share of the tokens."""
    pool = coin.venue
    assert isinstance(pool, Pool)
    creator = coin.creator.address
    lp = derived(pool.pool.program, b"pool_lp_mint", raw(pool.pool.address))
    story = Story(world, creator)
    account, _ = story.open_account(creator, creator, coin.mint)
    wsol, _ = story.open_account(creator, creator, WSOL)
    held_tokens, held_quote = pool.reserves()
    quote = max(held_quote - leave, 0)
    tokens = held_tokens * quote // held_quote
    shares = world.ledger.account_of(creator, lp)
    named = (creator, pool.pool.address, pool.vault_owner, lp, shares, pool.vault, pool.quote_vault)
    story.enter(pool.pool.program, (*named, account, wsol, coin.mint, WSOL), _CPMM_WITHDRAW + bytes(24))
    story.burn(shares, world.ledger.token_accounts[shares].amount * quote // held_quote, creator)
    arrives = story.send(pool.vault, account, tokens, pool.vault_owner)
    story.send(pool.quote_vault, wsol, quote, pool.vault_owner)
    story.leave()
    story.got(coin.mint, creator, arrives, "taken out of the pool")
    world.submit(story)


def migrate(world: World, coin: Coin, migrator: str) -> SandboxTransaction | None:
    """Move a complete curve's tokens and quote units into its PumpSwap pool."""
    curve = coin.venue
    assert isinstance(curve, Curve)
    mint, quote, ledger = coin.mint, curve.quote, world.ledger
    authority = pool_authority(mint)
    address = pumpswap_pool(authority, mint, quote)
    pool = PumpSwap(world, coin, address, quote)
    lp = derived(PUMPSWAP, b"pool_lp_mint", raw(address))
    ledger.mints[lp] = Mint(lp, TOKEN, 9)
    story = Story(world, migrator)
    named = (PUMP_GLOBAL, PUMP_MIGRATOR, mint, curve.address, curve.vault, migrator, SYSTEM, TOKEN, PUMPSWAP)
    data = events.MIGRATE if curve.native else events.MIGRATE_V2
    story.enter(PUMP, (*named, address, authority, pool.vault, pool.quote_vault, lp, PUMP_EVENTS), data)
    story.create_account(migrator, address, 300, PUMPSWAP)
    story.create_account(migrator, lp, 82, TOKEN)
    story.open_account(migrator, address, mint)
    story.open_account(migrator, address, quote)
    _, paid_in = curve.real()
    tokens = ledger.token_accounts[curve.vault].amount
    if curve.native:
        story.move(curve.address, PUMP_MIGRATOR, _MIGRATION_FEE)
        paid_in -= _MIGRATION_FEE
        story.fund_wsol(curve.address, pool.quote_vault, paid_in)
    else:
        story.send(curve.quote_vault, pool.quote_vault, paid_in, curve.address)
    story.send(curve.vault, pool.vault, tokens, curve.address)
    call = (address, PUMPSWAP_CONFIG, authority, mint, quote, pool.vault, pool.quote_vault, PUMPSWAP_EVENTS)
    story.call(PUMPSWAP, call, events.CREATE_POOL + struct.pack("<HQQ", 0, tokens, paid_in))
    amounts = (tokens, paid_in if curve.native else 0)
    event = events.migration_event(migrator, mint, (curve.address, address), amounts, world.time)
    story.call(PUMP, (PUMP_EVENTS,), event)
    story.leave()
    made = world.submit(story)
    if made is not None:
        coin.venues.append(pool)
        coin.token.pools.append(pool.pool)
    return made


def second_pool(world: World, coin: Coin, provider: Wallet, tokens: int, lamports: int) -> None:
    """Another, shallower pool of the same token on Raydium, by somebody who bought the tokens. Nobody trades there."""
    held = world.ledger.held(provider.address, coin.mint)
    tokens = min(tokens, held)
    if not tokens:
        return
    pool = Cpmm(world, coin, WSOL)
    user = provider.address
    story = Story(world, user)
    wsol, _ = story.open_account(user, user, WSOL)
    story.wrap(user, wsol, lamports)
    named = (user, pool.pool.address, CPMM_AUTHORITY, coin.mint, WSOL, pool.vault, pool.quote_vault)
    story.enter(
        RAYDIUM_CPMM, (*named, SYSTEM, TOKEN), _CPMM_INITIALIZE + struct.pack("<QQQ", tokens, lamports, 0)
    )
    story.create_account(user, pool.pool.address, 637, RAYDIUM_CPMM)
    _open_vault(story, user, pool, coin.mint, pool.vault)
    _open_vault(story, user, pool, WSOL, pool.quote_vault)
    story.send(world.ledger.account_of(user, coin.mint), pool.vault, tokens, user)
    story.send(wsol, pool.quote_vault, lamports, user)
    story.leave()
    story.close(wsol, user, user)
    story.gave(coin.mint, user, tokens, "put into the pool")
    if world.submit(story) is not None:
        coin.token.pools.append(pool.pool)


def open_sol_usdc(world: World) -> None:
    """The deep pool through which USDC becomes SOL, from before the market began."""
    rich = Wallet(world.new_address(), "liquidity")
    token = SandboxToken(USDC, "USD Coin", "USDC", 6, TOKEN, 0, 10**16)
    coin = Coin(token, (), rich)
    pool = Cpmm(world, coin, WSOL)
    price = world.prices.at(world.time)
    for mint, address, amount in (
        (WSOL, pool.quote_vault, 500_000 * SOL),
        (token.mint, pool.vault, int(500_000 * price * 1e6)),
    ):
        made = world.furnish_account(CPMM_AUTHORITY, mint, amount)
        ledger = world.ledger
        ledger.token_accounts[address] = ledger.token_accounts.pop(made)
        ledger.lamports[address] = ledger.lamports.pop(made)
    world.sol_usdc = pool


def _open_vault(story: Story, payer: str, pool: Pool, mint: str, address: str) -> None:
    if isinstance(pool, PumpSwap):
        story.open_account(payer, pool.vault_owner, mint)
    else:
        story.open_vault(payer, address, pool.vault_owner, mint)
