"""pump.fun: a token's creation, its bonding curve, and its migration (docs/providers.md)."""

from __future__ import annotations

from typing import Final

from walltrack.sandbox import events
from walltrack.sandbox.addresses import (
    ASSOCIATED,
    FEE_CONFIG,
    GLOBAL_VOLUME,
    PUMP,
    PUMP_EVENTS,
    PUMP_FEE_RECIPIENTS,
    PUMP_FEES,
    PUMP_GLOBAL,
    PUMP_MINT_AUTHORITY,
    SYSTEM,
    TOKEN_2022,
    USDC,
    WSOL,
    bonding_curve,
    creator_vault,
    volume_accumulator,
)
from walltrack.sandbox.ledger import OverdrawnError
from walltrack.sandbox.types import SandboxPool
from walltrack.sandbox.venues import Coin, Venue
from walltrack.sandbox.world import Story, World

SUPPLY: Final = 10**15
_REAL_TOKENS: Final = 793_100 * 10**9
_VIRTUAL_EXTRA: Final = (1_073_000 - 793_100) * 10**9
_LEFT_OVER: Final = SUPPLY - _REAL_TOKENS
_VIRTUAL_QUOTE: Final = {WSOL: 30 * 10**9, USDC: 4_300 * 10**6}
_PROTOCOL_BPS: Final = 95
_CREATOR_BPS: Final = 30
_CURVE_SIZE: Final = 151


class Curve(Venue):
    """A bonding curve. SOL is taken and paid in lamports; USDC through token accounts."""

    def __init__(self, world: World, coin: Coin, quote: str) -> None:
        self.address = bonding_curve(coin.mint)
        pool = SandboxPool(
            self.address, "pumpfun", PUMP, coin.mint, quote, world.time, 0, 0, liquidity_usd=None
        )
        super().__init__(world, coin, pool, quote)
        self.native = quote == WSOL
        self.vault = world.ledger.account_of(self.address, coin.mint)
        self.quote_vault = world.ledger.account_of(self.address, quote)
        self.recipient = world.rng.choice(PUMP_FEE_RECIPIENTS[:5])
        self.creator_vault = creator_vault(coin.creator.address)
        self.complete = False
        self._rent = 0
        world.share(self.address, self.vault, coin.mint, self.creator_vault, PUMP_GLOBAL, PUMP_EVENTS)
        world.share(self.quote_vault, self.recipient, FEE_CONFIG, GLOBAL_VOLUME, PUMP_MINT_AUTHORITY)

    # Creation

    def create(self, story: Story) -> None:
        """The transaction's first part: mint, curve and the curve's account. The mint's key pair signs."""
        coin = self.coin
        creator, mint, program = coin.creator.address, coin.mint, coin.token.token_program
        v2 = program == TOKEN_2022
        story.signers[mint] = None
        uri = f"https://sandbox.invalid/{mint}.json"
        data = events.create_data(coin.token.name, coin.token.symbol, uri, creator, v2=v2)
        accounts = (
            mint,
            PUMP_MINT_AUTHORITY,
            self.address,
            self.vault,
            PUMP_GLOBAL,
            creator,
            SYSTEM,
            program,
        )
        story.enter(PUMP, (*accounts, ASSOCIATED, PUMP_EVENTS, PUMP), data)
        story.foreign_account(creator, mint, 394 if v2 else 82, program)
        self._rent = story.foreign_account(creator, self.address, _CURVE_SIZE, PUMP)
        story.open_account(creator, self.address, mint)
        if not self.native:
            story.open_account(creator, self.address, self.quote)
        story.mint_to(mint, self.vault, SUPPLY, PUMP_MINT_AUTHORITY)
        named = (mint, self.address, creator)
        quote = SYSTEM if self.native else self.quote
        names = (coin.token.name, coin.token.symbol, uri)
        event = events.create_event(names, named, self.world.time, quote, program)
        story.call(PUMP, (PUMP_EVENTS,), event)
        story.leave()

    # Trades

    def reserves(self) -> tuple[int, int]:
        tokens, quote = self.real()
        return tokens + _VIRTUAL_EXTRA, quote + _VIRTUAL_QUOTE[self.quote]

    def real(self) -> tuple[int, int]:
        """Tokens left to sell, and quote units paid in."""
        ledger = self.world.ledger
        account = ledger.token_accounts.get(self.vault)
        tokens = account.amount - _LEFT_OVER if account else 0
        if self.native:
            return tokens, ledger.lamports.get(self.address, 0) - self._rent
        quote = ledger.token_accounts.get(self.quote_vault)
        return tokens, quote.amount if quote else 0

    def buy(self, story: Story, user: str, accounts: tuple[str, str], spend: int) -> tuple[int, int]:
        """See `Venue`. The trade that takes the curve's last tokens completes it."""
        tokens, quote = self.reserves()
        left = tokens - _VIRTUAL_EXTRA
        if self.complete or left <= 0:
            raise OverdrawnError(f"the curve {self.address} has no tokens left")
        price = spend * 10_000 // (10_000 + _PROTOCOL_BPS + _CREATOR_BPS)
        out = price * tokens // (quote + price)
        if out >= left:
            out, price = left, left * quote // (tokens - left) + 1
        if out <= 0:
            raise OverdrawnError("too little to buy anything")
        fees = self._fees(price)
        source, target = accounts
        self._enter(story, user, accounts, events.order(events.BUY, out, spend))
        story.send(self.vault, target, out, self.address)
        self._pay(story, user, source, self.address if self.native else self.quote_vault, price)
        self._pay(story, user, source, self._fee_account(self.recipient), fees[0])
        self._pay(story, user, source, self._fee_account(self.creator_vault), fees[1])
        self._event(story, user, (price, out), fees, is_buy=True)
        story.leave()
        self.record(story, "buy", user, (out, price))
        return out, price + sum(fees)

    def sell(self, story: Story, user: str, accounts: tuple[str, str], token_raw: int) -> int:
        tokens, quote = self.reserves()
        if self.complete:
            raise OverdrawnError(f"the curve {self.address} is complete")
        price = token_raw * quote // (tokens + token_raw)
        fees = self._fees(price)
        target, source = accounts
        self._enter(story, user, accounts, events.order(events.SELL, token_raw, 0))
        story.send(source, self.vault, token_raw, user)
        net = price - sum(fees)
        self._take(story, target, net)
        self._take(story, self._fee_account(self.recipient), fees[0])
        self._take(story, self._fee_account(self.creator_vault), fees[1])
        self._event(story, user, (price, token_raw), fees, is_buy=False)
        story.leave()
        self.record(story, "sell", user, (token_raw, price))
        return net

    def _fees(self, price: int) -> tuple[int, int]:
        return -(-price * _PROTOCOL_BPS // 10_000), -(-price * _CREATOR_BPS // 10_000)

    def _fee_account(self, owner: str) -> str:
        return owner if self.native else self.world.ledger.account_of(owner, self.quote)

    def _pay(self, story: Story, user: str, source: str, target: str, amount: int) -> None:
        if self.native:
            story.transfer(user, target, amount)
        else:
            story.send(source, target, amount, user)

    def _take(self, story: Story, target: str, amount: int) -> None:
        if self.native:
            story.move(self.address, target, amount)
        else:
            story.send(self.quote_vault, target, amount, self.address)

    def _enter(self, story: Story, user: str, accounts: tuple[str, str], data: bytes) -> None:
        if not self.native:
            # The creator's fee account exists from the first trade on, at the trader's cost.
            if self._fee_account(self.creator_vault) not in self.world.ledger.token_accounts:
                story.open_account(user, self.creator_vault, self.quote)
            data = data.replace(events.BUY, events.BUY_V2, 1).replace(events.SELL, events.SELL_V2, 1)
        named = (
            PUMP_GLOBAL,
            self._fee_account(self.recipient),
            self.coin.mint,
            self.address,
            self.vault,
            accounts[1],
            user,
            SYSTEM,
            self.coin.token.token_program,
            self._fee_account(self.creator_vault),
            PUMP_EVENTS,
            PUMP,
            GLOBAL_VOLUME,
            volume_accumulator(user, PUMP),
            FEE_CONFIG,
            PUMP_FEES,
        )
        story.enter(PUMP, named if self.native else (*named, self.quote, accounts[0], self.quote_vault), data)
        story.call(PUMP_FEES, (FEE_CONFIG, PUMP), events.GET_FEES + bytes(17))

    def _event(
        self, story: Story, user: str, amounts: tuple[int, int], fees: tuple[int, int], *, is_buy: bool
    ) -> None:
        v_token, v_quote = self.reserves()
        r_token, r_quote = self.real()
        event = events.trade_event(
            mint=self.coin.mint,
            user=user,
            is_buy=is_buy,
            quote_raw=amounts[0],
            token_raw=amounts[1],
            reserves=(v_quote, v_token, r_quote, r_token),
            fees=(self.recipient, fees[0], self.coin.creator.address, fees[1]),
            when=self.world.time,
            quote=SYSTEM if self.native else self.quote,
        )
        story.call(PUMP, (PUMP_EVENTS,), event)
        if is_buy and r_token == 0:
            done = events.complete_event(user, self.coin.mint, self.address, self.world.time, SYSTEM)
            story.call(PUMP, (PUMP_EVENTS,), done)
