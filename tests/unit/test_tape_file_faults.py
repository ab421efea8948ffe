"""Files that are broken, hostile or gone."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tape_files import COLUMNS, csv_text, read_text, row
from walltrack.discovery.errors import BadInputError, TapeFileError
from walltrack.services.files import read_tapes


class TestHostileFiles:
    def refuses(self, folder: Path, data: str | bytes, name: str = "tape.csv") -> str:
        with pytest.raises(TapeFileError) as caught:
            read_text(folder, data, name)
        assert str(caught.value).isprintable()
        return str(caught.value)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(BadInputError) as caught:
            read_tapes(tmp_path)
        assert str(caught.value) == f"no .csv or .parquet files in {tmp_path}"

    def test_a_missing_folder_and_a_file_for_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match="nowhere cannot be read: No such file or directory"):
            read_tapes(tmp_path / "nowhere")
        (tmp_path / "file").touch()
        with pytest.raises(BadInputError, match="file cannot be read: Not a directory"):
            read_tapes(tmp_path / "file")

    def test_no_permission_to_read(self) -> None:
        with TemporaryDirectory() as name, Unprivileged() as call:
            folder = Path(name)
            folder.chmod(0o755)
            (folder / "a.csv").write_text(csv_text(row()))
            (folder / "a.csv").chmod(0)
            with pytest.raises(TapeFileError, match=r"a\.csv: cannot be read: Permission denied"):
                call(lambda: read_tapes(folder))
            folder.chmod(0)
            with pytest.raises(BadInputError, match="cannot be read: Permission denied"):
                call(lambda: read_tapes(folder))

    def test_an_empty_file_and_one_with_a_header_only(self, tmp_path: Path) -> None:
        assert self.refuses(tmp_path, "") == "tape.csv: the file is empty"
        header = ",".join(COLUMNS)
        assert self.refuses(tmp_path, header) == "tape.csv: no rows below the header"
        assert self.refuses(tmp_path, f"{header}\n\n\r\n") == "tape.csv: no rows below the header"
        (tmp_path / "tape.csv").unlink()
        pl.DataFrame([row()]).clear().write_parquet(tmp_path / "a.parquet")
        with pytest.raises(TapeFileError, match=r"a\.parquet: no rows"):
            read_tapes(tmp_path)

    @pytest.mark.parametrize("name", ["tape.csv", "tape.parquet"])
    def test_unknown_and_missing_columns_are_named_with_the_known_ones(
        self, tmp_path: Path, name: str
    ) -> None:
        path = tmp_path / name
        for rows, message in (
            ([row(price="3")], f"{name}: unknown column 'price'; known are block_time, seq, wallet,"),
            (
                [{k: v for k, v in row().items() if k != "mint"}],
                f"{name}, field mint: required column mint is",
            ),
        ):
            if path.suffix == ".csv":
                path.write_text(csv_text(*rows))
            else:
                pl.DataFrame(rows).write_parquet(path)
            with pytest.raises(TapeFileError) as caught:
                read_tapes(tmp_path)
            assert str(caught.value).startswith(message)
            assert str(caught.value).endswith("launch_time, label, slot")

    def test_a_repeated_column_and_a_broken_header(self, tmp_path: Path) -> None:
        text = csv_text(row())
        assert "column seq stands there twice" in self.refuses(tmp_path, f"seq,{text}")
        assert "quote that is not closed" in self.refuses(tmp_path, f'"{text}')
        assert "unknown column an empty field" in self.refuses(tmp_path, f",{text}")

    def test_binary_content_is_located(self, tmp_path: Path) -> None:
        text = csv_text(row(1), row(2)).encode()
        at = len(text) - 5
        nul = text[:at] + b"\0" + text[at:]
        assert self.refuses(tmp_path, nul) == f"tape.csv, row 3: a NUL byte at byte {at + 1}: no text file"
        latin = text[:at] + b"\xe9" + text[at:]
        assert f"row 3: byte 0xe9 is no UTF-8 at byte {at + 1}" in self.refuses(tmp_path, latin)
        elf = b"\x7fELF\x02\x01\x01" + bytes(9000)
        assert self.refuses(tmp_path, elf) == "tape.csv, row 1: a NUL byte at byte 8: no text file"
        assert "UTF-16 text; save it as UTF-8" in self.refuses(tmp_path, text.decode().encode("utf-16"))

    def test_a_line_may_have_64_kb_and_no_byte_more(self, tmp_path: Path) -> None:
        columns = [*COLUMNS, "label"]
        short = csv_text(row(), columns=columns).splitlines()[1]
        for end in ("\n", "\r\n", ""):
            line = short + "x" * (65_536 - len(short))
            assert read_text(tmp_path, f"{','.join(columns)}\n{line}{end}").rows == 1
            message = self.refuses(tmp_path, f"{','.join(columns)}\n{line}x{end}")
            assert message == "tape.csv, row 2: the line is longer than 65,536 bytes"

    @pytest.mark.parametrize("start", ["", csv_text(row())])
    def test_an_endless_line_through_a_pipe_is_left_after_64_kb(self, tmp_path: Path, start: str) -> None:
        os.mkfifo(tmp_path / "endless.csv")
        with (
            EndlessWriter(tmp_path / "endless.csv", start.encode()) as written,
            pytest.raises(TapeFileError, match="the line is longer than 65,536 bytes"),
        ):
            read_tapes(tmp_path)
        # A line, what the pipe holds (64 KB) and what the reader's buffer does.
        assert sum(written) < 4 * 65_536

    def test_a_pipe_that_ends_is_read_like_a_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.csv")
        text = csv_text(row(1), row(2))
        writer = threading.Thread(target=lambda: (tmp_path / "a.csv").write_text(text), daemon=True)
        writer.start()
        seen: list[tuple[int, int]] = []
        result = read_tapes(tmp_path, lambda done, of: seen.append((done, of)))
        writer.join(10)
        assert result.rows == 2
        assert seen[0] == (0, 0)
        assert seen[-1][0] == seen[-1][1] > 0

    def test_a_parquet_file_must_be_a_regular_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.parquet")
        with (
            EndlessWriter(tmp_path / "a.parquet", b"") as written,
            pytest.raises(TapeFileError, match=r"a\.parquet: a Parquet file must be a regular file"),
        ):
            read_tapes(tmp_path)
        assert sum(written) < 4 * 65_536

    def test_an_endless_device_is_left_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "zero.csv").symlink_to("/dev/zero")
        with pytest.raises(TapeFileError, match=r"zero\.csv, row 1: the line is longer than 65,536 bytes"):
            read_tapes(tmp_path)

    def test_fake_parquet_files(self, tmp_path: Path) -> None:
        assert "does not begin with PAR1" in self.refuses(tmp_path, csv_text(row()), "a.parquet")
        assert "truncated" in self.refuses(tmp_path, b"PAR1", "a.parquet")
        assert "damaged" in self.refuses(tmp_path, b"PAR1" + b"\xff" * 64 + b"PAR1", "a.parquet")

    @pytest.mark.parametrize("name", ["b.csv", "b.parquet"])
    def test_a_file_that_vanishes_while_the_folder_is_read(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "a.csv").write_text(csv_text(row()))
        (tmp_path / name).write_text(csv_text(row()))

        def vanish(done: int, total: int) -> None:
            (tmp_path / name).unlink(missing_ok=True)

        with pytest.raises(TapeFileError) as caught:
            read_tapes(tmp_path, vanish)
        assert str(caught.value) == f"{name}: the file is gone, or a link to nothing"

    @pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
    def test_a_file_that_fails_while_it_is_read(self, tmp_path: Path, name: str) -> None:
        memory = tmp_path / "memory"
        memory.symlink_to("/proc/self/mem")  # opens well; its first page cannot be read
        (tmp_path / name).symlink_to(memory)
        with pytest.raises(TapeFileError, match=rf"{name}: cannot be read: Input/output error"):
            read_tapes(tmp_path)

    def test_symbolic_links_that_lead_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
        with pytest.raises(TapeFileError, match=r"loop\.csv: cannot be read: Too many levels"):
            read_tapes(tmp_path)
        (tmp_path / "loop.csv").unlink()
        (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing")
        with pytest.raises(TapeFileError, match=r"gone\.csv: the file is gone, or a link to nothing"):
            read_tapes(tmp_path)

    @settings(deadline=None)
    @given(data=st.binary(max_size=400))
    def test_no_bytes_let_anything_else_escape(self, data: bytes) -> None:
        with TemporaryDirectory() as folder, suppress(TapeFileError):
            read_text(Path(folder), data)

    @settings(deadline=None)
    @given(fields=st.lists(st.lists(st.text(max_size=12), min_size=7, max_size=8), max_size=5))
    def test_no_text_in_the_fields_lets_anything_else_escape(self, fields: list[list[str]]) -> None:
        text = csv_text(row()) + "".join(",".join(f) + "\n" for f in fields)
        with TemporaryDirectory() as folder, suppress(TapeFileError):
            result = read_text(Path(folder), text.encode())
            assert result.rows == sum(t.events.height for t in result.tapes.values()) + result.refused_rows


class EndlessWriter:
    """A thread that writes into a pipe until its reader goes away; gives the sizes of what it wrote."""

    def __init__(self, path: Path, start: bytes) -> None:
        self._path = path
        self._start = start
        self._written: list[int] = []
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        with suppress(BrokenPipeError), self._path.open("wb", buffering=0) as pipe:
            chunk = self._start or b"x" * 4096
            while True:
                self._written.append(pipe.write(chunk) or 0)
                chunk = b"x" * 4096

    def __enter__(self) -> list[int]:
        self._thread.start()
        return self._written

    def __exit__(self, *exception: object) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


class Unprivileged:
    """Calls functions in a thread without a superuser's right to read everything."""

    def __enter__(self) -> Callable[[Callable[[], object]], object]:
        def give_up() -> None:
            if os.geteuid() == 0:
                ctypes.CDLL(None).setfsuid(65_534)  # of this thread only

        self._pool = ThreadPoolExecutor(1, initializer=give_up)
        return lambda function: self._pool.submit(function).result()

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()
