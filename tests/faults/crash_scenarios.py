"""Processes that die, stand still or are told to go in the middle of runs, which end as if nothing had been."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from random import Random
from typing import Final
from uuid import UUID

from tests.faults.counts import Counts
from tests.faults.outcome import Difference, Outcome, difference, outcome_of, refetched
from tests.faults.stage import LEASE_SECONDS, SLOTS, Process, Stage, until
from walltrack.data.supabase.repositories.run_engine_repo import MAX_DEATHS
from walltrack.discovery.models import DiscoveryRunParams

PARAMS: Final = DiscoveryRunParams(
    min_price_change_pct=20, min_volume_usd=1_000, min_liquidity_usd=0, max_token_age_hours=168, max_tokens=24
)
PROCESSES: Final = 3
SIGTERM_SECONDS: Final = 10.0
FROZEN_SECONDS: Final = 2.0 * LEASE_SECONDS
"""Longer than a lease and the sweep that follows."""


@dataclass
class Report:
    """What a scenario came to. `notes` are measurements, `problems` what went wrong."""

    counts: Counts
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """Counts as they add up over runs."""

    tried: int = 0
    survived: int = 0
    lost: int = 0
    duplicated: int = 0
    in_flight: int = 0
    counts: int = 0
    pages: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, faults: int, found: Difference) -> None:
        """A run that met so many faults: it has survived them all, or none."""
        self.tried += faults
        self.survived += faults if found.none else 0
        self.lost += len(found.lost)
        self.duplicated += len(found.duplicated)
        self.problems += [str(found)] if not found.none else []

    def report(self) -> Report:
        return Report(
            Counts(self.tried, self.survived, self.lost, self.duplicated), self.notes, self.problems
        )


def serving(stage: Stage, count: int = PROCESSES) -> list[Process]:
    """So many processes that serve, those that do included."""
    while len(stage.processes) < count:
        stage.start(wait=False)
    for process in stage.processes:
        stage.await_serving(process)
    return stage.processes


def undisturbed(stage: Stage) -> tuple[Outcome, float]:
    """What a run finds where nothing happens, and the seconds it takes."""
    serving(stage)
    stage.forget()
    begun = time.monotonic()
    run_id = stage.trigger(PARAMS)
    stage.await_end(run_id)
    seconds = time.monotonic() - begun
    outcome = outcome_of(stage, run_id)
    itself = difference(stage, outcome, outcome)
    assert itself.none, itself
    assert outcome.findings, "the market has nothing to find"
    again = refetched(stage)
    assert not again.stored, again.stored
    return outcome, seconds


def ended(
    stage: Stage, run_id: UUID, truth: Outcome, tally: Tally, faults: int, *, zombie: bool = False
) -> None:
    """Let a run come to its end, and count what became of it. A zombie may send what it was about to send."""
    try:
        stage.await_end(run_id)
    except AssertionError as stuck:
        tally.add(faults, Difference(lost=[str(stuck)]))
        return
    found = difference(stage, outcome_of(stage, run_id), truth)
    again = refetched(stage)
    may_send = SLOTS * faults if zombie else 0
    found.duplicated += [f"stored page was asked for again: {one}" for one in again.stored[may_send:]]
    tally.pages += len(again.stored[may_send:])
    tally.counts += again.counts
    tally.in_flight += again.in_flight + min(may_send, len(again.stored))
    tally.add(faults, found)


def kill_scenario(stage: Stage, truth: Outcome, seed: int, kills: int, *, each_run: int = 10) -> Report:
    """`kill -9` of one of three processes at random moments, so many in all; a new process takes its place.

    No more than `each_run` in a run, and none where a fifth worker would die over the same piece of work: that is given
    up, by design.
    """
    random, tally = Random(seed), Tally()
    runs = 0
    begun = time.monotonic()
    while tally.tried < kills:
        serving(stage)
        stage.forget()
        run_id = stage.trigger(PARAMS)
        runs += 1
        done = 0
        while done < min(each_run, kills - tally.tried):
            time.sleep(random.uniform(0.05, 1.5))
            row = stage.status(run_id)
            if row["status"] != "running":
                break
            if max(row["deaths"], row["most_deaths"]) >= MAX_DEATHS - 1:
                break
            victim = random.choice(stage.processes)
            victim.kill()
            stage.replace(victim)
            done += 1
        ended(stage, run_id, truth, tally, done)
    tally.notes.append(
        f"{runs} runs in {time.monotonic() - begun:.0f} s; {tally.in_flight} requests in flight at a kill were made"
        f" again and {tally.counts} counts of what was left, of stored pages {tally.pages or 'none'}"
    )
    return tally.report()


def zombie_scenario(stage: Stage, truth: Outcome, seed: int, freezes: int) -> Report:
    """A process stands still for longer than its leases last, and goes on as if it held them still."""
    random, tally = Random(seed), Tally()
    taken_over = 0
    for _ in range(freezes):
        serving(stage)
        stage.forget()
        run_id = stage.trigger(PARAMS)
        until(lambda run_id=run_id: _is_under_way(stage, run_id), "tokens are worked on")  # type: ignore[misc]
        time.sleep(random.uniform(0, 1))
        zombie = _holder(stage, run_id, random)
        zombie.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        until(lambda: time.monotonic() - stopped > FROZEN_SECONDS, "its leases have expired")  # noqa: B023
        row = stage.status(run_id)
        taken_over += row["deaths"] + row["most_deaths"] > 0
        zombie.signal(signal.SIGCONT)
        ended(stage, run_id, truth, tally, 1, zombie=True)
        if zombie.popen.poll() is not None:
            tally.problems.append(f"the zombie ended: {zombie.said()[-1000:]}")
    tally.notes.append(
        f"work was taken over from {taken_over} of {freezes} before they went on; {tally.in_flight} requests under way"
        " were made twice"
    )
    return tally.report()


def sigterm_scenario(stage: Stage, truth: Outcome, seed: int, terms: int) -> Report:
    """A process is told to go in the middle of a run: it goes in time with exit code 0, and others go on."""
    random, tally = Random(seed), Tally()
    slowest = 0.0
    for _ in range(terms):
        serving(stage)
        stage.forget()
        run_id = stage.trigger(PARAMS)
        until(lambda run_id=run_id: _is_under_way(stage, run_id), "tokens are worked on")  # type: ignore[misc]
        time.sleep(random.uniform(0, 1))
        leaving = _holder(stage, run_id, random)
        begun = time.monotonic()
        leaving.signal(signal.SIGTERM)
        code = leaving.popen.wait(timeout=60)
        slowest = max(slowest, time.monotonic() - begun)
        if code != 0:
            tally.problems.append(f"exit code {code}: {leaving.said()[-1000:]}")
        row = stage.status(run_id)
        if row["deaths"] + row["most_deaths"]:
            tally.problems.append("leaving was counted as a death")
        stage.replace(leaving)
        ended(stage, run_id, truth, tally, 1)
    tally.notes.append(f"the slowest left within {slowest:.1f} s (target {SIGTERM_SECONDS:.0f} s)")
    if slowest > SIGTERM_SECONDS:
        tally.problems.append(f"leaving took {slowest:.1f} s")
    return tally.report()


def _is_under_way(stage: Stage, run_id: UUID) -> bool:
    row = stage.status(run_id)
    assert row["status"] == "running", "the run ended before anything could happen to it"
    return bool(row["underway"] or row["stage"] == "profiling")


def _holder(stage: Stage, run_id: UUID, random: Random) -> Process:
    """One of the processes that hold something of the run now, any where none does."""
    rows = stage.rows(
        "SELECT claimed_by FROM discovery_run_tokens WHERE run_id = %s AND status = 'running'"
        " UNION SELECT claimed_by FROM discovery_runs WHERE id = %s AND lease_expires_at IS NOT NULL",
        run_id,
        run_id,
    )
    names = {str(row["claimed_by"]) for row in rows}
    holders = [each for each in stage.processes if any(f"process {each.pid} " in name for name in names)]
    return random.choice(holders or stage.processes)
