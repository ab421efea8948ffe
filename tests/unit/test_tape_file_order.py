"""Order, launch and duplicates of tape files, and their Parquet form."""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.unit.tape_files import (
    COLUMNS,
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
from walltrack.discovery.errors import TapeFileError
from walltrack.services.files import read_tapes


class TestOrderLaunchAndDuplicates:
    def test_rows_out_of_order_are_put_in_order_and_told(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(3), row(1), row(2), row(4)))
        assert values(result, "tx_index") == [1, 2, 3, 4]
        assert result.warnings == [
            "tape.csv: 2 rows stood after a later row of the same token and were put in order, first: row 3"
        ]

    def test_tokens_may_be_mixed_in_one_file(self, tmp_path: Path) -> None:
        rows = [row(i, mint=mint) for i in (1, 2, 3) for mint in (OTHER_MINT, MINT)]
        result = read_text(tmp_path, csv_text(*rows))
        assert values(result, "tx_index") == values(result, "tx_index", OTHER_MINT) == [1, 2, 3]
        assert result.warnings == []

    def test_a_later_seq_with_an_earlier_time_is_refused(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(1), row(5), row(6, block_time=T0 + 2), row(7)))
        assert values(result, "tx_index") == [1, 5, 7]
        (refused,) = result.refused
        assert (refused.row, refused.field) == (4, "seq")
        assert refused.problem == (
            f"6 at block_time {T0 + 2} comes after a lower seq of this token at {T0 + 5}"
        )

    def test_slots_give_the_order_and_the_launch_slot(self, tmp_path: Path) -> None:
        rows = [
            row(0, slot=12, block_time=T0 + 4),
            row(7, slot=11, block_time=T0 + 3),
            row(2, slot=11, block_time=T0 + 3),
        ]
        result = read_text(tmp_path, csv_text(*rows))
        events = result.tapes[MINT].events
        assert events.select("slot", "tx_index").rows() == [(11, 2), (11, 7), (12, 0)]
        assert result.tapes[MINT].launch_slot == 11

    def test_a_row_without_slot_among_rows_with_slots_is_refused(self, tmp_path: Path) -> None:
        result = read_text(
            tmp_path, csv_text(row(1, slot=5), row(2), row(3, slot=6), row(1, mint=OTHER_MINT))
        )
        assert values(result, "tx_index") == [1, 3]
        assert [(r.row, r.field) for r in result.refused] == [(3, "slot")]
        assert list(result.tapes) == [MINT, OTHER_MINT]

    def test_files_with_the_same_token_are_merged(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(csv_text(row(1), row(2, token_amount="7"), row(3)))
        second = [row(1, block_time=T0 + 1), row(2, token_amount="8.125"), row(3, block_time=T0 + 9)]
        (tmp_path / "b.csv").write_text(csv_text(*second))
        result = read_tapes(tmp_path)
        tape = result.tapes[MINT]
        assert tape.decimals == 3
        assert tape.events["block_time"].to_list() == [T0 + i for i in (1, 1, 2, 2, 3, 9)]
        assert tape.events["token_raw"].to_list() == [10500, 10500, 7000, 8125, 10500, 10500]
        assert tape.events["tx_index"].to_list() == [1, 2, 3, 4, 5, 6], "numbered anew, in their order"
        assert result.warnings == []

    def test_a_given_launch_time_is_used(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(5), row(6, launch_time=T0), row(7, launch_time=T0)))
        assert result.tapes[MINT].launch_time == T0
        assert result.warnings == []

    def test_rows_that_give_another_launch_time_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(csv_text(row(5, launch_time=T0), row(6, launch_time=T0 + 1)))
        (tmp_path / "b.csv").write_text(csv_text(row(7, launch_time=T0 + 2), row(8, launch_time=T0)))
        result = read_tapes(tmp_path)
        assert result.tapes[MINT].launch_time == T0
        assert [(r.file, r.row, r.field) for r in result.refused] == [
            ("a.csv", 3, "launch_time"),
            ("b.csv", 2, "launch_time"),
        ]
        assert f"{T0 + 1} differs from {T0}" in result.refused[0].problem

    def test_trades_before_the_given_launch_are_kept_and_told(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(1, launch_time=T0 + 2), row(2, launch_time=T0 + 2)))
        assert len(values(result, "tx_index")) == 2
        assert result.warnings == [f"tape.csv: 1 trade of {MINT} before its launch_time {T0 + 2}"]

    def test_the_same_row_twice_counts_once_where_it_has_a_signature(self, tmp_path: Path) -> None:
        same = {"signature": signature(1), "token_amount": "2.50"}
        (tmp_path / "a.csv").write_text(csv_text(row(1, **same), row(1, **same), row(2)))
        (tmp_path / "b.csv").write_text(csv_text(row(1, **(same | {"token_amount": "2.5"})), row(9)))
        result = read_tapes(tmp_path)
        assert result.duplicates == 2
        assert (result.rows, result.refused_rows, result.tapes[MINT].events.height) == (5, 0, 3)
        assert [w.partition(" (")[0] for w in result.warnings] == [
            "a.csv: 1 row given twice",
            "b.csv: 1 row given twice",
        ]
        assert result.warnings[0].endswith("first: row 3")

    @pytest.mark.parametrize(
        "other",
        [
            {"mint": OTHER_MINT},
            {"wallet": address(9)},
            {"side": "sell"},
            {"token_amount": "10.6"},
            {"sol_delta": "-2"},
            {"signature": signature(2)},
        ],
    )
    def test_one_transaction_with_several_trades_keeps_them_all(
        self, tmp_path: Path, other: dict[str, object]
    ) -> None:
        first = row(1, signature=signature(1))
        result = read_text(tmp_path, csv_text(first, first | other))
        assert result.duplicates == 0
        assert sum(tape.events.height for tape in result.tapes.values()) == 2

    def test_equal_rows_without_signature_all_count(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(1), row(1), row(1), columns=[*COLUMNS, "signature"]))
        assert result.duplicates == 0
        assert values(result, "tx_index") == [1, 1, 1]

    def test_decimals_are_the_most_seen_with_trailing_zeros(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(1, token_amount="1.500000"), row(2, token_amount="2")))
        assert result.tapes[MINT].decimals == 6
        assert values(result, "token_raw") == [1_500_000, 2_000_000]

    def test_trailing_zeros_do_not_make_amounts_too_large(self, tmp_path: Path) -> None:
        zeros = "0" * 17
        result = read_text(
            tmp_path, csv_text(row(1, token_amount=f"1.5{zeros}"), row(2, token_amount=f"1000000.0{zeros}"))
        )
        assert result.tapes[MINT].decimals == 1
        assert values(result, "token_raw") == [15, 10_000_000]

    def test_an_amount_that_does_not_fit_at_the_tokens_decimals_is_refused(self, tmp_path: Path) -> None:
        tiny = "0.000000000000000001"
        result = read_text(tmp_path, csv_text(row(1, token_amount=tiny), row(2, token_amount="18.5"), row(3)))
        assert values(result, "token_raw") == [1, 10_500_000_000_000_000_000]
        (refused,) = result.refused
        assert (refused.row, refused.field) == (3, "token_amount")
        assert "18.5" in refused.problem
        assert "at 18 decimals" in refused.problem


class TestParquet:
    @pytest.mark.parametrize(
        ("amounts", "sol", "raw"),
        [
            ([1, 2], [-1, 0], [1, 2]),
            ([1.5, 2e-7], [-0.5, -0.0], [15_000_000, 2]),
            ([1e16, 5.0], [-1e-9, -1.0], [10**16, 5]),
            (["1.5", "2"], ["-1", "0"], [15, 20]),
            ([Decimal("1.500"), Decimal("2.001")], [Decimal("-1"), Decimal("-0.5")], [1500, 2001]),
        ],
    )
    def test_numbers_of_any_type_are_exact(
        self, tmp_path: Path, amounts: list[object], sol: list[object], raw: list[int]
    ) -> None:
        rows = [
            row(i, token_amount=a, sol_delta=s) for i, (a, s) in enumerate(zip(amounts, sol, strict=True), 1)
        ]
        frame = pl.DataFrame(rows).with_columns(pl.col("block_time").cast(pl.Float64))
        frame.write_parquet(tmp_path / "a.parquet")
        result = read_tapes(tmp_path)
        assert values(result, "token_raw") == raw
        assert values(result, "quote_raw") == [int(-Decimal(str(s)) * 10**9) for s in sol]

    def test_rows_are_counted_from_one_and_nulls_are_empty(self, tmp_path: Path) -> None:
        frame = pl.DataFrame(
            [row(1, signature=None), row(2, wallet=None, signature=None), row(3)], strict=False
        )
        frame.write_parquet(tmp_path / "a.parquet")
        result = read_tapes(tmp_path)
        assert [(r.row, r.field) for r in result.refused] == [(2, "wallet")]
        assert values(result, "tx_index") == [1, 3]

    def test_not_a_number_is_refused(self, tmp_path: Path) -> None:
        amounts = [1.0, float("nan"), float("inf"), -float("inf")]
        rows = [row(i, token_amount=amount) for i, amount in enumerate(amounts, 1)]
        pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
        result = read_tapes(tmp_path)
        assert [(r.row, r.problem) for r in result.refused] == [
            (2, "'NaN' is not a decimal number"),
            (3, "'inf' is not a decimal number"),
            (4, "'-inf' is not a decimal number"),
        ]

    def test_a_column_of_another_type_is_named(self, tmp_path: Path) -> None:
        frame = pl.DataFrame([row()]).with_columns(pl.from_epoch("block_time"))
        frame.write_parquet(tmp_path / "a.parquet")
        with pytest.raises(TapeFileError, match=r"a\.parquet, field block_time: type Datetime"):
            read_tapes(tmp_path)

    def test_csv_and_parquet_of_the_same_rows_give_the_same(self, tmp_path: Path) -> None:
        rows = [row(1, launch_time=T0), row(2, side="sell", sol_delta="-0.1"), row(3, wallet="nobody")]
        for name in ("csv", "parquet"):
            (tmp_path / name).mkdir()
        (tmp_path / "csv" / "a.csv").write_text(csv_text(*rows))
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(tmp_path / "parquet" / "a.parquet")
        first, second = read_tapes(tmp_path / "csv"), read_tapes(tmp_path / "parquet")
        assert_equal(first.tapes[MINT], second.tapes[MINT])
        assert first.refused[0].problem == second.refused[0].problem

    def test_a_damaged_file_is_a_tape_file_error_wherever_the_damage_is(self, tmp_path: Path) -> None:
        whole = tmp_path / "whole.parquet"
        pl.DataFrame([row(i) for i in range(1, 50)]).write_parquet(whole)
        data = whole.read_bytes()
        whole.unlink()
        for size in range(0, len(data), 97):
            with pytest.raises(
                TapeFileError, match=r"a\.parquet: (the file is empty|a truncated Parquet file)"
            ):
                read_text(tmp_path, data[:size], "a.parquet")
            with pytest.raises(TapeFileError, match=r"a\.parquet: "):
                read_text(tmp_path, data[:size] + b"PAR1", "a.parquet")
        flips = random.Random(5)
        for _ in range(60):
            damaged = bytearray(data)
            damaged[flips.randrange(4, len(data) - 4)] ^= 1 << flips.randrange(8)
            with suppress(TapeFileError):  # a flipped bit of a value may go unseen; nothing else may escape
                read_text(tmp_path, bytes(damaged), "a.parquet")
