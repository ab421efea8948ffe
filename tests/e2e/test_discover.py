"""The main job from the command line: a discovery over tape files."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from tests.e2e.conftest import CommandLine
from tests.shared_data import shared_data
from walltrack.services.files import write_example_tapes

HEADER = "block_time,seq,signature,wallet,mint,venue,side,token_amount,sol_delta,launch_time\n"


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    folder = tmp_path / "tapes"
    write_example_tapes(folder)
    return folder


def found(record: dict[str, Any]) -> set[tuple[str, str]]:
    return {(w["source_token"], w["wallet_address"]) for w in record["wallets"]}


@pytest.mark.parametrize("include_launch_slot", [False, True])
@pytest.mark.parametrize("rule", [0, 1])
def test_real_tapes_give_the_reference_wallets_and_figures(
    walltrack: CommandLine, rule: int, include_launch_slot: bool
) -> None:
    folder = shared_data() / "market"
    reference = json.loads((folder / "reference" / "early_profitable.json").read_bytes())["rules"][rule]
    expected = {
        (p["mint"], p["wallet"]): p
        for p in reference["positions"]
        if include_launch_slot or not p["creation_second"]
    }
    options = [
        "--early-window-minutes",
        str(reference["window_seconds"] // 60),
        "--min-profit-pct",
        reference["min_realised_pct"],
    ]
    if include_launch_slot:
        options.append("--include-launch-slot")
    record = walltrack.json("discover", "--tapes", folder, *options)
    assert found(record) == set(expected)
    for wallet in record["wallets"]:
        position = expected[wallet["source_token"], wallet["wallet_address"]]
        assert wallet["realized_pnl_sol"] == pytest.approx(float(position["realised_pnl"]), rel=1e-9)
        assert wallet["realized_pct"] == pytest.approx(float(position["realised_pct"]), rel=1e-9)
        assert wallet["seconds_after_launch"] == position["seconds_after_launch"]
        assert ("launch_slot" in wallet["flags"]) == position["creation_second"]
    assert record["run"]["counts"]["tokens_analyzed"] == 32
    assert any("74 rows refused" in warning for warning in record["run"]["warnings"])


def test_the_second_run_finds_the_same_wallets_and_none_is_new(walltrack: CommandLine, tapes: Path) -> None:
    first = walltrack.json("discover", "--tapes", tapes)
    second = walltrack.json("discover", "--tapes", tapes)
    assert all(w["is_new"] for w in first["wallets"])
    assert not any(w["is_new"] for w in second["wallets"])
    assert [w | {"is_new": True} for w in second["wallets"]] == first["wallets"]
    wallets = len({w["wallet_address"] for w in first["wallets"]})
    assert first["run"]["counts"]["new_wallets"] == wallets
    assert second["run"]["counts"]["updated_wallets"] == wallets
    assert second["run"]["counts"]["new_wallets"] == 0


def test_what_a_run_found_can_be_looked_at_again(walltrack: CommandLine, tapes: Path) -> None:
    record = walltrack.json("discover", "--tapes", tapes, "--min-profit-pct", "80", "--max-tokens", "7")
    run_id = record["run"]["id"]
    shown = walltrack.json("runs", "show", run_id)
    assert shown["run"] == record["run"]
    assert shown["wallets"] == record["wallets"]
    assert shown["run"]["parameters"] == {
        "min_price_change_pct": 100,
        "min_volume_usd": 50000,
        "max_token_age_hours": 72,
        "early_window_minutes": 30,
        "min_profit_pct": 80,
        "max_tokens": 7,
        "profile_immediately": True,
        "min_liquidity_usd": 10000,
        "include_launch_slot": False,
        "max_credits": None,
    }
    assert {t["status"] for t in shown["tokens"]} == {"done"}
    assert sum(t["wallets_found"] for t in shown["tokens"]) == len(record["wallets"])
    listed = walltrack.json("runs", "list", "--status", "completed")
    assert [run["id"] for run in listed["runs"]] == [run_id]
    address = record["wallets"][0]["wallet_address"]
    wallet = walltrack.json("wallets", "show", address)
    assert wallet["found"][0]["run_id"] == run_id
    assert address in {w["address"] for w in walltrack.json("wallets", "list", "--limit", "500")["wallets"]}


def test_tables_hold_whole_addresses_where_the_output_is_no_terminal(
    walltrack: CommandLine, tapes: Path
) -> None:
    done = walltrack("discover", "--tapes", tapes)
    record = walltrack.json("discover", "--tapes", tapes)
    assert done.returncode == 0
    assert all(w["wallet_address"] in done.stdout for w in record["wallets"])
    assert "…" not in done.stdout


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_an_export_holds_what_the_run_found(
    walltrack: CommandLine, tapes: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"found{suffix}"
    record = walltrack.json("discover", "--tapes", tapes, "--export", path)
    if suffix == ".json":
        assert json.loads(path.read_bytes()) == record["wallets"]
        return
    frame = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
    assert frame["wallet_address"].to_list() == [w["wallet_address"] for w in record["wallets"]]
    realized = [Decimal(str(value)) for value in frame["realized_pnl_sol"].to_list()]
    shown = [Decimal(str(w["realized_pnl_sol"])) for w in record["wallets"]]
    assert all(abs(a - b) < Decimal("1e-12") for a, b in zip(realized, shown, strict=True))


def test_a_wallet_that_does_not_qualify_can_be_asked_why(walltrack: CommandLine, tapes: Path) -> None:
    addresses = set(pl.read_csv(next(tapes.glob("*.csv")))["wallet"])
    qualified = {w["wallet_address"] for w in walltrack.json("discover", "--tapes", tapes)["wallets"]}
    left_out = min(addresses - qualified)
    said = walltrack("wallets", "why", left_out, "--tapes", tapes)
    assert said.returncode == 0
    assert "does not" in said.stdout
    assert "qualifies" in walltrack("wallets", "why", min(qualified), "--tapes", tapes).stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--early-window-minutes", "4"], "--early-window-minutes 4"),
        (["--early-window-minutes", "30.5"], "'--early-window-minutes'"),
        (["--min-profit-pct", "500.01"], "--min-profit-pct 500.01"),
        (["--min-profit-pct", "nan"], "--min-profit-pct nan"),
        (["--min-volume-usd", "inf"], "--min-volume-usd inf"),
        (["--min-volume-usd", "-1"], "--min-volume-usd -1"),
        (["--max-tokens", "101"], "--max-tokens 101"),
        (["--max-token-age-hours", "169"], "--max-token-age-hours 169"),
        (["--export", "wallets.xlsx"], ".csv, .parquet or .json"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_is_said_and_stores_nothing(
    walltrack: CommandLine, tapes: Path, options: list[str], said: str
) -> None:
    done = walltrack("discover", "--tapes", tapes, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert walltrack.json("runs", "list")["total"] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no .csv or .parquet files"),
        ("block_time,seq,wallet\n1,1,x\n", "tape.csv"),
        (HEADER.replace("venue", "surprise"), "surprise"),
        ("\0" * 100, "tape.csv"),
    ],
)
def test_an_unusable_folder_is_said_and_stores_nothing(
    walltrack: CommandLine, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "tape.csv").write_text(content)
    done = walltrack("discover", "--tapes", tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert walltrack.json("runs", "list")["total"] == 0


def test_an_unreachable_database_is_said_without_its_password(walltrack: CommandLine, tapes: Path) -> None:
    url = "postgresql://operator:hunter2secret@127.0.0.1:1/walltrack"
    done = walltrack("discover", "--tapes", tapes, DATABASE_URL=url)
    assert done.returncode == 2
    assert "127.0.0.1" in done.stderr
    assert "hunter2secret" not in done.stdout + done.stderr


def test_settings_are_shown_with_secrets_masked(walltrack: CommandLine) -> None:
    url = "postgresql://operator:hunter2secret@127.0.0.1:1/walltrack"
    done = walltrack("config", "show", DATABASE_URL=url)
    assert done.returncode == 0
    assert "operator:****@127.0.0.1" in done.stdout
    assert "hunter2secret" not in done.stdout


LAST_TOKEN_WAITS = """
    CREATE FUNCTION pg_temp_wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT count(*) FROM discovery_run_tokens t WHERE t.run_id = NEW.run_id AND t.status = 'done') >= 3 THEN
            PERFORM pg_advisory_xact_lock(4711);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER wait BEFORE INSERT ON discovery_run_wallets FOR EACH ROW EXECUTE FUNCTION pg_temp_wait();
"""


def blocked(connection: psycopg.Connection[Any]) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
    row = connection.execute(waiting).fetchone()
    return row is not None and row[0] > 0


@pytest.fixture
def stuck_run(walltrack: CommandLine, tapes: Path) -> Any:
    """A run that has stored three tokens and waits, on a lock that the test holds, to store the fourth."""
    with walltrack.sql() as connection:
        connection.execute(LAST_TOKEN_WAITS)
        connection.execute("SELECT pg_advisory_lock(4711)")
        process = walltrack.start("discover", "--tapes", tapes)
        try:
            while not blocked(connection):
                assert process.poll() is None, process.communicate()
            yield process, connection
        finally:
            connection.execute("SELECT pg_advisory_unlock_all()")
            if process.poll() is None:
                process.kill()
            process.communicate()
            connection.execute("DROP FUNCTION pg_temp_wait CASCADE")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_recorded_as_cancelled_with_what_it_had_found(
    walltrack: CommandLine, stuck_run: Any, number: signal.Signals
) -> None:
    process, _ = stuck_run
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    (run,) = walltrack.json("runs", "list")["runs"]
    assert run["status"] == "cancelled"
    shown = walltrack.json("runs", "show", run["id"])
    statuses = [token["status"] for token in shown["tokens"]]
    assert statuses == ["done"] * 3 + ["cancelled"] * 3
    assert len(shown["wallets"]) == sum(token["wallets_found"] for token in shown["tokens"]) > 0


def test_a_killed_run_is_failed_by_the_next_one_and_keeps_what_it_had_found(
    walltrack: CommandLine, stuck_run: Any, tapes: Path
) -> None:
    process, connection = stuck_run
    process.kill()
    process.communicate()
    connection.execute("SELECT pg_advisory_unlock_all()")
    connection.execute("DROP TRIGGER wait ON discovery_run_wallets")
    lapsed = "lease_expires_at = now() - interval '1 second'"
    connection.execute(f"UPDATE discovery_runs SET {lapsed}")
    connection.execute(f"UPDATE discovery_run_tokens SET {lapsed} WHERE lease_expires_at IS NOT NULL")
    complete = walltrack.json("discover", "--tapes", tapes)
    (failed,) = walltrack.json("runs", "list", "--status", "failed")["runs"]
    assert "abandoned" in failed["errors"][0]
    kept = walltrack.json("runs", "show", failed["id"])
    assert 0 < len(kept["wallets"]) < len(complete["wallets"])
    assert found(kept) < found(complete)


def test_a_file_that_vanishes_between_two_runs_only_changes_the_second(
    walltrack: CommandLine, tapes: Path, tmp_path: Path
) -> None:
    first = walltrack.json("discover", "--tapes", tapes)
    shutil.copytree(tapes, tmp_path / "fewer")
    next((tmp_path / "fewer").glob("*.parquet")).unlink()
    second = walltrack.json("discover", "--tapes", tmp_path / "fewer")
    assert found(second) < found(first)


def test_the_module_of_the_run_books_migrates(walltrack: CommandLine) -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "walltrack.data.supabase.migrate"],
        env=walltrack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "the schema is current" in done.stdout


def test_rows_of_an_earlier_version_are_shown_without_figures(walltrack: CommandLine) -> None:
    with walltrack.sql() as connection:
        row = connection.execute(
            "INSERT INTO discovery_runs (started_at, status, trigger_type, min_price_change_pct, min_volume_usd,"
            " max_token_age_hours, early_window_minutes, min_profit_pct, max_tokens)"
            " VALUES (now(), 'completed', 'manual', 100, 50000, 72, 30, 50, 20) RETURNING id"
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO discovery_run_wallets (run_id, wallet_address, source_token) VALUES (%s, 'w', 't')",
            (row[0],),
        )
    shown = walltrack.json("runs", "show", str(row[0]))
    assert [(w["wallet_address"], w["realized_pct"]) for w in shown["wallets"]] == [("w", None)]
    assert walltrack("runs", "show", str(row[0])).returncode == 0
