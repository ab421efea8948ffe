"""Made-up tapes for a first run without a network: every address, trade and price in them is invented."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from solders.keypair import Keypair

from walltrack.discovery.models import LAMPORTS_PER_SOL
from walltrack.discovery.tape import TAPE_SCHEMA, WSOL, Tape
from walltrack.services.files.writer import csv_bytes, parquet_bytes, write_whole

SEED: Final = 91
TOKENS: Final = 6
DECIMALS: Final = 6

_FIRST_LAUNCH = 1_767_225_600  # 2026-01-01 00:00 UTC
_BETWEEN_LAUNCHES = 5 * 3600
_EXPERTS_OF_MANY = 3  # skilled wallets that trade more than one of the tokens


@dataclass(frozen=True, slots=True)
class _Role:
    """How the wallets of one kind behave: seconds after launch, SOL paid, price multiple and share when they sell."""

    name: str
    wallets: int
    bought: tuple[int, int]
    paid_sol: tuple[float, float]
    multiple: tuple[float, float]
    sold_share: tuple[float, float]
    held_for: tuple[int, int]


_ROLES: Final = (
    _Role("sniper", 6, (0, 0), (0.5, 3.0), (2.0, 6.0), (0.9, 1.0), (20, 240)),
    _Role("expert", 14, (20, 900), (0.2, 2.5), (1.7, 5.0), (0.4, 1.0), (600, 7200)),
    _Role("early loser", 25, (30, 1500), (0.05, 1.0), (0.2, 0.9), (0.8, 1.0), (300, 5400)),
    _Role("early holder", 25, (60, 1700), (0.05, 0.8), (1.0, 1.0), (0.0, 0.0), (0, 0)),
    _Role("late buyer", 60, (1900, 14_000), (0.02, 1.5), (0.3, 2.5), (0.0, 1.0), (300, 6000)),
    _Role("late holder", 20, (2500, 16_000), (0.02, 0.5), (1.0, 1.0), (0.0, 0.0), (0, 0)),
)


def write_example_tapes(folder: Path) -> list[Path]:
    """Write small made-up tapes of six tokens: three in one CSV file, three in a Parquet file each.

    The folder is made where it is missing. The same files come out each time; those that are there already and
    equal are left alone. Returns the paths, by name. Raises WallTrackError where a file cannot be written.
    """
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    tapes = [_tape(number, rng) for number in range(1, TOKENS + 1)]
    files = {folder / "example-tokens-1-to-3.csv": csv_bytes(tapes[:3])}
    for number, tape in enumerate(tapes[3:], 4):
        files[folder / f"example-token-{number}.parquet"] = parquet_bytes(tape)
    for path, data in files.items():
        write_whole(path, data)
    return sorted(files)


def _address(label: str) -> str:
    return str(Keypair.from_seed(hashlib.sha256(f"walltrack example {label}".encode()).digest()).pubkey())


@dataclass(frozen=True, slots=True)
class _Trade:
    after_launch: int
    wallet: str
    kind: str
    tokens: int
    lamports: int


def _tape(number: int, rng: random.Random) -> Tape:
    mint = _address(f"token {number}")
    launch = _FIRST_LAUNCH + (number - 1) * _BETWEEN_LAUNCHES
    trades = sorted(
        (trade for role in _ROLES for i in range(role.wallets) for trade in _trades(number, role, i, rng)),
        key=lambda trade: trade.after_launch,
    )
    rows = [
        {
            "tx_index": index,
            "block_time": launch + trade.after_launch,
            "signature": hashlib.sha512(f"walltrack example {mint} {index}".encode()).digest(),
            "wallet": trade.wallet,
            "kind": trade.kind,
            "token_raw": trade.tokens,
            "quote_mint": WSOL,
            "quote_raw": trade.lamports,
            "fee_lamports": 0,
            "venue": "example",
            "flags": 0,
        }
        for index, trade in enumerate(trades, 1)
    ]
    return Tape(mint, DECIMALS, launch, None, pl.DataFrame(rows, schema=TAPE_SCHEMA))


def _trades(number: int, role: _Role, index: int, rng: random.Random) -> list[_Trade]:
    """One wallet's buy and, unless it holds, its sell."""
    shared = role.name == "expert" and index < _EXPERTS_OF_MANY
    wallet = _address(f"{role.name} {index}" if shared else f"token {number} {role.name} {index}")
    bought_at = rng.randint(*role.bought)
    paid = round(rng.uniform(*role.paid_sol) * LAMPORTS_PER_SOL)
    sol_per_million = (0.03 + bought_at / 50_000) * rng.uniform(0.9, 1.1)
    tokens = round(paid / LAMPORTS_PER_SOL / sol_per_million * 1e6) * 10**DECIMALS
    trades = [_Trade(bought_at, wallet, "buy", tokens, paid)]
    share = rng.uniform(*role.sold_share)
    if share > 0:
        received = round(paid * share * rng.uniform(*role.multiple))
        sold_at = bought_at + rng.randint(*role.held_for)
        trades.append(_Trade(sold_at, wallet, "sell", round(tokens * share), received))
    return trades
