"""Positions and early buyers of real tapes, against figures that other code computed under the same convention."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.shared_data import shared_data
from walltrack.discovery.addresses import no_wallets_of
from walltrack.discovery.early_buyers import early_buyers
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.positions import exact_position, positions
from walltrack.discovery.tape import TAPE_SCHEMA, WSOL, Tape

REDACTED = "RDCT-"


@pytest.fixture(scope="module")
def market() -> Path:
    return shared_data() / "market"


@pytest.fixture(scope="module")
def tapes(market: Path) -> dict[str, Tape]:
    """The tapes of both files by mint, redacted wallets left out."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for name in ("curve_head.csv", "pumpswap_300s.csv"):
        with (market / name).open(newline="") as file:
            for row in csv.DictReader(file):
                rows[row["mint"]].append(row)
    return {mint: _tape(mint, of_mint) for mint, of_mint in rows.items()}


def _tape(mint: str, rows: list[dict[str, str]]) -> Tape:
    decimals = max(_decimals(row["token_amount"]) for row in rows)
    events: list[dict[str, Any]] = []
    for row in rows:
        lamports = Decimal(row["sol_delta"]).scaleb(9)
        assert lamports == int(lamports)
        events.append(
            {
                "tx_index": int(row["seq"]),
                "block_time": int(row["block_time"]),
                "wallet": row["wallet"],
                "kind": row["side"],
                "token_raw": int(Decimal(row["token_amount"]).scaleb(decimals)),
                "quote_mint": WSOL,
                "quote_raw": int(-lamports if row["side"] == "buy" else lamports),
                "fee_lamports": 0,
                "venue": row["venue"],
                "flags": 0,
            }
        )
    (launch_time,) = {int(row["launch_time"]) for row in rows}
    frame = pl.DataFrame(events, schema=TAPE_SCHEMA).sort("block_time", "tx_index")
    frame = frame.filter(~pl.col("wallet").str.starts_with(REDACTED))
    return Tape(mint, decimals, launch_time, None, frame)


def _decimals(number: str) -> int:
    exponent = Decimal(number).as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-exponent, 0)


def _same(found: Decimal | float, expected: str) -> bool:
    wanted = Decimal(expected)
    return abs(Decimal(found) - wanted) <= max(abs(wanted) * Decimal("1e-9"), Decimal("1e-12"))


def test_every_position_equals_the_reference(market: Path, tapes: dict[str, Tape]) -> None:
    with (market / "reference" / "reference_positions.csv").open(newline="") as file:
        reference = list(csv.DictReader(file))
    floats = {
        (mint, row["wallet"]): row
        for mint, tape in tapes.items()
        for row in positions(tape).iter_rows(named=True)
    }
    compared = redacted = 0
    for row in reference:
        if row["wallet"].startswith(REDACTED):
            redacted += 1
            continue
        tape = tapes[row["mint"]]
        unit = Decimal(10) ** tape.decimals
        found, quick = exact_position(tape, row["wallet"]), floats[row["mint"], row["wallet"]]
        assert (str(found.buys), str(found.sells)) == (row["buys"], row["sells"])
        for value, column in (
            (found.bought_raw / unit, "tokens_bought"),
            (found.sold_raw / unit, "tokens_sold"),
            (found.cost_sol, "sol_spent"),
            (found.proceeds_sol, "sol_received"),
            (found.matched_raw / unit, "matched_tokens"),
            ((found.sold_raw - found.matched_raw) / unit, "unmatched_tokens"),
            (found.matched_proceeds_sol, "matched_sol_received"),
            (found.cost_of_sold_sol, "cost_of_sold"),
            (found.realized_pnl_sol, "realised_pnl"),
            (found.held_raw / unit, "remaining_tokens"),
            (found.held_cost_sol, "remaining_cost"),
            (quick["cost_of_sold_sol"], "cost_of_sold"),
            (quick["matched_proceeds_sol"], "matched_sol_received"),
            (quick["held_cost_sol"], "remaining_cost"),
        ):
            assert _same(value, row[column]), (row["mint"], row["wallet"], column, value, row[column])
        if row["realised_pct"]:
            assert found.realized_pct is not None
            assert _same(found.realized_pct, row["realised_pct"])
        else:
            assert found.realized_pct is quick["realized_pct"] is None
        first_buy = quick["first_buy_time"]
        assert ("" if first_buy is None else str(first_buy - tape.launch_time)) == row["seconds_after_launch"]
        assert found.completeness == (
            "complete" if Decimal(row["unmatched_tokens"]) == 0 else "unbased_sells"
        )
        compared += 1
    assert (compared, redacted) == (4282, 9)
    assert compared == len(floats)


@pytest.mark.parametrize("with_launch_second", [True, False])
@pytest.mark.parametrize(("minutes", "pct", "expected"), [(30, 50, (133, 126)), (5, 100, (43, None))])
def test_early_profitable_wallets_equal_the_reference(
    market: Path,
    tapes: dict[str, Tape],
    minutes: int,
    pct: int,
    expected: tuple[int, int | None],
    with_launch_second: bool,
) -> None:
    rules = json.loads((market / "reference" / "early_profitable.json").read_text())["rules"]
    (rule,) = [r for r in rules if (r["window_seconds"], r["min_realised_pct"]) == (60 * minutes, str(pct))]
    wanted = {
        (one["mint"], one["wallet"]): one
        for one in rule["positions"]
        if with_launch_second or not one["creation_second"]
    }
    params = DiscoveryRunParams(
        early_window_minutes=minutes, min_profit_pct=pct, include_launch_slot=with_launch_second
    )
    found = {
        (mint, one.wallet_address): one
        for mint, tape in tapes.items()
        for one in early_buyers(tape, params).wallets
    }
    assert found.keys() == wanted.keys()
    count = expected[0] if with_launch_second else expected[1]
    assert len(found) == count or count is None
    for key, one in found.items():
        assert _same(one.realized_pct, wanted[key]["realised_pct"])
        assert _same(one.realized_pnl_sol, wanted[key]["realised_pnl"])
        assert _same(one.cost_of_sold_sol, wanted[key]["cost_of_sold"])
        assert _same(one.held_tokens, wanted[key]["remaining_tokens"])
        assert one.seconds_after_launch == wanted[key]["seconds_after_launch"]
        assert ("launch_slot" in one.flags) == wanted[key]["creation_second"]


def test_the_pools_of_real_tokens_are_derived_from_their_mints(market: Path) -> None:
    pools = {
        token["mint"]: token["pool"]
        for token in json.loads((market / "tokens.json").read_text())["tokens"]
        if token.get("pool")
    }
    assert len(pools) >= 13
    for mint, pool in pools.items():
        assert no_wallets_of(mint).get(pool) == "the token's PumpSwap pool"
