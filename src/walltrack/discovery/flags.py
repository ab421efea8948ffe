"""Flags: what tells an insider, a bot or a ring from a trader, each with the evidence for it.

The rules stand by subject in the modules `flag_*`, each with its bounds and where they are from. A rule is here only
if it is silent on a tape whose wallets and amounts were shuffled (`make bench-quality` shows both rates): a shared
funder, standing side by side in a block or trading a lot are no evidence by themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from walltrack.discovery.flag_accounts import account_flags
from walltrack.discovery.flag_bundle import bundle_flags, bundles
from walltrack.discovery.flag_launch import at_launch, launch_flags, rush, rush_buys, rush_flags
from walltrack.discovery.flag_rows import Found, by_wallet, numbered, only, rows_of
from walltrack.discovery.flag_trading import fast_trade_flags, round_trip_flags
from walltrack.discovery.flag_transfers import first_holder, transfer_flags
from walltrack.discovery.flag_wash import wash_flags
from walltrack.discovery.tape import Tape
from walltrack.discovery.wallet_models import Flag, FlagEvidence, RushBuy

__all__ = ["account_flags", "launch_rush", "rush_flags", "tape_flags"]

_ORDER = {flag: place for place, flag in enumerate(Flag)}


def launch_rush(tape: Tape) -> list[RushBuy]:
    """Every wallet whose first buy stands in the launch slot or one of the three after it, in tape order; where there
    are no slots, in the launch second or the next.
    """
    return rush_buys(rush(tape, rows_of(tape)))


def tape_flags(tape: Tape, wallets: Collection[str] | None = None) -> dict[str, tuple[FlagEvidence, ...]]:
    """What one tape says of its wallets, or of these only: flags with their evidence, in the order of `Flag`.

    LAUNCH_SLOT, SNIPER, BUNDLE, PASSES_ON, TOKENS_IN, INSIDER, WASH, ROUND_TRIP and FAST_TRADE. Wallets without any
    are left out, as are addresses that are never wallets. What is said of a wallet does not depend on which others
    were asked for.
    """
    found: dict[str, list[FlagEvidence]] = defaultdict(list)
    for wallet, evidence in _tape_flags(tape, None if wallets is None else frozenset(wallets)):
        found[wallet].append(evidence)
    return {
        wallet: tuple(sorted(its, key=lambda evidence: _ORDER[evidence.flag]))
        for wallet, its in found.items()
    }


def _tape_flags(tape: Tape, wallets: frozenset[str] | None) -> Iterator[tuple[str, FlagEvidence]]:
    rows = numbered(rows_of(tape))
    rushed = rush(tape, rows)
    bundled = bundles(rows)
    creator = first_holder(tape, rows)
    insiders = {wallet: "a member of a bundle" for bundle in bundled for wallet in bundle.wallets}
    insiders |= dict.fromkeys(at_launch(rushed), "a buyer of the launch slot")
    if creator is not None:
        insiders[creator] = "the token's first holder"
    mine = by_wallet(only(rows, wallets))
    rules: tuple[Found, ...] = (
        launch_flags(tape, rushed, wallets),
        bundle_flags(tape, bundled, wallets),
        transfer_flags(tape, rows, insiders, wallets),
        wash_flags(tape, rows, wallets),
        round_trip_flags(tape, rows, mine),
        fast_trade_flags(tape, mine),
    )
    for rule in rules:
        yield from rule
