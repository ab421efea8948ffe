"""One transaction -> the swaps, transfers and escrow moves in it, from balance changes alone.

A wallet's trade is its net change over the whole transaction, whatever route it took, so a protocol that nobody
has heard of yet decodes like any other. The rules:

- **Legs.** A trade has exactly one mint that left the wallet and one that came. SOL is a leg only where owners that
  also exchanged tokens received or gave it: tips, platform fees and rent go elsewhere. What a route left over of a
  mint in between is no leg: it is a small part of what moved of that mint.
- **Counterparty.** The bought mint left another owner and the sold mint reached another. Minted receipts (stakes,
  deposits, liquidity shares) fail this; only a mint's own creation with a first buy may bring tokens that nobody had,
  where the curve that holds the others took the price. A lending vault is no counterparty: a loan repaid for its
  collateral looks like a swap in every other respect.
- **Trader.** An owner that signed, or that owns the order which a keeper filled. An owner and its order's escrow
  count as one owner, so funds keep their basis there and the escrow's rent cancels out. Two traders that mirror each
  other are one trade: with the signers known, the one that pays the fee quoted the price and the other traded.
- **No signers known** (enhanced transactions): owners on the ed25519 curve are taken for possible traders, since
  pools and vaults are program-derived and lie off it. Of two that mirror each other the fee payer traded.
- An owner on the curve that did not sign, and trades where no signer does, is a delegated trade, marked unsigned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from walltrack.discovery.tape import WSOL
from walltrack.discovery.transactions import Transaction, is_on_curve

ORDER_PROGRAMS: Final = frozenset(
    {
        "jupoNjAxXgZ4rjzxzPMP4oxduvQsQtZzyknqvzYNrNu",  # Jupiter limit orders, version 1
        "j1o2qRpjcyUwEvwtcfhEQefh773ZgjxcVRry7LDqg5X",  # Jupiter limit orders, version 2
        "DCA265Vj8a9CEuX1eb1LWRnDT7uK6q1xMipnNyatn23M",  # Jupiter DCA
    }
)
"""Programs that hold a user's funds in escrow until a keeper fills the order."""

LENDING_PROGRAMS: Final = frozenset(
    {
        "jup3YeL8QhtSx1e253b2FDvsMNC87fDrgQZivbrndc9",  # Jupiter Lend, earn
        "jupr81YtYssSyPt8jbnGuiWon5f6x9TcDEFxYe3Bdzi",  # Jupiter Lend, vaults
        "jupeiUmn818Jg1ekPURTpr4mFo29p46vygyykFJ3wZC",  # Jupiter Lend, liquidity
        "KLend2g3cP87fffoy8q1mQqGKjrxjC8boSyAYavgmjD",  # Kamino Lend
        "MFv2hWf31Z9kbCa1snEPYctwafyhdvnV7FZnsebVacA",  # marginfi
        "So1endDq2YkqhipRh3WViPa8hdiSpxWy6z3Z6tMCpAo",  # Save, formerly Solend
    }
)
"""Programs whose vaults lend and take deposits: what they give and take is no trade."""

ROUTE_RESIDUE_SHARE: Final = 0.1
"""A mint of which a wallet kept less than this share, against the mint it kept most of, was only passed through."""

ORDER_OWNER_SHARE: Final = 0.5
"""Who takes at least this share of what an order bought is its owner; the rest are fees."""

ROUND_TRIP_SHARE: Final = 0.01
"""A trade of less than this share of what moved of its token went out and came back: no entry and no exit."""

NO_ESCROWS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class NetSwap:
    """What one wallet traded in one transaction, net. Raw units; SOL is lamports of the WSOL mint.

    SOL amounts hold tips, platform fees and rent paid for others, not the network fee: that is `fee_lamports`,
    0 unless this wallet paid it. `bought_raw` is negative where a sale's costs exceeded what it brought in SOL.
    `side_lamports` is SOL that left the wallet where SOL is neither sold nor bought: tips, platform fees, rent for
    others; negative where more came, such as a sponsor's deposit for the wallet's own new account.
    """

    wallet: str
    sold_mint: str
    sold_raw: int
    bought_mint: str
    bought_raw: int
    fee_lamports: int = 0
    side_lamports: int = 0
    unsigned: bool = False
    keeper_fill: bool = False
    round_trip: bool = False


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """Tokens that came to an owner (`raw` > 0) or left it (< 0) without a trade.

    `counterparty` is the owner on the other side where there is just one, None for mints, burns and many.
    """

    wallet: str
    mint: str
    raw: int
    counterparty: str | None = None


@dataclass(frozen=True, slots=True)
class EscrowMove:
    """Tokens that a wallet put into its order's escrow (`raw` < 0) or took back (> 0): still its own."""

    wallet: str
    escrow: str
    mint: str
    raw: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """What happened in one transaction. `escrow_owners` names the owners of escrows that it revealed."""

    transaction: Transaction
    swaps: tuple[NetSwap, ...] = ()
    transfers: tuple[TokenTransfer, ...] = ()
    escrow_moves: tuple[EscrowMove, ...] = ()
    escrow_owners: Mapping[str, str] = field(default_factory=dict)


def decode(tx: Transaction, escrow_owners: Mapping[str, str] = NO_ESCROWS) -> Decoded:
    """Decode one transaction.

    `escrow_owners` (escrow -> wallet) is what earlier transactions revealed; it settles fills whose proceeds stay in
    escrow. A fill whose owner nobody named is nobody's trade: it appears as the escrow's transfers.
    """
    if tx.failed:
        return Decoded(tx)
    if not ORDER_PROGRAMS.isdisjoint(tx.keys):
        return _decode_order(tx, escrow_owners)
    if not tx.tokens:
        return Decoded(tx)
    return _Reading(tx, tx.lamports, tx.tokens).decoded()


class _Reading:
    """One transaction while it is decoded: balances by owner, where an escrow may be merged with its owner."""

    def __init__(
        self,
        tx: Transaction,
        lamports: Mapping[str, int],
        tokens: Mapping[str, Mapping[str, int]],
        order_owner: str | None = None,
    ) -> None:
        self.tx = tx
        self.lamports = lamports
        self.tokens = tokens
        self.order_owner = order_owner
        self.missing = -sum(lamports.values())
        self.lenders = self._lenders()

    def decoded(self) -> Decoded:
        swaps = self._swaps()
        return Decoded(self.tx, tuple(swaps), tuple(self._transfers(swaps)))

    def _lenders(self) -> frozenset[str]:
        if LENDING_PROGRAMS.isdisjoint(self.tx.keys):
            return frozenset()
        used = self.tx.accounts_used_by(LENDING_PROGRAMS)
        return frozenset(owner for owner in self.tokens if owner in used) - (self.tx.signers or frozenset())

    def _swaps(self) -> list[NetSwap]:
        tx = self.tx
        if tx.signers is None:
            candidates = [owner for owner in self.tokens if owner == tx.fee_payer or is_on_curve(owner)]
        else:
            candidates = [owner for owner in self.tokens if owner in tx.signers]
        if self.order_owner is not None and self.order_owner not in candidates:
            candidates.append(self.order_owner)
        swaps = _without_mirrors([s for owner in candidates if (s := self._swap(owner)) is not None], tx)
        if not swaps and tx.signers is not None:
            delegated = [owner for owner in self.tokens if owner not in tx.signers and is_on_curve(owner)]
            found = [s for owner in delegated if (s := self._swap(owner)) is not None]
            if len(found) == 1:
                swaps = [replace(found[0], unsigned=True)]
        return swaps

    def _swap(self, owner: str) -> NetSwap | None:
        sold: dict[str, int] = {}
        bought: dict[str, int] = {}
        for mint, raw in self.tokens.get(owner, {}).items():
            if abs(raw) == 1 and self.tx.decimals[mint] == 0:
                continue  # a single indivisible token is an NFT: it has an owner, not a price
            if raw < 0:
                sold[mint] = -raw
            else:
                bought[mint] = raw
        self._add_sol_leg(owner, sold, bought)
        if len(sold) > 1:
            sold = self._without_residue(owner, sold)
        if len(bought) > 1:
            bought = self._without_residue(owner, bought)
        if len(sold) != 1 or len(bought) != 1:
            return None
        ((sold_mint, sold_raw),) = sold.items()
        ((bought_mint, bought_raw),) = bought.items()
        if not self._another_side(owner, sold_mint, 1):
            return None
        if not (self._another_side(owner, bought_mint, -1) or self._launched(owner, sold_mint, bought_mint)):
            return None
        token, token_raw = (bought_mint, bought_raw) if bought_mint != WSOL else (sold_mint, sold_raw)
        is_order = owner == self.order_owner and owner not in (self.tx.signers or ())
        return NetSwap(
            wallet=owner,
            sold_mint=sold_mint,
            sold_raw=sold_raw,
            bought_mint=bought_mint,
            bought_raw=bought_raw,
            fee_lamports=self.tx.fee if owner == self.tx.fee_payer else 0,
            side_lamports=0 if WSOL in (sold_mint, bought_mint) else -self.lamports.get(owner, 0),
            keeper_fill=is_order,
            round_trip=token_raw < ROUND_TRIP_SHARE * self._moved(token),
        )

    def _parties(self, owner: str) -> Iterable[str]:
        return (other for other in self.tokens if other != owner and other not in self.lenders)

    def _add_sol_leg(self, owner: str, sold: dict[str, int], bought: dict[str, int]) -> None:
        """SOL is a leg where the other owners of tokens, together, gave or received it.

        Lamports are conserved, so what is missing from a shortened list of accounts is another owner's.
        """
        own = self.lamports.get(owner, 0)
        parties = self.missing + sum(self.lamports.get(other, 0) for other in self._parties(owner))
        if own < 0 < parties:
            sold[WSOL] = -own
        elif own > 0 > parties or (own <= 0 and parties < 0 and sold and not bought):
            bought[WSOL] = own

    def _without_residue(self, owner: str, legs: dict[str, int]) -> dict[str, int]:
        shares = {mint: abs(raw) / self._moved(mint) for mint, raw in legs.items()}
        least = ROUTE_RESIDUE_SHARE * max(shares.values())
        kept = {mint: raw for mint, raw in legs.items() if shares[mint] >= least}
        if WSOL in kept and len(kept) > 1 and not self._exchanged_sol(owner):
            del kept[WSOL]
        return kept

    def _moved(self, mint: str) -> int:
        return _moved(mint, self.lamports, self.tokens)

    def _exchanged_sol(self, owner: str) -> bool:
        """Whether some other owner took SOL for a token or a token for SOL, rather than both at once."""
        for other in self._parties(owner):
            lamports = self.lamports.get(other, 0)
            if lamports and any((raw < 0) != (lamports < 0) for raw in self.tokens[other].values()):
                return True
        return False

    def _another_side(self, owner: str, mint: str, sign: int) -> bool:
        if mint == WSOL:
            if self.missing * sign > 0:
                return True
            return any(self.lamports.get(other, 0) * sign > 0 for other in self._parties(owner))
        return any(self.tokens[other].get(mint, 0) * sign > 0 for other in self._parties(owner))

    def _launched(self, owner: str, sold_mint: str, bought_mint: str) -> bool:
        """Whether the bought mint was created here and its curve, which holds the rest, took what was sold for it.

        In a creation with a first buy nobody loses tokens: all are new. A liquidity share is new as well, but the
        pool that took the deposit holds none of it.
        """
        if self.lamports.get(bought_mint, 0) <= 0:
            return False
        for other in self._parties(owner):
            held = self.tokens[other]
            took = self.lamports.get(other, 0) if sold_mint == WSOL else held.get(sold_mint, 0)
            if held.get(bought_mint, 0) > 0 and took > 0:
                return True
        return False

    def _transfers(self, swaps: list[NetSwap]) -> Iterable[TokenTransfer]:
        """Every change of tokens that is no trade's leg. Pools and vaults are left out where there was a trade."""
        traded = {(s.wallet, mint) for s in swaps for mint in (s.sold_mint, s.bought_mint)}
        signers = self.tx.signers or frozenset()
        for owner, held in self.tokens.items():
            if swaps and owner not in signers and not is_on_curve(owner):
                continue
            for mint, raw in held.items():
                if (owner, mint) not in traded:
                    yield TokenTransfer(owner, mint, raw, self._only_other_side(owner, mint, raw))

    def _only_other_side(self, owner: str, mint: str, raw: int) -> str | None:
        others = [
            other for other, held in self.tokens.items() if other != owner and held.get(mint, 0) * raw < 0
        ]
        return others[0] if len(others) == 1 else None


def _without_mirrors(swaps: list[NetSwap], tx: Transaction) -> list[NetSwap]:
    """Of two traders that trade with each other, keep the one that took the price."""
    if len(swaps) < 2:
        return swaps
    quoted: set[str] = set()
    for one in swaps:
        for other in swaps:
            if (one.sold_mint, one.bought_mint) != (other.bought_mint, other.sold_mint):
                continue
            if one.sold_raw != other.bought_raw and one.bought_raw != other.sold_raw:
                continue
            if (one.wallet == tx.fee_payer) == (tx.signers is not None):
                quoted.add(one.wallet)
    return [swap for swap in swaps if swap.wallet not in quoted]


def _decode_order(tx: Transaction, known: Mapping[str, str]) -> Decoded:
    """Decode a transaction that touches an order program: an escrow and the order's owner are one owner."""
    used = tx.accounts_used_by(ORDER_PROGRAMS)
    signers = tx.signers if tx.signers is not None else frozenset({tx.fee_payer})
    escrow = _escrow(tx, used - signers, known)
    owner = None if escrow is None else known.get(escrow) or _owner_of(tx, escrow, used, signers)
    if escrow is None or owner is None:
        return _Reading(tx, tx.lamports, tx.tokens).decoded()
    lamports = dict(tx.lamports)
    lamports[owner] = lamports.get(owner, 0) + lamports.pop(escrow, 0)
    tokens = {other: dict(held) for other, held in tx.tokens.items()}
    own = tokens.setdefault(owner, {})
    moves = []
    for mint, raw in tokens.pop(escrow, {}).items():
        wallet_raw = own.pop(mint, 0)
        if wallet_raw * raw < 0:
            moved = min(abs(wallet_raw), abs(raw))
            moves.append(EscrowMove(owner, escrow, mint, moved if wallet_raw > 0 else -moved))
        if wallet_raw + raw:
            own[mint] = wallet_raw + raw
    decoded = _Reading(tx, lamports, tokens, order_owner=owner).decoded()
    return replace(decoded, escrow_moves=tuple(moves), escrow_owners={escrow: owner})


def _escrow(tx: Transaction, accounts: frozenset[str], known: Mapping[str, str]) -> str | None:
    """The account that holds an order's funds: it gives them at a fill or a withdrawal, and takes them at a deposit.

    Fees of a fill only come in, so whoever loses is the escrow; nobody but the escrow gains at a deposit.
    """
    touched = [account for account in accounts if account in tx.tokens or account in tx.lamports]
    for account in touched:
        if account in known:
            return account
    for sign in (-1, 1):
        for only_sol in (False, True):
            shares = {a: _share(tx, a, sign, sol=only_sol, tokens=not only_sol) for a in touched}
            if shares and max(shares.values()) > 0:
                return max(shares, key=shares.__getitem__)
    return None


def _owner_of(tx: Transaction, escrow: str, used: frozenset[str], signers: frozenset[str]) -> str | None:
    """The wallet an escrow belongs to, as far as this transaction tells.

    At a fill it is the account that receives most of what the order buys, without signing. Where the escrow keeps
    the proceeds itself nothing here names the owner. At a withdrawal or a deposit it is the signer on the other side.
    """
    if not _share(tx, escrow, -1):
        return _first_with_share(tx, sorted(signers, key=lambda s: s != tx.fee_payer), -1)
    if _share(tx, escrow, 1) >= ROUTE_RESIDUE_SHARE:
        return None
    return _first_with_share(tx, sorted(used - signers - {escrow}), 1) or _first_with_share(
        tx, sorted(signers), 1
    )


def _first_with_share(tx: Transaction, accounts: Iterable[str], sign: int) -> str | None:
    return next((account for account in accounts if _share(tx, account, sign) >= ORDER_OWNER_SHARE), None)


def _share(tx: Transaction, account: str, sign: int, *, sol: bool = True, tokens: bool = True) -> float:
    """An account's largest part in what moved of one mint, counting changes of this sign only; 0 if there is none."""
    parts = [0.0]
    if sol:
        parts.append(tx.lamports.get(account, 0) * sign / _moved(WSOL, tx.lamports, tx.tokens))
    if tokens:
        held = tx.tokens.get(account, {})
        parts += [raw * sign / _moved(mint, tx.lamports, tx.tokens) for mint, raw in held.items()]
    return max(parts)


def _moved(mint: str, lamports: Mapping[str, int], tokens: Mapping[str, Mapping[str, int]]) -> int:
    """Raw units of a mint that changed hands, at least 1: the larger of what was given and what was taken.

    Of SOL only what owners of tokens gave and took counts: the rest is fees, tips and rent.
    """
    if mint == WSOL:
        changes = [amount for owner, amount in lamports.items() if owner in tokens]
    else:
        changes = [held[mint] for held in tokens.values() if mint in held]
    taken = sum(change for change in changes if change > 0)
    return max(taken, taken - sum(changes), 1)
