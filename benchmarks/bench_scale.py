"""What more worker processes bring, and how soon a run begins.

The sandbox's answers are prepared beforehand and come after 200 ms, with no rate limit; each worker process has one
slot. Tokens per second are those from the first token's start to the last one's end, by the rows; 1 and 4 processes
take turns, since other work on the machine comes and goes. On few cores the processor time of a token bounds what more
processes can bring, so it is printed too.

Usage: python -m benchmarks.bench_scale
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.stage import Stage, staged

from benchmarks.replay import Replay, replaying
from walltrack.cli_market import sandbox_environment
from walltrack.data.supabase.embedded import server_pid
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.sandbox.server import Urls

TARGET_FACTOR: Final = 3.6
TARGET_FIRST_REQUEST_MS: Final = 200.0
LATENCY_SECONDS: Final = 0.2
PROCESSES: Final = 4
ROUNDS: Final = 3
SIZE: Final = 60_000
"""Transactions of the market: it has some 75 pumped tokens then, so that the end of a run, where some workers have
nothing left to do, weighs little."""

PARAMS: Final = DiscoveryRunParams(
    min_price_change_pct=0,
    min_volume_usd=0,
    min_liquidity_usd=0,
    max_token_age_hours=168,
    max_tokens=100,
    profile_immediately=False,
)
_LOOK_SECONDS: Final = 0.5
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """One run's tokens: how many, in which time, how long they took one by one, and the processor time of each kind of
    process over that time, all in seconds. `others` is what the rest of the machine took.
    """

    tokens: int
    seconds: float
    of_tokens: float
    cpu: Mapping[str, float]
    others: float

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


def measured(stage: Stage, replay: Replay) -> Measured:
    """One run on empty tables, while nobody looks at the database more often than every half second."""
    stage.forget()
    asked = replay.asked
    run_id = stage.trigger(PARAMS)
    unlisted = "SELECT stage = 'listing' AS so FROM discovery_runs WHERE id = %s"
    while stage.rows(unlisted, run_id)[0]["so"]:
        time.sleep(0.05)
    before, others_before = _cpu(stage), _whole_machine()
    still_open = "run_id = %s AND status IN ('pending', 'running')"
    open_tokens = f"SELECT count(*) AS n FROM discovery_run_tokens WHERE {still_open}"
    while stage.rows(open_tokens, run_id)[0]["n"]:
        time.sleep(_LOOK_SECONDS)
    cpu = {kind: seconds - before[kind] for kind, seconds in _cpu(stage).items()}
    others = _whole_machine() - others_before - sum(cpu.values())
    row = stage.await_end(run_id)
    assert row["status"] == "completed", row["errors"]
    (times,) = stage.rows(
        "SELECT count(*) AS tokens, extract(epoch FROM max(completed_at) - min(started_at))::float8 AS seconds,"
        " extract(epoch FROM sum(completed_at - started_at))::float8 AS of_tokens"
        " FROM discovery_run_tokens WHERE run_id = %s AND status = 'done'",
        run_id,
    )
    if replay.asked > asked:
        print(f"  ({replay.asked - asked} answers were not prepared)")
    return Measured(times["tokens"], times["seconds"], times["of_tokens"], cpu, others)


def until_first_request(stage: Stage, replay: Replay) -> float:
    """Milliseconds from the commit of a run to the arrival of its first request."""
    stage.forget()
    replay.arrived.clear()
    run_id = stage.trigger(PARAMS)
    stage.await_end(run_id)
    (row,) = stage.rows(
        "SELECT extract(epoch FROM created_at)::float8 AS at FROM discovery_runs WHERE id = %s", run_id
    )
    return 1000 * (replay.arrived[0] - float(row["at"]))


def _cpu(stage: Stage) -> dict[str, float]:
    """Processor seconds so far, by kind of process."""
    postmaster = server_pid(stage.server.folder)
    assert postmaster is not None
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return {
        "worker": sum(_seconds_of(process.pid) for process in stage.processes),
        "PostgreSQL": _seconds_of(postmaster, with_ended=True)
        + sum(_seconds_of(int(pid)) for pid in children),
        "benchmark": _seconds_of(os.getpid()),
    }


def _seconds_of(pid: int, *, with_ended: bool = False) -> float:
    """Processor seconds of a process, also of its children that have ended where asked for; 0 for none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11 : 15 if with_ended else 13]) / _TICKS


def _whole_machine() -> float:
    user, nice, system, _idle, _iowait, irq, softirq = Path("/proc/stat").read_text().split()[1:8]
    return sum(map(int, (user, nice, system, irq, softirq))) / _TICKS


def _say(count: int, one: Measured) -> None:
    each = {kind: 1000 * seconds / one.tokens for kind, seconds in one.cpu.items()}
    print(
        f"  {count} worker process(es): {one.rate:.2f} tokens a second ({one.tokens} tokens); a token takes"
        f" {1000 * one.of_tokens / one.tokens:.0f} ms, CPU "
        + ", ".join(f"{kind} {ms:.0f}" for kind, ms in each.items())
        + f" ms; other work took {one.others / one.seconds:.1f} of {os.cpu_count()} cores",
        flush=True,
    )


def _compare(stage: Stage, replay: Replay) -> None:
    stage.start(roles="worker", slots=1)
    measured(stage, replay)  # prepares the answers
    best: dict[int, Measured] = {}
    for _ in range(ROUNDS):
        for count in (1, PROCESSES):
            while len(stage.processes) < count:
                stage.start(roles="worker", slots=1)
            one = measured(stage, replay)
            _say(count, one)
            best[count] = max(one, best.get(count, one), key=lambda each: each.rate)
        while len(stage.processes) > 1:
            stage.processes.pop().end()
    alone = best[1]
    factor = best[PROCESSES].rate / alone.rate
    print(
        f"scale-out: 1 -> {PROCESSES} processes: x {factor:.2f} (target {TARGET_FACTOR}), of the best of {ROUNDS}"
    )
    cores, each = os.cpu_count() or 1, sum(alone.cpu.values()) / alone.tokens
    busy = PROCESSES * alone.rate * each / cores
    print(
        f"scale-out: x {PROCESSES} would keep {100 * busy:.0f} % of {cores} cores busy, at {1000 * each:.0f} ms of"
        f" CPU a token; the cores are full at x {cores / (alone.rate * each):.2f}",
        flush=True,
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as folder:
        Path(folder).chmod(0o755)
        with (
            staged(Path(folder), size=SIZE, latency_ms=0, WALLTRACK_LEASE_SECONDS="20") as stage,
            replaying(stage.sandbox.urls.root, latency_seconds=LATENCY_SECONDS) as replay,
        ):
            stage.options = {**stage.options, **sandbox_environment(Urls(replay.url))}
            _compare(stage, replay)
            waits = sorted(until_first_request(stage, replay) for _ in range(ROUNDS))
            print(
                f"from trigger to first provider request: {waits[0]:.0f} to {waits[-1]:.0f} ms"
                f" (target {TARGET_FIRST_REQUEST_MS:.0f} ms)",
                flush=True,
            )


if __name__ == "__main__":
    main()
