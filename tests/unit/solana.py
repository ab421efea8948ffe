"""Builds transactions in the shape of `getTransaction` results, from what each account held before and after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

WSOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
RENT = 2_039_280
SOL = 1_000_000_000


def wallet(label: str) -> str:
    """An address that a key pair can have."""
    return str(Keypair.from_seed(hashlib.sha256(label.encode()).digest()).pubkey())


def pda(label: str) -> str:
    """A program-derived address: off the curve."""
    return str(Pubkey.find_program_address([label.encode()], Pubkey.default())[0])


def signature(label: str) -> str:
    return str(Signature.from_bytes(hashlib.sha512(label.encode()).digest()))


@dataclass(frozen=True)
class TokenAccount:
    """A token account; `before` or `after` None: it did not exist then. A WSOL account's lamports follow its amount."""

    owner: str
    mint: str
    before: int | None
    after: int | None
    decimals: int = 6
    new_owner: str | None = None
    label: str = ""

    @property
    def address(self) -> str:
        return pda(f"{self.owner[:8]}{self.mint[:8]}{self.label}")

    def lamports(self, amount: int | None) -> int:
        if amount is None:
            return 0
        return RENT + (amount if self.mint == WSOL else 0)


def rpc_result(
    signers: Sequence[str],
    lamports: Mapping[str, int],
    token_accounts: Sequence[TokenAccount] = (),
    instructions: Sequence[tuple[str, Sequence[str]]] = (),
    *,
    fee: int = 5_000,
    label: str = "tx",
    slot: int = 1,
    tx_index: int | None = None,
    block_time: int | None = 1_700_000_000,
    version: str | int = 0,
    failed: bool = False,
) -> dict[str, Any]:
    """A transaction whose first signer pays `fee`, which `lamports` (changes of system accounts) does not hold."""
    token_addresses = [account.address for account in token_accounts]
    others = [a for a in lamports if a not in signers]
    named = [a for program, accounts in instructions for a in (*accounts, program)]
    rest = [a for a in named if a not in signers and a not in others and a not in token_addresses]
    static = [*signers, *others]
    loaded = [*token_addresses, *dict.fromkeys(rest)]
    if version != 0:
        static, loaded = static + loaded, []
    keys = static + loaded
    base = 50 * SOL
    before = [base] * len(static[: len(signers) + len(others)])
    after = [base + lamports.get(a, 0) for a in keys[: len(before)]]
    after[0] -= fee
    for account in token_accounts:
        before.append(account.lamports(account.before))
        after.append(account.lamports(account.after))
    before += [1] * (len(keys) - len(before))
    after += [1] * (len(keys) - len(after))

    def balances(side: str) -> list[dict[str, Any]]:
        rows = []
        for account in token_accounts:
            amount = account.before if side == "before" else account.after
            if amount is None:
                continue
            owner = account.owner if side == "before" else account.new_owner or account.owner
            ui = {"amount": str(amount), "decimals": account.decimals, "uiAmount": None, "uiAmountString": ""}
            index = keys.index(account.address)
            rows.append({"accountIndex": index, "mint": account.mint, "owner": owner, "uiTokenAmount": ui})
        return rows

    place = {key: index for index, key in enumerate(keys)}
    result: dict[str, Any] = {
        "slot": slot,
        "blockTime": block_time,
        "version": version,
        "transaction": {
            "signatures": [signature(label)],
            "message": {
                "accountKeys": static,
                "header": {
                    "numRequiredSignatures": len(signers),
                    "numReadonlySignedAccounts": 0,
                    "numReadonlyUnsignedAccounts": 0,
                },
                "instructions": [
                    {"programIdIndex": place[program], "accounts": [place[a] for a in accounts], "data": ""}
                    for program, accounts in instructions
                ],
                "recentBlockhash": "11111111111111111111111111111111",
            },
        },
        "meta": {
            "err": {"InstructionError": [0, {"Custom": 1}]} if failed else None,
            "fee": fee,
            "preBalances": before,
            "postBalances": after,
            "preTokenBalances": balances("before"),
            "postTokenBalances": balances("after"),
            "innerInstructions": [],
            "loadedAddresses": {"writable": loaded, "readonly": []},
        },
    }
    if tx_index is not None:
        result["transactionIndex"] = tx_index
    return result


def as_parsed(result: Mapping[str, Any]) -> dict[str, Any]:
    """The same result in the encoding `jsonParsed`."""
    parsed: dict[str, Any] = json.loads(json.dumps(result))
    message, meta = parsed["transaction"]["message"], parsed["meta"]
    loaded = meta.pop("loadedAddresses", None) or {}
    header = message.pop("header")
    static = message["accountKeys"]
    keys = static + loaded.get("writable", []) + loaded.get("readonly", [])
    message["accountKeys"] = [
        {
            "pubkey": key,
            "signer": index < header["numRequiredSignatures"],
            "writable": True,
            "source": "transaction" if index < len(static) else "lookupTable",
        }
        for index, key in enumerate(keys)
    ]
    inner = [i for group in meta.get("innerInstructions") or [] for i in group["instructions"]]
    for instruction in message["instructions"] + inner:
        instruction["programId"] = keys[instruction.pop("programIdIndex")]
        instruction["accounts"] = [keys[a] for a in instruction["accounts"]]
    return parsed


def as_enhanced(result: Mapping[str, Any]) -> dict[str, Any]:
    """The same transaction in the form of Helius' enhanced transactions."""
    parsed = as_parsed(result) if "header" in result["transaction"]["message"] else result
    message, meta = parsed["transaction"]["message"], parsed["meta"]
    keys = [key["pubkey"] for key in message["accountKeys"]]
    data = [
        {"account": key, "nativeBalanceChange": after - before, "tokenBalanceChanges": []}
        for key, before, after in zip(keys, meta["preBalances"], meta["postBalances"], strict=True)
    ]
    changes: dict[int, dict[str, Any]] = {}
    for side, sign in (("preTokenBalances", -1), ("postTokenBalances", 1)):
        for balance in meta[side] or []:
            index = balance["accountIndex"]
            change = changes.setdefault(index, {"amount": 0})
            change |= {k: balance[k] for k in ("mint", "owner")}
            change["decimals"] = balance["uiTokenAmount"]["decimals"]
            change["amount"] += sign * int(balance["uiTokenAmount"]["amount"])
    for index, change in changes.items():
        data[index]["tokenBalanceChanges"] = [
            {
                "userAccount": change["owner"],
                "tokenAccount": keys[index],
                "mint": change["mint"],
                "rawTokenAmount": {"tokenAmount": str(change["amount"]), "decimals": change["decimals"]},
            }
        ]
    return {
        "signature": parsed["transaction"]["signatures"][0],
        "slot": parsed["slot"],
        "timestamp": parsed["blockTime"],
        "fee": meta["fee"],
        "feePayer": keys[0],
        "accountData": data,
        "transactionError": meta["err"],
        "instructions": message["instructions"],
    }
