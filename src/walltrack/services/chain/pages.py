"""One page of transactions -> rows of the tape, and what it tells of token accounts. Computation, for a thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from walltrack.discovery.chain_tape import TapeRows, tape_rows
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.tape_streams import Place
from walltrack.discovery.transactions import RpcTransaction, Transaction, is_on_curve
from walltrack.services.chain.token_accounts import odd_ones, program_of
from walltrack.services.solana_rpc.received import Received, received

_UNREADABLE = (WallTrackError, LookupError, ValueError, TypeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """Rows of a page, and the place after it as far as its transactions tell: their number, owners and accounts.

    `last_slot` and `last_time` are those of its newest transaction, None where it has none.
    """

    rows: TapeRows
    place: Place
    last_slot: int | None
    last_time: int | None


def decode_page(
    mint: str,
    items: Iterable[msgspec.Raw | bytes | RpcTransaction | None],
    place: Place,
    escrow_owners: Mapping[str, str],
) -> DecodedPage:
    """Decode the items of a page, given oldest first. What is no transaction is counted as refused."""
    page = received(items, mint)
    rows, unreadable = _rows(mint, page.transactions, {**place.escrow_owners, **escrow_owners})
    place = replace(
        place,
        transactions=place.transactions + len(page.transactions),
        refused=place.refused + page.refused + unreadable,
        decimals=place.decimals if rows.decimals is None else rows.decimals,
        escrow_owners=rows.escrow_owners,
    )
    return DecodedPage(
        rows,
        _with_accounts(mint, place, page),
        max((tx.slot for tx in page.transactions), default=None),
        max((tx.block_time for tx in page.transactions if tx.block_time is not None), default=None),
    )


def _rows(mint: str, transactions: list[Transaction], owners: Mapping[str, str]) -> tuple[TapeRows, int]:
    """The rows, and how many transactions had to be left out because their instructions cannot be read."""
    try:
        return tape_rows(mint, transactions, owners), 0
    except _UNREADABLE:
        readable = [tx for tx in transactions if _is_readable(mint, tx, owners)]
        return tape_rows(mint, readable, owners), len(transactions) - len(readable)


def _is_readable(mint: str, transaction: Transaction, owners: Mapping[str, str]) -> bool:
    try:
        tape_rows(mint, [transaction], owners)
    except _UNREADABLE:
        return False
    return True


def _with_accounts(mint: str, place: Place, page: Received) -> Place:
    program = place.token_program or program_of(mint, page.accounts)
    if program is None:
        return place
    # Pools and vaults are nobody whose ledger is asked for later.
    owners = {o: a for o, a in page.accounts.items() if o in place.escrow_owners or is_on_curve(o)}
    odd = dict(place.odd_accounts)
    for owner, accounts in odd_ones(mint, program, owners).items():
        odd[owner] = tuple(sorted({*odd.get(owner, ()), *accounts}))
    return replace(place, token_program=program, odd_accounts=odd)
