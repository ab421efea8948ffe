"""What each wallet is to be flagged with: from what the sandbox staged, and from what it booked while it did so.

`launch_slot`, `sniper`, `passes_on`, `tokens_in`, `insider` and `fast_trade` follow from the books, whoever the wallet
is: one of the crowd that happens to do the same is flagged as well. The others are known only where they are staged;
`no_trader` is whoever owns tokens and is no wallet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from walltrack.sandbox.books import Entry, Position

if TYPE_CHECKING:
    from walltrack.sandbox.venues import Coin
    from walltrack.sandbox.world import World

StagedFlag = Literal["bundle", "wash", "round_trip", "infrastructure", "exchange"]
GroupKind = Literal["bundles", "rings"]

RUSH_SLOTS: Final = 3
"""A sniper's first buy stands in one of so many slots after that of the launch."""

FAST_SECONDS: Final = 60

# What the books note of a transfer that went to, or came from, another wallet. Others go into pools, or are fees.
_BETWEEN_WALLETS: Final = frozenset({"", "airdrop"})


@dataclass(slots=True)
class Staged:
    """What was staged: flags of wallets (on a mint, or over all), and who acts together on a mint."""

    marks: dict[tuple[StagedFlag, str, str | None], None] = field(default_factory=dict)
    groups: dict[str, dict[GroupKind, list[list[str]]]] = field(default_factory=dict)
    gifts: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # (mint, taker) -> givers

    def gave(self, mint: str, giver: str, taker: str) -> None:
        """Note who gave tokens to whom."""
        self.gifts.setdefault((mint, taker), set()).add(giver)

    def mark(self, flag: StagedFlag, wallet: str, mint: str | None = None) -> None:
        self.marks[flag, wallet, mint] = None

    def bundle(self, mint: str, wallets: Sequence[str]) -> None:
        """Wallets of one hand that bought together: nothing where only one of them did."""
        if len(wallets) > 1:
            self._group("bundles", "bundle", mint, wallets)

    def ring(self, mint: str, wallets: Sequence[str]) -> None:
        """Wallets of one hand that trade with each other."""
        self._group("rings", "wash", mint, wallets)

    def _group(self, kind: GroupKind, flag: StagedFlag, mint: str, wallets: Sequence[str]) -> None:
        self.groups.setdefault(mint, {"bundles": [], "rings": []})[kind].append(list(wallets))
        for wallet in wallets:
            self.mark(flag, wallet, mint)


def tell_flags(world: World, coins: Iterable[Coin]) -> list[dict[str, Any]]:
    """All flags, by name, mint and wallet. `coins` are those that were traded."""
    found: set[tuple[str, str | None, str]] = {
        (flag, mint, wallet)
        for flag, wallet, mint in world.staged.marks
        # A round trip of which nothing was left over shows in no balance.
        if flag not in ("wash", "round_trip")
        or (mint is not None and world.books.position(mint, wallet).entries)
    }
    for coin in coins:
        launch = world.books.launches[coin.mint]
        for wallet, position in world.books.positions[coin.mint].items():
            found.update((flag, coin.mint, wallet) for flag in _booked(position, launch))
        insiders = {coin.creator.address} | {
            wallet for flag, mint, wallet in found if mint == coin.mint and flag in ("launch_slot", "bundle")
        }
        found.update(
            ("insider", mint, wallet)
            for flag, mint, wallet in tuple(found)
            if mint == coin.mint
            and flag == "tokens_in"
            and not insiders.isdisjoint(world.staged.gifts.get((mint, wallet), ()))
        )
    owners = {balance.owner for tx in world.transactions for balance in tx.token_balances}
    found.update(("no_trader", None, owner) for owner in owners - world.wallets.keys())
    return [
        {"flag": flag, "wallet": wallet, "mint": mint}
        for flag, mint, wallet in sorted(found, key=lambda f: (f[0], f[1] or "", f[2]))
    ]


def _booked(position: Position, launch: Entry) -> Iterator[str]:
    first = position.first_buy
    if first is not None:
        after = first.slot - launch.slot
        if after == 0:
            yield "launch_slot"
        elif after <= RUSH_SLOTS:
            yield "sniper"
    if _was_fast(position):
        yield "fast_trade"
    bought = False
    for entry in position.entries:
        if entry.kind == "sell":
            return
        bought = bought or entry.kind == "buy"
        if entry.note in _BETWEEN_WALLETS:
            if entry.kind == "transfer_in":
                yield "tokens_in"
            elif entry.kind == "transfer_out" and bought:
                yield "passes_on"


def _was_fast(position: Position) -> bool:
    """Whether anything bought was sold again, but for a fiftieth of the most that was held, within a minute."""
    held = most = opened_at = 0
    bought = False
    for entry in position.entries:
        is_empty = 50 * held <= most
        if entry.kind in ("buy", "transfer_in"):
            if is_empty:
                most, opened_at, bought = 0, entry.block_time, False
            held += entry.token_raw
            most = max(most, held)
            bought = bought or entry.kind == "buy"
            continue
        held = max(0, held - entry.token_raw)
        is_fast = bought and entry.block_time - opened_at < FAST_SECONDS
        if entry.kind == "sell" and is_fast and not is_empty and 50 * held <= most:
            return True
    return False
