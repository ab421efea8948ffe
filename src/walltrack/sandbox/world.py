"""The sandbox's world while it is simulated: its clock, its wallets, and the transactions that reach its chain."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from solders.pubkey import Pubkey
from solders.signature import Signature

from walltrack.sandbox.addresses import (
    ASSOCIATED,
    BOT_FEE_WALLETS,
    OKX_AUTHORITY,
    PROGRAMS,
    PUMP_FEE_RECIPIENTS,
    PUMP_MIGRATOR,
    TIP_ACCOUNTS,
    TOKEN,
    USDC,
    WSOL,
)
from walltrack.sandbox.books import Books, Entry, Kind
from walltrack.sandbox.calendar import DAY, FIRST_SLOT_OF_VERSION_1, RentRates, SolPrices, slot_at, time_of
from walltrack.sandbox.labels import Staged
from walltrack.sandbox.ledger import Draft, Ledger, Mint, OverdrawnError, TokenAccount
from walltrack.sandbox.types import SandboxPool, SandboxTrade, SandboxTransaction

if TYPE_CHECKING:
    from walltrack.sandbox.venues import Venue

SOL: Final = 10**9
DAYS: Final = 95
"""Days before `now` at which the simulation begins."""

_SLIPPAGE: Final = {"InstructionError": [3, {"Custom": 6002}]}


@dataclass(slots=True, eq=False)
class Wallet:
    """A wallet and what it is. `skill` is its true edge: the chance that a token it picks pumps."""

    address: str
    kind: str
    skill: float | None = None
    keeps_wsol: bool = False
    bot: str | None = None


class Story(Draft):
    """A transaction, and what it means to the wallets in it."""

    def __init__(self, world: World, payer: str, *signers: str) -> None:
        super().__init__(world.ledger, payer, world.rents.per_byte(world.time))
        self.signers.update(dict.fromkeys(signers))
        self.trader: str | None = None
        self.extra: dict[str, int] = {}
        self.told: list[tuple[str, str, Kind, int, str | None, int, str]] = []
        self.pool_trades: list[tuple[SandboxPool, SandboxTrade]] = []

    def pay(self, wallet: str, target: str, lamports: int) -> None:
        """A plain transfer that is a cost of the wallet's trade: a tip, a platform's fee."""
        self.transfer(wallet, target, lamports)
        self._costs(wallet, lamports)

    def open_account(self, payer: str, owner: str, mint: str) -> tuple[str, int]:
        address, paid = super().open_account(payer, owner, mint)
        if paid and payer != owner:
            self._costs(payer, paid)
            self._costs(owner, -paid)
        return address, paid

    def foreign_account(self, payer: str, address: str, size: int, program: str) -> int:
        """Make an account that is not the payer's own: its rent is a cost of the payer's trade."""
        paid = self.create_account(payer, address, size, program)
        self._costs(payer, paid)
        return paid

    def give_rent_away(self, wallet: str, account: str, target: str) -> None:
        """Close the wallet's account and let another have the rent."""
        self._costs(wallet, self.close(account, target, wallet))

    def _costs(self, wallet: str, lamports: int) -> None:
        self.extra[wallet] = self.extra.get(wallet, 0) + lamports

    def bought(self, mint: str, wallet: str, raw: int, quote: str, quote_raw: int, *, note: str = "") -> None:
        self.told.append((mint, wallet, "buy", raw, quote, quote_raw, note))

    def sold(self, mint: str, wallet: str, raw: int, quote: str, quote_raw: int, *, note: str = "") -> None:
        self.told.append((mint, wallet, "sell", raw, quote, quote_raw, note))

    def gave(self, mint: str, wallet: str, raw: int, note: str = "") -> None:
        self.told.append((mint, wallet, "transfer_out", raw, None, 0, note))

    def withheld(self, mint: str, wallet: str, raw: int) -> None:
        """What a mint's fee took when the wallet moved tokens into or out of its own escrow: gone without a sale."""
        if raw:
            self.gave(mint, wallet, raw, "fee of the mint")

    def got(self, mint: str, wallet: str, raw: int, note: str = "") -> None:
        self.told.append((mint, wallet, "transfer_in", raw, None, 0, note))


class World:
    """Everything that changes while a market is made. Things happen in the order of their slots.

    `on_trade` is told of every pool that was traded in. `sol_usdc` is the pool that turns USDC into SOL. `exchanges`
    names addresses of exchanges.
    """

    on_trade: Callable[[SandboxPool], None]
    sol_usdc: Venue

    def __init__(self, seed: int, now: int) -> None:
        self.rng = random.Random(f"market {seed}")  # noqa: S311 - a simulation
        self.seed = seed
        self.now = now
        self.ledger = Ledger()
        self.rents = RentRates(now)
        self.prices = SolPrices(seed, now, DAYS)
        self.books = Books(self.prices.at)
        self.transactions: list[SandboxTransaction] = []
        self.wallets: dict[str, Wallet] = {}
        self.venue_of: dict[str, Venue] = {}
        self.staged = Staged()
        self.exchanges: dict[str, str] = {}
        self.slot = slot_at(now - DAYS * DAY)
        self.last_slot = slot_at(now + 1) - 1
        self.time = time_of(self.slot)
        self._index = 0
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._planned = 0
        self._blockhash = (-1, "")
        self._furnish()

    # Time

    def at(self, unix: float, what: Callable[[], object]) -> None:
        """Let something happen at a time, at once if it is past. What would come after `now` does not happen."""
        self.at_slot(slot_at(unix), what)

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        self.at_slot(self.slot + max(1, round(seconds * 2.5)), what)

    def at_slot(self, slot: int, what: Callable[[], object]) -> None:
        if slot <= self.last_slot:
            self._planned += 1
            heapq.heappush(self._agenda, (max(slot, self.slot), self._planned, what))

    def run(self) -> None:
        """Let everything happen that was planned and is planned on the way."""
        while self._agenda:
            slot, _, what = heapq.heappop(self._agenda)
            if slot != self.slot:
                self.slot, self.time, self._index = slot, time_of(slot), self.rng.randrange(200)
            what()

    # Wallets

    def new_address(self) -> str:
        """An address on the curve, as those of key pairs are: every second number is one."""
        while True:
            drawn = Pubkey(self.rng.randbytes(32))
            if drawn.is_on_curve():
                return str(drawn)

    def new_wallet(self, kind: str, *, sol: float = 0.0, skill: float | None = None) -> Wallet:
        """A wallet that has had its SOL since before the market began; how much is drawn where `sol` is 0."""
        rng = self.rng
        wallet = Wallet(self.new_address(), kind, skill)
        funds = sol or min(20 + rng.lognormvariate(3.2, 0.9), 2_000)
        self.ledger.lamports[wallet.address] = int(funds * SOL) + rng.randrange(SOL)
        if rng.random() < 0.12:
            wallet.keeps_wsol = True
            self.furnish_account(wallet.address, WSOL, rng.randrange(SOL))
        if rng.random() < 0.3:
            wallet.bot = rng.choice(BOT_FEE_WALLETS)
        self.wallets[wallet.address] = wallet
        return wallet

    def fund(self, wallet: Wallet, lamports: int) -> bool:
        """Whether the wallet can spend this much and still pay for rent and fees."""
        return self.ledger.lamports[wallet.address] >= lamports + SOL // 20

    def furnish_account(self, owner: str, mint: str, amount: int) -> str:
        """A token account from before the market began."""
        address = self.ledger.account_of(owner, mint)
        self.ledger.token_accounts[address] = TokenAccount(owner, mint, amount)
        rent = self.rents.old_minimum(165)
        self.ledger.lamports[address] = rent + (amount if mint == WSOL else 0)
        return address

    def share(self, *addresses: str) -> None:
        """Put addresses into the lookup tables that transactions may use."""
        self.ledger.shared.update(addresses)

    def sol_usd(self) -> float:
        return self.prices.at(self.time)

    # Transactions

    def submit(
        self,
        story: Story,
        *,
        fails: bool = False,
        adjacent: bool = False,
        version: Literal["legacy"] | int | None = None,
    ) -> SandboxTransaction | None:
        """Put a transaction on the chain; None where its payer cannot pay. `adjacent`: right after the last one."""
        rng = self.rng
        self._index += 1 if adjacent else 1 + int(rng.random() * 29)
        if version is None:
            drawn = rng.random()
            newest = 1 if self.slot >= FIRST_SLOT_OF_VERSION_1 else 0
            version = newest if drawn < 0.42 else 0 if drawn < 0.78 else "legacy"
        if self._blockhash[0] != self.slot // 150:
            self._blockhash = (self.slot // 150, str(Pubkey(rng.randbytes(32))))
        signatures = tuple(str(Signature.from_bytes(rng.randbytes(64))) for _ in story.signers)
        limit = 80_000 + int(rng.random() * 320_000)
        price = int(rng.lognormvariate(12.2, 1.3))
        try:
            made = story.finish(
                place=(self.slot, self._index, self.time),
                version=version,
                signatures=signatures,
                blockhash=self._blockhash[1],
                compute=(limit, min(price, 5_000_000)),
                err=_SLIPPAGE if fails else None,
            )
        except OverdrawnError:
            story.take_back()
            return None
        self.transactions.append(made)
        if not fails:
            self._tell(story, made)
        return made

    def _tell(self, story: Story, made: SandboxTransaction) -> None:
        for pool, trade in story.pool_trades:
            pool.trades.append(trade)
            self.on_trade(pool)
        for mint, wallet, kind, raw, quote, quote_raw, note in story.told:
            costs = 0
            if quote is not None:
                costs = story.extra.get(wallet, 0) + (made.fee if wallet == story.payer else 0)
            entry = Entry(
                made.signature, made.slot, made.index, made.block_time, kind, raw, quote, quote_raw, costs
            )
            self.books.write(mint, wallet, entry._replace(note=note))

    def _furnish(self) -> None:
        ledger, rng = self.ledger, self.rng
        for mint, decimals in ((WSOL, 9), (USDC, 6)):
            ledger.mints[mint] = Mint(mint, TOKEN, decimals)
            ledger.lamports[mint] = rng.randrange(10**11, 10**12)
        for program in sorted(PROGRAMS):
            ledger.lamports[program] = rng.randrange(1, 10**9)
        self.share(*PROGRAMS, WSOL, USDC)
        ledger.shared.discard(ASSOCIATED)
        for address in (*PUMP_FEE_RECIPIENTS, *TIP_ACCOUNTS, *BOT_FEE_WALLETS, PUMP_MIGRATOR):
            ledger.lamports[address] = rng.randrange(10**9, 10**13)
        for address in PUMP_FEE_RECIPIENTS:
            for mint in (WSOL, USDC):
                self.share(address, self.furnish_account(address, mint, rng.randrange(10**9)))
        ledger.lamports[OKX_AUTHORITY] = rng.randrange(10**9)
        self.share(OKX_AUTHORITY, self.furnish_account(OKX_AUTHORITY, WSOL, 0))
        self.rent_collector = self.new_address()
        ledger.lamports[self.rent_collector] = SOL
        self.sponsor = self.new_wallet("sponsor", sol=5_000)
        self.unknown_tips = tuple(self.new_address() for _ in range(5))
        for address in self.unknown_tips:
            ledger.lamports[address] = rng.randrange(10**9, 10**12)
