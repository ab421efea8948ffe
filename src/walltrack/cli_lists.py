"""Commands about the operator's own lists: addresses to watch, to keep back, and those of exchanges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from walltrack.cli_options import AsJson
from walltrack.cli_running import print_json, tell, with_database
from walltrack.cli_server import HereOnly
from walltrack.cli_tables import Screen, counted, moment
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.address_list_repo import (
    LONGEST_LABEL,
    LONGEST_NOTE,
    AddressListRepository,
)
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import AddressEntry
from walltrack.discovery.wallet_models import AddressList, ListedAddress
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.services.files.address_csv import is_address, read_addresses, write_addresses

ADDED_BY = "command line"

Which = Annotated[AddressList, typer.Argument(metavar="watch|exclude|exchange", help="Which list.")]
Address = Annotated[str, typer.Argument(help="The address, base58.")]

lists_app = typer.Typer(
    help="Your own lists: wallets to watch, wallets to keep out of the ranking, addresses of exchanges.",
    no_args_is_help=True,
)


@lists_app.command("show", cls=HereOnly)
def lists_show(which: Which, json: AsJson = False) -> None:
    """What is on a list, in the order in which it came there."""
    listed = _listed(which)
    if json:
        print_json({"list": which, "addresses": listed})
        return
    screen = Screen()
    screen.rows(
        ("address", "label", "note", "added", "by"),
        [
            (one.address, one.label or "", one.note or "", moment(one.added_at), one.added_by or "")
            for one in listed
        ],
    )
    screen.say(f"On the {which.value} list: {counted(len(listed), 'address')}.")


@lists_app.command("add", cls=HereOnly)
def lists_add(
    which: Which,
    address: Address,
    label: Annotated[
        str | None, typer.Option(help=f"A name, at most {LONGEST_LABEL} characters.", show_default=False)
    ] = None,
    note: Annotated[
        str | None, typer.Option(help=f"Why, at most {LONGEST_NOTE} characters.", show_default=False)
    ] = None,
) -> None:
    """Put an address on a list. One that is there gets the label and the note anew."""
    if not is_address(address):
        raise BadInputError(f"{address[:60]!r} is not a base58 address of 32 bytes")
    for name, text, most in (("--label", label, LONGEST_LABEL), ("--note", note, LONGEST_NOTE)):
        if text is not None and len(text) > most:
            raise BadInputError(f"{name}: {len(text):,} characters, at most {most:,} are kept")
    entry = AddressEntry(address, label or None, note or None)

    async def put(database: Database) -> int:
        now = SystemClock().now()
        return await AddressListRepository(database).put(which, [entry], added_at=now, added_by=ADDED_BY)

    with_database(put)
    Screen().say(f"{address} is on the {which.value} list.")


@lists_app.command("remove", cls=HereOnly)
def lists_remove(which: Which, address: Address) -> None:
    """Take an address off a list."""

    async def remove(database: Database) -> bool:
        return await AddressListRepository(database).remove(which, address)

    if not with_database(remove):
        raise BadInputError(f"{address} is not on the {which.value} list")
    Screen().say(f"{address} is off the {which.value} list.")


@lists_app.command("import", cls=HereOnly)
def lists_import(
    which: Which, file: Annotated[Path, typer.Argument(help="A CSV file: address,label,note.")]
) -> None:
    """Put all addresses of a CSV file on a list, or none where any row cannot be used.

    Those that are there get label and note anew; those that the file does not name stay.
    """
    content = read_addresses(file, longest={"label": LONGEST_LABEL, "note": LONGEST_NOTE})
    if content.ignored:
        tell(f"{file}: not used: the columns {', '.join(content.ignored)}")

    async def put(database: Database) -> int:
        now = SystemClock().now()
        return await AddressListRepository(database).put(
            which, content.entries, added_at=now, added_by=f"{ADDED_BY}, {file.name}"
        )

    count = with_database(put)
    Screen().say(f"Put on the {which.value} list: {counted(count, 'address')} of {file}.")


@lists_app.command("export", cls=HereOnly)
def lists_export(
    which: Which, file: Annotated[Path, typer.Argument(help="Where to write the CSV file.")]
) -> None:
    """Write a list as a CSV file, as `lists import` reads it."""
    listed = _listed(which)
    write_addresses(file, listed)
    Screen().say(f"{file} has {counted(len(listed), 'address')} of the {which.value} list.")


def _listed(which: AddressList) -> list[ListedAddress]:
    async def read(database: Database) -> list[ListedAddress]:
        return await AddressListRepository(database).listed(which)

    return with_database(read)
