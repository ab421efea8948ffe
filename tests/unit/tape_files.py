"""Makes rows and files of tapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solders.keypair import Keypair
from solders.signature import Signature

from walltrack.discovery.tape import TAPE_SCHEMA, Tape
from walltrack.services.files import TapeFolder, read_tapes

T0 = 1_700_000_000
COLUMNS = ("block_time", "seq", "wallet", "mint", "side", "token_amount", "sol_delta")


def address(number: int) -> str:
    return str(Keypair.from_seed(number.to_bytes(32, "little")).pubkey())


def signature(number: int) -> str:
    return str(Signature.from_bytes(number.to_bytes(64, "big")))


MINT, OTHER_MINT, WALLET = address(1), address(2), address(3)


def row(seq: int = 1, /, **values: object) -> dict[str, object]:
    """A valid buy, with other values where given."""
    valid = {
        "block_time": T0 + seq,
        "seq": seq,
        "wallet": WALLET,
        "mint": MINT,
        "side": "buy",
        "token_amount": "10.5",
        "sol_delta": "-1",
    }
    return valid | values


def csv_text(*rows: dict[str, object], columns: Sequence[str] = ()) -> str:
    names = columns or list(dict.fromkeys(name for r in rows for name in r))
    lines = [",".join(names), *(",".join(str(r.get(name, "")) for name in names) for r in rows)]
    return "".join(f"{line}\n" for line in lines)


def read_text(folder: Path, text: str | bytes, name: str = "tape.csv") -> TapeFolder:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_tapes(folder)


def values(result: TapeFolder, column: str, mint: str = MINT) -> list[Any]:
    return result.tapes[mint].events[column].to_list()


def assert_equal(left: Tape, right: Tape) -> None:
    assert left.events.schema == right.events.schema == TAPE_SCHEMA
    assert left.events.rows() == right.events.rows()
    assert _head(left) == _head(right)


def _head(tape: Tape) -> tuple[object, ...]:
    return (tape.mint, tape.decimals, tape.launch_time, tape.launch_slot, tape.starts_late, tape.cut)
