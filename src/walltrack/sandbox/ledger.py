"""The sandbox's chain state, and transactions that change it: lamports and tokens are conserved, none go below zero."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from walltrack.sandbox.addresses import (
    ASSOCIATED,
    COMPUTE_BUDGET,
    SYSTEM,
    WSOL,
    raw,
    token_account,
)
from walltrack.sandbox.types import Instruction, SandboxTransaction, TokenBalance

BASE_FEE: Final = 5_000

_SYSTEM_TRANSFER: Final = struct.Struct("<IQ")
_CREATE_ACCOUNT: Final = struct.Struct("<IQQ")
_TRANSFER: Final = struct.Struct("<BQ")
_TRANSFER_CHECKED: Final = struct.Struct("<BQB")


class OverdrawnError(Exception):
    """An account does not hold what was to leave it. The transaction is taken back."""


@dataclass(slots=True)
class Mint:
    """A mint. A transfer withholds `fee_bps` of what it moves (Token-2022)."""

    address: str
    token_program: str
    decimals: int
    fee_bps: int = 0


@dataclass(slots=True)
class TokenAccount:
    owner: str
    mint: str
    amount: int


@dataclass(slots=True)
class Ledger:
    """Balances by address. `shared` are the addresses that lookup tables hold."""

    lamports: dict[str, int] = field(default_factory=dict)
    token_accounts: dict[str, TokenAccount] = field(default_factory=dict)
    mints: dict[str, Mint] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)

    def account_of(self, owner: str, mint: str) -> str:
        """The associated token account's address, whether it exists or not."""
        return token_account(owner, mint, self.mints[mint].token_program)

    def held(self, owner: str, mint: str) -> int:
        """What the associated token account holds."""
        account = self.token_accounts.get(self.account_of(owner, mint))
        return account.amount if account else 0


class Draft:
    """One transaction while it is made. Its operations change the ledger at once; `take_back` undoes them.

    An operation outside `enter` ... `leave` is a top-level instruction, one inside is a call of the entered program.
    """

    def __init__(self, ledger: Ledger, payer: str, rent_rate: int) -> None:
        self.ledger = ledger
        self.signers: dict[str, None] = {payer: None}
        self.payer = payer
        self.rent_rate = rent_rate
        self.instructions: list[Instruction] = []
        self.writable: set[str] = set()
        self._named: dict[str, None] = {}
        self._programs: dict[str, None] = {}
        self._called: dict[str, None] = {}
        self._depth = 0
        self._lamports_before: dict[str, int] = {}
        self._tokens_before: dict[str, TokenAccount | None] = {}

    # Calls

    def call(self, program: str, accounts: tuple[str, ...], data: bytes) -> None:
        if self._depth == 0:
            self.instructions.append(Instruction(program, accounts, data, 1, []))
            self._programs[program] = None
        else:
            self.instructions[-1].inner.append(Instruction(program, accounts, data, self._depth + 1, []))
            self._called[program] = None
        for account in accounts:
            self._named[account] = None

    def enter(self, program: str, accounts: tuple[str, ...], data: bytes) -> None:
        self.call(program, accounts, data)
        self._depth += 1

    def leave(self) -> None:
        self._depth -= 1

    # Lamports

    def move(self, source: str, target: str, lamports: int) -> None:
        """Move lamports without an instruction, as a program does with accounts of its own."""
        held, before = self.ledger.lamports, self._lamports_before
        has = held.get(source, 0)
        if lamports < 0 or has < lamports:
            raise OverdrawnError(f"{source} holds {has} lamports, {lamports} were to leave it")
        if source not in before:
            before[source] = has
        held[source] = has - lamports
        has = held.get(target, 0)
        if target not in before:
            before[target] = has
        held[target] = has + lamports

    def transfer(self, source: str, target: str, lamports: int) -> None:
        self.move(source, target, lamports)
        self.call(SYSTEM, (source, target), _SYSTEM_TRANSFER.pack(2, lamports))

    def rent(self, size: int) -> int:
        return (128 + size) * self.rent_rate

    def create_account(self, payer: str, address: str, size: int, program: str) -> int:
        """Make an account that holds its rent, which is returned."""
        lamports = self.rent(size)
        self.move(payer, address, lamports)
        self.call(SYSTEM, (payer, address), _CREATE_ACCOUNT.pack(0, lamports, size) + raw(program))
        return lamports

    # Tokens

    def open_account(self, payer: str, owner: str, mint: str) -> tuple[str, int]:
        """The owner's associated token account, made if it is missing; and the rent that was paid for it."""
        info = self.ledger.mints[mint]
        address = token_account(owner, mint, info.token_program)
        self.enter(ASSOCIATED, (payer, address, owner, mint, SYSTEM, info.token_program), b"\x01")
        paid = 0 if address in self.ledger.token_accounts else self._new_account(payer, address, owner, mint)
        self.leave()
        return address, paid

    def open_extra_account(self, payer: str, address: str, owner: str, mint: str) -> int:
        """Make a token account that is not the associated one; its key pair signs. Returns the rent."""
        self.signers[address] = None
        return self._new_account(payer, address, owner, mint)

    def open_vault(self, payer: str, address: str, owner: str, mint: str) -> int:
        """Make a token account at a program's own address. Returns the rent."""
        return self._new_account(payer, address, owner, mint)

    def _new_account(self, payer: str, address: str, owner: str, mint: str) -> int:
        info = self.ledger.mints[mint]
        size = 165 if info.token_program.startswith("Tokenk") else 170 if not info.fee_bps else 182
        paid = self.create_account(payer, address, size, info.token_program)
        self.call(info.token_program, (address, mint), b"\x12" + raw(owner))
        self._remember(address)
        self.ledger.token_accounts[address] = TokenAccount(owner, mint, 0)
        return paid

    def wrap(self, owner: str, account: str, lamports: int) -> None:
        """Put SOL into a WSOL account."""
        self.transfer(owner, account, lamports)
        self._remember(account)
        self.ledger.token_accounts[account].amount += lamports
        self.call(self.ledger.mints[WSOL].token_program, (account,), b"\x11")

    def fund_wsol(self, source: str, account: str, lamports: int) -> None:
        """Let a program move lamports of its own into a WSOL account."""
        self.move(source, account, lamports)
        self._remember(account)
        self.ledger.token_accounts[account].amount += lamports
        self.call(self.ledger.mints[WSOL].token_program, (account,), b"\x11")

    def close(self, account: str, target: str, authority: str) -> int:
        """Close a token account, which must be empty unless it is a WSOL account. Returns the lamports it held."""
        state = self.ledger.token_accounts[account]
        if state.amount and state.mint != WSOL:
            raise OverdrawnError(f"{account} is not empty")
        self._remember(account)
        lamports = self.ledger.lamports[account]
        self.move(account, target, lamports)
        self.call(self.ledger.mints[state.mint].token_program, (account, target, authority), b"\x09")
        del self.ledger.token_accounts[account]
        return lamports

    def send(self, source: str, target: str, amount: int, authority: str, *, checked: bool = True) -> int:
        """Transfer tokens between accounts. Returns what arrives: less where the mint withholds a fee."""
        accounts = self.ledger.token_accounts
        giver, taker = accounts[source], accounts[target]
        if giver.amount < amount or amount < 0:
            raise OverdrawnError(f"{source} holds {giver.amount} of {giver.mint}, {amount} were to leave it")
        mint = self.ledger.mints[giver.mint]
        self._remember(source)
        self._remember(target)
        arrives = amount - -(-amount * mint.fee_bps // 10_000)
        giver.amount -= amount
        taker.amount += arrives
        if giver.mint == WSOL:
            self.move(source, target, amount)
        if checked:
            data = _TRANSFER_CHECKED.pack(12, amount, mint.decimals)
            self.call(mint.token_program, (source, giver.mint, target, authority), data)
        else:
            self.call(mint.token_program, (source, target, authority), _TRANSFER.pack(3, amount))
        return arrives

    def mint_to(self, mint: str, target: str, amount: int, authority: str) -> None:
        self._remember(target)
        self.ledger.token_accounts[target].amount += amount
        self.call(self.ledger.mints[mint].token_program, (mint, target, authority), _TRANSFER.pack(7, amount))
        self.writable.add(mint)

    def burn(self, account: str, amount: int, authority: str) -> None:
        state = self.ledger.token_accounts[account]
        if state.amount < amount:
            raise OverdrawnError(f"{account} holds {state.amount} of {state.mint}")
        self._remember(account)
        state.amount -= amount
        program = self.ledger.mints[state.mint].token_program
        self.call(program, (account, state.mint, authority), _TRANSFER.pack(8, amount))
        self.writable.add(state.mint)

    def _remember(self, account: str) -> None:
        if account not in self._tokens_before:
            state = self.ledger.token_accounts.get(account)
            before = TokenAccount(state.owner, state.mint, state.amount) if state else None
            self._tokens_before[account] = before

    # The end

    def take_back(self) -> None:
        """Undo all changes of the ledger."""
        self.ledger.lamports.update(self._lamports_before)
        for account, before in self._tokens_before.items():
            if before is None:
                self.ledger.token_accounts.pop(account, None)
            else:
                self.ledger.token_accounts[account] = before
        self._tokens_before.clear()
        self._lamports_before.clear()

    def finish(
        self,
        *,
        place: tuple[int, int, int],
        version: Literal["legacy"] | int,
        signatures: tuple[str, ...],
        blockhash: str,
        compute: tuple[int, int],
        err: object | None = None,
    ) -> SandboxTransaction:
        """Charge the fee and return the transaction; `err` takes everything but the fee back.

        `place` is slot, index and time; `compute` the unit limit and the price in micro-lamports a unit.
        """
        limit, price = compute
        fee = BASE_FEE * len(self.signers) - (-limit * price // 1_000_000)
        touched = self.writable | self._lamports_before.keys() | self._tokens_before.keys()
        if err is not None:
            self.take_back()
        held = self.ledger.lamports
        before = self._lamports_before.setdefault(self.payer, held.get(self.payer, 0))
        if held.get(self.payer, 0) < fee:
            raise OverdrawnError(f"{self.payer} holds {before} lamports and cannot pay the fee {fee}")
        held[self.payer] -= fee
        if version != 1:
            self.instructions[:0] = [
                Instruction(COMPUTE_BUDGET, (), struct.pack("<BI", 2, limit), 1, []),
                Instruction(COMPUTE_BUDGET, (), struct.pack("<BQ", 3, price), 1, []),
            ]
            self._programs[COMPUTE_BUDGET] = None
        keys, static, header, loaded_writable = self._keys(touched, lookups=version == 0)
        earlier = self._lamports_before
        after = [held.get(key, 0) for key in keys]
        slot, index, block_time = place
        tokens, owners = self._token_balances(keys)
        return SandboxTransaction(
            signature=signatures[0],
            slot=slot,
            index=index,
            block_time=block_time,
            version=version,
            err=err,
            fee=fee,
            accounts=keys,
            token_owners=owners,
            signatures=signatures,
            blockhash=blockhash,
            header=header,
            static_keys=static,
            loaded_writable=loaded_writable,
            balances_before=array("q", [earlier.get(key, now) for key, now in zip(keys, after, strict=True)]),
            balances_after=array("q", after),
            token_balances=tokens,
            instructions=self.instructions,
            compute_units=limit * 7 // 10,
        )

    def _keys(
        self, touched: set[str], *, lookups: bool
    ) -> tuple[tuple[str, ...], int, tuple[int, int, int], int]:
        """All keys in balance order, the number of static ones, the header, the number of loaded writable ones."""
        signers, shared, programs = self.signers, self.ledger.shared, self._programs
        writable: list[str] = []
        readonly: list[str] = []
        loaded: list[str] = []
        loaded_readonly: list[str] = []
        for key in self._named | self._called | programs:
            if key in signers:
                continue
            if lookups and key in shared and key not in programs:
                (loaded if key in touched else loaded_readonly).append(key)
            else:
                (writable if key in touched else readonly).append(key)
        keys = (*signers, *writable, *readonly, *loaded, *loaded_readonly)
        static = len(keys) - len(loaded) - len(loaded_readonly)
        return keys, static, (len(signers), 0, len(readonly)), len(loaded)

    def _token_balances(self, keys: Sequence[str]) -> tuple[list[TokenBalance], tuple[str, ...]]:
        current, before_of, mints = self.ledger.token_accounts.get, self._tokens_before.get, self.ledger.mints
        found: list[TokenBalance] = []
        owners: dict[str, None] = {}
        for index, key in enumerate(keys):
            now = current(key)
            then = before_of(key, now)
            known = now or then
            if known is None:
                continue
            mint = mints[known.mint]
            before, after = then.amount if then else None, now.amount if now else None
            found.append(
                TokenBalance(index, known.mint, known.owner, mint.token_program, mint.decimals, before, after)
            )
            if before != after:
                owners[known.owner] = None
        return found, tuple(owners)
