"""The operator's own lists, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tests.e2e.conftest import CommandLine
from tests.shared_data import shared_data
from tests.unit.solana import wallet
from walltrack.services.files import write_example_tapes

ONE, OTHER = wallet("one"), wallet("other")


def on(walltrack: CommandLine, which: str) -> dict[str, tuple[Any, Any]]:
    listed = walltrack.json("lists", "show", which)["addresses"]
    return {entry["address"]: (entry["label"], entry["note"]) for entry in listed}


def test_an_address_is_put_on_a_list_and_taken_off_again(walltrack: CommandLine) -> None:
    assert walltrack("lists", "add", "watch", ONE, "--label", "Ann").returncode == 0
    assert walltrack("lists", "add", "watch", OTHER).returncode == 0
    assert walltrack("lists", "add", "watch", ONE, "--note", "met in May, “sells early”").returncode == 0
    assert on(walltrack, "watch") == {ONE: (None, "met in May, “sells early”"), OTHER: (None, None)}
    assert on(walltrack, "exclude") == {}
    assert ONE in walltrack("lists", "show", "watch").stdout
    assert walltrack("lists", "remove", "watch", ONE).returncode == 0
    assert set(on(walltrack, "watch")) == {OTHER}
    again = walltrack("lists", "remove", "watch", ONE)
    assert again.returncode == 2
    assert "not on the watch list" in again.stderr


def test_an_export_imports_as_the_same_list(walltrack: CommandLine, tmp_path: Path) -> None:
    walltrack(
        "lists", "add", "exclude", ONE, "--label", 'a "quoted", name', "--note", "two\nlines, ünd mehr "
    )
    walltrack("lists", "add", "exclude", OTHER)
    before = on(walltrack, "exclude")
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert walltrack("lists", "export", "exclude", first).returncode == 0
    walltrack.empty()
    assert walltrack("lists", "import", "exclude", first).returncode == 0
    assert on(walltrack, "exclude") == before
    walltrack("lists", "export", "exclude", second)
    assert first.read_bytes() == second.read_bytes()


def test_a_file_with_a_row_that_cannot_be_used_stores_nothing_and_says_where(
    walltrack: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"address,label\n{ONE},a\nnobody,b\n{OTHER},c\n")
    done = walltrack("lists", "import", "watch", path)
    assert done.returncode == 2
    assert f"{path}: nothing was stored: row 3, field address: 'nobody'" in done.stderr
    assert on(walltrack, "watch") == {}


def test_a_file_of_exchanges_is_taken_as_it_is(walltrack: CommandLine) -> None:
    path = shared_data() / "labels" / "exchange_wallets.csv"
    done = walltrack("lists", "import", "exchange", path)
    assert done.returncode == 0, done.stderr
    assert "exchange, source" in done.stderr  # the columns that are of no use
    expected = pl.read_csv(path)
    names = {address: label for address, (label, _) in on(walltrack, "exchange").items()}
    assert names == dict(zip(expected["address"], expected["name"], strict=True))


def test_the_lists_are_honoured_by_views_at_once(walltrack: CommandLine, tmp_path: Path) -> None:
    write_example_tapes(tmp_path)
    found = walltrack.json("discover", "--tapes", tmp_path)
    run_id = found["run"]["id"]
    kept, left_out = sorted({w["wallet_address"] for w in found["wallets"] if w["status"] != "excluded"})[:2]
    walltrack("lists", "add", "exclude", left_out, "--note", "my own bot")
    walltrack("lists", "add", "watch", kept, "--note", "ask her")
    listed = {w["address"]: w for w in walltrack.json("wallets", "list", "--limit", "500")["wallets"]}
    assert left_out not in listed
    assert listed[kept]["listed"] == ["watch"]
    assert listed[kept]["note"] == "ask her"
    assert [w["address"] for w in walltrack.json("wallets", "list", "--watched")["wallets"]] == [kept]
    shown = walltrack("runs", "show", run_id).stdout
    assert kept in shown
    assert left_out not in shown
    assert left_out in walltrack("runs", "show", run_id, "--all").stdout
    wallet_ = walltrack.json("wallets", "show", left_out)["wallet"]
    assert (wallet_["status"], wallet_["status_reason"]) == ("excluded", "on the exclude list: my own bot")
    assert "my own bot" in walltrack("wallets", "show", left_out).stdout
    again = walltrack("discover", "--tapes", tmp_path)
    assert left_out not in again.stdout
    assert "excluded" in again.stdout
