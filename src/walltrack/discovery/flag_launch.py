"""Who bought in the rush of a launch: in its slot, or in one of the three after it; and who always does."""

from __future__ import annotations

from collections.abc import Collection
from math import exp, lgamma, log, log1p
from typing import Final

import polars as pl

from walltrack.discovery.flag_rows import BUY, Found, counted, only, shown
from walltrack.discovery.tape import Tape
from walltrack.discovery.wallet_models import Flag, FlagEvidence, RushBuy, RushCount

SNIPER_SLOTS: Final = 3
"""Slots after the launch's in which a first buy is a sniper's: 1.2 s, too short for anybody who looks at the token
(PROVIDERS §8.2: N of 2 to 5)."""

SNIPER_SECONDS: Final = 1
"""The same where a tape has no slots."""

MIN_PRESENCE: Final = 5
"""Least launches in whose rush a wallet must have been seen before its share of them says anything."""

MIN_PRESENCE_SHARE: Final = 0.05
"""Least share of all launches. Of shared snipers found in 282 launches of 2026 the least had 5 %
(searadacunha/Why-Solana-Memecoins-Are-Over, m4_infra)."""

MAX_CHANCE: Final = 1e-4
"""Most wallets that chance alone is expected to put at such a share, among all that were ever in a rush."""


def rush(tape: Tape, rows: pl.DataFrame) -> pl.DataFrame:
    """Wallets whose first buy is in the rush, in tape order: `wallet, signature, slots, seconds`, after the launch.
    `slots` is null where the tape has none.
    """
    slots = (
        pl.lit(None, dtype=pl.Int64)
        if tape.launch_slot is None
        else pl.col("slot").cast(pl.Int64) - tape.launch_slot
    )
    placed = (
        rows.lazy().filter(BUY).with_columns(slots=slots, seconds=pl.col("block_time") - tape.launch_time)
    )
    until = (
        pl.when(pl.col("slots").is_null())
        .then(pl.col("seconds") <= SNIPER_SECONDS)
        .otherwise(pl.col("slots") <= SNIPER_SLOTS)
    )
    began = pl.col("slots").fill_null(pl.col("seconds")) >= 0
    # A tape is in order, so the first buy up to then is the first of all; one before the launch is in no rush.
    return (
        placed.filter(until)
        .unique("wallet", keep="first", maintain_order=True)
        .filter(began)
        .select("wallet", "signature", "slots", "seconds")
        .collect()
    )


def rush_buys(rushed: pl.DataFrame) -> list[RushBuy]:
    return [
        RushBuy(wallet, slots, seconds, next(iter(shown([signature])), None))
        for wallet, signature, slots, seconds in rushed.iter_rows()
    ]


def at_launch(rushed: pl.DataFrame) -> list[str]:
    """The buyers of the launch slot, or of the launch second where there are no slots."""
    return rushed.filter(pl.col("slots").fill_null(pl.col("seconds")) == 0)["wallet"].to_list()


def launch_flags(tape: Tape, rushed: pl.DataFrame, wallets: Collection[str] | None) -> Found:
    """LAUNCH_SLOT and SNIPER: the first buy stands in the launch slot, or in one of `SNIPER_SLOTS` after it."""
    for wallet, signature, slots, seconds in only(rushed, wallets).iter_rows():
        after = seconds if slots is None else slots
        unit = "second" if slots is None else "slot"
        if after == 0:
            flag, detail = Flag.LAUNCH_SLOT, f"first buy in the {unit} of the launch"
        else:
            flag, detail = Flag.SNIPER, f"first buy {counted(after, unit)} after the launch"
        yield wallet, FlagEvidence(flag, tape.mint, 1, detail, signatures=shown([signature]))


def rush_flags(wallet: str, counts: RushCount) -> tuple[FlagEvidence, ...]:
    """What the rushes of all stored launches say of a wallet: LAUNCH_SLOT and SNIPER where it bought in the slot of any
    launch or sniped any, INFRASTRUCTURE where it was there too often for chance.

    If every rush were drawn anew from all wallets that were ever in one, each would be in a launch's with the
    probability p = appearances / (launches x rushers), and in k or more of n launches with

        P = sum over i = k..n of C(n, i) p^i (1 - p)^(n - i).

    The flag is given from `MIN_PRESENCE` launches and a share of `MIN_PRESENCE_SHARE` on, where P x rushers, the number
    of wallets that chance would put there, is below `MAX_CHANCE`. The wallet's own appearances are part of p, which
    only makes the rule slower to speak.
    """
    found = []
    of = "1 launch" if counts.launches == 1 else f"{counts.launches} launches"
    if counts.launch_slot >= 1:
        detail = f"bought in the launch slot of {counts.launch_slot} of {of}"
        found.append(FlagEvidence(Flag.LAUNCH_SLOT, None, counts.launch_slot, detail, of=counts.launches))
    if counts.sniped >= 1:
        detail = f"sniped {counts.sniped} of {of}"
        found.append(FlagEvidence(Flag.SNIPER, None, counts.sniped, detail, of=counts.launches))
    present = counts.launch_slot + counts.sniped
    if present < MIN_PRESENCE or present < MIN_PRESENCE_SHARE * counts.launches:
        return tuple(found)
    usual = counts.appearances / (counts.launches * counts.rushers)
    expected = at_least(present, counts.launches, usual) * counts.rushers
    if expected < MAX_CHANCE:
        detail = (
            f"in the rush of {present} of {counts.launches} launches; "
            f"by chance {expected:.1g} of {counts.rushers} wallets would be"
        )
        found.append(FlagEvidence(Flag.INFRASTRUCTURE, None, present, detail, of=counts.launches))
    return tuple(found)


def at_least(successes: int, trials: int, chance: float) -> float:
    """The probability of at least so many successes in independent trials: the upper tail of the binomial
    distribution, summed term by term, smallest first.
    """
    if successes > trials or (successes > 0 and chance <= 0):
        return 0.0
    if successes <= 0 or chance >= 1:
        return 1.0
    whole = lgamma(trials + 1)
    terms = [
        exp(
            whole
            - lgamma(hits + 1)
            - lgamma(trials - hits + 1)
            + hits * log(chance)
            + (trials - hits) * log1p(-chance)
        )
        for hits in range(trials, successes - 1, -1)
    ]
    return min(sum(sorted(terms)), 1.0)
