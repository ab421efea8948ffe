"""Finding transactions: by signature, slot, time and address. Positions are indexes into the market's transactions."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from walltrack.sandbox.types import Market, SandboxTransaction

OwnedAccounts = Literal["none", "balanceChanged", "all"]

_SECONDS_PER_SLOT: Final = 0.4
_GENESIS: Final = 0


class ChainIndex:
    """Indexes over a market's transactions. Raises ValueError if they do not stand in chain order."""

    def __init__(self, market: Market) -> None:
        self.transactions: Sequence[SandboxTransaction] = market.transactions
        self._now = market.now
        self.by_signature = {t.signature: position for position, t in enumerate(self.transactions)}
        self._keys = [(t.slot, t.index) for t in self.transactions]
        self._slots = array("q", (t.slot for t in self.transactions))
        self._times = array("q", (t.block_time for t in self.transactions))
        if any(a >= b for a, b in zip(self._keys, self._keys[1:], strict=False)):
            raise ValueError("the market's transactions must stand in chain order, each (slot, index) once")
        if any(a > b for a, b in zip(self._times, self._times[1:], strict=False)):
            raise ValueError("the market's block times must not fall from one transaction to the next")
        self._by_address: dict[OwnedAccounts, dict[str, array[int]]] = {"none": self._index("none")}

    def __len__(self) -> int:
        return len(self._keys)

    def positions(self, address: str, owned: OwnedAccounts = "none") -> Sequence[int]:
        """The transactions that name an address, in chain order.

        With "balanceChanged" those too that change a token account it owns, with "all" those that touch one.
        """
        if owned not in self._by_address:
            self._by_address[owned] = self._index(owned)
        return self._by_address[owned].get(address, array("L"))

    def from_slot(self, slot: int) -> int:
        """The first position at or after a slot."""
        return bisect_left(self._slots, slot)

    def from_time(self, unix: int) -> int:
        """The first position at or after a time."""
        return bisect_left(self._times, unix)

    def from_key(self, slot: int, index: int) -> int:
        """The first position at or after a place in a slot."""
        return bisect_left(self._keys, (slot, index))

    @property
    def slot(self) -> int:
        """The slot of the market's newest moment."""
        if not self._keys:
            return _GENESIS
        return self._slots[-1] + max(0, round((self._now - self._times[-1]) / _SECONDS_PER_SLOT))

    def block_time(self, slot: int) -> int | None:
        """Seconds, between the transactions around the slot where it has none; None for a slot that is not yet."""
        if not self._keys or slot > self.slot or slot < 0:
            return None
        after = bisect_left(self._slots, slot)
        if after < len(self._slots) and self._slots[after] == slot:
            return self._times[after]
        if after == 0:
            return round(self._times[0] - (self._slots[0] - slot) * _SECONDS_PER_SLOT)
        before = after - 1
        if after == len(self._slots):
            return min(
                self._now, round(self._times[before] + (slot - self._slots[before]) * _SECONDS_PER_SLOT)
            )
        share = (slot - self._slots[before]) / (self._slots[after] - self._slots[before])
        return round(self._times[before] + share * (self._times[after] - self._times[before]))

    def _index(self, owned: OwnedAccounts) -> dict[str, array[int]]:
        found: dict[str, array[int]] = {}
        for position, transaction in enumerate(self.transactions):
            for address in _addresses(transaction, owned):
                positions = found.get(address)
                if positions is None:
                    positions = found[address] = array("L")
                positions.append(position)
        return found


def _addresses(transaction: SandboxTransaction, owned: OwnedAccounts) -> set[str]:
    addresses = set(transaction.accounts)
    if owned != "none":
        addresses.update(transaction.token_owners)
    if owned == "all":
        addresses.update(balance.owner for balance in transaction.token_balances)
    return addresses


def walk(positions: Sequence[int], low: int, high: int, *, ascending: bool) -> Iterator[int]:
    """Those of `positions` (ascending) that lie in [low, high), in the wanted order."""
    first, last = bisect_left(positions, low), bisect_right(positions, high - 1)
    places = range(first, last) if ascending else range(last - 1, first - 1, -1)
    return (positions[place] for place in places)
