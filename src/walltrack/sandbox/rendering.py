"""Transactions as the RPC method `getTransaction` gives them (docs/providers.md)."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import Any, Final

from solders.pubkey import Pubkey

from walltrack.sandbox.addresses import ASSOCIATED, SYSTEM, TOKEN, TOKEN_2022
from walltrack.sandbox.ledger import BASE_FEE
from walltrack.sandbox.types import Encoding, Instruction, SandboxTransaction, TokenBalance

_LOOKUP_TABLE: Final = str(Pubkey.find_program_address([b"sandbox lookup table"], Pubkey.default())[0])
_DIGITS: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS: Final = tuple(first + second for first in _DIGITS for second in _DIGITS)

# Short instruction data is the same again and again; long data holds amounts.
_MOST_CACHED: Final = 32


def base58(data: bytes) -> str:
    """Bytes in base58, as instruction data is written."""
    return _cached_base58(data) if len(data) <= _MOST_CACHED else _base58(data)


def _base58(data: bytes) -> str:
    number, parts = int.from_bytes(data, "big"), []
    # Ten digits at a time: few divisions of the long number, the others are of machine words.
    while number:
        number, chunk = divmod(number, 58**10)
        for _ in range(5):
            chunk, pair = divmod(chunk, 3364)
            parts.append(_PAIRS[pair])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(parts)).lstrip("1")


_cached_base58 = lru_cache(maxsize=16_384)(_base58)


def rpc_result(tx: SandboxTransaction, encoding: Encoding) -> dict[str, Any]:
    """The `result` of `getTransaction` in encoding `json` or `jsonParsed`, without `transactionIndex`."""
    parsed = encoding == "jsonParsed"
    place = {} if parsed else {key: index for index, key in enumerate(tx.accounts)}
    message: dict[str, Any] = {
        "accountKeys": _parsed_keys(tx) if parsed else list(tx.accounts[: tx.static_keys]),
        "instructions": [_instruction(i, place, parsed=parsed) for i in tx.instructions],
        "recentBlockhash": tx.blockhash,
    }
    if not parsed:
        signed, readonly_signed, readonly = tx.header
        message["header"] = {
            "numReadonlySignedAccounts": readonly_signed,
            "numReadonlyUnsignedAccounts": readonly,
            "numRequiredSignatures": signed,
        }
    if tx.version == 0:
        message["addressTableLookups"] = _lookups(tx)
    if tx.version == 1:
        message["transactionConfig"] = {
            "computeUnitLimit": tx.compute_units * 10 // 7,
            "heapSize": None,
            "loadedAccountsDataSizeLimit": 33_554_432,
            "priorityFee": tx.fee - BASE_FEE * len(tx.signatures),
        }
    meta: dict[str, Any] = {
        "computeUnitsConsumed": tx.compute_units,
        "costUnits": tx.compute_units + 4_000,
        "err": tx.err,
        "fee": tx.fee,
        "innerInstructions": [
            {"index": at, "instructions": [_instruction(i, place, parsed=parsed) for i in one.inner]}
            for at, one in enumerate(tx.instructions)
            if one.inner
        ],
        "logMessages": _logs(tx),
        "postBalances": list(tx.balances_after),
        "postTokenBalances": [_balance(b, b.after) for b in tx.token_balances if b.after is not None],
        "preBalances": list(tx.balances_before),
        "preTokenBalances": [_balance(b, b.before) for b in tx.token_balances if b.before is not None],
        "rewards": [],
        "status": {"Ok": None} if tx.err is None else {"Err": tx.err},
    }
    if not parsed:
        loaded = tx.static_keys + tx.loaded_writable
        meta["loadedAddresses"] = {
            "readonly": list(tx.accounts[loaded:]),
            "writable": list(tx.accounts[tx.static_keys : loaded]),
        }
    return {
        "blockTime": tx.block_time,
        "meta": meta,
        "slot": tx.slot,
        "transaction": {"message": message, "signatures": list(tx.signatures)},
        "version": tx.version,
    }


def ui_amount(amount: int, decimals: int) -> dict[str, Any]:
    """A token amount; `uiAmount` of zero is null (docs/providers.md)."""
    text = str(amount)
    if decimals:
        digits = text.rjust(decimals + 1, "0")
        text = f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".")
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": float(text) if amount else None,
        "uiAmountString": text,
    }


def _balance(balance: TokenBalance, amount: int | None) -> dict[str, Any]:
    return {
        "accountIndex": balance.account_index,
        "mint": balance.mint,
        "owner": balance.owner,
        "programId": balance.token_program,
        "uiTokenAmount": ui_amount(amount or 0, balance.decimals),
    }


def _parsed_keys(tx: SandboxTransaction) -> list[dict[str, Any]]:
    signed, _, readonly = tx.header
    loaded = tx.static_keys + tx.loaded_writable
    return [
        {
            "pubkey": key,
            "signer": index < signed,
            "source": "transaction" if index < tx.static_keys else "lookupTable",
            "writable": index < tx.static_keys - readonly or tx.static_keys <= index < loaded,
        }
        for index, key in enumerate(tx.accounts)
    ]


def _lookups(tx: SandboxTransaction) -> list[dict[str, Any]]:
    if tx.static_keys == len(tx.accounts):
        return []
    taken: dict[int, None] = {}
    for key in tx.accounts[tx.static_keys :]:
        index = zlib.crc32(key.encode()) % 256
        while index in taken:
            index = (index + 1) % 256
        taken[index] = None
    indexes = list(taken)
    return [
        {
            "accountKey": _LOOKUP_TABLE,
            "readonlyIndexes": indexes[tx.loaded_writable :],
            "writableIndexes": indexes[: tx.loaded_writable],
        }
    ]


def _instruction(one: Instruction, place: dict[str, int], *, parsed: bool) -> dict[str, Any]:
    if not parsed:
        return {
            "accounts": [place[account] for account in one.accounts],
            "data": base58(one.data),
            "programIdIndex": place[one.program],
            "stackHeight": one.stack_height,
        }
    known = _known(one)
    if known is not None:
        program, kind, info = known
        return {
            "parsed": {"info": info, "type": kind},
            "program": program,
            "programId": one.program,
            "stackHeight": one.stack_height,
        }
    return {
        "accounts": list(one.accounts),
        "data": base58(one.data),
        "programId": one.program,
        "stackHeight": one.stack_height,
    }


_Parsed = tuple[str, str, dict[str, Any]]


def _known(one: Instruction) -> _Parsed | None:
    """Program, type and info of the instructions that are rendered parsed; the others keep their data."""
    if one.program == SYSTEM:
        return _known_of_system(one.accounts, one.data)
    if one.program == ASSOCIATED:
        info = _named("source account wallet mint systemProgram tokenProgram", one.accounts)
        return "spl-associated-token-account", "createIdempotent", info
    if one.program in (TOKEN, TOKEN_2022):
        return _known_of_tokens(one.accounts, one.data)
    return None


def _known_of_system(accounts: tuple[str, ...], data: bytes) -> _Parsed | None:
    source, target = accounts
    if data[:4] == b"\2\0\0\0":
        (lamports,) = struct.unpack_from("<Q", data, 4)
        return "system", "transfer", {"destination": target, "lamports": lamports, "source": source}
    lamports, space = struct.unpack_from("<QQ", data, 4)
    info = {"lamports": lamports, "newAccount": target, "owner": str(Pubkey(data[20:52]))}
    return "system", "createAccount", {**info, "source": source, "space": space}


def _known_of_tokens(accounts: tuple[str, ...], data: bytes) -> _Parsed | None:
    if data[:1] == b"\x0c":
        _, amount, decimals = struct.unpack("<BQB", data)
        info = _named("source mint destination authority", accounts)
        return "spl-token", "transferChecked", {**info, "tokenAmount": ui_amount(amount, decimals)}
    if data == b"\x09":
        return "spl-token", "closeAccount", _named("account destination owner", accounts)
    if data == b"\x11":
        return "spl-token", "syncNative", {"account": accounts[0]}
    return None


def _named(names: str, accounts: tuple[str, ...]) -> dict[str, Any]:
    return dict(zip(names.split(), accounts, strict=True))


def _logs(tx: SandboxTransaction) -> list[str]:
    lines = []
    for at, one in enumerate(tx.instructions):
        lines.append(f"Program {one.program} invoke [1]")
        for called in one.inner:
            lines.append(f"Program {called.program} invoke [{called.stack_height}]")
            lines.append(f"Program {called.program} success")
        if tx.err is not None and at == len(tx.instructions) - 1:
            lines.append(f"Program {one.program} failed: custom program error: 0x1772")
        else:
            lines.append(f"Program {one.program} success")
    return lines
