"""Tokens that changed hands without a sale: passed on, got from somebody, got from the token's insiders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from walltrack.discovery.addresses import no_wallets_of
from walltrack.discovery.flag_rows import BUY, SELL, Found, counted, is_derived, only, others, shown
from walltrack.discovery.tape import Tape
from walltrack.discovery.wallet_models import Flag, FlagEvidence

LEAST_SHARE: Final = 0.01
"""Least share of what came to a wallet that a transfer must carry: anybody can send dust to anybody."""

LEAST_INSIDER_SHARE: Final = 0.1
"""The same for what insiders gave: this flag keeps a wallet back, so it may not be had for a few cents."""

IN: Final = pl.col("kind") == "transfer_in"
OUT: Final = pl.col("kind") == "transfer_out"


@dataclass(frozen=True, slots=True)
class _Transfer:
    wallet: str
    incoming: bool
    raw: int
    signature: bytes | None
    parties: tuple[str, ...]  # the wallets on the other side


def first_holder(tape: Tape, rows: pl.DataFrame) -> str | None:
    """Who made the token, as far as the tape shows: the owner of its first tokens, minted to it or bought at the
    creation. None where the tape begins later, or where those came from somebody else.
    """
    if tape.starts_late:
        return None
    first = rows.lazy().filter(BUY | (IN & pl.col("counterparty").is_null())).head(1).collect()
    owners = [wallet for wallet in first["wallet"] if not is_derived(wallet)]
    return owners[0] if owners else None


def transfer_flags(
    tape: Tape, rows: pl.DataFrame, insiders: Mapping[str, str], wallets: Collection[str] | None
) -> Found:
    """PASSES_ON, TOKENS_IN and INSIDER: what a wallet gave away or was given before it first sold.

    - PASSES_ON: it had bought tokens, and sent tokens to another wallet.
    - TOKENS_IN: another wallet sent it tokens.
    - INSIDER: some of those came from one of `insiders` (wallet -> what it is), at least `LEAST_INSIDER_SHARE` of all
      that came to it until then.

    Transfers count from `LEAST_SHARE` of what had come to the wallet until its first sale. Deposits into pools and
    programs, withdrawals from them, mints, burns and moves into orders are none: on the other side is no wallet. Where
    one transaction moves tokens between several, all the wallets on the other side are meant.
    """
    moves = only(rows.filter(IN | OUT), wallets)
    if moves.is_empty():
        return
    its = rows.join(moves.select("id").unique(), on="id", how="semi", maintain_order="left")
    sold = its.with_columns(sold=SELL.cum_max().over("id"), bought=BUY.cum_max().over("id"))
    before = sold.filter(~pl.col("sold"))
    came = _came(before)
    relevant = before.filter(IN | (OUT & pl.col("bought")))
    by_wallet: dict[tuple[str, bool], list[_Transfer]] = defaultdict(list)
    for transfer in _transfers(tape, rows, relevant):
        by_wallet[transfer.wallet, transfer.incoming].append(transfer)
    for (wallet, incoming), transfers in by_wallet.items():
        if sum(transfer.raw for transfer in transfers) < LEAST_SHARE * came[wallet]:
            continue
        if not incoming:
            yield (
                wallet,
                _evidence(tape, Flag.PASSES_ON, transfers, wallet, "sent {} to {} before it sold any"),
            )
            continue
        yield wallet, _evidence(tape, Flag.TOKENS_IN, transfers, wallet, "got {} from {} before it sold any")
        inside = [one for one in transfers if not insiders.keys().isdisjoint(one.parties)]
        if inside and sum(one.raw for one in inside) >= LEAST_INSIDER_SHARE * came[wallet]:
            givers = dict.fromkeys(party for one in inside for party in one.parties if party in insiders)
            roles = " and ".join(dict.fromkeys(insiders[giver] for giver in givers))
            yield (
                wallet,
                FlagEvidence(
                    Flag.INSIDER,
                    tape.mint,
                    len(inside),
                    f"was given tokens by {roles} before it sold any",
                    signatures=shown(one.signature for one in inside),
                    wallets=others(givers, wallet),
                ),
            )


def _evidence(tape: Tape, flag: Flag, transfers: list[_Transfer], wallet: str, sentence: str) -> FlagEvidence:
    parties = list(dict.fromkeys(party for one in transfers for party in one.parties))
    what = "tokens" if len(transfers) == 1 else f"tokens {len(transfers)} times"
    return FlagEvidence(
        flag,
        tape.mint,
        len(transfers),
        sentence.format(what, counted(len(parties), "wallet")),
        signatures=shown(one.signature for one in transfers),
        wallets=others(parties, wallet),
    )


def _came(before: pl.DataFrame) -> dict[str, int]:
    """What each wallet got, in base units, in the rows given."""
    coming = before.filter(BUY | IN).group_by("wallet").agg(pl.col("token_raw").cast(pl.Int128).sum())
    return dict(coming.iter_rows())


def _transfers(tape: Tape, rows: pl.DataFrame, relevant: pl.DataFrame) -> Iterator[_Transfer]:
    """Those of the rows that have wallets on the other side."""
    no_wallets = no_wallets_of(tape.mint)
    together = _together(rows, relevant)
    columns = ("wallet", "kind", "token_raw", "signature", "counterparty")
    for wallet, kind, raw, signature, counterparty in relevant.select(columns).iter_rows():
        incoming = kind == "transfer_in"
        sides = together[signature][kind] if counterparty is None else [counterparty]
        parties = tuple(
            side
            for side in dict.fromkeys(sides)
            if side != wallet and side not in no_wallets and not is_derived(side)
        )
        if parties and not is_derived(wallet):
            yield _Transfer(wallet, incoming, raw, signature, parties)


def _together(rows: pl.DataFrame, relevant: pl.DataFrame) -> dict[bytes | None, dict[str, list[str]]]:
    """For the transactions of transfers that name no counterparty: kind of a transfer -> who is on its other side."""
    found: dict[bytes | None, dict[str, list[str]]] = defaultdict(
        lambda: {"transfer_in": [], "transfer_out": []}
    )
    unnamed = relevant.filter(pl.col("counterparty").is_null() & pl.col("signature").is_not_null())
    if unnamed.is_empty():
        return found
    moves = rows.filter(IN | OUT).join(unnamed.select("signature").unique(), on="signature", how="semi")
    for signature, wallet, kind in moves.sort("row").select("signature", "wallet", "kind").iter_rows():
        found[signature]["transfer_in" if kind == "transfer_out" else "transfer_out"].append(wallet)
    return found
