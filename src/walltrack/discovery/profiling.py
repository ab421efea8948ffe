"""Found wallets -> what is said of each: flags over all tokens, profile, score and status. Over ports, as the rest of a
run is, and like its other steps it goes on from what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from walltrack.discovery.at_once import for_each
from walltrack.discovery.clock import Clock
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.flags import account_flags, rush_flags
from walltrack.discovery.models import DiscoveryRunParams, ReadingCost, WalletToProfile
from walltrack.discovery.profile import wallet_profile
from walltrack.discovery.score import gate, wallet_score
from walltrack.discovery.tape import Unmeasurable
from walltrack.discovery.wallet_history import WalletHistory
from walltrack.discovery.wallet_models import FlagEvidence, RushCount, WalletProfile, WalletScore

WALLETS_AT_ONCE: Final = 8
"""Histories that are read at the same time: enough to keep a plan's rate busy while each waits for its pages."""

_ON_THE_LIST: Final = "not profiled: on the exclude list"
_NOT_ASKED_FOR: Final = "not profiled: profile_immediately is off"


@dataclass(frozen=True, slots=True)
class HistoryReading:
    """One wallet's own history, and what reading it cost."""

    history: WalletHistory | Unmeasurable
    cost: ReadingCost = ReadingCost(0, 0)  # noqa: RUF009 - frozen


class Histories(Protocol):
    """Where the histories of wallets come from."""

    def now(self) -> datetime:
        """The moment up to which they are told. A made-up market has a time of its own."""

    async def read_history(self, wallet: str) -> HistoryReading:
        """One wallet's history. Raises WallTrackError where it cannot be had."""


class Profiles(Protocol):
    """Where profiles are kept."""

    async def wallets_of_run(self, run_id: UUID) -> Sequence[WalletToProfile]:
        """The run's wallets, those that matter most first, always in the same order."""

    async def store_profile(
        self,
        run_id: UUID | None,
        wallet_address: str,
        *,
        computed_at: datetime,
        as_of: datetime,
        profile: WalletProfile | None,
        flags: Sequence[FlagEvidence],
        score: WalletScore,
    ) -> bool:
        """Store what is said of a wallet, once for each run."""


class Rushes(Protocol):
    """How often wallets bought in the rush of a launch, over all launches that are stored."""

    async def rush_counts(
        self, wallets: Sequence[str], *, demo: bool | None = None
    ) -> Mapping[str, RushCount]: ...


class AddressLists(Protocol):
    """The operator's own lists."""

    async def excluded(self) -> Mapping[str, str]:
        """Address -> why the operator excludes it."""

    async def exchanges(self) -> Mapping[str, str]:
        """Address -> name of the exchange."""


@dataclass(frozen=True, slots=True)
class ProfileStores:
    """What profiling reads and writes."""

    profiles: Profiles
    rushes: Rushes
    lists: AddressLists


@dataclass(frozen=True, slots=True)
class Profiled:
    """What profiling came to: histories that could not be read, one sentence each, and what all of them cost."""

    errors: Sequence[str]
    cost: ReadingCost


class ProfileProgress(Protocol):
    """Who watches."""

    def wallets_listed(self, wallets: int) -> None: ...

    def wallet_profiled(self, wallet: str) -> None: ...


async def profile_wallets(
    run_id: UUID,
    params: DiscoveryRunParams,
    *,
    histories: Histories,
    stores: ProfileStores,
    clock: Clock,
    progress: ProfileProgress,
    most: int,
    demo: bool,
) -> Profiled:
    """Say of every wallet of a run what there is to say, and store it.

    A history is read, and paid for, for the first `most` wallets that no flag and no list keeps back, where
    `profile_immediately` is on. A history that cannot be read leaves its wallet without a profile, with the reason.
    """
    wallets = await stores.profiles.wallets_of_run(run_id)
    # Those that a process which died has stored already keep their places among the first.
    waiting = [one for one in wallets if not one.is_profiled]
    progress.wallets_listed(len(waiting))
    counts = await stores.rushes.rush_counts([one.wallet_address for one in wallets], demo=demo)
    excluded, exchanges = await stores.lists.excluded(), await stores.lists.exchanges()
    flags = {
        one.wallet_address: flags_of(one.wallet_address, one.evidence, counts, exchanges) for one in wallets
    }
    promising = [address for address in flags if gate(flags[address]) is None and address not in excluded]
    to_read = frozenset(promising[:most]) if params.profile_immediately else frozenset()
    too_many = f"not profiled: a run reads the histories of its first {most:,} wallets"
    left_out = too_many if params.profile_immediately else _NOT_ASKED_FOR
    errors: list[str] = []
    spent: list[ReadingCost] = []

    async def profile(wallet: WalletToProfile) -> None:
        address = wallet.wallet_address
        as_of = histories.now()
        measured: WalletProfile | None = None
        missing: str | None = _ON_THE_LIST if address in excluded else left_out
        if address in to_read:
            try:
                reading = await histories.read_history(address)
            except WallTrackError as error:
                missing = f"its history could not be read: {error}"
                errors.append(f"profile of {address}: {error}")
            else:
                spent.append(reading.cost)
                if isinstance(reading.history, Unmeasurable):
                    missing = f"its history could not be read: {reading.history.reason}"
                else:
                    missing, measured = None, wallet_profile(reading.history, as_of)
        await stores.profiles.store_profile(
            run_id,
            address,
            computed_at=clock.now(),
            as_of=as_of,
            profile=measured,
            flags=flags[address],
            # What the operator's list says is joined where a wallet is shown: it holds only as long as the entry.
            score=wallet_score(measured, flags[address], missing=missing),
        )
        progress.wallet_profiled(address)

    await for_each(waiting, profile, at_once=WALLETS_AT_ONCE)
    return Profiled(errors, sum(spent, ReadingCost(0, 0)))


def flags_of(
    wallet: str,
    of_tapes: Sequence[FlagEvidence],
    counts: Mapping[str, RushCount],
    exchanges: Mapping[str, str],
) -> tuple[FlagEvidence, ...]:
    """All flags of a wallet: those of its tapes, of all launches together, and of its address."""
    overall = rush_flags(wallet, counts[wallet]) if wallet in counts else ()
    return (*of_tapes, *overall, *account_flags(wallet, exchanges))
