"""A Solana transaction as its balances tell it, whatever form it was delivered in.

Two forms are read: the result of the RPC method `getTransaction` (encodings `json` and `jsonParsed`; versions
legacy, 0 and 1), and Helius' enhanced transactions (`accountData`). Both end as one `Transaction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from solders.pubkey import Pubkey

from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.tape import WSOL


class MalformedTransactionError(WallTrackError):
    """A delivered transaction does not have the shape that its format promises."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one transaction changed, by owner. Integers are lamports and raw token units.

    `lamports[owner]` sums the changes of the owner's own account and of every token account it owns; the network
    fee is added back to `fee_payer`. So wrapping, and the rent of an owner's own token accounts, cancel out, and
    the WSOL mint does not appear in `tokens`: its lamports are counted already. Owners without a change are left
    out. `signers` is None where the format does not name them. `instructions` are the raw JSON lists, top level
    first, read only where a rule asks for them.
    """

    signature: str
    slot: int
    tx_index: int | None
    block_time: int | None
    failed: bool
    fee: int
    fee_payer: str
    signers: frozenset[str] | None
    keys: list[str]
    lamports: dict[str, int]
    tokens: dict[str, dict[str, int]]
    decimals: dict[str, int]
    instructions: tuple[msgspec.Raw, ...] = field(default=(), repr=False)

    def accounts_used_by(self, programs: frozenset[str]) -> frozenset[str]:
        """Accounts named by the instructions, top level and inner, that call one of `programs`."""
        used: set[str] = set()
        for instruction in self._instructions():
            program = instruction.programId
            if program is None and instruction.programIdIndex is not None:
                program = self.keys[instruction.programIdIndex]
            if program in programs:
                used.update(self.keys[a] if isinstance(a, int) else a for a in instruction.accounts)
        return frozenset(used)

    def _instructions(self) -> Iterator[_Instruction]:
        try:
            for raw in self.instructions:
                if not raw:
                    continue
                for item in _instructions_decoder.decode(raw) or ():
                    yield item
                    yield from _nested(item)
        except (msgspec.MsgspecError, IndexError) as error:
            raise _malformed(self.signature, error) from error


class _UiTokenAmount(msgspec.Struct):
    amount: str
    decimals: int


class _TokenBalance(msgspec.Struct, rename="camel"):
    account_index: int
    mint: str
    ui_token_amount: _UiTokenAmount
    owner: str | None = None


class _LoadedAddresses(msgspec.Struct):
    writable: list[str] = []
    readonly: list[str] = []


class _Meta(msgspec.Struct, rename="camel"):
    fee: int
    pre_balances: list[int]
    post_balances: list[int]
    err: Any = None
    pre_token_balances: list[_TokenBalance] | None = None
    post_token_balances: list[_TokenBalance] | None = None
    loaded_addresses: _LoadedAddresses | None = None
    inner_instructions: msgspec.Raw = msgspec.Raw()


class _Key(msgspec.Struct):
    pubkey: str
    signer: bool


class _Header(msgspec.Struct, rename="camel"):
    num_required_signatures: int


class _Message(msgspec.Struct, rename="camel"):
    account_keys: list[str | _Key]
    header: _Header | None = None
    instructions: msgspec.Raw = msgspec.Raw()


class _Envelope(msgspec.Struct):
    signatures: list[str]
    message: _Message


class RpcTransaction(msgspec.Struct, rename="camel"):
    """The result of `getTransaction`, or one item of a full page of `getTransactionsForAddress`."""

    slot: int
    transaction: _Envelope
    meta: _Meta | None
    block_time: int | None = None
    transaction_index: int | None = None


class _Instruction(msgspec.Struct):
    programId: str | None = None  # noqa: N815 - the wire's own name, beside programIdIndex
    programIdIndex: int | None = None  # noqa: N815
    accounts: list[int | str] = []
    instructions: list[_Instruction] = []
    innerInstructions: list[_Instruction] = []  # noqa: N815


class _RawTokenAmount(msgspec.Struct, rename="camel"):
    token_amount: str
    decimals: int


class _TokenBalanceChange(msgspec.Struct, rename="camel"):
    user_account: str
    token_account: str
    mint: str
    raw_token_amount: _RawTokenAmount


class _AccountData(msgspec.Struct, rename="camel"):
    account: str
    native_balance_change: int
    token_balance_changes: list[_TokenBalanceChange] | None = None


class EnhancedTransaction(msgspec.Struct, rename="camel"):
    """One item of Helius' enhanced transactions; only exact integers are read."""

    signature: str
    slot: int
    timestamp: int
    fee: int
    fee_payer: str
    account_data: list[_AccountData]
    transaction_error: Any = None
    instructions: msgspec.Raw = msgspec.Raw()


_instructions_decoder = msgspec.json.Decoder(list[_Instruction] | None)
_rpc_decoder = msgspec.json.Decoder(RpcTransaction)
_enhanced_decoder = msgspec.json.Decoder(EnhancedTransaction)


def from_rpc(result: bytes | str | RpcTransaction) -> Transaction:
    """Read the result of `getTransaction`: JSON text, or the struct where a page was decoded at once.

    Raises MalformedTransactionError where the shape is not that of a transaction with its meta.
    """
    if not isinstance(result, RpcTransaction):
        try:
            result = _rpc_decoder.decode(result)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _malformed("a transaction", error) from error
    message, meta = result.transaction.message, result.meta
    if not result.transaction.signatures or not message.account_keys:
        raise MalformedTransactionError("a transaction has no signature or no account keys")
    signature = result.transaction.signatures[0]
    if meta is None:
        raise MalformedTransactionError(f"transaction {signature} came without its meta")
    keys, signers = _keys(message, meta)
    if len(meta.pre_balances) != len(keys) or len(meta.post_balances) != len(keys):
        raise MalformedTransactionError(
            f"transaction {signature} has {len(keys)} account keys, but {len(meta.pre_balances)} balances before"
            f" and {len(meta.post_balances)} after"
        )
    try:
        lamports, tokens, decimals = _rpc_changes(keys, meta)
    except (ValueError, IndexError) as error:
        raise _malformed(signature, error) from error
    return Transaction(
        signature=signature,
        slot=result.slot,
        tx_index=result.transaction_index,
        block_time=result.block_time,
        failed=meta.err is not None,
        fee=meta.fee,
        fee_payer=keys[0],
        signers=signers,
        keys=keys,
        lamports=lamports,
        tokens=tokens,
        decimals=decimals,
        instructions=(message.instructions, meta.inner_instructions),
    )


def from_enhanced(item: bytes | str | EnhancedTransaction) -> Transaction:
    """Read one of Helius' enhanced transactions. It names no signers, so `signers` is None.

    Raises MalformedTransactionError where the shape is another.
    """
    if not isinstance(item, EnhancedTransaction):
        try:
            item = _enhanced_decoder.decode(item)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _malformed("an enhanced transaction", error) from error
    owner_of = {
        change.token_account: change.user_account
        for data in item.account_data
        for change in data.token_balance_changes or ()
    }
    lamports: dict[str, int] = {}
    tokens: dict[str, dict[str, int]] = {}
    decimals: dict[str, int] = {}
    for data in item.account_data:
        if data.native_balance_change:
            _add(lamports, owner_of.get(data.account, data.account), data.native_balance_change)
        for change in data.token_balance_changes or ():
            if change.mint == WSOL:
                continue
            decimals[change.mint] = change.raw_token_amount.decimals
            try:
                raw = int(change.raw_token_amount.token_amount)
            except ValueError as error:
                raise _malformed(item.signature, error) from error
            _add(tokens.setdefault(change.user_account, {}), change.mint, raw)
    _add(lamports, item.fee_payer, item.fee)
    return Transaction(
        signature=item.signature,
        slot=item.slot,
        tx_index=None,
        block_time=item.timestamp,
        failed=item.transaction_error is not None,
        fee=item.fee,
        fee_payer=item.fee_payer,
        signers=None,
        keys=[data.account for data in item.account_data],
        lamports=_nonzero(lamports),
        tokens=_nonzero_tokens(tokens),
        decimals=decimals,
        instructions=(item.instructions,),
    )


@lru_cache(maxsize=200_000)
def is_on_curve(address: str) -> bool:
    """Whether an address can be a key pair's: program-derived addresses lie off the ed25519 curve."""
    try:
        return bool(Pubkey.from_string(address).is_on_curve())
    except ValueError:
        return False


def _keys(message: _Message, meta: _Meta) -> tuple[list[str], frozenset[str]]:
    """All keys in balance order, and those that signed. `jsonParsed` lists the loaded addresses itself."""
    if isinstance(message.account_keys[0], _Key):
        parsed = [key for key in message.account_keys if isinstance(key, _Key)]
        return [key.pubkey for key in parsed], frozenset(key.pubkey for key in parsed if key.signer)
    keys = [key for key in message.account_keys if isinstance(key, str)]
    if message.header is None:
        raise MalformedTransactionError("a transaction's message has plain keys and no header")
    signers = frozenset(keys[: message.header.num_required_signatures])
    if meta.loaded_addresses is not None:
        keys += meta.loaded_addresses.writable
        keys += meta.loaded_addresses.readonly
    return keys, signers


def _rpc_changes(
    keys: list[str], meta: _Meta
) -> tuple[dict[str, int], dict[str, dict[str, int]], dict[str, int]]:
    owner_of: dict[int, str] = {}
    tokens: dict[str, dict[str, int]] = {}
    decimals: dict[str, int] = {}
    for balances, sign in ((meta.pre_token_balances, -1), (meta.post_token_balances, 1)):
        for balance in balances or ():
            index = balance.account_index
            owner = balance.owner or keys[index]
            owner_of[index] = owner
            mint = balance.mint
            if mint == WSOL:
                continue
            amount = balance.ui_token_amount
            decimals[mint] = amount.decimals
            held = tokens.get(owner)
            if held is None:
                tokens[owner] = {mint: sign * int(amount.amount)}
            else:
                held[mint] = held.get(mint, 0) + sign * int(amount.amount)
    lamports: dict[str, int] = {keys[0]: meta.fee}
    for index, (before, after) in enumerate(zip(meta.pre_balances, meta.post_balances, strict=True)):
        if before != after:
            owner = owner_of.get(index) or keys[index]
            lamports[owner] = lamports.get(owner, 0) + after - before
    return _nonzero(lamports), _nonzero_tokens(tokens), decimals


def _add(sums: dict[str, int], key: str, amount: int) -> None:
    sums[key] = sums.get(key, 0) + amount


def _nonzero(sums: dict[str, int]) -> dict[str, int]:
    return {key: amount for key, amount in sums.items() if amount}


def _nonzero_tokens(tokens: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    changed = {}
    for owner, held in tokens.items():
        kept = {mint: amount for mint, amount in held.items() if amount}
        if kept:
            changed[owner] = kept
    return changed


def _nested(item: _Instruction) -> Iterable[_Instruction]:
    yield from item.instructions
    yield from item.innerInstructions


def _malformed(what: str, error: Exception) -> MalformedTransactionError:
    return MalformedTransactionError(f"{what} does not have a transaction's shape: {error}")
