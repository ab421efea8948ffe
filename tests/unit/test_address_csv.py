"""Lists of addresses as CSV files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.solana import wallet
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import AddressEntry
from walltrack.discovery.wallet_models import AddressList, ListedAddress
from walltrack.services.files.address_csv import address_csv, read_addresses, write_addresses

ONE, OTHER = wallet("one"), wallet("other")
LONGEST = {"label": 200, "note": 2000}
NOW = datetime(2026, 5, 6, tzinfo=UTC)

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def listed(entry: AddressEntry) -> ListedAddress:
    return ListedAddress(AddressList.WATCH, entry.address, entry.label, entry.note, NOW, None)


@given(st.dictionaries(st.integers(0, 99), st.tuples(texts, texts)))
def test_what_was_written_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, notes: dict[int, tuple[str | None, str | None]]
) -> None:
    entries = [AddressEntry(wallet(str(number)), *said) for number, said in notes.items()]
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    write_addresses(path, map(listed, entries))
    content = read_addresses(path, longest=LONGEST)
    assert content.entries == sorted(entries, key=lambda entry: entry.address)
    assert address_csv(map(listed, content.entries)) == path.read_bytes()


def read(tmp_path: Path, content: str | bytes) -> list[AddressEntry]:
    path = tmp_path / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_addresses(path, longest=LONGEST).entries)


def test_columns_stand_in_any_order_and_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(f"\ufeffsource, name ,address\r\nx,Binance 1, {ONE} \r\n\r\ny,,{OTHER}\r\n".encode())
    content = read_addresses(path, longest=LONGEST)
    assert content.entries == [AddressEntry(ONE, "Binance 1"), AddressEntry(OTHER)]
    assert content.ignored == ["source"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"address\n{ONE}\nnobody\n", "row 3, field address: 'nobody' is not a base58 address of 32 bytes"),
        (f"address\n\n{ONE}\n{ONE}\n", f"row 4, field address: {ONE} stands in row 3 already"),
        (f'address,note\n{ONE},"a\nb"\nx,y\n', "row 4, field address: 'x'"),
        (f"address,label\n{ONE},{'x' * 201}\n", "row 2, field label: 201 characters, at most 200 are kept"),
        (
            f"address,note\n{ONE},{'x' * 2001}\n",
            "row 2, field note: 2,001 characters, at most 2,000 are kept",
        ),
        (f"address,note\n{ONE}\n", "row 2: 1 fields where the header has 2"),
        (f"wallet,note\n{ONE},x\n", "there is no column address; the first line names 'wallet', 'note'"),
        (f"address,label,name\n{ONE},x,y\n", "label and name mean the same"),
        ("address,address\n", "the column address stands there twice"),
        ("", "the file is empty"),
        (f'address,note\n{ONE},"x\n', "row 2: unexpected end of data"),
        (b"address\n\xff\n", "byte 8 is not UTF-8"),
        ("address\n" + "x\n" * 7, "and 2 more"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(BadInputError, match="mine") as refused:
        read(tmp_path, content)
    assert said in str(refused.value)


def test_a_missing_file_or_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        read_addresses(tmp_path / "none.csv", longest=LONGEST)
    with pytest.raises(BadInputError, match="there is no folder"):
        write_addresses(tmp_path / "none" / "list.csv", [])
