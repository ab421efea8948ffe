"""Did they keep winning? What a run's wallets did after it, beside other buyers of the same tokens.

Who is looked at follows from what was known at the run and nothing else: the wallets and their status as the run itself
stored them, and a control drawn, by the run's id, from those who had bought the same tokens by then. So neither the
operator's lists of today, nor a later profile, nor anything that was traded later has a say in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.outcome_repo import OutcomeRepository
from walltrack.data.supabase.repositories.run_standing_repo import RunStandingRepository
from walltrack.data.supabase.repositories.tape_repo import TapeRepository
from walltrack.discovery.at_once import for_each
from walltrack.discovery.errors import BadInputError, WallTrackError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunWallet, ReadingCost
from walltrack.discovery.outcome import GroupOutcome, control_of, other_buyers, outcome_figures
from walltrack.discovery.profiling import Histories
from walltrack.discovery.tape import Unmeasurable
from walltrack.discovery.wallet_history import WalletHistory
from walltrack.discovery.wallet_models import Standing, WalletStatus
from walltrack.scheduler.stored import stored_tape

MOST_WALLETS: Final = 50
"""Wallets of a run that are looked at where nothing else is said; as many stand in the control."""

HISTORIES_AT_ONCE: Final = 8

_UNKNOWN: Final = Standing()


class Watcher(Protocol):
    """Who watches the histories being read."""

    def wallets_listed(self, wallets: int) -> None: ...

    def wallet_profiled(self, wallet: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who is looked at. `found` are the run's wallets that it did not exclude, the best of its own ranking first, and
    at most as many as asked for; `excluded` and `beyond` count the others. `without_tape` are tokens that have no
    stored tape to draw a control from, and why.
    """

    found: tuple[str, ...]
    control: tuple[str, ...]
    excluded: int
    beyond: int
    without_tape: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What came of a run: figures from positions opened after `since`, the end of the run, up to `as_of`.

    `stored` says whether it was kept: where no wallet could be measured there is nothing to keep.
    """

    run: DiscoveryRun
    since: datetime
    as_of: datetime
    computed_at: datetime
    chosen: Chosen
    found: GroupOutcome
    control: GroupOutcome
    cost: ReadingCost
    stored: bool


async def run_outcome_task(
    run_id: UUID,
    *,
    database: Database,
    histories: Histories,
    computed_at: datetime,
    most: int = MOST_WALLETS,
    watcher: Watcher | None = None,
) -> OutcomeReport:
    """Work out what a run's wallets and the control did from the run's end up to the moment that the histories tell of,
    and store it.

    Raises BadInputError for a run that is not there, still runs, found nothing, or ended after that moment.
    """
    run = await DiscoveryRepository(database).get_run(run_id)
    if run is None:
        raise BadInputError(f"there is no run {run_id}; `walltrack runs list` has them")
    since = run.completed_at
    if since is None:
        raise BadInputError(
            f"run {run_id} is {run.status.value}: ask for its outcome some days after its end"
        )
    as_of = histories.now()
    if as_of <= since:
        raise BadInputError(
            f"run {run_id} ended at {since:%Y-%m-%d %H:%M:%S} UTC, and its market at {as_of:%Y-%m-%d %H:%M:%S} UTC:"
            " nothing happened after the run"
        )
    chosen = await choose(database, run, since, most=most)
    if not chosen.found:
        raise BadInputError(
            f"run {run_id} found no wallet that it did not exclude: there is nothing to follow"
        )
    read, cost = await _read(_in_turn(chosen.found, chosen.control), histories, watcher)
    found = outcome_figures([read[wallet] for wallet in chosen.found], since, as_of)
    control = outcome_figures([read[wallet] for wallet in chosen.control], since, as_of)
    stored = found.measured + control.measured > 0
    if stored:
        await OutcomeRepository(database).store(
            run_id,
            computed_at=computed_at,
            as_of=as_of,
            found=figures_as_json(found),
            control=figures_as_json(control),
            control_wallets=chosen.control,
        )
    return OutcomeReport(run, since, as_of, computed_at, chosen, found, control, cost, stored)


async def choose(database: Database, run: DiscoveryRun, since: datetime, *, most: int) -> Chosen:
    """The wallets of a run and a control of other buyers, from what was known at `since`, the run's end."""
    findings = await DiscoveryRepository(database).get_run_wallets(run.id)
    standings = await RunStandingRepository(database).known_then(run.id)
    first: dict[str, DiscoveryRunWallet] = {}  # the largest realized profit comes first
    for finding in findings:
        first.setdefault(finding.wallet_address, finding)
    kept = [wallet for wallet in first if standings.get(wallet, _UNKNOWN).status is not WalletStatus.EXCLUDED]
    kept.sort(key=lambda wallet: _place(standings.get(wallet, _UNKNOWN)))
    found = tuple(kept[:most])
    wanted = Counter(first[wallet].source_token for wallet in found)
    candidates: dict[str, list[str]] = {}
    without_tape: dict[str, str] = {}
    for mint in sorted(wanted):
        tape = await stored_tape(TapeRepository(database), mint)
        if isinstance(tape, Unmeasurable):
            without_tape[mint] = tape.reason
        else:
            candidates[mint] = other_buyers(tape, first.keys(), since)
    return Chosen(
        found=found,
        control=control_of(candidates, wanted, str(run.id)),
        excluded=len(first) - len(kept),
        beyond=len(kept) - len(found),
        without_tape=without_tape,
    )


def figures_as_json(group: GroupOutcome) -> dict[str, Any]:
    """A group's figures as values of JSON, decimals as text so that they stay exact."""
    return {
        name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(group).items()
    } | {"measured": group.measured}


def figures_from_json(figures: Mapping[str, Any]) -> GroupOutcome:
    """What `figures_as_json` was given."""
    values: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in figures.items()
        if name != "measured"
    }
    return GroupOutcome(**values)


def together(groups: Iterable[GroupOutcome]) -> GroupOutcome:
    """The figures of several runs' groups as one; a wallet of two runs counts in each.

    Of more than one group the median of returns is None: it does not follow from medians.
    """
    groups = list(groups)
    if len(groups) == 1:
        return groups[0]
    reasons: Counter[str] = Counter()
    for group in groups:
        reasons.update(group.unmeasurable)
    settled, wins = sum(g.settled for g in groups), sum(g.wins for g in groups)
    realized = sum((g.realized_pnl_sol for g in groups), Decimal(0))
    cost = sum((g.cost_of_sold_sol for g in groups), Decimal(0))
    lost = sum((g.lost_in_abandoned_sol for g in groups), Decimal(0))
    return GroupOutcome(
        wallets=sum(g.wallets for g in groups),
        unmeasurable=dict(sorted(reasons.items())),
        wallets_with_trades=sum(g.wallets_with_trades for g in groups),
        positions=sum(g.positions for g in groups),
        settled=settled,
        wins=wins,
        win_rate=Decimal(wins) / settled if settled else None,
        realized_pnl_sol=realized,
        cost_of_sold_sol=cost,
        lost_in_abandoned_sol=lost,
        return_on_cost_pct=100 * (realized - lost) / (cost + lost) if cost + lost else None,
        median_return_pct=None,
    )


def _place(standing: Standing) -> tuple[bool, Decimal]:
    """By the run's own ranking; wallets that it could not rank stay in the order of their profit."""
    if standing.is_ranked and standing.score is not None:
        return False, -standing.score
    return True, Decimal(0)


def _in_turn(found: Sequence[str], control: Sequence[str]) -> list[str]:
    """One of each in turn, so that credits that run out leave both groups cut alike."""
    order: list[str] = []
    for place in range(max(len(found), len(control))):
        order += [group[place] for group in (found, control) if place < len(group)]
    return order


async def _read(
    wallets: Sequence[str], histories: Histories, watcher: Watcher | None
) -> tuple[Mapping[str, WalletHistory | Unmeasurable], ReadingCost]:
    read: dict[str, WalletHistory | Unmeasurable] = {}
    spent: list[ReadingCost] = []
    if watcher is not None:
        watcher.wallets_listed(len(wallets))

    async def one(wallet: str) -> None:
        try:
            reading = await histories.read_history(wallet)
        except WallTrackError as error:
            read[wallet] = Unmeasurable(f"its history could not be read: {error}")
        else:
            read[wallet] = reading.history
            spent.append(reading.cost)
        if watcher is not None:
            watcher.wallet_profiled(wallet)

    await for_each(wallets, one, at_once=HISTORIES_AT_ONCE)
    return read, sum(spent, ReadingCost(0, 0))
