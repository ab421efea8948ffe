"""What tape files are read to, and which values are refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.signature import Signature

from tests.unit.tape_files import (
    COLUMNS,
    MINT,
    OTHER_MINT,
    T0,
    WALLET,
    csv_text,
    read_text,
    row,
    signature,
    values,
)
from walltrack.discovery.errors import TapeFileError
from walltrack.discovery.tape import KINDS, TAPE_SCHEMA, WSOL
from walltrack.services.files import read_tapes


class TestWhatIsRead:
    def test_a_row_becomes_an_event_in_base_units(self, tmp_path: Path) -> None:
        text = csv_text(
            row(1, venue="pump_curve", signature=signature(7), label="G_x"),
            row(2, side="sell", token_amount="4.25", sol_delta="0.5"),
        )
        result = read_text(tmp_path, text)
        tape = result.tapes[MINT]
        assert tape.events.schema == TAPE_SCHEMA
        assert (tape.mint, tape.decimals, tape.launch_time, tape.launch_slot) == (MINT, 2, T0 + 1, None)
        assert tape.events.rows(named=True) == [
            {
                "slot": None,
                "tx_index": 1,
                "block_time": T0 + 1,
                "signature": bytes(Signature.from_string(signature(7))),
                "wallet": WALLET,
                "kind": "buy",
                "token_raw": 1050,
                "quote_mint": WSOL,
                "quote_raw": 10**9,
                "fee_lamports": 0,
                "counterparty": None,
                "venue": "pump_curve",
                "flags": 0,
            },
            {
                "slot": None,
                "tx_index": 2,
                "block_time": T0 + 2,
                "signature": None,
                "wallet": WALLET,
                "kind": "sell",
                "token_raw": 425,
                "quote_mint": WSOL,
                "quote_raw": 5 * 10**8,
                "fee_lamports": 0,
                "counterparty": None,
                "venue": None,
                "flags": 0,
            },
        ]
        assert (result.rows, result.refused_rows, result.duplicates, result.warnings) == (2, 0, 0, [])

    @settings(deadline=None)
    @given(
        amounts=st.lists(
            st.tuples(
                st.integers(1, 10**12),
                st.integers(0, 6),
                st.sampled_from(["plain", "science", "plus", "zeros"]),
                st.integers(0, 2**63 - 1),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_any_decimal_text_gives_its_exact_integers(
        self, amounts: list[tuple[int, int, str, int]]
    ) -> None:
        def text(raw: int, decimals: int, style: str) -> str:
            number = Decimal(raw).scaleb(-decimals)
            return {
                "plain": f"{number:f}",
                "science": f"{raw}E-{decimals}",
                "plus": f"+{number:f}",
                "zeros": f"000{number:f}",
            }[style]

        rows = [
            row(i, side="sell", token_amount=text(raw, places, style), sol_delta=text(lamports, 9, style))
            for i, (raw, places, style, lamports) in enumerate(amounts, 1)
        ]
        with TemporaryDirectory() as folder:
            result = read_text(Path(folder), csv_text(*rows))
        decimals = result.tapes[MINT].decimals
        assert decimals <= 6
        assert values(result, "token_raw") == [raw * 10**decimals // 10**d for raw, d, _, _ in amounts]
        assert all(raw * 10**decimals % 10**d == 0 for raw, d, _, _ in amounts)
        assert values(result, "quote_raw") == [lamports for *_, lamports in amounts]

    def test_amounts_reach_to_the_bounds_of_the_integer_columns(self, tmp_path: Path) -> None:
        sol = "9223372036.854775807"
        result = read_text(
            tmp_path,
            csv_text(
                row(1, token_amount=2**64 - 1, sol_delta=f"-{sol}"),
                row(2, side="sell", token_amount=1, sol_delta=sol),
                row(3, side="sell", token_amount=1, sol_delta=f"-{sol}"),
            ),
        )
        assert values(result, "token_raw") == [2**64 - 1, 1, 1]
        assert values(result, "quote_raw") == [2**63 - 1, 2**63 - 1, -(2**63 - 1)]

    def test_zero_sol_and_negative_proceeds_are_valid(self, tmp_path: Path) -> None:
        result = read_text(
            tmp_path,
            csv_text(
                row(1, sol_delta="0", sol_amount="0", sol_sign="0"),
                row(2, side="sell", sol_delta="-0.00001", sol_amount="0.00001", sol_sign="-1"),
            ),
        )
        assert values(result, "quote_raw") == [0, -10_000]
        assert result.warnings == []

    def test_transfers_move_tokens_and_no_sol(self, tmp_path: Path) -> None:
        kinds = [k for k in KINDS if k not in ("buy", "sell")]
        rows = [row(i, side=kind, sol_delta="0") for i, kind in enumerate(kinds, 1)]
        result = read_text(tmp_path, csv_text(*rows, row(9)))
        assert values(result, "kind") == [*kinds, "buy"]
        assert values(result, "quote_mint") == [None] * len(kinds) + [WSOL]
        assert result.tapes[MINT].launch_time == T0 + 9, "the launch is the first trade"

    def test_columns_stand_in_any_order(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(), columns=COLUMNS[::-1]))
        assert values(result, "token_raw") == [105]

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("last", [True, False])
    def test_line_ends_a_byte_order_mark_and_a_missing_last_line_end(
        self, tmp_path: Path, end: str, bom: bytes, last: bool
    ) -> None:
        text = csv_text(row(1), row(2, sol_delta="-2")).replace("\n", end)
        result = read_text(tmp_path, bom + (text if last else text.removesuffix(end)).encode())
        assert values(result, "quote_raw") == [10**9, 2 * 10**9]
        assert result.warnings == []

    def test_quoted_fields_and_empty_lines(self, tmp_path: Path) -> None:
        text = csv_text(row(1, label='"a, ""b"""'), row(2), columns=[*COLUMNS, "label"])
        header, first, second = text.splitlines()
        quoted = ",".join(f'"{field}"' for field in second.split(","))
        result = read_text(tmp_path, f'"block_time"{header[10:]}\n\n{first}\r\n\n{quoted}\n\n')
        assert values(result, "tx_index") == [1, 2]
        assert (result.rows, result.refused_rows) == (2, 0)

    def test_a_folder_is_read_by_name_and_nothing_else_in_it(self, tmp_path: Path) -> None:
        (tmp_path / "b.CSV").write_text(csv_text(row(mint=OTHER_MINT)))
        (tmp_path / "a.csv").write_text(csv_text(row()))
        pl.DataFrame([row(mint=WALLET)]).write_parquet(tmp_path / "c.Parquet")
        (tmp_path / "notes.txt").write_text("not a tape")
        (tmp_path / "._a.csv").write_bytes(b"\0\0")
        (tmp_path / "folder.csv").mkdir()
        (tmp_path / "folder.csv" / "deep.csv").write_text("not read")
        (tmp_path / "link.csv").symlink_to(tmp_path / "folder.csv")
        result = read_tapes(tmp_path)
        assert result.files == ["a.csv", "b.CSV", "c.Parquet"]
        assert list(result.tapes) == [MINT, OTHER_MINT, WALLET]

    def test_progress_goes_from_none_to_all_bytes(self, tmp_path: Path) -> None:
        for name in ("a.csv", "b.csv"):
            (tmp_path / name).write_text(csv_text(row()))
        total = sum(path.stat().st_size for path in tmp_path.iterdir())
        seen: list[tuple[int, int]] = []
        read_tapes(tmp_path, lambda done, of: seen.append((done, of)))
        assert seen[0] == (0, total)
        assert seen[-1] == (total, total)
        assert seen == sorted(seen)


class TestValuesThatAreRefused:
    @pytest.mark.parametrize(
        ("field", "value", "bound"),
        [
            ("block_time", "", "an empty field is not whole Unix seconds"),
            ("block_time", "soon", "whole Unix seconds"),
            ("block_time", f"{T0}.5", "whole Unix seconds"),
            ("block_time", "1584316799", "from 1584316800 (2020-03-16)"),
            ("block_time", "4102444800", "to 4102444799 (2099-12-31)"),
            ("block_time", f"{T0}000", "to 4102444799"),
            ("seq", "0", "from 1"),
            ("seq", "-1", "from 1"),
            ("seq", "1.5", "whole number"),
            ("seq", str(2**32), "to 4294967295"),
            ("slot", "-1", "whole number from 0"),
            ("wallet", "", "an empty field is not a base58 address of 32 bytes"),
            ("wallet", "RDCT-d4fb6b1f86", "'RDCT-d4fb6b1f86' is not a base58 address of 32 bytes"),
            ("wallet", WALLET[:-1] + "0", "not a base58 address"),
            ("wallet", f" {WALLET}", "not a base58 address"),
            ("mint", "1" * 33, "not a base58 address"),
            ("signature", WALLET, "not a base58 signature of 64 bytes"),
            ("signature", "l" * 88, "not a base58 signature of 64 bytes"),
            ("side", "swap", "'swap' is not one of buy, sell"),
            ("side", "BUY", "not one of"),
            ("token_amount", "", "not a decimal number"),
            ("token_amount", "many", "'many' is not a decimal number"),
            ("token_amount", "1_000", "not a decimal number"),
            ("token_amount", "٣", "not a decimal number"),
            ("token_amount", "nan", "not a decimal number"),
            ("token_amount", "inf", "not a decimal number"),
            ("token_amount", "1e9999", "not a decimal number"),
            ("token_amount", "-3", "'-3' is not above 0"),
            ("token_amount", "0.000", "not above 0"),
            ("token_amount", "1e-19", "more than 18 decimals"),
            ("token_amount", str(2**64), "more than 18446744073709551615 base units"),
            ("token_amount", "18446744073709.5516160", "more than 18446744073709551615 base units"),
            ("token_amount", "1e40", "more than 18446744073709551615 base units"),
            ("sol_delta", "", "not a decimal number"),
            ("sol_delta", "-0x1", "not a decimal number"),
            ("sol_delta", "-0.0000000001", "more than 9 decimals"),
            ("sol_delta", "-9223372036.854775808", "beyond 9223372036854775807 lamports"),
            ("sol_delta", "-1e30", "beyond 9223372036854775807 lamports"),
            ("sol_delta", "0.000000001", "above 0, while a buy pays"),
            ("sol_amount", "-1", "not the magnitude of sol_delta"),
            ("sol_amount", "1.000000001", "not the magnitude of sol_delta"),
            ("sol_amount", "one", "not the magnitude of sol_delta"),
            ("sol_sign", "1", "not the sign of sol_delta"),
            ("sol_sign", "0", "not the sign of sol_delta"),
            ("launch_time", "yesterday", "whole Unix seconds"),
            ("launch_time", "1", "from 1584316800"),
            ("venue", "v" * 65, "at most 64 printable characters"),
            ("venue", "a\tb", "'a\\tb' is not at most 64 printable characters"),
        ],
    )
    def test_the_row_is_refused_with_its_reason_and_the_others_go_on(
        self, tmp_path: Path, field: str, value: str, bound: str
    ) -> None:
        bad = row(2, **{field: value})
        others = [row(1), row(3)]
        if field == "slot":
            others = [r | {"slot": i} for i, r in enumerate(others)]
        result = read_text(tmp_path, csv_text(others[0], bad, others[1], columns=list(bad)))
        assert values(result, "tx_index") == [1, 3]
        assert (result.rows, result.refused_rows) == (3, 1)
        (refused,) = result.refused
        assert (refused.file, refused.row, refused.field) == ("tape.csv", 3, field)
        assert bound in refused.problem
        assert result.warnings == [f"tape.csv: 1 row refused, first: row 3, field {field}: {refused.problem}"]

    def test_a_transfer_that_moves_sol_is_refused(self, tmp_path: Path) -> None:
        result = read_text(tmp_path, csv_text(row(1), row(2, side="transfer_in")))
        assert result.refused[0].problem == "'-1' is not 0, while a transfer moves no SOL"

    def test_rows_with_too_few_or_too_many_fields_are_refused(self, tmp_path: Path) -> None:
        lines = csv_text(row(1), row(2), row(3), row(4)).splitlines()
        lines[2] = lines[2].rpartition(",")[0]
        lines[3] += ","
        result = read_text(tmp_path, "\n".join(lines))
        assert values(result, "tx_index") == [1, 4]
        assert [(r.row, r.field, r.problem) for r in result.refused] == [
            (3, None, "too few fields: 6, while the header has 7"),
            (4, None, "too many fields: 8, while the header has 7"),
        ]

    def test_a_quote_that_is_never_closed_costs_its_own_line_only(self, tmp_path: Path) -> None:
        text = csv_text(row(1), row(2, label='"open'), row(3), columns=[*COLUMNS, "label"])
        result = read_text(tmp_path, text)
        assert values(result, "tx_index") == [1, 3]
        assert result.refused[0].row == 3
        assert "quote that is not closed" in result.refused[0].problem

    def test_examples_are_few_and_all_are_counted(self, tmp_path: Path) -> None:
        bad = [row(i, wallet=f"nobody-{i}") for i in range(2, 300)]
        result = read_text(tmp_path, csv_text(row(1), *bad, row(300, side="?")))
        assert result.refused_rows == 299
        assert [r.row for r in result.refused] == [3, 4, 5, 6, 7, 301]
        assert [w.partition(", first: ")[0] for w in result.warnings] == [
            "tape.csv: 298 rows refused",
            "tape.csv: 1 row refused",
        ]

    def test_content_in_messages_is_clipped_and_cannot_move_the_cursor(self, tmp_path: Path) -> None:
        name = "evil\x1b[2J.csv"
        result = read_text(tmp_path, csv_text(row(1), row(2, wallet="\x1b[2J\u202e" + "x" * 5000)), name)
        (refused,) = result.refused
        assert refused.file == "evil\\x1b[2J.csv"
        assert refused.problem.startswith("'\\x1b[2J\\u202exxx")
        assert len(refused.problem) < 150
        assert result.warnings[0].isprintable()

    def test_a_file_of_which_every_row_is_refused_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(csv_text(row()))
        with pytest.raises(TapeFileError) as caught:
            read_text(tmp_path, csv_text(row(1, side="x"), row(2, seq="y")), "b.csv")
        assert str(caught.value).startswith("b.csv, row 2, field side: 'x' is not one of")
        assert "all 2 rows are refused" in str(caught.value)

    def test_a_long_file_keeps_its_row_numbers(self, tmp_path: Path) -> None:
        # More than one batch, with quoted and ragged lines among the plain ones.
        filler = "f" * 1500
        rows = [row(i, label=f'"{filler}"' if i % 100 == 0 else filler) for i in range(1, 12_001)]
        lines = csv_text(*rows).splitlines()
        lines[9000] += ",more"
        lines[11_000] = lines[11_000].replace(WALLET, "nobody")
        result = read_text(tmp_path, "\n".join(lines))
        assert [(r.row, r.field) for r in result.refused] == [(9001, None), (11_001, "wallet")]
        kept = [i for i in range(1, 12_001) if i not in (9000, 11_000)]
        assert values(result, "tx_index") == kept
