"""A tiny market made by hand, to test the sandbox's server without its generator."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from typing import Any, Literal

from solders.pubkey import Pubkey
from solders.signature import Signature

from walltrack.sandbox.types import (
    Encoding,
    Market,
    SandboxPool,
    SandboxToken,
    SandboxTrade,
    SandboxTransaction,
    TokenBalance,
)

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For httpx's `verify`: the server speaks plain HTTP, and the usual context takes longer to load than the answer."""

NOW = 1_793_000_000
WSOL = "So11111111111111111111111111111111111111112"
TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
FIRST_SLOT = 447_200_000


def address(label: str) -> str:
    return str(Pubkey.from_bytes(hashlib.sha256(label.encode()).digest()))


def signature(label: str) -> str:
    return str(Signature.from_bytes(hashlib.sha512(label.encode()).digest()))


ALPHA, BETA, GAMMA, WASHED, CROWDED = (address(n) for n in ("alpha", "beta", "gamma", "washed", "crowded"))
ALPHA_CURVE, ALPHA_POOL, GAMMA_POOL = (address(n) for n in ("alpha curve", "alpha pool", "gamma pool"))
ALICE, BOB, CAROL = (address(n) for n in ("alice", "bob", "carol"))


@dataclass(slots=True, eq=False)
class HandMade(SandboxTransaction):
    """A transaction whose JSON has the envelope and little else."""

    padding: int = 0

    def rpc(self, encoding: Encoding) -> dict[str, Any]:
        return {
            "blockTime": self.block_time,
            "meta": {"err": self.err, "fee": self.fee, "logMessages": ["x" * self.padding]},
            "slot": self.slot,
            "transaction": {
                "message": {"accountKeys": list(self.accounts), "encoding": encoding},
                "signatures": [self.signature],
            },
            "version": self.version,
        }

    def enhanced(self) -> dict[str, Any]:
        return {
            "signature": self.signature,
            "slot": self.slot,
            "timestamp": self.block_time,
            "type": "SWAP" if self.index == 3 else "UNKNOWN",
            "source": "PUMP_AMM",
            "transactionError": self.err,
        }


def transaction(
    slot: int,
    index: int,
    accounts: list[str],
    *,
    err: object | None = None,
    version: Literal["legacy"] | int = "legacy",
    owners: tuple[str, ...] = (),
    untouched_owners: tuple[str, ...] = (),
    padding: int = 0,
) -> HandMade:
    """A transaction at this place. `untouched_owners` own token accounts in it that do not change."""
    name = signature(f"{slot}/{index}")
    balances = [
        TokenBalance(0, ALPHA, owner, TOKEN_PROGRAM, 6, before, 5)
        for group, before in ((owners, 1), (untouched_owners, 5))
        for owner in group
    ]
    return HandMade(
        signature=name,
        slot=slot,
        index=index,
        block_time=NOW - 7200 + (slot - FIRST_SLOT) // 2,
        version=version,
        err=err,
        fee=5000,
        accounts=accounts,
        token_owners=owners,
        signatures=(name,),
        blockhash=address("blockhash"),
        header=(1, 0, 0),
        static_keys=len(accounts),
        loaded_writable=0,
        balances_before=[0] * len(accounts),
        balances_after=[0] * len(accounts),
        token_balances=balances,
        instructions=(),
        compute_units=100,
        padding=padding,
    )


FAILED = {"InstructionError": [2, {"Custom": 6002}]}
VERSIONS: tuple[Literal["legacy"] | int, ...] = ("legacy", 0, 1)


def transactions() -> list[HandMade]:
    """240 over 60 slots, four to a slot (places 0, 3, 6, 9): all but the last of a slot name ALPHA, that one BETA.

    Every seventh has failed; versions take turns. Every tenth changes an account of CAROL's without naming her, every
    eleventh names an account of hers that stays.
    """
    made = []
    for number in range(240):
        slot, place = divmod(number, 4)
        mint = BETA if place == 3 else ALPHA
        wallet = ALICE if number % 2 else BOB
        made.append(
            transaction(
                FIRST_SLOT + slot * 3,
                place * 3,
                [wallet, mint, ALPHA_CURVE if slot < 30 else ALPHA_POOL],
                err=FAILED if number % 7 == 0 else None,
                version=VERSIONS[number % 3],
                owners=(CAROL,) if number % 10 == 0 else (),
                untouched_owners=(CAROL,) if number % 11 == 0 else (),
            )
        )
    return made


def trade(
    seconds_ago: int, kind: Literal["buy", "sell"], price: float, usd: float, wallet: str = ALICE
) -> SandboxTrade:
    tokens = usd / price
    return SandboxTrade(NOW - seconds_ago, kind, wallet, int(tokens * 1e6), int(usd / 100 * 1e9), price, usd)


def pool(label: str, dex: str, base: str, quote: str, created: int, liquidity: float | None) -> SandboxPool:
    return SandboxPool(
        address(label),
        dex,
        address(f"{dex} program"),
        base,
        quote,
        created,
        5_000_000,
        7_000_000_000,
        liquidity,
    )


def tokens() -> list[SandboxToken]:
    """ALPHA migrated, BETA is on its curve, GAMMA's pool is reversed, WASHED is washed, CROWDED has 32 pools."""
    curve = pool("alpha curve", "pumpfun", ALPHA, WSOL, NOW - 40_000, None)
    curve.trades = [trade(39_000, "buy", 0.001, 50), trade(30_000, "sell", 0.002, 20, BOB)]
    amm = pool("alpha pool", "pumpswap", ALPHA, WSOL, NOW - 20_000, 60_000.0)
    amm.trades = [
        trade(19_000, "buy", 0.002, 100),
        trade(2_000, "buy", 0.004, 300, BOB),
        trade(100, "sell", 0.003, 60),
    ]
    reversed_pool = pool("gamma pool", "raydium", WSOL, GAMMA, NOW - 90_000, 9_000.0)
    reversed_pool.trades = [trade(80_000, "buy", 1.0, 10), trade(50_000, "buy", 3.0, 30)]
    washed = pool("washed pool", "pumpswap", WASHED, WSOL, NOW - 50_000, 0.0)
    washed.trades = [trade(1_000, "buy", 0.5, 1_000_000.0)]
    washed.reported_volume_factor = 4.0
    crowd = [pool(f"crowd {n}", "raydium", CROWDED, WSOL, NOW - 100 * n, 10.0 * n) for n in range(32)]
    beta = pool("beta curve", "pumpfun", BETA, WSOL, NOW - 5_000, None)
    return [
        SandboxToken(ALPHA, "Alpha", "ALPHA", 6, TOKEN_2022, NOW - 40_000, 10**15, [curve, amm]),
        SandboxToken(BETA, "Beta", "BETA", 6, TOKEN_PROGRAM, NOW - 5_000, 10**15, [beta]),
        SandboxToken(GAMMA, "Gamma", "GAMMA", 6, TOKEN_PROGRAM, NOW - 95_000, 10**15, [reversed_pool]),
        SandboxToken(WASHED, "Washed", "WASH", 6, TOKEN_PROGRAM, NOW - 50_000, 10**15, [washed]),
        SandboxToken(CROWDED, "Crowded", "CROWD", 6, TOKEN_PROGRAM, NOW - 9_000, 10**15, crowd),
    ]


def sol_price(unix: int) -> float:
    """USD by the hour."""
    return 100.0 + unix // 3600 % 24


def market(extra: list[HandMade] | None = None) -> Market:
    made = sorted([*transactions(), *(extra or [])], key=lambda t: (t.slot, t.index))
    return Market(1, NOW, made, tokens(), {"wallets": {ALICE: "skilled"}}, sol_price)
