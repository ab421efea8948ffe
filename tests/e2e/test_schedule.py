"""The schedule, and runs that are started, watched, cancelled, resumed and compared, from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import CommandLine

NOBODY = "00000000-0000-0000-0000-000000000000"
MINT = "So11111111111111111111111111111111111111112"


@pytest.fixture
def fresh(walltrack: CommandLine) -> Iterator[CommandLine]:
    """The command line with the schedule as migrations leave it, before and after."""

    def reset() -> None:
        with walltrack.sql() as connection:
            connection.execute(
                "TRUNCATE schedule_ticks, config_audit, walltrack_jobs.procrastinate_jobs CASCADE"
            )
            connection.execute("DELETE FROM discovery_config")
            connection.execute("INSERT INTO discovery_config (id) VALUES (1)")

    reset()
    yield walltrack
    reset()


def schedule(walltrack: CommandLine, *arguments: str) -> Any:
    return walltrack.json("schedule", *arguments)["schedule"]


def test_the_schedule_is_set_paused_enabled_and_every_change_kept(fresh: CommandLine) -> None:
    first = schedule(fresh, "show")
    assert (first["enabled"], first["schedule_hours"], first["updated_by"]) == (True, 6, None)
    assert len(first["next_times"]) == 5
    saved = schedule(fresh, "set", "--hours", "12", "--max-tokens", "7", "--max-credits", "500")
    assert (saved["schedule_hours"], saved["parameters"]["max_tokens"], saved["updated_by"]) == (
        12,
        7,
        "command line",
    )
    assert schedule(fresh, "set", "--no-max-credits")["parameters"]["max_credits"] is None
    paused = schedule(fresh, "pause", "--note", "key is empty")
    assert (paused["enabled"], paused["next_times"], paused["paused_note"]) == (False, [], "key is empty")
    assert "key is empty" in fresh("schedule", "show").stdout
    enabled = schedule(fresh, "enable")
    assert (enabled["enabled"], enabled["paused_note"]) == (True, None)
    changes = fresh.json("schedule", "history")["changes"]
    assert [
        (one["field"], one["old"], one["new"]) for one in changes if one["field"] == "schedule_hours"
    ] == [("schedule_hours", 6, 12)]
    page = fresh.json("schedule", "history", "--limit", "2")
    rest = fresh.json("schedule", "history", "--cursor", page["next_cursor"])
    assert page["changes"] + rest["changes"] == changes
    assert "paused_note" in fresh("schedule", "history").stdout


def test_a_preview_tells_what_a_change_would_do_and_saves_nothing(fresh: CommandLine) -> None:
    before = schedule(fresh, "show")
    preview = fresh.json(
        "schedule", "preview", "--cron", "30 7 * * *", "--timezone", "Asia/Tokyo", "--count", "3"
    )
    assert [time[11:16] for time in preview["times"]] == ["22:30"] * 3
    assert (
        "07:30:00 JST"
        in fresh("schedule", "preview", "--cron", "30 7 * * *", "--timezone", "Asia/Tokyo").stdout
    )
    assert "paused" in fresh("schedule", "preview", "--paused").stdout
    after = schedule(fresh, "show")
    assert {**after, "next_times": 0} == {**before, "next_times": 0}


def test_all_values_that_are_refused_are_named_a_line_each_and_nothing_is_saved(fresh: CommandLine) -> None:
    before = schedule(fresh, "show")
    done = fresh("schedule", "set", "--hours", "0", "--timezone", "Mars/Base", "--max-tokens", "101")
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "schedule_hours",
        "schedule_timezone",
        "max_tokens",
    ]
    assert fresh("schedule", "set").returncode == 2
    assert fresh("schedule", "set", "--cron", "61 * * * *").returncode == 2
    assert {**schedule(fresh, "show"), "next_times": 0} == {**before, "next_times": 0}
    assert fresh.json("schedule", "history")["changes"] == []


def test_what_became_of_due_times_is_shown_with_the_reason(fresh: CommandLine) -> None:
    with fresh.sql() as connection:
        connection.execute(
            "INSERT INTO schedule_ticks (due_at, status, skipped_because, reason, decided_at, decided_by) VALUES"
            " ('2026-11-01T06:00Z', 'skipped', 'missed', 'nothing ran', '2026-11-01T12:00Z', 'process 1')"
        )
    (tick,) = fresh.json("schedule", "ticks")["ticks"]
    assert (tick["status"], tick["skipped_because"], tick["reason"]) == ("skipped", "missed", "nothing ran")
    assert "nothing ran" in fresh("schedule", "ticks").stdout


def test_a_run_is_started_at_once_refused_beside_another_cancelled_and_resumed(fresh: CommandLine) -> None:
    started = fresh("runs", "start", "--mint", MINT, "--max-tokens", "3", "--json")
    assert started.returncode == 0, started.stderr
    assert "No worker is serving" in started.stderr
    run = json.loads(started.stdout)["run"]
    assert (run["status"], run["parameters"]["max_tokens"], run["demo"]) == ("running", 3, True)
    beside = fresh("runs", "start")
    assert beside.returncode == 1
    assert run["id"] in beside.stderr
    progress = fresh.json("runs", "progress", run["id"])["progress"]
    assert (progress["stage"], progress["tokens"]["done"], progress["estimated_end"]) == ("listing", 0, None)
    assert fresh("runs", "resume", run["id"]).returncode == 2
    cancelled = fresh("runs", "cancel", run["id"], "--reason", "a try")
    assert cancelled.returncode == 0, cancelled.stderr
    assert fresh("runs", "cancel", run["id"]).returncode == 1
    watched = fresh("runs", "watch", run["id"])
    assert watched.returncode == 1
    assert "error: a try" in watched.stdout
    lines = [json.loads(line) for line in fresh("runs", "watch", run["id"], "--json").stdout.splitlines()]
    assert [line["event"]["details"]["status"] for line in lines if "event" in line] == [
        "running",
        "cancelled",
    ]
    assert [line["progress"]["status"] for line in lines if "progress" in line] == ["cancelled"]
    resumed = fresh.json("runs", "resume", run["id"])
    assert (resumed["run"]["status"], resumed["tokens"], resumed["workers"]) == ("running", [], 0)
    assert fresh("runs", "cancel", run["id"]).returncode == 0
    assert "listed no token" in fresh("runs", "again", run["id"]).stderr


def test_runs_that_are_not_there_and_mints_that_are_none_are_wrong_input(fresh: CommandLine) -> None:
    for command in ("watch", "progress", "cancel", "resume", "again"):
        done = fresh("runs", command, NOBODY)
        assert done.returncode == 2
        assert f"there is no run {NOBODY}" in done.stderr
    assert fresh("runs", "diff", NOBODY, NOBODY).returncode == 2
    assert fresh("runs", "start", "--mint", "nothing").returncode == 2


def test_two_runs_are_compared_with_what_made_the_difference(fresh: CommandLine, tmp_path: Any) -> None:
    assert fresh("example-tapes", tmp_path).returncode == 0
    a = fresh.json("discover", "--tapes", tmp_path)
    b = fresh.json("discover", "--tapes", tmp_path, "--min-profit-pct", "150")
    ids = (a["run"]["id"], b["run"]["id"])
    diff = fresh.json("runs", "diff", *ids)
    kept = {(one["wallet_address"], one["source_token"]) for one in b["wallets"]}
    lost = {(one["wallet_address"], one["source_token"]) for one in a["wallets"]} - kept
    assert lost
    assert {(one["wallet_address"], one["source_token"]) for one in diff["wallets_lost"]} == lost
    assert all("below min_profit_pct 150" in one["why"][0] for one in diff["wallets_lost"])
    assert diff["causes"] == ["parameters: min_profit_pct 50 -> 150"]
    assert (diff["wallets_gained"], diff["same"] + len(diff["wallets_changed"])) == ([], len(kept))
    shown = fresh("runs", "diff", *ids)
    assert "parameters: min_profit_pct 50 -> 150" in shown.stdout
