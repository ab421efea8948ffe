"""The operator's own lists: addresses to watch, to keep back, and those of exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from solders.pubkey import Pubkey

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import Row, aware, storable, utc
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import AddressEntry
from walltrack.discovery.wallet_models import AddressList, ListedAddress

LONGEST_LABEL: Final = 200
LONGEST_NOTE: Final = 2000

# In the order of the addresses, so that two who write the same ones wait for each other and never deadlock.
_PUT: Final = """
    INSERT INTO address_lists AS entry (list, address, label, note, added_at, added_by)
    SELECT %(list)s, given.address, given.label, given.note, %(added_at)s, %(added_by)s
    FROM unnest(%(addresses)s::varchar[], %(labels)s::text[], %(notes)s::text[]) AS given (address, label, note)
    ORDER BY given.address
    ON CONFLICT (list, address) DO UPDATE
    SET label = excluded.label, note = excluded.note, added_by = excluded.added_by
"""

_REMOVE: Final = "DELETE FROM address_lists WHERE list = %s AND address = %s RETURNING address"

_LISTED: Final = "SELECT * FROM address_lists WHERE list = %s ORDER BY added_at, address"

_OF: Final = "SELECT * FROM address_lists WHERE address = %s ORDER BY list"


class AddressListRepository:
    """Rows of `address_lists`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self,
        which: AddressList,
        entries: Sequence[AddressEntry],
        *,
        added_at: datetime,
        added_by: str | None = None,
        first_row: int = 1,
    ) -> int:
        """Put addresses on a list: all of them or, where one cannot be used, none. Returns how many were given.

        For one that is there, label, note and who added it are replaced (None: by nothing), and the time stays.
        `first_row` is the number by which an error names the first entry. Raises BadInputError, naming row and field,
        for what is no base58 address of 32 bytes, stands twice, or has too long a label or note.
        """
        _check(entries, first_row)
        async with self._database.autocommit() as connection:
            await connection.execute(
                _PUT,
                {
                    "list": which.value,
                    "addresses": [entry.address for entry in entries],
                    "labels": [storable(entry.label) for entry in entries],
                    "notes": [storable(entry.note) for entry in entries],
                    "added_at": aware(added_at),
                    "added_by": storable(added_by),
                },
            )
        return len(entries)

    async def add(
        self,
        which: AddressList,
        address: str,
        *,
        label: str | None = None,
        note: str | None = None,
        added_at: datetime,
        added_by: str | None = None,
    ) -> None:
        """`put` for one address."""
        await self.put(which, [AddressEntry(address, label, note)], added_at=added_at, added_by=added_by)

    async def remove(self, which: AddressList, address: str) -> bool:
        """Take an address off a list. False: it was not on it."""
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_REMOVE, (which.value, storable(address)))
            return await cursor.fetchone() is not None

    async def listed(self, which: AddressList) -> list[ListedAddress]:
        """A whole list, in the order in which it came to be."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_LISTED, (which.value,))).fetchall()
        return [_listed(row) for row in rows]

    async def of(self, address: str) -> list[ListedAddress]:
        """What the operator noted of an address, one for each list it is on."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_OF, (storable(address),))).fetchall()
        return [_listed(row) for row in rows]

    async def excluded(self) -> dict[str, str]:
        """The addresses on the exclude list -> why, in the operator's words where he gave any."""
        return {
            entry.address: entry.note or entry.label or "on the exclude list"
            for entry in await self.listed(AddressList.EXCLUDE)
        }

    async def exchanges(self) -> dict[str, str]:
        """The addresses on the list of exchanges -> the name of each exchange."""
        return {
            entry.address: entry.label or "an exchange without a name"
            for entry in await self.listed(AddressList.EXCHANGE)
        }


def _check(entries: Sequence[AddressEntry], first_row: int) -> None:
    rows: dict[str, int] = {}
    for number, entry in enumerate(entries, first_row):
        if not _is_address(entry.address):
            raise BadInputError(
                f"row {number}, field address: {entry.address[:60]!r} is not a base58 address of 32 bytes; "
                "nothing was stored"
            )
        if entry.address in rows:
            raise BadInputError(
                f"row {number}, field address: {entry.address} stands in row {rows[entry.address]} already; "
                "nothing was stored"
            )
        rows[entry.address] = number
        for field, text, most in (("label", entry.label, LONGEST_LABEL), ("note", entry.note, LONGEST_NOTE)):
            if text is not None and len(text) > most:
                raise BadInputError(
                    f"row {number}, field {field}: {len(text)} characters, at most {most} are kept; "
                    "nothing was stored"
                )


def _is_address(text: str) -> bool:
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True


def _listed(row: Row) -> ListedAddress:
    return ListedAddress(
        list=AddressList(row["list"]),
        address=row["address"],
        label=row["label"],
        note=row["note"],
        added_at=utc(row["added_at"]),
        added_by=row["added_by"],
    )
