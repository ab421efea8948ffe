"""What a sandbox market is made of. Amounts are integers: lamports and raw token units; times are Unix seconds, UTC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Encoding = Literal["json", "jsonParsed"]


@dataclass(frozen=True, slots=True)
class SandboxTrade:
    """One trade in one pool, for market statistics. `kind` and `wallet` are the token's buyer's or seller's."""

    block_time: int
    kind: Literal["buy", "sell"]
    wallet: str
    token_raw: int
    quote_raw: int
    price_usd: float
    volume_usd: float


@dataclass(slots=True)
class SandboxPool:
    """A bonding curve or a pool. `base_mint` and `quote_mint` are as the pool has them: a reversed pool has base WSOL.

    `dex` is "pumpfun", "pumpswap" or "raydium". `base_raw` and `quote_raw` are the reserves now (of a curve its real
    ones). `liquidity_usd` is None for a curve: providers show none. `trades` stand oldest first.
    `reported_volume_factor` above 1 marks a washed pool about whose volume the providers disagree.
    """

    address: str
    dex: str
    program: str
    base_mint: str
    quote_mint: str
    created_at: int
    base_raw: int
    quote_raw: int
    liquidity_usd: float | None
    trades: list[SandboxTrade] = field(default_factory=list)
    reported_volume_factor: float = 1.0


@dataclass(slots=True)
class SandboxToken:
    """A token. `pools` stand in the order of their creation, the curve first."""

    mint: str
    name: str
    symbol: str
    decimals: int
    token_program: str
    created_at: int
    supply_raw: int
    pools: list[SandboxPool] = field(default_factory=list)


class Instruction(NamedTuple):
    """One instruction. `inner` are the calls it makes, flat and in order, with stack heights of 2 and more."""

    program: str
    accounts: tuple[str, ...]
    data: bytes
    stack_height: int
    inner: list[Instruction]


class TokenBalance(NamedTuple):
    """A token account's amounts before and after a transaction; None where it did not exist then."""

    account_index: int
    mint: str
    owner: str
    token_program: str
    decimals: int
    before: int | None
    after: int | None


@dataclass(slots=True, eq=False)
class SandboxTransaction:
    """One transaction, compact: its JSON is made on demand.

    `accounts` is the full key list: static keys, then loaded writable, then loaded readonly ones. `token_owners` are
    the owners of the token accounts whose balance changed. `err` is None, or the error as `meta.err` gives it.
    """

    signature: str
    slot: int
    index: int
    block_time: int
    version: Literal["legacy"] | int
    err: object | None
    fee: int
    accounts: Sequence[str]
    token_owners: Sequence[str]
    signatures: tuple[str, ...]
    blockhash: str
    header: tuple[int, int, int]
    static_keys: int
    loaded_writable: int
    balances_before: Sequence[int]
    balances_after: Sequence[int]
    token_balances: Sequence[TokenBalance]
    instructions: Sequence[Instruction]
    compute_units: int

    def rpc(self, encoding: Encoding) -> dict[str, Any]:
        """The result of `getTransaction` in this encoding, without `transactionIndex`. A new object on every call."""
        from walltrack.sandbox.rendering import rpc_result  # noqa: PLC0415 - it needs these types

        return rpc_result(self, encoding)

    def enhanced(self) -> dict[str, Any]:
        """The item of Helius' enhanced transactions. A new object on every call."""
        from walltrack.sandbox.enhanced import enhanced_item  # noqa: PLC0415 - it needs these types

        return enhanced_item(self)


@dataclass(slots=True)
class Market:
    """A market up to its newest moment `now`. `transactions` stand in chain order (slot, index).

    `truth` is what `truth.json` holds (see `walltrack.sandbox.truth`). `sol_usd` gives the price of SOL at a time.
    """

    seed: int
    now: int
    transactions: Sequence[SandboxTransaction]
    tokens: Sequence[SandboxToken]
    truth: dict[str, Any]
    sol_price: Callable[[int], float]

    def sol_usd(self, unix: int) -> float:
        """USD for 1 SOL in the hour of this time."""
        return self.sol_price(unix)
