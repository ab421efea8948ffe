"""How a wallet trades one token: in and out within a transaction or a slot, or within a minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from statistics import median
from typing import Final

import polars as pl

from walltrack.discovery.flag_rows import BUY, SELL, Found, counted, has_flag, others, shown
from walltrack.discovery.tape import WSOL, Tape, TapeFlag
from walltrack.discovery.wallet_models import EVIDENCE_SIGNATURES, Flag, FlagEvidence

FAST_SECONDS: Final = 60
"""A holding that was sold before so many seconds were over was traded fast (PROVIDERS §8.2: a bot's median hold is
under a minute)."""

EMPTY_SHARE: Final = 0.02
"""A holding is over where at most this share of its peak is left (PROVIDERS §8.1: 1-2 %)."""

SANDWICH_SHARE: Final = 0.1
"""How far the sale that ends a sandwich may differ from the buy that began it, as a share of the larger."""

DUST_PRICE: Final = 10_000
"""A trade at so many times the price of those around it paid for what went round, not for what was kept. Deposits for
accounts and tips make the price of a tiny purchase a few hundred times too high at most."""

DUST_NEIGHBOURS: Final = 5
"""Trades before and after such a trade whose median price it is held against."""

_SAME_WALLET: Final = pl.col("id") == pl.col("id").shift(1)


def round_trip_flags(tape: Tape, rows: pl.DataFrame, mine: pl.DataFrame) -> Found:
    """ROUND_TRIP: in and out at once, at nobody's risk but others'.

    - A transaction in which nearly all that was bought was sold again. The decoder marked it; or what it left is a
      trade of dust, at `DUST_PRICE` times the price around it, since the fees of the whole came to be paid for the
      rest; or, from a source that lists trades, it has a buy and a sale by the same wallet. One that ends exactly flat
      is on no tape.
    - A sandwich: a buy, then other wallets' buys in later transactions of the same slot, then a sale of as much as was
      bought (within `SANDWICH_SHARE`), still in this slot.

    `rows` in tape order, `mine` of the wallets in question, wallet by wallet.
    """
    found: dict[str, _RoundTrips] = defaultdict(_RoundTrips)
    its_own = (BUY | SELL) & ~has_flag(TapeFlag.UNSIGNED | TapeFlag.KEEPER_FILL)
    marked = has_flag(TapeFlag.ROUND_TRIP) | pl.col("row").is_in(_dust(rows))
    dust = mine.filter(its_own & marked)
    for wallet, signature in dust.select("wallet", "signature").iter_rows():
        found[wallet].at_once.append((signature,))
    turns = _turns(mine)
    for wallet, bought, sold in turns.filter("at_once").select("wallet", "bought", "signature").iter_rows():
        found[wallet].at_once.append((bought, sold))
    around = _with_victims(turns.filter(~pl.col("at_once")), rows)
    for wallet, bought, sold, victims in around.iter_rows():
        found[wallet].around.append((bought, sold))
        found[wallet].victims += victims
    for wallet, its in found.items():
        yield wallet, its.evidence(tape.mint, wallet)


def _dust(rows: pl.DataFrame) -> list[int]:
    """Rows of trades that are out of all proportion to the price around them."""
    paid, kept = pl.col("quote_raw").cast(pl.Float64).abs(), pl.col("token_raw").cast(pl.Float64)
    in_sol = pl.col("quote_mint").eq_missing(WSOL)
    prices = rows.lazy().filter((BUY | SELL) & in_sol).select("row", price=paid / kept).collect()
    found = []
    # The median of all trades tells where to look; over a token's life its price may well grow ten thousandfold.
    usual = prices.select(pl.col("price").median()).item() or inf
    for at in (prices["price"] >= DUST_PRICE * usual).arg_true():
        around = [
            *prices["price"][max(at - DUST_NEIGHBOURS, 0) : at],
            *prices["price"][at + 1 : at + 1 + DUST_NEIGHBOURS],
        ]
        if around and prices["price"][at] >= DUST_PRICE * median(around) > 0:
            found.append(int(prices["row"][at]))
    return found


@dataclass(slots=True)
class _RoundTrips:
    """Those of one wallet, by their signatures."""

    at_once: list[tuple[bytes | None, ...]] = field(default_factory=list)
    around: list[tuple[bytes | None, ...]] = field(default_factory=list)
    victims: list[str] = field(default_factory=list)

    def evidence(self, mint: str, wallet: str) -> FlagEvidence:
        kinds = (
            ("bought and sold in one transaction", self.at_once),
            ("bought before and sold after others in one slot", self.around),
        )
        return FlagEvidence(
            Flag.ROUND_TRIP,
            mint,
            len(self.at_once) + len(self.around),
            ", ".join(f"{what}: {len(its)}" for what, its in kinds if its),
            signatures=shown(one for _, its in kinds for signatures in its for one in signatures),
            wallets=others(self.victims, wallet),
        )


def _turns(mine: pl.DataFrame) -> pl.DataFrame:
    """Buys that the same wallet's next trade sells, `at_once` in one transaction, or about as much in one slot."""
    trades = mine.lazy().filter(BUY | SELL)
    turned = _SAME_WALLET & SELL & (pl.col("kind").shift(1) == "buy")
    at_once = pl.col("signature") == pl.col("signature").shift(1)
    sold, had = pl.col("token_raw").cast(pl.Float64), pl.col("token_raw").shift(1).cast(pl.Float64)
    alike = (sold - had).abs() <= SANDWICH_SHARE * pl.max_horizontal(sold, had)
    in_one_slot = (pl.col("slot") == pl.col("slot").shift(1)) & alike
    return (
        trades.select(
            "wallet",
            "row",
            "signature",
            since=pl.col("row").shift(1),
            bought=pl.col("signature").shift(1),
            at_once=at_once.fill_null(False),
            turned=turned & (at_once.fill_null(False) | in_one_slot.fill_null(False)),
        )
        .filter("turned")
        .sort("row")
        .collect()
    )


def _with_victims(turns: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """`wallet, bought, signature, victims` of those turns between whose transactions others bought."""
    if turns.is_empty():
        return turns.select("wallet", "bought", "signature", victims=pl.lit([], dtype=pl.List(pl.String)))
    places = rows.select("row", "tx_index", "kind", "wallet")
    ends = places.select("row", "tx_index")
    between = (
        turns.with_row_index("turn")
        .join(ends.rename({"row": "since", "tx_index": "from"}), on="since")
        .join(ends.rename({"tx_index": "to"}), on="row")
        .select("turn", "from", "to", other=pl.int_ranges(pl.col("since") + 1, pl.col("row")))
        .explode("other", empty_as_null=False)
        .join(places.with_columns(other=pl.col("row").cast(pl.Int64)), on="other")
        .filter(BUY & (pl.col("tx_index") > pl.col("from")) & (pl.col("tx_index") < pl.col("to")))
        .sort("turn", "other")
        .group_by("turn", maintain_order=True)
        .agg(victims="wallet")
    )
    return (
        turns.with_row_index("turn")
        .join(between, on="turn", maintain_order="left")
        .select("wallet", "bought", "signature", "victims")
    )


def fast_trade_flags(tape: Tape, mine: pl.DataFrame) -> Found:
    """FAST_TRADE: holdings that were bought and sold within `FAST_SECONDS`, from the first buy to the sale that left
    at most `EMPTY_SHARE` of the peak. `of` is the number of holdings that ended in a sale.

    A holding that began with a transfer is as old as that. What is in a wallet's own orders is still held.
    """
    moves = ~pl.col("kind").is_in(["escrow_in", "escrow_out"]) & ~has_flag(TapeFlag.ROUND_TRIP)
    since = pl.col("block_time") - pl.col("block_time").shift(1)
    soon = _SAME_WALLET & SELL & (since < FAST_SECONDS)
    its = (
        mine.lazy()
        .filter(moves)
        .select("id", "wallet", "row", "block_time", "kind", "token_raw", soon=soon)
        .filter(pl.col("soon").any().over("id"))
        .collect()
    )
    ended: dict[str, int] = defaultdict(int)
    fast: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for holding in _holdings(its):
        ended[holding.wallet] += 1
        if holding.bought and holding.seconds < FAST_SECONDS:
            fast[holding.wallet].append((holding.first_row, holding.last_row))
    shown_rows = {
        wallet: [row for pair in pairs for row in pair][:EVIDENCE_SIGNATURES]
        for wallet, pairs in fast.items()
    }
    signatures = iter(
        tape.events["signature"].gather([row for its in shown_rows.values() for row in its]).to_list()
    )
    for wallet, its_rows in shown_rows.items():
        number, of = len(fast[wallet]), ended[wallet]
        yield (
            wallet,
            FlagEvidence(
                Flag.FAST_TRADE,
                tape.mint,
                number,
                f"sold {number} of {counted(of, 'holding')} within a minute",
                of=of,
                signatures=shown([next(signatures) for _ in its_rows]),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Holding:
    """What a wallet held, from its first event to the sale that emptied it."""

    wallet: str
    bought: bool
    seconds: int
    first_row: int
    last_row: int


def _holdings(events: pl.DataFrame) -> Iterator[_Holding]:
    wallet = None
    held = peak = began = first_row = 0
    bought = False
    for owner, row, time, kind, raw in zip(
        events["wallet"].to_list(),
        events["row"].to_list(),
        events["block_time"].to_list(),
        events["kind"].to_list(),
        events["token_raw"].to_list(),
        strict=True,
    ):
        if owner != wallet:
            wallet, held, peak = owner, 0, 0
        if kind in ("buy", "transfer_in"):
            if held <= EMPTY_SHARE * peak:
                peak, began, first_row, bought = 0, time, row, False
            held += raw
            peak = max(peak, held)
            bought = bought or kind == "buy"
            continue
        was_open = held > EMPTY_SHARE * peak
        held = max(held - raw, 0)
        if kind == "sell" and was_open and held <= EMPTY_SHARE * peak:
            yield _Holding(owner, bought, time - began, first_row, row)
