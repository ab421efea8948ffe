"""Wallets after a run on a served market: ranked, explained, filtered, exported, and followed up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.e2e.conftest import CommandLine
from tests.e2e.test_sandbox import KEY, UNLIMITED
from walltrack.cli_market import sandbox_environment
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import serve

RANKED = ("active", "dormant")
STATUSES = {"active", "dormant", "insufficient_data", "excluded"}
OF_ANY_STATUS = [part for status in sorted(STATUSES) for part in ("--status", status)]


@dataclass(frozen=True)
class Known:
    """A database after one run on a served market."""

    walltrack: CommandLine
    at: dict[str, str]
    record: dict[str, Any]
    table: str
    everybody: dict[str, dict[str, Any]]

    @property
    def run_id(self) -> str:
        return str(self.record["run"]["id"])

    def json(self, *arguments: str) -> Any:
        return self.walltrack.json(*arguments)


@pytest.fixture(scope="module")
def known(_server: CommandLine) -> Iterator[Known]:
    _server.empty()
    market = generate(5, now=int(time.time()), size=9_000)
    with serve(market, keys={KEY: "developer"}, rate_factor=1000.0) as running:
        at = sandbox_environment(running.urls) | UNLIMITED | {"HELIUS_API_KEY": KEY, "JUPITER_API_KEY": KEY}
        done = _server("discover", "--max-tokens", "100", "--json", **at)
        assert done.returncode == 0, done.stderr
        record = json.loads(done.stdout)
        again = _server("discover", "--max-tokens", "100", **at)
        assert again.returncode == 0, again.stderr
        page = _server.json("wallets", "list", "--limit", "500", *OF_ANY_STATUS)
        assert page["next_cursor"] is None
        yield Known(_server, at, record, again.stdout, {w["address"]: w for w in page["wallets"]})


def test_a_run_shows_its_wallets_with_score_and_status_and_keeps_the_excluded_ones_out(known: Known) -> None:
    statuses = {w["wallet_address"]: w["status"] for w in known.record["wallets"]}
    assert set(statuses.values()) <= STATUSES
    excluded = {address for address, status in statuses.items() if status == "excluded"}
    assert excluded
    assert any(status == "active" for status in statuses.values())
    for wallet in known.record["wallets"]:
        assert (wallet["score"] is None) or 0 <= wallet["score"] <= 1
        assert wallet["status"] == "active" or wallet["status_reason"]
        assert wallet["initial_score"] == wallet["score"]
    assert all((address in known.table) == (address not in excluded) for address in statuses)
    assert f"{len(excluded)} excluded" in known.table
    shown = known.walltrack("runs", "show", known.run_id, "--all").stdout
    assert all(address in shown for address in excluded)
    scores = [w["score"] for w in known.record["wallets"] if w["status"] in RANKED]
    best = next(w["wallet_address"] for w in known.record["wallets"] if w["score"] == max(scores))
    lines = known.table.splitlines()
    header = next(index for index, line in enumerate(lines) if line.startswith("wallet "))
    assert lines[header + 1].startswith(best)


def test_a_run_says_what_histories_cost_beside_tapes(known: Known) -> None:
    shown = known.json("runs", "show", known.run_id)
    tapes = sum(token["cost"]["credits"] for token in shown["tokens"])
    all_credits = sum(usage["credits"] for usage in shown["usage"])
    table = known.walltrack("runs", "show", known.run_id).stdout
    assert f"{tapes:,} credits" in table
    assert f"{all_credits - tapes:,} credits for the wallets' own histories" in table
    assert shown["run"]["counts"]["profiled_wallets"] > 0


def test_the_ranking_comes_first_and_pages_give_every_wallet_once(known: Known) -> None:
    whole = known.json("wallets", "list", "--limit", "500")["wallets"]
    assert not any(wallet["status"] == "excluded" for wallet in whole)
    ranks = [wallet["score"] if wallet["status"] in RANKED else None for wallet in whole]
    scores = [score for score in ranks if score is not None]
    assert ranks == sorted(scores, reverse=True) + [None] * (len(ranks) - len(scores))
    pages: list[dict[str, Any]] = []
    cursor: list[str] = []
    while True:
        page = known.json("wallets", "list", "--limit", "150", *cursor)
        pages += page["wallets"]
        if page["next_cursor"] is None:
            break
        cursor = ["--cursor", page["next_cursor"]]
    assert pages == whole
    seen = [w["first_seen_at"] for w in known.json("wallets", "list", "--sort", "first-seen")["wallets"]]
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        (
            ["--min-score", "0.5", "--min-closed", "8"],
            lambda w: (w["score"] or 0) >= 0.5 and (w["closed_positions"] or 0) >= 8,
        ),
        (["--active-within-days", "36500"], lambda w: w["last_active_at"] is not None),
        (["--with-flag", "fast_trade"], lambda w: "fast_trade" in w["flags"]),
        (
            ["--without-flag", "wash", "--without-flag", "fast_trade"],
            lambda w: not {"wash", "fast_trade"} & {*w["flags"]},
        ),
        (["--status", "active", "--status", "excluded"], lambda w: w["status"] in ("active", "excluded")),
    ],
    ids=["figures", "active", "with a flag", "without flags", "status"],
)
def test_filters_choose_wallets_in_the_list_and_in_a_run(
    known: Known, options: list[str], passes: Any
) -> None:
    by_default = set() if "--status" in options else {"excluded"}
    expected = {a for a, w in known.everybody.items() if w["status"] not in by_default and passes(w)}
    assert expected
    listed = known.json("wallets", "list", "--limit", "500", *options)
    assert {wallet["address"] for wallet in listed["wallets"]} == expected
    assert listed["total"] == len(expected)
    shown = known.json("runs", "show", known.run_id, *options)
    assert {wallet["wallet_address"] for wallet in shown["wallets"]} == expected


def test_a_prefix_finds_a_wallet(known: Known) -> None:
    address = known.record["wallets"][0]["wallet_address"]
    found = known.json("wallets", "list", "--search", address[:9], *OF_ANY_STATUS)
    assert [wallet["address"] for wallet in found["wallets"]] == [address]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-score", "nan"], "--min-score"),
        (["--with-flag", "rich"], "--with-flag"),
        (["--search", "no%"], "address_prefix"),
        (["--cursor", "nonsense"], "cursor"),
        (["--export", "wallets.xls"], ".csv, .parquet or .json"),
    ],
)
def test_wrong_filters_are_said(known: Known, options: list[str], said: str) -> None:
    done = known.walltrack("wallets", "list", *options)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_wallet_shows_its_score_explained_its_profile_and_everything_that_found_it(known: Known) -> None:
    best = known.json("wallets", "list", "--limit", "1")["wallets"][0]["address"]
    shown = known.json("wallets", "show", best)
    score, profile = shown["score"], shown["profile"]
    assert score["value"] == shown["wallet"]["score"]
    parts = sum(Decimal(str(p["value"])) * Decimal(str(p["weight"])) for p in score["parts"])
    assert abs(parts - Decimal(str(score["value"]))) <= Decimal("0.0001")
    assert all(part["explanation"] for part in score["parts"])
    assert profile["outcome"] == "measured"
    assert profile["closed_positions"] == shown["wallet"]["closed_positions"]
    own = [w for w in known.record["wallets"] if w["wallet_address"] == best]
    assert {f["source_token"] for f in shown["found"] if f["run_id"] == known.run_id} == {
        w["source_token"] for w in own
    }
    assert len({f["run_id"] for f in shown["found"]}) == 2
    assert len(shown["profiles"]) == 2
    table = known.walltrack("wallets", "show", best).stdout
    for said in (
        known.run_id,
        "consistency",
        "median hold seconds",
        "settled positions won",
        "What was known when",
    ):
        assert said in table
    assert all(w["source_token"] in table for w in own)


def test_flags_are_shown_with_what_proves_them(known: Known) -> None:
    flagged = [w for w in known.record["wallets"] if "bundle" in w["flags"]]
    assert flagged
    address = flagged[0]["wallet_address"]
    shown = known.json("wallets", "show", address)
    (evidence,) = [
        one for one in shown["flags"] if one["flag"] == "bundle" and one["mint"] == flagged[0]["source_token"]
    ]
    assert evidence["signatures"]
    assert evidence["wallets"]
    table = known.walltrack("wallets", "show", address).stdout
    assert evidence["detail"] in table
    assert evidence["signatures"][0] in table
    assert evidence["wallets"][0] in table


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_an_exported_list_holds_every_wallet_that_passes(known: Known, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"wallets{suffix}"
    whole = known.json("wallets", "list", "--limit", "500", "--min-score", "0.2")["wallets"]
    done = known.walltrack("wallets", "list", "--limit", "1", "--min-score", "0.2", "--export", path)
    assert done.returncode == 0, done.stderr
    if suffix == ".json":
        exported = json.loads(path.read_bytes())
        assert [(w["address"], w["score"], w["flags"]) for w in exported] == [
            (w["address"], w["score"], w["flags"]) for w in whole
        ]
        return
    frame = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
    assert frame["address"].to_list() == [w["address"] for w in whole]
    assert [float(score) for score in frame["score"]] == pytest.approx([w["score"] for w in whole])


def test_the_best_wallets_are_written_for_trading_terminals(known: Known, tmp_path: Path) -> None:
    whole = known.json("wallets", "list", "--limit", "7", "--status", "active", "--status", "dormant")[
        "wallets"
    ]
    best = [wallet["address"] for wallet in whole]
    profile = known.json("wallets", "show", best[0])["profile"]
    settled = profile["closed_positions"] + profile["abandoned_positions"]
    label = f"WT {whole[0]['score']:.2f} {profile['wins']}/{settled}"
    files = {name: tmp_path / name for name in ("a.csv", "b.txt", "c.json", "d.json")}
    for name, path in files.items():
        more = ["--format", "axiom"] if name == "d.json" else []
        done = known.walltrack("wallets", "export-terminal", path, "--limit", "7", *more)
        assert done.returncode == 0, done.stderr
    lines = files["b.txt"].read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == best
    assert lines[0] == f"{best[0]},{label}"
    assert files["a.csv"].read_text().splitlines() == ["address,label", *lines]
    gmgn, axiom = (json.loads(files[name].read_bytes()) for name in ("c.json", "d.json"))
    assert [one["address"] for one in gmgn] == best
    assert gmgn[0]["name"] == axiom[0]["name"] == label
    assert [one["trackedWalletAddress"] for one in axiom] == best
    imported = known.walltrack("lists", "import", "watch", files["a.csv"])
    assert imported.returncode == 0, imported.stderr
    watched = known.json("wallets", "list", "--watched")["wallets"]
    assert [wallet["address"] for wallet in watched] == best
    for address in best:
        known.walltrack("lists", "remove", "watch", address)
    nobody = known.walltrack("wallets", "export-terminal", tmp_path / "none.csv", "--demo")
    assert nobody.returncode == 2
    assert not (tmp_path / "none.csv").exists()
