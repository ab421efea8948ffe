"""Wallets of one hand: several that bought in one transaction, or the same amount at consecutive places of a slot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import polars as pl

from walltrack.discovery.flag_rows import BUY, Found, counted, has_flag, others, shown
from walltrack.discovery.tape import Tape, TapeFlag
from walltrack.discovery.wallet_models import Flag, FlagEvidence

SAME_AMOUNT_OF_TWO: Final = 0.001
"""How far, as a share, the SOL of two buys in a row may differ and still be the same amount. Of random pairs of buys
on one real token 0.4 % are as near (market tapes of 2024 and 2026): round amounts are common."""

SAME_AMOUNT_OF_THREE: Final = 0.005
"""The same for three or more in a row, where the leader's tip and deposits for accounts may stand between them: 0.8 %
of random pairs, so less than one in ten thousand triples."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Buys of one hand. `at_once`: in one transaction."""

    wallets: tuple[str, ...]
    rows: tuple[int, ...]
    signatures: tuple[bytes | None, ...]
    at_once: bool


def bundles(rows: pl.DataFrame) -> list[Bundle]:
    """The bundles among the buys of a tape, in tape order.

    - One transaction in which two or more wallets buy: all of them had to sign it. What a keeper or a delegate did
      for them is their own; such rows are left out.
    - One slot, consecutive places in its block, and each buy the same amount as the one before it: as much SOL
      (`SAME_AMOUNT_OF_TWO`; `SAME_AMOUNT_OF_THREE` where three wallets or more do so), or exactly as many tokens.
      Atomic bundles land side by side. Being side by side alone is no evidence: behind a launch everybody is.

    Where a tape has no slots, or counts places itself (its slots begin at 0 or 1, where a block has its votes), only
    the first counts.
    """
    acts = TapeFlag.UNSIGNED | TapeFlag.KEEPER_FILL | TapeFlag.ROUND_TRIP
    buys = rows.filter(BUY & ~has_flag(acts))
    same_transaction = (pl.col("signature") == pl.col("signature").shift(1)).fill_null(False)
    found = _groups(buys.with_columns(linked=same_transaction), least=2, at_once=True)
    if _places_are_the_blocks(rows):
        several = _groups(buys.with_columns(linked=_in_a_row(SAME_AMOUNT_OF_THREE)), least=3, at_once=False)
        pairs = _groups(buys.with_columns(linked=_in_a_row(SAME_AMOUNT_OF_TWO)), least=2, at_once=False)
        known = {row for bundle in several for row in bundle.rows}
        found += several + [pair for pair in pairs if not known.issuperset(pair.rows)]
    return sorted(found, key=lambda bundle: bundle.rows)


def _in_a_row(tolerance: float) -> pl.Expr:
    slot, place, quote = (
        pl.col("slot"),
        pl.col("tx_index").cast(pl.Int64),
        pl.col("quote_raw").cast(pl.Float64),
    )
    near = (quote - quote.shift(1)).abs() <= tolerance * pl.max_horizontal(quote, quote.shift(1))
    same_amount = near & (quote > 0) & pl.col("quote_mint").eq_missing(pl.col("quote_mint").shift(1))
    same_tokens = pl.col("token_raw") == pl.col("token_raw").shift(1)
    linked = (slot == slot.shift(1)) & (place - place.shift(1) == 1) & (same_amount | same_tokens)
    return linked.fill_null(False)


def _groups(buys: pl.DataFrame, least: int, *, at_once: bool) -> list[Bundle]:
    grouped = buys.with_columns(group=(~pl.col("linked")).cum_sum()).filter(
        pl.col("linked") | pl.col("linked").shift(-1)
    )
    found = (
        grouped.group_by("group", maintain_order=True)
        .agg("wallet", "row", "signature", number=pl.col("wallet").n_unique())
        .filter(pl.col("number") >= least)
        .select("wallet", "row", "signature")
    )
    return [
        Bundle(tuple(dict.fromkeys(wallets)), tuple(at), tuple(signatures), at_once)
        for wallets, at, signatures in found.iter_rows()
    ]


def _places_are_the_blocks(rows: pl.DataFrame) -> bool:
    """Whether `tx_index` is a place in the block, and not counted by the source among the token's own."""
    first = (
        rows.filter(pl.col("slot").is_not_null()).group_by("slot").agg(pl.col("tx_index").min())["tx_index"]
    )
    return len(first) > 0 and float((first > 1).sum()) >= len(first) / 2


def bundle_flags(tape: Tape, found: list[Bundle], wallets: Collection[str] | None) -> Found:
    """BUNDLE for every member of `bundles`; `count` tells in how many."""
    of_wallet: dict[str, list[Bundle]] = defaultdict(list)
    for bundle in found:
        for wallet in bundle.wallets:
            if wallets is None or wallet in wallets:
                of_wallet[wallet].append(bundle)
    for wallet, its in of_wallet.items():
        number = max(len(bundle.wallets) for bundle in its) - 1
        with_others = f"with {counted(number, 'other wallet')}"
        if any(bundle.at_once for bundle in its):
            detail = f"bought in one transaction {with_others}"
        else:
            detail = f"bought the same amount at consecutive places of a slot {with_others}"
        yield (
            wallet,
            FlagEvidence(
                Flag.BUNDLE,
                tape.mint,
                len(its),
                detail,
                signatures=shown(one for bundle in its for one in bundle.signatures),
                wallets=others((one for bundle in its for one in bundle.wallets), wallet),
            ),
        )
