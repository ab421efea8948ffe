"""The rows of a tape as the rules of flags read them, and the pieces that their evidence is made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Final

import polars as pl
from solders.pubkey import Pubkey
from solders.signature import Signature

from walltrack.discovery.addresses import no_wallets_of
from walltrack.discovery.tape import Tape
from walltrack.discovery.wallet_models import EVIDENCE_SIGNATURES, FlagEvidence

Found = Iterator[tuple[str, FlagEvidence]]
"""What a rule finds: wallets, each with one piece of evidence."""

BUY: Final = pl.col("kind") == "buy"
SELL: Final = pl.col("kind") == "sell"

_COLUMNS: Final = (
    "slot",
    "tx_index",
    "block_time",
    "signature",
    "wallet",
    "kind",
    "token_raw",
    "quote_mint",
    "quote_raw",
    "counterparty",
    "flags",
)


def rows_of(tape: Tape) -> pl.DataFrame:
    """The rows of everybody but programs, pools and takers of fees and tips, with `row`, their place on the tape."""
    no_wallets = list(no_wallets_of(tape.mint))
    return tape.events.select(_COLUMNS).with_row_index("row").filter(~pl.col("wallet").is_in(no_wallets))


def numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `id`, the wallet's number by first row: what groups and joins go by, as addresses are slow."""
    grouped = (
        rows.lazy().select("wallet").with_row_index("at").group_by("wallet", maintain_order=True).agg("at")
    )
    ids = grouped.with_row_index("id").select("id", "at").explode("at").sort("at").select("id").collect()
    return rows.with_columns(ids["id"])


def only(rows: pl.DataFrame, wallets: Collection[str] | None) -> pl.DataFrame:
    """The rows of these wallets; all where None."""
    return rows if wallets is None else rows.filter(pl.col("wallet").is_in(list(wallets)))


def by_wallet(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows wallet by wallet, in tape order within each."""
    return rows.drop("quote_mint", "quote_raw", "counterparty").sort("id", maintain_order=True)


def has_flag(flag: int) -> pl.Expr:
    return (pl.col("flags") & int(flag)) != 0


def shown(signatures: Iterable[bytes | None]) -> tuple[str, ...]:
    """The first few signatures in base58, each once."""
    known = dict.fromkeys(one for one in signatures if one is not None)
    return tuple(str(Signature.from_bytes(one)) for one in list(known)[:EVIDENCE_SIGNATURES])


def others(wallets: Iterable[str], wallet: str) -> tuple[str, ...]:
    """The first few of the wallets, each once, this one left out."""
    return tuple(other for other in dict.fromkeys(wallets) if other != wallet)[:EVIDENCE_SIGNATURES]


def counted(number: int, noun: str) -> str:
    """ "1 slot", "2 slots"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@lru_cache(maxsize=200_000)
def is_derived(address: str) -> bool:
    """Whether no key can sign for the address, as it lies off the ed25519 curve: it belongs to a program. False for
    what is no address at all.
    """
    try:
        return not Pubkey.from_string(address).is_on_curve()
    except ValueError:
        return False
