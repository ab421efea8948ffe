"""Flags, profiles and scores against the sandbox's truth, and what flags say of real tapes: `make bench-quality`.

No rule was tuned on the seeds that are measured here (1 to 20); 101 and later ones were for that. A null is a tape
whose wallets know nothing of each other (`benchmarks.shuffled`): what is flagged there is flagged by chance. Bundles
within one transaction, and round trips that leave dust, are single acts and stay there.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import logging
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import structlog
from tests.sandbox_tapes import tapes_of
from tests.shared_data import DEFAULT

from benchmarks.sandbox import fresh_database, market_of, run_once, settings_of
from benchmarks.shuffled import interleaved, shuffled, shuffled_amounts
from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.discovery.flags import account_flags, launch_rush, rush_flags, tape_flags
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.tape import Tape
from walltrack.discovery.wallet_models import Flag, FlagEvidence, RushCount, StoredProfile, WalletStatus
from walltrack.sandbox.server import serve
from walltrack.services.files import read_tapes

Flagged = set[tuple[str, str, str | None]]
"""Flag, wallet, and mint (None: over all tapes)."""

BEST = 50
HONEST = ("skilled", "lucky")


@dataclass
class Agreement:
    """How often what was found is true, for one flag."""

    both: int = 0
    found_only: int = 0
    true_only: int = 0
    null: int = 0
    wallets: Counter[str] = field(default_factory=Counter)

    @property
    def precision(self) -> float:
        return self.both / max(self.both + self.found_only, 1)

    @property
    def recall(self) -> float:
        return self.both / max(self.both + self.true_only, 1)


def flags_on(tapes: Mapping[str, Tape], exchanges: Mapping[str, str], others: Iterable[str]) -> Flagged:
    """Everything that is flagged on some tapes, wallets of `others` that stand on none included."""
    found: Flagged = set()
    rushed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    wallets = set(others)
    for mint, tape in tapes.items():
        wallets.update(tape.events["wallet"].unique())
        for wallet, evidence in tape_flags(tape).items():
            found.update((one.flag.value, wallet, mint) for one in evidence)
        for buy in launch_rush(tape):
            slots = buy.seconds_after_launch if buy.slots_after_launch is None else buy.slots_after_launch
            rushed[buy.wallet][slots > 0] += 1
    appearances = sum(sum(counts) for counts in rushed.values())
    for wallet, (at_launch, sniped) in rushed.items():
        count = RushCount(at_launch, sniped, len(tapes), len(rushed), appearances)
        found.update(_overall(wallet, rush_flags(wallet, count)))
    for wallet in wallets:
        found.update(_overall(wallet, account_flags(wallet, exchanges)))
    return found


def _overall(wallet: str, evidence: Iterable[FlagEvidence]) -> Iterator[tuple[str, str, None]]:
    # How often a wallet was in the rush of a launch is a count beside its flags on single tapes.
    counts = (Flag.LAUNCH_SLOT, Flag.SNIPER)
    return ((one.flag.value, wallet, None) for one in evidence if one.flag not in counts)


NULLS: dict[Flag, Callable[[Tape, int], Tape]] = {
    Flag.BUNDLE: shuffled_amounts,
    Flag.WASH: interleaved,
    Flag.ROUND_TRIP: interleaved,
    Flag.INFRASTRUCTURE: shuffled,
}
"""The rules that infer a hand behind a coincidence, and what makes it chance. The other flags say what a wallet did, in
a single act, and shuffling leaves the act.
"""


def null_flags(tapes: Mapping[str, Tape], seed: int) -> Flagged:
    """What the rules of `NULLS` flag on tapes whose wallets know nothing of each other."""
    found: Flagged = set()
    for null in dict.fromkeys(NULLS.values()):
        flagged = flags_on({mint: null(tape, seed) for mint, tape in tapes.items()}, {}, ())
        found |= {one for one in flagged if NULLS.get(Flag(one[0])) is null}
    return found


def measure_flags(seeds: Sequence[int]) -> None:
    tally: dict[str, Agreement] = defaultdict(Agreement)
    mistakes: Counter[str] = Counter()
    wallets = 0
    for seed in seeds:
        market = market_of(seed)
        truth = market.truth
        true: Flagged = {(one["flag"], one["wallet"], one["mint"]) for one in truth["flags"]}
        kinds = {one["address"]: one["kind"] for one in truth["wallets"]}
        tapes = tapes_of(market)
        found = flags_on(tapes, truth["exchanges"], (wallet for _, wallet, _ in true))
        wallets += len({row for tape in tapes.values() for row in tape.events["wallet"].unique()})
        for flag, _, _ in found & true:
            tally[flag].both += 1
        for flag, wallet, _ in found - true:
            tally[flag].found_only += 1
            mistakes[f"{flag}: found, not true, on a {kinds.get(wallet, 'stranger')}"] += 1
        for flag, wallet, _ in true - found:
            tally[flag].true_only += 1
            mistakes[f"{flag}: true, not found, on a {kinds.get(wallet, 'stranger')}"] += 1
        for flag, _, _ in null_flags(tapes, seed):
            tally[flag].null += 1
    print(f"flags on {len(seeds)} sandbox markets, {wallets} wallets in all")
    print(f"  {'flag':16}{'true':>8}{'precision':>11}{'recall':>9}{'null, share of true':>21}")
    for name in sorted(tally):
        one = tally[name]
        true_count = one.both + one.true_only
        share = f"{one.null / true_count:.3f}" if true_count and Flag(name) in NULLS else "-"
        print(f"  {name:16}{true_count:>8}{one.precision:>11.4f}{one.recall:>9.4f}{share:>21}")
    for mistake, count in mistakes.most_common(12):
        print(f"    {count} x {mistake}")


@dataclass
class Ranking:
    """How scores stand to what the wallets can do, over seeds."""

    skilled_over_lucky: list[float] = field(default_factory=list)
    correlation: list[float] = field(default_factory=list)
    bad_among_best: Counter[str] = field(default_factory=Counter)
    scored: int = 0
    found: int = 0


def measure_scores(seeds: Sequence[int], server_conninfo: str) -> None:
    ranking = Ranking()
    for seed in seeds:
        market = market_of(seed)
        with serve(market, rate_factor=1000.0) as server:
            conninfo = fresh_database(server_conninfo)
            _, _, wallets = run_once(
                server, conninfo, DiscoveryRunParams(max_tokens=100), most_histories=10_000
            )
            profiles = asyncio.run(
                stored_profiles(settings_of(server, conninfo), {one.wallet_address for one in wallets})
            )
        judge(ranking, market.truth, profiles)
    print(
        f"scores of {ranking.scored} wallets with enough to judge by, of {ranking.found} found, {len(seeds)} seeds"
    )
    print(f"  skilled against lucky: AUC {_spread(ranking.skilled_over_lucky)} (target 0.95)")
    print(f"  rank correlation with the true skill: {_spread(ranking.correlation)} (target 0.8)")
    bad = ", ".join(f"{count} {kind}" for kind, count in ranking.bad_among_best.items()) or "none"
    print(f"  insiders, bundles, MEV, wash and infrastructure among the {BEST} best of a seed: {bad}")


def judge(
    ranking: Ranking, truth: dict[str, list[dict[str, object]]], profiles: Sequence[StoredProfile]
) -> None:
    kinds = {one["address"]: str(one["kind"]) for one in truth["wallets"]}
    skill = {one["address"]: one["skill"] for one in truth["wallets"]}
    ranked = [one for one in profiles if one.score.status in (WalletStatus.ACTIVE, WalletStatus.DORMANT)]
    ranked.sort(key=lambda one: (-(one.score.value or 0), one.wallet_address))
    ranking.found += len(profiles)
    ranking.scored += len(ranked)
    scores = {one.wallet_address: float(one.score.value or 0) for one in ranked}
    of_kind = {kind: [s for w, s in scores.items() if kinds.get(w) == kind] for kind in HONEST}
    ranking.skilled_over_lucky.append(auc(of_kind["skilled"], of_kind["lucky"]))
    known = [(score, float(str(skill[w]))) for w, score in scores.items() if skill.get(w) is not None]
    ranking.correlation.append(rank_correlation(known))
    bad = {"bundle", "round_trip", "wash", "infrastructure", "launch_slot"}
    flagged = {one["wallet"]: str(one["flag"]) for one in truth["flags"] if one["flag"] in bad}
    insiders = {"bundler", "bundle_receiver", "mev", "wash", "infrastructure", "developer"}
    for one in ranked[:BEST]:
        kind = kinds.get(one.wallet_address, "stranger")
        if one.wallet_address in flagged or kind in insiders:
            ranking.bad_among_best[f"{kind} ({flagged.get(one.wallet_address, 'by kind')})"] += 1


def auc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """How often one of the first stands above one of the second; a tie counts half."""
    pairs = [(a > b) + (a == b) / 2 for a in higher for b in lower]
    return sum(pairs) / len(pairs) if pairs else float("nan")


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's, ties with their average rank."""
    frame = pl.DataFrame(pairs, schema=["x", "y"], orient="row").select(pl.all().rank("average"))
    return float(frame.select(pl.corr("x", "y")).item())


def _spread(values: Sequence[float]) -> str:
    return f"mean {sum(values) / len(values):.4f}, least {min(values):.4f}"


async def stored_profiles(settings: Settings, wallets: Iterable[str]) -> list[StoredProfile]:
    async with Database(settings) as database:
        repo = ProfileRepository(database)
        found = [await repo.newest_profile(wallet) for wallet in sorted(wallets)]
    return [one for one in found if one is not None]


def measure_real(shared: Path) -> None:
    tapes = read_tapes(shared / "market").tapes
    wallets = {wallet for tape in tapes.values() for wallet in tape.events["wallet"].unique()}
    labelled = {
        name: {row["address"] for row in csv.DictReader((shared / "labels" / f"{name}.csv").open())} & wallets
        for name in ("operator_fleets", "shared_infrastructure")
    }
    found = flags_on(tapes, {}, ())
    null = null_flags(tapes, 1)
    flagged = {wallet for _, wallet, _ in found}
    print(f"real tapes: {len(tapes)} tokens, {len(wallets)} wallets")
    for name, members in labelled.items():
        print(f"  {name}: {len(members)} occur, {len(members & flagged)} flagged")
    others = wallets - labelled["operator_fleets"] - labelled["shared_infrastructure"]
    share = len(others & flagged) / len(others)
    print(f"  unlabelled: {len(others & flagged)} of {len(others)} flagged ({100 * share:.1f} %)")
    counts, by_chance = Counter(f for f, _, _ in found), Counter(f for f, _, _ in null)
    for flag in sorted(counts | by_chance):
        chance = f", on the null {by_chance[flag]}" if Flag(flag) in NULLS else ""
        print(f"    {flag}: {counts[flag]}{chance}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    seeds = range(options.first, options.first + options.seeds)
    measure_flags(seeds)
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as folder:
        Path(folder).chmod(0o755)
        with embedded.serving(Path(folder) / "data") as server:
            measure_scores(seeds, server.conninfo)
    shared = Path(os.environ.get("SHARED_DATA", DEFAULT)) / "data"
    if shared.is_dir():
        measure_real(shared)
    else:
        print(f"real tapes: skipped, {shared} is absent")


if __name__ == "__main__":
    main()
