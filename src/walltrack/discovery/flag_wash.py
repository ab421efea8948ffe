"""Rings that trade with themselves: volume out of nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from walltrack.discovery.flag_launch import at_least
from walltrack.discovery.flag_rows import BUY, SELL, Found, counted, has_flag, only, others, shown
from walltrack.discovery.tape import WSOL, Tape, TapeFlag
from walltrack.discovery.wallet_models import Flag, FlagEvidence

MIN_TRIPS: Final = 5
"""Least buys, and least sales, of a member of a ring that takes turns."""

MAX_NET_TOKENS: Final = 0.1
"""Most that a member's bought and sold tokens may differ, as a share of the larger."""

MAX_NET_SOL: Final = 0.1
"""Most that what a member paid and received may differ, as a share of both together. Members gain from each other."""

MAX_RING_NET: Final = 0.05
"""The same of a whole ring, tokens and SOL: what it does not lose in fees stays with it."""

MIN_TURNS: Final = 10
"""Least times that a member's trade stood next to another member's."""

MIN_TURNS_SHARE: Final = 0.8
"""Least share in which a purchase by one was followed by a sale of another, not by a purchase; and a sale of one by a
purchase by another. A ring that fills up, or sells out in the end, does not take turns then."""

MAX_MEMBER_CHANCE: Final = 0.01
MAX_RING_CHANCE: Final = 1e-6
"""Largest probability that chance alone does so much for a member, and for all turns of the ring together; the latter
times the number of candidates, since any of them might have been in it."""

HAND_OVER_ROWS: Final = 3
HAND_OVER_SECONDS: Final = 10
HAND_OVER_SHARE: Final = 0.03
"""A hand-over: a buy and a sale by two wallets at most so many trades and seconds apart, of as many tokens or as much
SOL but for this share: the fees of both may come to 2.5 %."""

MIN_HAND_OVERS: Final = 5
"""Least trades of a member that are hand-overs."""

MIN_HAND_OVERS_EACH: Final = 2
"""Least of these that are buys, and that are sales."""

MIN_HAND_OVERS_SHARE: Final = 0.5
"""Least share of a member's trades that are hand-overs."""

MIN_PER_PARTNER: Final = 2.5
"""Least hand-overs of a member for each wallet it had any with. Busy traders of the same usual size meet many."""

_LEAST_TURNS_SHARE: Final = 0.6  # who is below is certainly in no ring, whoever else trades in between


def wash_flags(tape: Tape, rows: pl.DataFrame, wallets: Collection[str] | None) -> Found:
    """WASH: members of a ring, whose trading makes volume and nothing else.

    - A ring that takes turns. A member bought and sold at least `MIN_TRIPS` times each, and its tokens and SOL nearly
      cancel (`MAX_NET_TOKENS`, `MAX_NET_SOL`). An active trader may be like that too; but in the sequence of the
      ring's trades a purchase by one is followed by a sale of another, and a sale by a purchase (`MIN_TURNS`,
      `MIN_TURNS_SHARE`). If wallets know nothing of each other, the next trade of others is a purchase as often after
      one's purchase as after one's sale, so one of the two shares is a half at most; those who follow one price have
      less. So the binomial chance of the likelier of both bounds the chance of both (`MAX_MEMBER_CHANCE`,
      `MAX_RING_CHANCE`). Together the ring's tokens and SOL cancel closer (`MAX_RING_NET`).
    - A ring that hands tokens round. Most of a member's trades (`MIN_HAND_OVERS`, `MIN_HAND_OVERS_SHARE`) are one half
      of a hand-over to or from another member: the opposite trade of as much stands beside it (`HAND_OVER_ROWS`,
      `HAND_OVER_SECONDS`, `HAND_OVER_SHARE`), and few wallets are on the other side of all of them
      (`MIN_PER_PARTNER`). What a member gains in the end makes no difference.
    """
    in_sol = pl.col("quote_mint").eq_missing(WSOL)
    trades = rows.filter((BUY | SELL) & in_sol & ~has_flag(TapeFlag.ROUND_TRIP))
    if wallets is not None and _active(only(trades, wallets), MIN_HAND_OVERS_EACH).is_empty():
        return
    in_turns = _in_turns(trades)
    handing = _handing_round(trades)
    its = trades.filter(pl.col("id").is_in([*in_turns, *handing]))
    names = dict(its.select("id", "wallet").unique().iter_rows())
    ring = [names[one] for one in in_turns]
    first = only(its, wallets).group_by("id", maintain_order=True).agg("signature")
    for one, signatures in first.iter_rows():
        if one in in_turns:
            count, of = in_turns[one]
            partners = ring
            detail = (
                f"took turns in a ring of {len(ring)} wallets: {count} of {of} times one bought and the other sold, "
                "net about zero"
            )
        else:
            count, of, those = handing[one]
            partners = [names[other] for other in those]
            detail = f"{count} of {of} trades handed as much to or from {counted(len(those), 'other wallet')}"
        yield (
            names[one],
            FlagEvidence(
                Flag.WASH,
                tape.mint,
                count,
                detail,
                of=of,
                signatures=shown(signatures),
                wallets=others(partners, names[one]),
            ),
        )


def _active(trades: pl.DataFrame, least: int) -> pl.DataFrame:
    """`id` of those with at least so many buys and so many sales."""
    return (
        trades.lazy()
        .group_by("id")
        .agg(buys=BUY.sum(), all=pl.len())
        .filter((pl.col("buys") >= least) & (pl.col("all") - pl.col("buys") >= least))
        .select("id")
        .collect()
    )


def _candidates(trades: pl.DataFrame) -> pl.DataFrame:
    """`id` and its sums, of those with enough trades that nearly cancel."""
    active = trades.join(_active(trades, MIN_TRIPS), on="id", how="semi", maintain_order="left")
    tokens, sol = pl.col("token_raw").cast(pl.Int128), pl.col("quote_raw").cast(pl.Int128)
    nothing = pl.lit(0, dtype=pl.Int128)
    return (
        active.lazy()
        .select(
            "id",
            bought=pl.when(BUY).then(tokens).otherwise(nothing),
            sold=pl.when(SELL).then(tokens).otherwise(nothing),
            paid=pl.when(BUY).then(sol).otherwise(nothing),
            received=pl.when(SELL).then(sol).otherwise(nothing),
        )
        .group_by("id")
        .sum()
        .with_columns(pl.col("bought", "sold", "paid", "received").cast(pl.Float64))
        .filter(_tokens_cancel(MAX_NET_TOKENS) & _sol_cancels(MAX_NET_SOL))
        .collect()
    )


def _tokens_cancel(most: float) -> pl.Expr:
    return (pl.col("bought") - pl.col("sold")).abs() <= most * pl.max_horizontal("bought", "sold")


def _sol_cancels(most: float) -> pl.Expr:
    return (pl.col("paid") - pl.col("received")).abs() <= most * (pl.col("paid") + pl.col("received"))


def _in_turns(trades: pl.DataFrame) -> dict[int, tuple[int, int]]:
    """Members (`id`) of a ring that takes turns -> in how many of their turns one bought and the other sold, of all."""
    candidates = _candidates(trades)
    ring, strict = candidates["id"], False
    its = trades.select("id", "kind")
    while len(ring) > 1:
        its = its.filter(pl.col("id").is_in(ring.to_list()))
        turns = _turns(its)
        if strict:
            kept = turns.filter((pl.col("share") >= MIN_TURNS_SHARE) & (pl.col("of") >= MIN_TURNS))
            chances = [_chance(row) for row in kept.select(_PAIRS).iter_rows()]
            kept = kept.filter(pl.Series(chances, dtype=pl.Float64) <= MAX_MEMBER_CHANCE)
        else:
            kept = turns.filter(pl.col("share") >= _LEAST_TURNS_SHARE)
        if kept.height < len(ring):
            ring = kept["id"]
        elif not strict:
            strict = True
        else:
            # Every pair stands there for both of its wallets.
            chance = _chance([sum(pairs) // 2 for pairs in kept.select(_PAIRS).iter_columns()])
            together = candidates.filter(pl.col("id").is_in(ring.to_list())).sum()
            closed = together.filter(_tokens_cancel(MAX_RING_NET) & _sol_cancels(MAX_RING_NET))
            if closed.is_empty() or chance * candidates.height > MAX_RING_CHANCE:
                break
            return {one: (count, of) for one, count, of in kept.select("id", "count", "of").iter_rows()}
    return {}


_PAIRS: Final = ("sales_after_buy", "after_buy", "buys_after_sale", "after_sale")


def _chance(pairs: Sequence[int]) -> float:
    """The chance of so many opposite trades after buys and after sales (`_PAIRS`), where one of both is even."""
    return max(at_least(pairs[0], pairs[1], 0.5), at_least(pairs[2], pairs[3], 0.5))


def _turns(trades: pl.DataFrame) -> pl.DataFrame:
    """`id`; of the pairs of neighbouring trades by this wallet and another, how many begin with a buy (`after_buy`),
    how many with a sale, and how many of each are opposite; `count` and `of` of both, `share` the lesser of both.
    """
    next_to = trades.lazy().select(
        "id",
        before=pl.col("id").shift(1),
        after_buy=pl.col("kind").shift(1) == "buy",
        opposite=pl.col("kind") != pl.col("kind").shift(1),
    )
    turns = next_to.filter(pl.col("id") != pl.col("before"))
    both = [turns.drop("before"), turns.select(pl.col("before").alias("id"), "after_buy", "opposite")]
    bought, opposite = pl.col("after_buy"), pl.col("opposite")
    sums = {
        "sales_after_buy": bought & opposite,
        "after_buy": bought,
        "buys_after_sale": ~bought & opposite,
        "after_sale": ~bought,
    }
    shares = (
        pl.col("sales_after_buy") / pl.col("after_buy"),
        pl.col("buys_after_sale") / pl.col("after_sale"),
    )
    return (
        pl.concat(both)
        .group_by("id")
        .agg(holds.sum().cast(pl.Int64).alias(name) for name, holds in sums.items())
        .with_columns(
            share=pl.min_horizontal(share.fill_nan(0.0) for share in shares),
            count=pl.col("sales_after_buy") + pl.col("buys_after_sale"),
            of=pl.col("after_buy") + pl.col("after_sale"),
        )
        .sort("id")
        .collect()
    )


def _handing_round(trades: pl.DataFrame) -> dict[int, tuple[int, int, list[int]]]:
    """Members (`id`) of a ring that hands tokens round -> how many of their trades are hand-overs, of all, and with
    whom.
    """
    hand_overs = pl.concat(_hand_overs(trades, distance) for distance in range(1, HAND_OVER_ROWS + 1))
    numbers = trades.group_by("id").agg(of=pl.len().cast(pl.Int64))
    while hand_overs.height:
        members = (
            hand_overs.group_by("id")
            .agg(
                count=pl.col("row").n_unique().cast(pl.Int64),
                buys=pl.col("row").filter(BUY).n_unique().cast(pl.Int64),
                partners=pl.col("other").sort_by("row", "other").unique(maintain_order=True),
            )
            .join(numbers, on="id")
            .filter(
                (pl.col("count") >= MIN_HAND_OVERS)
                & (pl.col("count") >= MIN_HAND_OVERS_SHARE * pl.col("of"))
                & (pl.col("count") >= MIN_PER_PARTNER * pl.col("partners").list.len())
                & (pl.min_horizontal("buys", pl.col("count") - pl.col("buys")) >= MIN_HAND_OVERS_EACH)
            )
            .select("id", "count", "of", "partners")
        )
        ring = members["id"].to_list()
        within = hand_overs.filter(pl.col("id").is_in(ring) & pl.col("other").is_in(ring))
        if within.height == hand_overs.height:
            return {one: (count, of, partners) for one, count, of, partners in members.iter_rows()}
        hand_overs = within
    return {}


def _hand_overs(trades: pl.DataFrame, distance: int) -> pl.DataFrame:
    """`row, id, kind, other` of both halves of the hand-overs between trades so many places apart."""
    apart = pl.col("block_time") - pl.col("block_time").shift(distance)
    found = (
        trades.lazy()
        .select(
            "row",
            "id",
            "kind",
            other=pl.col("id").shift(distance),
            other_row=pl.col("row").shift(distance),
            other_kind=pl.col("kind").shift(distance),
            near=(apart <= HAND_OVER_SECONDS)
            & (_alike("token_raw", distance) | _alike("quote_raw", distance)),
        )
        .filter("near", pl.col("kind") != pl.col("other_kind"), pl.col("id") != pl.col("other"))
        .collect()
    )
    halves = (
        found.select("row", "id", "kind", "other"),
        found.select(row="other_row", id="other", kind="other_kind", other="id"),
    )
    return pl.concat(halves)


def _alike(name: str, distance: int) -> pl.Expr:
    one, other = pl.col(name).cast(pl.Float64), pl.col(name).cast(pl.Float64).shift(distance)
    return (one - other).abs() <= HAND_OVER_SHARE * pl.max_horizontal(one, other)
