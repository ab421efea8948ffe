"""Reading a tape from the chain in streams: one address, oldest first, page by page, and where each one stands.

A page's rows and the stream's new place are stored together, so a stream goes on where it ended, in any process. A
mint's tape is made of its own stream, those of pools whose venue does not name the mint, and those of token accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import polars as pl

from walltrack.discovery.errors import WallTrackError

STREAM_LEASE: Final = timedelta(seconds=60)
"""How long a stream stays claimed without a sign of life. Its reader gives one every third of this time."""


class StreamKind(StrEnum):
    """What a stream's address is to the mint."""

    MINT = "mint"
    POOL = "pool"
    ACCOUNT = "account"


class Route(StrEnum):
    """How a stream is read from the chain."""

    HISTORY = "getTransactionsForAddress"
    SIGNATURES = "getSignaturesForAddress"


class StreamBusyError(WallTrackError):
    """Somebody else reads this stream just now. What it stores is there for everybody: wait, then look again."""

    def __init__(self, mint: str, address: str, claimed_by: str | None) -> None:
        super().__init__(f"tape of {mint}: {address} is being read by {claimed_by or 'another process'}")
        self.mint = mint
        self.address = address


class StaleStreamError(WallTrackError):
    """The claim on a stream was lost to somebody else; the late page was not stored."""

    def __init__(self, mint: str, address: str, attempt: int) -> None:
        super().__init__(
            f"tape of {mint}: attempt {attempt} no longer holds the stream of {address}; its page was not stored"
        )
        self.mint = mint
        self.address = address
        self.attempt = attempt


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Options of one walk by getTransactionsForAddress, the same for all its pages. Bounds None: open; of them only
    `after_slot` leaves out what it names.

    A walk gives what succeeded, oldest first; one `of_wallet` newest first, with failed transactions and with those
    that only changed a token account of the wallet.
    """

    limit: int
    after_slot: int | None = None
    to_time: int | None = None
    to_slot: int | None = None
    from_time: int | None = None
    of_wallet: bool = False


@dataclass(frozen=True, slots=True)
class SignatureWalk:
    """One walk by getSignaturesForAddress: newest first to the end, or down to what is read already.

    `before` is the signature from which the walk goes on, None at its start; `done` once it reached its end; `read`
    counts the transactions read since, from the oldest.
    """

    number: int
    before: str | None = None
    done: bool = False
    read: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream stands. All that succeeded up to `complete_to_slot`, and up to the Unix second
    `complete_to_time`, is stored; where it is `exhausted`, up to the newest transaction of that moment,
    which was `exhausted_ago` seconds before this was looked up.

    `transactions` were read, of which `refused` did not have a transaction's shape; `missing` were listed by the
    provider and never delivered. `query` and `token`, or `walk`, say how the next page is asked for. `token_program`
    owns the mint; `odd_accounts` are token accounts of the mint, by owner, that are not the associated ones.
    """

    query: HistoryQuery | None = None
    token: str | None = None
    walk: SignatureWalk | None = None
    complete_to_slot: int | None = None
    complete_to_time: int | None = None
    exhausted: bool = False
    exhausted_ago: float | None = None
    transactions: int = 0
    refused: int = 0
    missing: int = 0
    decimals: int | None = None
    token_program: str | None = None
    escrow_owners: Mapping[str, str] = field(default_factory=dict)
    odd_accounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamClaim:
    """A stream held by one reader. `attempt` is the fence: only its holder stores."""

    stream_id: UUID
    mint: str
    address: str
    kind: StreamKind
    attempt: int
    place: Place
    segments: int


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as it is stored, for those who only look."""

    address: str
    kind: StreamKind
    place: Place


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """Rows (TAPE_SCHEMA) of one page of the stream of `address`."""

    address: str
    kind: StreamKind
    number: int
    frame: pl.DataFrame


@dataclass(frozen=True, slots=True)
class ListedSignature:
    """A transaction as a list of signatures names it."""

    signature: str
    slot: int
    block_time: int | None
    failed: bool = False
