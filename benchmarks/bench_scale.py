"""What more worker processes bring, and how soon a run begins.

The sandbox answers after 200 ms and has no rate limit; each worker process has one slot. Tokens per second are those
from the first token's start to the last one's end, by the rows.

Usage: python -m benchmarks.bench_scale
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.faults.stage import Stage, staged, until

from walltrack.discovery.models import DiscoveryRunParams

TARGET_FACTOR = 3.6
TARGET_FIRST_REQUEST_MS = 200.0
LATENCY_MS = 200.0
PROCESSES = 4
RUNS = 3
PARAMS = DiscoveryRunParams(
    min_price_change_pct=0,
    min_volume_usd=0,
    min_liquidity_usd=0,
    max_token_age_hours=168,
    max_tokens=100,
    profile_immediately=False,
)


def tokens_a_second(stage: Stage) -> float:
    """Of one run on empty tables."""
    stage.forget()
    run_id = stage.trigger(PARAMS)
    row = stage.await_end(run_id)
    assert row["status"] == "completed", row["errors"]
    (times,) = stage.rows(
        "SELECT count(*) AS tokens, extract(epoch FROM max(completed_at) - min(started_at))::float8 AS seconds"
        " FROM discovery_run_tokens WHERE run_id = %s AND status = 'done'",
        run_id,
    )
    return float(times["tokens"] / times["seconds"])


def until_first_request(stage: Stage) -> float:
    """Milliseconds from the commit of a run to the arrival of its first request."""
    stage.forget()
    run_id = stage.trigger(PARAMS)
    until(lambda: bool(stage.sandbox.requests()), "a request is answered")
    (row,) = stage.rows(
        "SELECT extract(epoch FROM created_at)::float8 AS at FROM discovery_runs WHERE id = %s", run_id
    )
    arrived = min(one.seconds for one in stage.sandbox.requests()) - LATENCY_MS / 1000
    stage.await_end(run_id)
    return 1000 * (arrived + time.time() - time.monotonic() - float(row["at"]))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as folder:
        Path(folder).chmod(0o755)
        with staged(Path(folder), size=20_000, latency_ms=LATENCY_MS, WALLTRACK_LEASE_SECONDS="20") as stage:
            rates = {}
            for count in (1, PROCESSES):
                while len(stage.processes) < count:
                    stage.start(roles="worker", slots=1)
                rates[count] = max(tokens_a_second(stage) for _ in range(2))
                print(
                    f"scale-out: {count} worker process(es): {rates[count]:.2f} tokens a second", flush=True
                )
            factor = rates[PROCESSES] / rates[1]
            print(
                f"scale-out: 1 -> {PROCESSES} processes: x {factor:.2f} (target {TARGET_FACTOR})", flush=True
            )
            waits = sorted(until_first_request(stage) for _ in range(RUNS))
            print(
                f"from trigger to first provider request: {waits[0]:.0f} to {waits[-1]:.0f} ms"
                f" (target {TARGET_FIRST_REQUEST_MS:.0f} ms)",
                flush=True,
            )


if __name__ == "__main__":
    main()
