"""What is kept no longer, removed by the command and by a worker, and what commands say of it afterwards."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.e2e.conftest import CommandLine
from walltrack.services.files import write_example_tapes

A_YEAR_AGO = "UPDATE discovery_runs SET completed_at = now() - interval '366 days'"


def test_rows_of_an_old_run_go_by_the_command_and_the_run_says_so(
    walltrack: CommandLine, tmp_path: Path
) -> None:
    write_example_tapes(tmp_path)
    run = walltrack.json("discover", "--tapes", tmp_path)["run"]["id"]
    before = walltrack.json("runs", "show", run)
    with walltrack.sql() as connection:
        connection.execute(A_YEAR_AGO)
    planned = walltrack.json("retention", "run", "--dry-run")["retention"]
    assert (planned["dry_run"], planned["runs"]) == (True, 1)
    assert walltrack.json("runs", "show", run)["tokens"] == before["tokens"]
    removed = walltrack.json("retention", "run")["retention"]
    assert (removed["runs"], removed["run_tokens"]) == (1, len(before["tokens"]))
    assert "rows of         0 runs" in walltrack("retention", "run").stdout

    after = walltrack.json("runs", "show", run)
    assert after["tokens"] == []
    assert after["run"]["removed"]["listed"] == len(before["tokens"])
    assert after["run"]["counts"] == before["run"]["counts"]
    assert after["wallets"] == before["wallets"]
    shown = walltrack("runs", "show", run).stdout
    assert "Retention removed its rows by token, refusals and events" in shown
    refused = walltrack("runs", "again", run)
    assert refused.returncode == 2
    assert "WALLTRACK_RETAIN_RUN_TOKENS_DAYS" in refused.stderr
    elsewhere = walltrack("--server", "http://127.0.0.1:9", "retention", "run")
    assert (elsewhere.returncode, "on this machine only" in elsewhere.stderr) == (2, True)


def test_a_worker_that_serves_does_it_by_itself(walltrack: CommandLine, tmp_path: Path) -> None:
    write_example_tapes(tmp_path)
    run = walltrack.json("discover", "--tapes", tmp_path)["run"]["id"]
    with walltrack.sql() as connection:
        connection.execute(A_YEAR_AGO)
        connection.execute("DELETE FROM retention")
        worker = walltrack.start("serve", "--roles", "worker")
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and worker.poll() is None:
                done = connection.execute(
                    "SELECT done_at FROM retention WHERE done_at IS NOT NULL"
                ).fetchone()
                if done is not None:
                    break
                time.sleep(0.05)
        finally:
            worker.send_signal(signal.SIGTERM)
            _, said = worker.communicate(timeout=30)
        assert done is not None, said
    assert worker.returncode == 0, said
    assert walltrack.json("runs", "show", run)["tokens"] == []
