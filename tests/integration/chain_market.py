"""A token's chain made by hand, of any length, served by the sandbox's server in the providers' formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from tests.unit import solana
from walltrack.sandbox.types import Encoding, Market, SandboxTransaction

SPL_TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
ASSOCIATED_TOKEN = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"
PUMPSWAP = "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA"
RAYDIUM_V4 = "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8"
LAUNCH = 1_793_000_000
FIRST_SLOT = 447_200_000
TOKENS = 1_000_000


def associated(owner: str, mint: str) -> str:
    seeds = [bytes(Pubkey.from_string(key)) for key in (owner, SPL_TOKEN, mint)]
    return str(Pubkey.find_program_address(seeds, Pubkey.from_string(ASSOCIATED_TOKEN))[0])


@dataclass(frozen=True)
class Account(solana.TokenAccount):
    """A token account at its real address, or at an odd one."""

    odd: bool = False

    @property
    def address(self) -> str:
        return solana.pda(f"odd {self.owner[:20]}") if self.odd else associated(self.owner, self.mint)


@dataclass(slots=True, eq=False)
class MadeTransaction(SandboxTransaction):
    """A transaction whose JSON is what a test says."""

    result: dict[str, Any] | None = None

    def rpc(self, encoding: Encoding) -> dict[str, Any]:
        assert encoding == "json"
        assert self.result is not None
        return {name: value for name, value in self.result.items() if name != "transactionIndex"}


@dataclass(frozen=True)
class Trade:
    """One trade of one wallet with the token's pool; `tokens` below 0 sells. `seconds` count from the launch."""

    wallet: str
    tokens: int
    lamports: int
    seconds: int
    failed: bool = False
    names_mint: bool = True
    odd_account: bool = False


def made(
    result: dict[str, Any], slot: int, index: int, block_time: int, *, hidden: Sequence[str] = ()
) -> MadeTransaction:
    """A transaction of a result of `getTransaction`. `hidden`: keys under which no history lists it."""
    loaded = result["meta"].get("loadedAddresses", {})
    keys = [
        *result["transaction"]["message"]["accountKeys"],
        *loaded.get("writable", []),
        *loaded.get("readonly", []),
    ]
    name = result["transaction"]["signatures"][0]
    return MadeTransaction(
        signature=name,
        slot=slot,
        index=index,
        block_time=block_time,
        version=result["version"],
        err=result["meta"]["err"],
        fee=5_000,
        accounts=[key for key in keys if key not in hidden],
        token_owners=(),
        signatures=(name,),
        blockhash="",
        header=(1, 0, 0),
        static_keys=len(keys),
        loaded_writable=0,
        balances_before=(),
        balances_after=(),
        token_balances=(),
        instructions=(),
        compute_units=0,
        result=result,
    )


def chain(mint: str, trades: Iterable[Trade], *, pool: str | None = None) -> list[MadeTransaction]:
    """The transactions of these trades, which stand in the order of time: three to a slot, so pages cut slots."""
    pool = pool or solana.pda(f"pool {mint[:20]}")
    held: dict[str, int] = {}
    found = []
    for number, trade in enumerate(trades):
        time = LAUNCH + trade.seconds
        slot, index = FIRST_SLOT + trade.seconds * 3 + number // 3, number % 3 * 2
        before = held.get(trade.wallet, 0)
        after = before if trade.failed else before + trade.tokens
        held[trade.wallet] = after
        moved = after - before
        sol = 0 if trade.failed else trade.lamports * (-1 if trade.tokens > 0 else 1)
        result = solana.rpc_result(
            [trade.wallet],
            {trade.wallet: sol, pool: -sol},
            [
                Account(trade.wallet, mint, before, after, odd=trade.odd_account),
                Account(pool, mint, 10**15, 10**15 - moved),
            ],
            [(PUMPSWAP if trade.names_mint else RAYDIUM_V4, [mint, pool] if trade.names_mint else [pool])],
            label=f"{mint} {number}",
            slot=slot,
            block_time=time,
            version=("legacy", 0, 1)[number % 3],
            failed=trade.failed,
        )
        found.append(made(result, slot, index, time))
    return found


def market(transactions: Iterable[MadeTransaction]) -> Market:
    ordered = sorted(transactions, key=lambda one: (one.slot, one.index))
    return Market(1, ordered[-1].block_time + 60, ordered, [], {}, lambda _time: 100.0)


def crowd(
    count: int, *, wallets: int = 40, seconds: int = 86_400, every_failed: int = 9, offset: int = 0
) -> list[Trade]:
    """So many trades spread evenly, some failed: each wallet buys twice and sells once, in turn."""
    trades = []
    for number in range(count):
        wallet = solana.wallet(f"trader {offset + number % wallets}")
        sells = number // wallets % 3 == 2
        trades.append(
            Trade(
                wallet,
                -TOKENS if sells else TOKENS,
                (3 if sells else 1) * solana.SOL // 100 + number,
                number * seconds // count,
                failed=number % every_failed == every_failed - 1,
            )
        )
    return trades
