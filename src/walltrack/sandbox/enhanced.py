"""Transactions as Helius' enhanced ones (docs/providers.md)."""

from __future__ import annotations

import struct
from typing import Any, Final

from walltrack.sandbox.addresses import (
    DCA,
    JUPITER,
    LIMIT_ORDERS,
    OKX,
    PUMP,
    PUMPSWAP,
    RAYDIUM_CPMM,
    RAYDIUM_V4,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
)
from walltrack.sandbox.rendering import base58
from walltrack.sandbox.types import Instruction, SandboxTransaction, TokenBalance

_SOURCES: Final = (
    (JUPITER, "JUPITER"),
    (OKX, "OKX_DEX_ROUTER"),
    (LIMIT_ORDERS, "JUPITER"),
    (DCA, "JUPITER"),
    (PUMPSWAP, "PUMP_AMM"),
    (PUMP, "PUMP_FUN"),
    (RAYDIUM_CPMM, "RAYDIUM"),
    (RAYDIUM_V4, "RAYDIUM"),
)


def enhanced_item(tx: SandboxTransaction) -> dict[str, Any]:
    """One item: `accountData` in exact integers, `tokenTransfers` in floats, `events` empty as they mostly are."""
    balances = {b.account_index: b for b in tx.token_balances}
    owners = {tx.accounts[b.account_index]: b for b in tx.token_balances}
    calls = [] if tx.err is not None else [i for top in tx.instructions for i in (top, *top.inner)]
    kind, source = _kind(tx)
    return {
        "accountData": [
            {
                "account": key,
                "nativeBalanceChange": after - before,
                "tokenBalanceChanges": _changes(key, balances.get(index)),
            }
            for index, (key, before, after) in enumerate(
                zip(tx.accounts, tx.balances_before, tx.balances_after, strict=True)
            )
        ],
        "description": "",
        "events": {},
        "fee": tx.fee,
        "feePayer": tx.accounts[0],
        "instructions": [
            {
                "accounts": list(one.accounts),
                "data": base58(one.data),
                "innerInstructions": [
                    {"accounts": list(i.accounts), "data": base58(i.data), "programId": i.program}
                    for i in one.inner
                ],
                "programId": one.program,
            }
            for one in tx.instructions
        ],
        "nativeTransfers": [
            {
                "amount": struct.unpack_from("<Q", i.data, 4)[0],
                "fromUserAccount": i.accounts[0],
                "toUserAccount": i.accounts[1],
            }
            for i in calls
            if i.program == SYSTEM and i.data[:4] in (b"\2\0\0\0", b"\0\0\0\0")
        ],
        "signature": tx.signature,
        "slot": tx.slot,
        "source": source,
        "timestamp": tx.block_time,
        "tokenTransfers": [t for i in calls if (t := _transfer(i, owners)) is not None],
        "transactionError": tx.err,
        "type": kind,
    }


def _changes(key: str, balance: TokenBalance | None) -> list[dict[str, Any]]:
    if balance is None:
        return []
    change = (balance.after or 0) - (balance.before or 0)
    if not change:
        return []
    return [
        {
            "mint": balance.mint,
            "rawTokenAmount": {"decimals": balance.decimals, "tokenAmount": str(change)},
            "tokenAccount": key,
            "userAccount": balance.owner,
        }
    ]


def _transfer(one: Instruction, owners: dict[str, TokenBalance]) -> dict[str, Any] | None:
    """A token transfer in UI units. Accounts that were opened and closed inside are not known any more."""
    if one.program not in (TOKEN, TOKEN_2022) or one.data[:1] not in (b"\x03", b"\x0c"):
        return None
    checked = one.data[:1] == b"\x0c"
    source, target = one.accounts[0], one.accounts[2 if checked else 1]
    known = owners.get(source) or owners.get(target)
    if known is None:
        return None
    (amount,) = struct.unpack_from("<Q", one.data, 1)
    return {
        "fromTokenAccount": source,
        "fromUserAccount": owners[source].owner if source in owners else "",
        "mint": known.mint,
        "toTokenAccount": target,
        "toUserAccount": owners[target].owner if target in owners else "",
        "tokenAmount": amount / 10**known.decimals,
        "tokenStandard": "Fungible",
    }


def _kind(tx: SandboxTransaction) -> tuple[str, str]:
    programs = {one.program for one in tx.instructions}
    for program, source in _SOURCES:
        if program in programs:
            return "SWAP", source
    if programs & {TOKEN, TOKEN_2022}:
        return "TRANSFER", "SOLANA_PROGRAM_LIBRARY"
    return "TRANSFER", "SYSTEM_PROGRAM"
