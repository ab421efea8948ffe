"""Constant-product pools: PumpSwap, Raydium CPMM and Raydium AMM V4."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from walltrack.sandbox import events
from walltrack.sandbox.addresses import (
    AMM_FEE_CONFIG,
    AMM_GLOBAL_VOLUME,
    ASSOCIATED,
    CPMM_AUTHORITY,
    CPMM_CONFIG,
    OPENBOOK,
    PUMP_FEE_RECIPIENTS,
    PUMP_FEES,
    PUMPSWAP,
    PUMPSWAP_CONFIG,
    PUMPSWAP_EVENTS,
    RAYDIUM_CPMM,
    RAYDIUM_V4,
    SYSTEM,
    TOKEN,
    V4_AUTHORITY,
    amm_creator_vault,
    derived,
    raw,
    volume_accumulator,
)
from walltrack.sandbox.ledger import OverdrawnError
from walltrack.sandbox.types import SandboxPool
from walltrack.sandbox.venues import Coin, Venue
from walltrack.sandbox.world import Story, World

_CPMM_SWAP: Final = bytes.fromhex("8fbe5adac41e33de")
_RAYDIUM_BPS: Final = 25


@dataclass(frozen=True, slots=True)
class _Fees:
    lp: int
    protocol: int
    creator: int


class Pool(Venue):
    """A pool whose two vaults make the price. `vault_owner` owns them."""

    def __init__(self, world: World, coin: Coin, pool: SandboxPool, quote: str, vault_owner: str) -> None:
        super().__init__(world, coin, pool, quote)
        self.vault_owner = vault_owner
        self.vault = ""
        self.quote_vault = ""

    def reserves(self) -> tuple[int, int]:
        accounts = self.world.ledger.token_accounts
        return accounts[self.vault].amount, accounts[self.quote_vault].amount


class PumpSwap(Pool):
    """A PumpSwap pool. In a reversed one the base is the quote mint, and fees are taken in the coin."""

    def __init__(
        self, world: World, coin: Coin, address: str, quote: str, *, reversed_pool: bool = False
    ) -> None:
        base, other = (quote, coin.mint) if reversed_pool else (coin.mint, quote)
        pool = SandboxPool(address, "pumpswap", PUMPSWAP, base, other, world.time, 0, 0, liquidity_usd=0.0)
        super().__init__(world, coin, pool, quote, address)
        self.reversed = reversed_pool
        self.vault = world.ledger.account_of(address, coin.mint)
        self.quote_vault = world.ledger.account_of(address, quote)
        self.recipient = world.rng.choice(PUMP_FEE_RECIPIENTS)
        self.creator_vault = amm_creator_vault(coin.creator.address)
        world.share(address, self.vault, self.quote_vault, coin.mint, PUMPSWAP_CONFIG, PUMPSWAP_EVENTS)
        world.share(self.creator_vault, AMM_FEE_CONFIG, AMM_GLOBAL_VOLUME)

    def fees(self) -> _Fees:
        """By market cap: low-cap pools pay most of it to protocol and creator."""
        token, quote = self.reserves()
        cap_usd = quote / token * self.coin.token.supply_raw * self.quote_usd() if token else 0.0
        return _Fees(2, 93, 30) if cap_usd < 300_000 else _Fees(20, 5, 30)

    def buy(self, story: Story, user: str, accounts: tuple[str, str], spend: int) -> tuple[int, int]:
        source, target = accounts
        token, quote = self.reserves()
        bps = self.fees()
        if self.reversed:
            gross = spend * token // (quote + spend)
            lp = gross * bps.lp // 10_000
            protocol, creator = gross * bps.protocol // 10_000, gross * bps.creator // 10_000
            net = gross - lp - protocol - creator
            self._check(net)
            self._enter(story, user, source, target, events.order(events.SELL, spend, 0))
            story.send(source, self.quote_vault, spend, user)
            arrives = story.send(self.vault, target, net, self.pool.address)
            self._coin_fees(story, self.vault, self.pool.address, protocol, creator)
            self._event(story, (spend, gross), (lp, protocol, creator), (user, *accounts), is_buy=False)
            price = spend
        else:
            protocol, creator = spend * bps.protocol // 10_000, spend * bps.creator // 10_000
            price = spend - protocol - creator
            effective = price - price * bps.lp // 10_000
            out = effective * token // (quote + effective)
            self._check(out)
            self._enter(story, user, target, source, events.order(events.BUY, out, spend))
            arrives = story.send(self.vault, target, out, self.pool.address)
            story.send(source, self.quote_vault, price, user)
            story.send(source, self._fee_account(self.recipient), protocol, user)
            story.send(source, self._fee_account(self.creator_vault), creator, user)
            fees = (price - effective, protocol, creator)
            self._event(story, (out, effective), fees, (user, *accounts), is_buy=True)
        story.leave()
        self.record(story, "buy", user, (arrives, price))
        return arrives, spend

    def sell(self, story: Story, user: str, accounts: tuple[str, str], token_raw: int) -> int:
        target, source = accounts
        token, quote = self.reserves()
        bps = self.fees()
        if self.reversed:
            protocol, creator = token_raw * bps.protocol // 10_000, token_raw * bps.creator // 10_000
            into = token_raw - protocol - creator
            effective = into - into * bps.lp // 10_000
            net = price = effective * quote // (token + effective)
            self._check(net)
            self._enter(story, user, target, source, events.order(events.BUY, net, token_raw))
            story.send(self.quote_vault, target, net, self.pool.address)
            story.send(source, self.vault, into, user)
            self._coin_fees(story, source, user, protocol, creator)
            paid = (into - effective, protocol, creator)
            self._event(story, (net, effective), paid, (user, *accounts), is_buy=True)
        else:
            price = token_raw * quote // (token + token_raw)
            lp = price * bps.lp // 10_000
            protocol, creator = price * bps.protocol // 10_000, price * bps.creator // 10_000
            net = price - lp - protocol - creator
            self._check(net)
            self._enter(story, user, source, target, events.order(events.SELL, token_raw, 0))
            story.send(source, self.vault, token_raw, user)
            story.send(self.quote_vault, target, net, self.pool.address)
            story.send(self.quote_vault, self._fee_account(self.recipient), protocol, self.pool.address)
            story.send(self.quote_vault, self._fee_account(self.creator_vault), creator, self.pool.address)
            self._event(story, (token_raw, price), (lp, protocol, creator), (user, *accounts), is_buy=False)
        story.leave()
        self.record(story, "sell", user, (token_raw, price))
        return net

    def _check(self, amount: int) -> None:
        if amount <= 0:
            raise OverdrawnError("too little to trade")

    def _fee_account(self, owner: str) -> str:
        mint = self.coin.mint if self.reversed else self.quote
        return self.world.ledger.account_of(owner, mint)

    def _coin_fees(self, story: Story, source: str, authority: str, protocol: int, creator: int) -> None:
        story.send(source, self._fee_account(self.recipient), protocol, authority)
        story.send(source, self._fee_account(self.creator_vault), creator, authority)

    def _enter(self, story: Story, user: str, base: str, quote: str, data: bytes) -> None:
        """`base` and `quote` are the user's accounts in the pool's sense."""
        ledger, program = self.world.ledger, self.coin.token.token_program
        for owner in (self.recipient, self.creator_vault):
            if self._fee_account(owner) not in ledger.token_accounts:
                # Whoever trades first pays for the accounts that take the fees.
                story.open_account(story.payer, owner, self.coin.mint if self.reversed else self.quote)
        programs = (TOKEN, program) if self.reversed else (program, TOKEN)
        vaults = (self.quote_vault, self.vault) if self.reversed else (self.vault, self.quote_vault)
        named = (
            self.pool.address,
            user,
            PUMPSWAP_CONFIG,
            self.pool.base_mint,
            self.pool.quote_mint,
            base,
            quote,
            *vaults,
            self.recipient,
            self._fee_account(self.recipient),
            *programs,
            SYSTEM,
            ASSOCIATED,
            PUMPSWAP_EVENTS,
            PUMPSWAP,
            self._fee_account(self.creator_vault),
            self.creator_vault,
            AMM_GLOBAL_VOLUME,
            volume_accumulator(user, PUMPSWAP),
            AMM_FEE_CONFIG,
            PUMP_FEES,
        )
        story.enter(PUMPSWAP, named, data)
        story.call(PUMP_FEES, (AMM_FEE_CONFIG, PUMPSWAP), events.GET_FEES + bytes(17))

    def _event(
        self,
        story: Story,
        traded: tuple[int, int],
        fees: tuple[int, int, int],
        accounts: tuple[str, str, str],
        *,
        is_buy: bool,
    ) -> None:
        """`traded`: base and quote units; `fees`: of the pool, protocol, creator; `accounts`: the user's own."""
        base_raw, quote_raw = traded
        user, quote_account, token_account = accounts
        held, (token, quote) = self.world.ledger.token_accounts, self.reserves()
        mine = (quote_account, token_account) if self.reversed else (token_account, quote_account)
        pool = (quote, token) if self.reversed else (token, quote)
        user_held = tuple(held[a].amount if a in held else 0 for a in mine)
        lp, protocol, creator = fees
        total = quote_raw + lp if is_buy else quote_raw - lp
        bps = self.fees()
        amounts = (base_raw, 0, *user_held, *pool, quote_raw, bps.lp, lp, bps.protocol, protocol, total)
        net = total + protocol + creator if is_buy else total - protocol - creator
        taker = self._fee_account(self.recipient)
        named = (self.pool.address, user, *mine, self.recipient, taker)
        event = events.amm_event(
            is_buy=is_buy,
            when=self.world.time,
            amounts=(*amounts, net),
            accounts=named,
            creator=self.coin.creator.address,
        )
        story.call(PUMPSWAP, (PUMPSWAP_EVENTS,), event)


class Raydium(Pool):
    """What the two Raydium venues share: the fee stays in the pool."""

    checked = True

    def buy(self, story: Story, user: str, accounts: tuple[str, str], spend: int) -> tuple[int, int]:
        source, target = accounts
        token, quote = self.reserves()
        effective = spend - -(-spend * _RAYDIUM_BPS // 10_000)
        out = effective * token // (quote + effective)
        if out <= 0:
            raise OverdrawnError("too little to buy anything")
        self._enter(story, user, (source, target), (self.quote_vault, self.vault), (spend, 0))
        story.send(source, self.quote_vault, spend, user, checked=self.checked)
        arrives = story.send(self.vault, target, out, self.vault_owner, checked=self.checked)
        story.leave()
        self.record(story, "buy", user, (arrives, spend))
        return arrives, spend

    def sell(self, story: Story, user: str, accounts: tuple[str, str], token_raw: int) -> int:
        target, source = accounts
        token, quote = self.reserves()
        self._enter(story, user, (source, target), (self.vault, self.quote_vault), (token_raw, 0))
        into = story.send(source, self.vault, token_raw, user, checked=self.checked)
        effective = into - -(-into * _RAYDIUM_BPS // 10_000)
        net = effective * quote // (token + effective)
        if net <= 0:
            raise OverdrawnError("too little to sell for anything")
        story.send(self.quote_vault, target, net, self.vault_owner, checked=self.checked)
        story.leave()
        self.record(story, "sell", user, (token_raw, net))
        return net

    def _enter(
        self,
        story: Story,
        user: str,
        accounts: tuple[str, str],
        vaults: tuple[str, str],
        amounts: tuple[int, int],
    ) -> None:
        raise NotImplementedError


class Cpmm(Raydium):
    """A Raydium CPMM pool: all share one owner of their vaults, and its instructions name the mints."""

    def __init__(self, world: World, coin: Coin, quote: str) -> None:
        address = derived(RAYDIUM_CPMM, b"pool", raw(CPMM_CONFIG), raw(coin.mint), raw(quote))
        pool = SandboxPool(
            address, "raydium", RAYDIUM_CPMM, coin.mint, quote, world.time, 0, 0, liquidity_usd=0.0
        )
        super().__init__(world, coin, pool, quote, CPMM_AUTHORITY)
        self.vault = derived(RAYDIUM_CPMM, b"pool_vault", raw(address), raw(coin.mint))
        self.quote_vault = derived(RAYDIUM_CPMM, b"pool_vault", raw(address), raw(quote))
        self.observation = derived(RAYDIUM_CPMM, b"observation", raw(address))
        world.share(address, self.vault, self.quote_vault, self.observation, coin.mint)
        world.share(CPMM_AUTHORITY, CPMM_CONFIG)

    def _enter(
        self,
        story: Story,
        user: str,
        accounts: tuple[str, str],
        vaults: tuple[str, str],
        amounts: tuple[int, int],
    ) -> None:
        mints = tuple(self.coin.mint if vault == self.vault else self.quote for vault in vaults)
        programs = tuple(self.world.ledger.mints[mint].token_program for mint in mints)
        named = (user, CPMM_AUTHORITY, CPMM_CONFIG, self.pool.address, *accounts, *vaults, *programs, *mints)
        story.enter(RAYDIUM_CPMM, (*named, self.observation), _CPMM_SWAP + struct.pack("<QQ", *amounts))


class RaydiumV4(Raydium):
    """A Raydium AMM V4 pool: its swaps name vaults and an order-book market, and no mint."""

    checked = False

    def __init__(self, world: World, coin: Coin, quote: str) -> None:
        address = derived(RAYDIUM_V4, b"amm_associated_seed", raw(coin.mint))
        pool = SandboxPool(
            address, "raydium", RAYDIUM_V4, coin.mint, quote, world.time, 0, 0, liquidity_usd=0.0
        )
        super().__init__(world, coin, pool, quote, V4_AUTHORITY)
        self.vault = derived(RAYDIUM_V4, b"coin_vault", raw(address))
        self.quote_vault = derived(RAYDIUM_V4, b"pc_vault", raw(address))
        self.orders = derived(RAYDIUM_V4, b"open_orders", raw(address))
        self.market = tuple(
            derived(OPENBOOK, name, raw(address)) for name in (b"m", b"b", b"a", b"q", b"c", b"p")
        )
        world.share(address, self.vault, self.quote_vault, self.orders, *self.market, V4_AUTHORITY)

    def _enter(
        self,
        story: Story,
        user: str,
        accounts: tuple[str, str],
        vaults: tuple[str, str],
        amounts: tuple[int, int],
    ) -> None:
        own = (self.pool.address, V4_AUTHORITY, self.orders, self.vault, self.quote_vault)
        named = (TOKEN, *own, OPENBOOK, *self.market, *accounts, user)
        story.enter(RAYDIUM_V4, named, struct.pack("<BQQ", 9, *amounts))
