"""What an operator does in one process is done in all: a cancelled run stops, a saved schedule is in force."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from tests.faults.counts import Counts
from tests.faults.crash_scenarios import PARAMS, Report, serving
from tests.faults.outcome import Outcome, counted_from_rows, outcome_of
from tests.faults.stage import Stage, until
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.notices import Notices
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName, Trigger

STOPPED_SECONDS = 2.0
IN_FORCE_SECONDS = 2.0


def cancel_scenario(stage: Stage, truth: Outcome, seed: int, cancels: int) -> Report:
    """A run is cancelled: no request comes any more, and what was found stays."""
    random = Random(seed)
    survived = lost = duplicated = 0
    slowest = 0.0
    notes: list[str] = []
    problems: list[str] = []
    for _ in range(cancels):
        serving(stage)
        stage.forget()
        run_id = stage.trigger(PARAMS)
        wanted = random.randint(1, max(1, len(truth.tokens) - 1))
        until(lambda run_id=run_id, wanted=wanted: has_ended(stage, run_id, wanted), "some tokens are done")  # type: ignore[misc]
        cancelled_at = time.monotonic()
        stage.cancel(run_id)
        arrived = await_stop(stage, run_id)
        slowest = max(slowest, last_arrival(stage) - cancelled_at)
        found = kept_of(stage, run_id, truth)
        lost += len(found)
        problems += found
        # Whoever still worked would ask for something before it leaves.
        for process in list(stage.processes):
            process.signal(signal.SIGTERM)
        for process in list(stage.processes):
            process.popen.wait(timeout=60)
            stage.processes.remove(process)
        if requests_arrived(stage) != arrived:
            problems.append("a request came after the work had stopped")
            duplicated += 1
        survived += not found
    notes.append(
        f"the last request came {slowest:.2f} s after a cancel at the latest (target {STOPPED_SECONDS:.0f} s)"
    )
    if slowest > STOPPED_SECONDS:
        problems.append(f"requests came for {slowest:.2f} s after a cancel")
    return Report(Counts(cancels, survived, lost, duplicated), notes, problems)


def has_ended(stage: Stage, run_id: UUID, tokens: int) -> bool:
    """Whether so many tokens of a run have come to their end."""
    row = stage.status(run_id)
    assert row["status"] == "running", "the run ended before it could be cancelled"
    return bool(row["ended"] >= tokens)


def await_stop(stage: Stage, run_id: UUID) -> int:
    """Until nobody works on the run any more: its jobs are gone. The number of requests that had come by then."""

    def stopped() -> bool:
        jobs = stage.rows(
            "SELECT count(*) AS jobs FROM walltrack_jobs.procrastinate_jobs"
            " WHERE args ->> 'run_id' = %s AND status = 'doing'",
            str(run_id),
        )
        return bool(jobs[0]["jobs"] == 0)

    until(stopped, "its work has stopped")
    return requests_arrived(stage)


def requests_arrived(stage: Stage) -> int:
    """Requests that the sandbox was ever sent; its log has only those that it has answered."""
    return sum(stage.sandbox._state._numbers.values())


def last_arrival(stage: Stage) -> float:
    """When the last of the requests came that were answered, on the monotonic clock."""
    answered = max((one.seconds for one in stage.sandbox.requests()), default=0.0)
    return answered - stage.sandbox.faults.latency_ms / 1000


def kept_of(stage: Stage, run_id: UUID, truth: Outcome) -> list[str]:
    """What a cancelled run should have kept and has not, or has and should not."""
    outcome = outcome_of(stage, run_id)
    problems = [f"twice: {one}" for one in outcome.twice]
    if outcome.run["status"] != "cancelled":
        problems.append(f"the run is {outcome.run['status']}")
    done = {name for name, row in outcome.tokens.items() if row["status"] == "done"}
    if not done:
        problems.append("no token is done")
    should = {name for name in truth.findings if (name[1],) in done}
    if outcome.findings.keys() != should:
        problems.append(f"{len(outcome.findings)} findings of {len(done)} tokens, not {len(should)}")
    for column, counted in counted_from_rows(stage, run_id).items():
        if outcome.run[column] != counted:
            problems.append(f"{column} says {outcome.run[column]}, rows {counted}")
    return problems


def config_scenario(stage: Stage, seed: int, saves: int) -> Report:
    """A schedule that makes a run due at once is saved here, and each serving process in its turn starts the run.

    The other processes are stopped meanwhile, so that it is known who did.
    """
    random = Random(seed)
    seconds: list[float] = []
    problems: list[str] = []
    for _ in range(saves):
        serving(stage)
        stage.forget()
        save(stage, enabled=False)
        # The schedule counts from the last start, which was two hours ago.
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        stage.rows("UPDATE discovery_config SET last_run_at = %s", long_ago)
        chosen = random.choice(stage.processes)
        others = [each for each in stage.processes if each is not chosen]
        for other in others:
            other.signal(signal.SIGSTOP)
        begun = time.monotonic()
        try:
            save(stage, enabled=True, schedule_hours=1)
            until(
                lambda: stage.rows("SELECT 1 FROM schedule_ticks WHERE status = 'started'") != [],
                "a run started",
            )
            seconds.append(time.monotonic() - begun)
        except AssertionError as late:
            problems.append(str(late))
        finally:
            for other in others:
                other.signal(signal.SIGCONT)
            save(stage, enabled=False)
        (run,) = stage.rows("SELECT id FROM discovery_runs")
        stage.cancel(run["id"])
    slowest = max(seconds, default=float("inf"))
    if slowest > IN_FORCE_SECONDS:
        problems.append(f"it took {slowest:.2f} s")
    note = f"in force in another process within {slowest:.2f} s (target {IN_FORCE_SECONDS:.0f} s), saving included"
    return Report(Counts(saves, len(seconds), saves - len(seconds), 0), [note], problems)


def save(stage: Stage, **changes: Any) -> None:
    """Save the schedule, as any process may."""

    async def saved(database: Database) -> None:
        clock = SystemClock()
        trigger = Trigger(database, MarketName("sandbox", demo=True), at_most=1, clock=clock)
        async with Notices(database) as notices:
            scheduler = DiscoveryScheduler(
                database, settings=stage.settings, clock=clock, trigger=trigger, notices=notices, claims=False
            )
            await scheduler.save_config(**changes, updated_by="fault tests")

    stage.in_database(saved)
