"""Delivered transactions, one by one: those with the shape and the bounds of a transaction, and how many without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
from solders.signature import Signature

from walltrack.discovery.transactions import (
    MalformedTransactionError,
    RpcTransaction,
    Transaction,
    from_rpc,
)

_decoder: Final = msgspec.json.Decoder(RpcTransaction)

_LONGEST_ADDRESS: Final = 44
_END_OF_TIME: Final = 4_102_444_800  # 2100-01-01: milliseconds given for seconds are far beyond
_MOST_DECIMALS: Final = 255


@dataclass(slots=True)
class Received:
    """What a page held. `accounts` are the token accounts of the mint that it named, by owner."""

    transactions: list[Transaction] = field(default_factory=list)
    accounts: dict[str, set[str]] = field(default_factory=dict)
    refused: int = 0


def received(items: Iterable[msgspec.Raw | bytes | RpcTransaction | None], mint: str) -> Received:
    """Read the items of a page: JSON or decoded. Nulls and what is no transaction are counted as refused."""
    page = Received()
    seen: set[str] = set()
    for item in items:
        try:
            if item is None:
                raise MalformedTransactionError("null in place of a transaction")
            decoded = item if isinstance(item, RpcTransaction) else _decoder.decode(item)
            transaction = from_rpc(decoded)
            _check(transaction, decoded)
            named = list(_token_accounts(decoded, transaction, mint))
        except (
            MalformedTransactionError,
            msgspec.MsgspecError,
            UnicodeDecodeError,
            RecursionError,
            ValueError,
            IndexError,
        ):
            page.refused += 1
            continue
        if transaction.signature in seen:
            continue
        seen.add(transaction.signature)
        page.transactions.append(transaction)
        for owner, account in named:
            page.accounts.setdefault(owner, set()).add(account)
    return page


def _check(transaction: Transaction, decoded: RpcTransaction) -> None:
    """Raises ValueError for numbers and texts that no transaction has, and no table holds."""
    Signature.from_string(transaction.signature)
    index, time = transaction.tx_index, transaction.block_time
    if not 0 <= transaction.slot < 2**63 or not 0 <= transaction.fee < 2**63:
        raise ValueError("slot or fee out of bounds")
    if (index is not None and not 0 <= index < 2**32) or (time is not None and not 0 <= time < _END_OF_TIME):
        raise ValueError("index or time out of bounds")
    if any(not 0 <= number <= _MOST_DECIMALS for number in transaction.decimals.values()):
        raise ValueError("decimals out of bounds")
    if any(not 0 < len(key) <= _LONGEST_ADDRESS for key in (*transaction.keys, *transaction.decimals)):
        raise ValueError("an address of an impossible length")
    if any(abs(change) >= 2**63 for change in transaction.lamports.values()):
        raise ValueError("lamports out of bounds")
    for owner, held in transaction.tokens.items():
        if len(owner) > _LONGEST_ADDRESS or any(abs(change) >= 2**64 for change in held.values()):
            raise ValueError("a token balance out of bounds")
    if decoded.meta is not None:
        for balances in (decoded.meta.pre_token_balances, decoded.meta.post_token_balances):
            if any(not 0 <= b.account_index < len(transaction.keys) for b in balances or ()):
                raise ValueError("a token balance of no account")


def _token_accounts(
    decoded: RpcTransaction, transaction: Transaction, mint: str
) -> Iterator[tuple[str, str]]:
    if transaction.failed or decoded.meta is None:
        return
    for balances in (decoded.meta.pre_token_balances, decoded.meta.post_token_balances):
        for balance in balances or ():
            if balance.mint == mint and balance.owner is not None:
                yield balance.owner, transaction.keys[balance.account_index]
