"""Tapes written and read again, the real tapes, and the documented format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.signature import Signature

from tests.shared_data import shared_data
from tests.unit.tape_files import (
    MINT,
    OTHER_MINT,
    T0,
    address,
    assert_equal,
    csv_text,
    read_text,
    row,
    signature,
    values,
)
from walltrack.discovery.errors import BadInputError, TapeFileError, WallTrackError
from walltrack.discovery.tape import KINDS, TAPE_SCHEMA, WSOL, Tape
from walltrack.services.files import read_tapes, write_tape
from walltrack.services.files.columns import KNOWN


@st.composite
def tapes(draw: st.DrawFn) -> Tape:
    with_slots = draw(st.booleans())
    steps = draw(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.integers(3, 9),
                st.sampled_from(KINDS),
                st.integers(1, 2**64 - 1),
                st.integers(0, 2**63 - 1),
                st.booleans(),
                st.none() | st.text("abc_ ", min_size=1, max_size=8),
            ),
            min_size=1,
            max_size=12,
        )
    )
    rows, slot, index, time = [], 250_000_000, 0, T0
    for number, (slots, wallet, kind, tokens, quote, signed, venue) in enumerate(steps):
        slot, time = slot + slots, time + slots
        index = index + 1 if not with_slots or slots == 0 else 0
        trade = kind in ("buy", "sell")
        rows.append(
            {
                "slot": slot if with_slots else None,
                "tx_index": index,
                "block_time": time,
                "signature": number.to_bytes(64, "big") if signed else None,
                "wallet": address(wallet),
                "kind": kind,
                "token_raw": tokens,
                "quote_mint": WSOL if trade else None,
                "quote_raw": 0 if not trade else -quote if kind == "sell" and tokens % 5 == 0 else quote,
                "fee_lamports": 0,
                "venue": venue,
                "flags": 0,
            }
        )
    launch = draw(st.integers(T0 - 100, T0))
    return Tape(
        mint=MINT,
        decimals=draw(st.integers(0, 18)),
        launch_time=launch,
        launch_slot=draw(st.integers(0, 2**63 - 1))
        if with_slots and launch != T0
        else rows_slot(rows, launch),
        events=pl.DataFrame(rows, schema=TAPE_SCHEMA),
        starts_late=draw(st.booleans()),
        cut=draw(st.none() | st.sampled_from(["budget spent", "token limit"])),
    )


def rows_slot(rows: list[dict[str, Any]], launch: int) -> int | None:
    """The slot that the reader finds for a launch that the writer does not know: that of the first trade then."""
    trades = [r for r in rows if r["kind"] in ("buy", "sell")]
    first = (trades or rows)[0]
    slot = first["slot"] if trades and first["block_time"] == launch else None
    return int(slot) if slot is not None else None


class TestWriting:
    @settings(deadline=None)
    @given(tape=tapes())
    def test_a_written_tape_is_read_back_equal(self, tape: Tape) -> None:
        with TemporaryDirectory() as folder:
            write_tape(tape, Path(folder) / "tape.parquet")
            result = read_tapes(Path(folder))
            assert sorted(path.name for path in Path(folder).iterdir()) == ["tape.parquet"]
        assert result.refused == []
        assert_equal(result.tapes[MINT], tape)

    def test_the_file_has_decimal_columns_and_base58_signatures(self, tmp_path: Path) -> None:
        write_tape(self.tape(tmp_path), tmp_path / "tape.parquet")
        frame = pl.read_parquet(tmp_path / "tape.parquet")
        assert frame.schema["token_amount"] == pl.Decimal(38, 1)
        assert frame.schema["sol_delta"] == pl.Decimal(38, 9)
        assert frame["token_amount"].to_list() == [Decimal("10.5")]
        assert frame["sol_delta"].to_list() == [Decimal("-1.000000000")]
        assert frame["signature"].to_list() == [signature(4)]

    def test_network_fees_are_part_of_what_the_wallet_paid(self, tmp_path: Path) -> None:
        tape = self.tape(tmp_path, ("buy", "sell"))
        events = tape.events.with_columns(pl.lit(5000, dtype=pl.Int64).alias("fee_lamports"))
        write_tape(replace(tape, events=events), tmp_path / "tape.parquet")
        assert values(read_tapes(tmp_path), "quote_raw") == [10**9 + 5000, -(10**9) - 5000]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"quote_mint": pl.lit(OTHER_MINT)}, "another mint than SOL"),
            ({"flags": pl.lit(1, dtype=pl.UInt32)}, "flagged events"),
        ],
    )
    def test_a_tape_that_the_format_cannot_hold_is_refused(
        self, tmp_path: Path, change: dict[str, pl.Expr], reason: str
    ) -> None:
        tape = self.tape(tmp_path)
        for bad, why in (
            (replace(tape, events=tape.events.with_columns(**change)), reason),
            (replace(tape, events=tape.events.clear()), "no events"),
            (replace(tape, decimals=19), "19 decimals"),
        ):
            with pytest.raises(BadInputError, match=why):
                write_tape(bad, tmp_path / "tape.parquet")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_cannot_be_written_leaves_nothing_and_keeps_the_old_one(self, tmp_path: Path) -> None:
        tape = self.tape(tmp_path)
        (tmp_path / "tape.parquet").mkdir()
        (tmp_path / "tape.parquet" / "kept").touch()
        with pytest.raises(WallTrackError, match=r"tape\.parquet cannot be written: Is a directory"):
            write_tape(tape, tmp_path / "tape.parquet")
        assert [path.name for path in tmp_path.iterdir()] == ["tape.parquet"]

    def test_damaged_notes_are_named(self, tmp_path: Path) -> None:
        for note in ("{", '{"mint": 3}', '{"mint": "x", "launch_slot": -1}'):
            pl.DataFrame([row()]).write_parquet(tmp_path / "a.parquet", metadata={"walltrack.tape": note})
            with pytest.raises(TapeFileError, match=r"a\.parquet: metadata walltrack\.tape: "):
                read_tapes(tmp_path)

    def tape(self, folder: Path, sides: Sequence[str] = ("buy",)) -> Tape:
        rows = [row(i, side=side, signature=signature(3 + i)) for i, side in enumerate(sides, 1)]
        tape = read_text(folder, csv_text(*rows)).tapes[MINT]
        (folder / "tape.csv").unlink()
        return tape


class TestRealTapes:
    def test_the_captured_market_is_read_whole(self) -> None:
        folder = shared_data() / "market"
        result = read_tapes(folder)
        assert result.files == ["curve_head.csv", "pumpswap_300s.csv"]
        assert (result.rows, len(result.tapes)) == (1_905 + 8_333, 32)
        assert (result.refused_rows, result.duplicates) == (74, 0)
        assert all("'RDCT-" in r.problem and r.field == "wallet" for r in result.refused)
        assert [w.partition(", first: row 19, field wallet: ")[0] for w in result.warnings] == [
            "pumpswap_300s.csv: 74 rows refused"
        ]
        assert sum(tape.events.height for tape in result.tapes.values()) == result.rows - 74

    def test_every_event_equals_its_row(self) -> None:
        folder = shared_data() / "market"
        result = read_tapes(folder)
        source = pl.concat(
            [pl.read_csv(folder / name, infer_schema=False) for name in result.files], how="vertical"
        )
        rows = iter(source.filter(~pl.col("wallet").str.starts_with("RDCT-")).rows(named=True))
        for mint, tape in result.tapes.items():
            for event in tape.events.rows(named=True):
                given = next(rows)
                paid = 1 if event["kind"] == "sell" else -1
                assert given["mint"] == mint
                assert given["wallet"] == event["wallet"]
                assert (int(given["block_time"]), int(given["seq"])) == (
                    event["block_time"],
                    event["tx_index"],
                )
                assert (given["side"], given["venue"]) == (event["kind"], event["venue"])
                assert Decimal(given["token_amount"]).scaleb(tape.decimals) == event["token_raw"]
                assert Decimal(given["sol_delta"]).scaleb(9) == paid * event["quote_raw"]
                assert int(given["launch_time"]) == tape.launch_time
                wanted = given["signature"]
                assert event["signature"] == (bytes(Signature.from_string(wanted)) if wanted else None)
        assert next(rows, None) is None


def test_the_sample_of_the_documentation_is_a_valid_file(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "tape-files.md"
    sample = page.read_text().partition("```csv\n")[2].partition("```")[0]
    result = read_text(tmp_path, sample)
    (tape,) = result.tapes.values()
    assert (result.rows, result.warnings) == (4, [])
    assert tape.events["quote_raw"].to_list() == [800_000_000, 60_000_001, 1_950_000_000, -3_050]


def test_the_documentation_names_every_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tape-files.md").read_text()
    documented = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert documented == list(KNOWN)
