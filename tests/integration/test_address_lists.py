"""The operator's own lists."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.integration.conftest import InDatabase
from tests.integration.databases import NOW
from tests.integration.profiles import account
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import AddressEntry
from walltrack.discovery.wallet_models import AddressList, ListedAddress

LATER = NOW + timedelta(hours=1)
A, B, C = account(1), account(2), account(3)


def test_what_is_put_on_a_list_again_replaces_what_stood_there_but_for_the_time(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        repo = AddressListRepository(database)
        await repo.add(
            AddressList.WATCH, A, label="whale", note="seen \x00 often", added_at=NOW, added_by="ada"
        )
        await repo.add(AddressList.WATCH, B, added_at=LATER)
        await repo.add(AddressList.WATCH, A, note="quiet now", added_at=LATER, added_by="bob")
        assert await repo.listed(AddressList.WATCH) == [
            ListedAddress(AddressList.WATCH, A, None, "quiet now", NOW, "bob"),
            ListedAddress(AddressList.WATCH, B, None, None, LATER, None),
        ]
        assert await repo.listed(AddressList.EXCLUDE) == []

    in_database(scenario)


def test_an_address_can_be_on_several_lists_and_is_taken_off_one(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = AddressListRepository(database)
        for which in AddressList:
            await repo.add(which, A, label="Okto", note=f"why {which}", added_at=NOW)
        assert await repo.excluded() == {A: "why exclude"}
        assert await repo.exchanges() == {A: "Okto"}
        assert await repo.remove(AddressList.EXCLUDE, A)
        assert not await repo.remove(AddressList.EXCLUDE, A)
        assert {entry.list for entry in await repo.of(A)} == {AddressList.EXCHANGE, AddressList.WATCH}
        assert (await repo.of(B), await repo.excluded()) == ([], {})

    in_database(scenario)


def test_an_exclusion_without_a_note_says_that_it_is_the_operators(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        repo = AddressListRepository(database)
        entries = [AddressEntry(A), AddressEntry(B, "my own"), AddressEntry(C, "x", "rug")]
        assert await repo.put(AddressList.EXCLUDE, entries, added_at=NOW) == 3
        assert await repo.excluded() == {A: "on the exclude list", B: "my own", C: "rug"}

    in_database(scenario)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (AddressEntry("l0"), "row 4, field address: 'l0' is not a base58 address of 32 bytes"),
        (AddressEntry(""), "row 4, field address: '' is not a base58 address"),
        (AddressEntry("5" * 88), "row 4, field address: .* is not a base58 address"),
        (AddressEntry(A + "\x00"), "row 4, field address: .* is not a base58 address"),
        (AddressEntry(A), f"row 4, field address: {A} stands in row 2 already"),
        (AddressEntry(C, label="x" * 201), "row 4, field label: 201 characters, at most 200"),
        (AddressEntry(C, note="x" * 2001), "row 4, field note: 2001 characters, at most 2000"),
    ],
)
def test_one_bad_row_and_none_of_them_is_stored(
    in_database: InDatabase, bad: AddressEntry, message: str
) -> None:
    async def scenario(database: Database) -> None:
        repo = AddressListRepository(database)
        with pytest.raises(BadInputError, match=message):
            await repo.put(
                AddressList.WATCH, [AddressEntry(A), AddressEntry(B), bad], added_at=NOW, first_row=2
            )
        assert await repo.listed(AddressList.WATCH) == []

    in_database(scenario)
