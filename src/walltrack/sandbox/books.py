"""What every wallet really did with every token, and the exact position that follows (docs/how-it-counts.md).

The simulator writes down what it does while it does it: nothing here looks at balances. The convention, spelled out:

- a buy adds quantity and cost; a sell of `s` out of `q` held takes the share `s/q` of the cost and of the based
  quantity with it, and realizes its proceeds, in the proportion that was based, minus that cost;
- tokens that come by transfer, or for something without a SOL price, add quantity without basis; tokens that go by
  transfer, or for such a thing, take their share of cost and basis with them and realize nothing;
- of a sell beyond what is held only the part held counts, with its share of the proceeds;
- what lies in an order's escrow is still the wallet's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from walltrack.sandbox.addresses import USDC, WSOL

Kind = Literal["buy", "sell", "transfer_in", "transfer_out"]


class Entry(NamedTuple):
    """One thing a wallet did with a token. `lamports` is its value, None where it has none.

    For trades `quote_raw` is the price in `quote_mint`, `costs` what else the wallet paid in lamports: tips, platform
    fees, rent for accounts of others, the network fee if it paid that; less rent that others paid for its own. `place`
    is the index within the slot.
    """

    signature: str
    slot: int
    place: int
    block_time: int
    kind: Kind
    token_raw: int
    quote_mint: str | None = None
    quote_raw: int = 0
    costs: int = 0
    lamports: int | None = None
    note: str = ""


@dataclass(slots=True)
class Position:
    """One wallet's position in one token, exact, in lamports and raw units: integers for as long as they do."""

    entries: list[Entry] = field(default_factory=list)
    held: int = 0
    based: int | Fraction = 0
    cost_held: int | Fraction = 0
    cost_of_sold: int | Fraction = 0
    matched_proceeds: int | Fraction = 0
    cost: int = 0
    proceeds: int = 0
    unpriced: bool = False
    unbased_sells: bool = False
    first_buy: Entry | None = None

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.kind == "buy":
            self._comes(entry.token_raw, entry.lamports)
            self.first_buy = self.first_buy or entry
        elif entry.kind == "transfer_in":
            self._comes(entry.token_raw, None)
        else:
            self._goes(entry)
        if entry.kind in ("buy", "sell") and entry.lamports is None:
            self.unpriced = True

    def realized(self) -> int | Fraction:
        """Lamports won or lost on what was sold and had a basis."""
        return self.matched_proceeds - self.cost_of_sold

    def realized_pct(self) -> Fraction | None:
        """100 x realized / cost of what was sold; None where that cost is 0."""
        return 100 * Fraction(self.realized()) / self.cost_of_sold if self.cost_of_sold > 0 else None

    def pct_if_sold(self, token_raw: int, proceeds: int) -> float:
        """About what `realized_pct` would be after one more sell."""
        if not self.held:
            return 0.0
        share = min(token_raw, self.held) / self.held
        cost = float(self.cost_of_sold) + share * float(self.cost_held)
        matched = float(self.matched_proceeds) + proceeds * float(self.based) / self.held
        return 100 * (matched / cost - 1) if cost > 0 else 0.0

    def _comes(self, raw: int, lamports: int | None) -> None:
        self.held += raw
        if lamports is not None:
            self.based += raw
            self.cost_held += lamports
            self.cost += lamports

    def _goes(self, entry: Entry) -> None:
        sold = entry.kind == "sell" and entry.lamports is not None
        if entry.kind == "sell" and entry.lamports is not None:
            self.proceeds += entry.lamports
        leaving = min(entry.token_raw, self.held)
        if entry.kind == "sell" and (leaving < entry.token_raw or self.based < self.held):
            self.unbased_sells = True
        if not leaving:
            return
        share = 1 if leaving == self.held else Fraction(leaving, self.held)
        if sold and entry.lamports is not None:
            self.cost_of_sold += self.cost_held * share
            based_share = 1 if self.based == self.held else Fraction(self.based) / self.held
            counted = 1 if leaving == entry.token_raw else Fraction(leaving, entry.token_raw)
            self.matched_proceeds += entry.lamports * based_share * counted
        self.held -= leaving
        self.based -= self.based * share
        self.cost_held -= self.cost_held * share

    def as_json(self, mint: str, wallet: str) -> dict[str, Any]:
        """What truth.json says of the position. Fractions are strings `a/b` or `a`, of lamports."""
        realized, pct = self.realized(), self.realized_pct()
        times: dict[Kind, int] = {"buy": 0, "sell": 0, "transfer_in": 0, "transfer_out": 0}
        raws = times.copy()
        for entry in self.entries:
            times[entry.kind] += 1
            raws[entry.kind] += entry.token_raw
        return {
            "mint": mint,
            "wallet": wallet,
            "buys": times["buy"],
            "sells": times["sell"],
            "transfers_in_raw": raws["transfer_in"],
            "transfers_out_raw": raws["transfer_out"],
            "bought_raw": raws["buy"],
            "sold_raw": raws["sell"],
            "cost_lamports": self.cost,
            "proceeds_lamports": self.proceeds,
            "cost_of_sold": str(self.cost_of_sold),
            "realized": str(realized),
            "realized_lamports": round(realized),
            "realized_pct": None if pct is None else float(pct),
            "held_raw": self.held,
            "held_cost": str(self.cost_held),
            "held_based_raw": str(self.based),
            "unbased_sells": self.unbased_sells,
            "tokens_by_transfer": times["transfer_in"] > 0,
            "unpriced": self.unpriced,
            "first_buy": None
            if self.first_buy is None
            else {
                "signature": self.first_buy.signature,
                "slot": self.first_buy.slot,
                "index": self.first_buy.place,
                "time": self.first_buy.block_time,
            },
            "usdc_trades": [
                {
                    "signature": e.signature,
                    "kind": e.kind,
                    "token_raw": e.token_raw,
                    "usdc_raw": e.quote_raw,
                    "costs_lamports": e.costs,
                    "lamports": e.lamports,
                }
                for e in self.entries
                if e.quote_mint == USDC
            ],
            "notes": sorted({e.note for e in self.entries if e.note}),
        }


class Books:
    """All positions, by mint and wallet. `sol_usd` values trades against USDC."""

    def __init__(self, sol_usd: Callable[[int], float]) -> None:
        self.positions: dict[str, dict[str, Position]] = {}
        self.launches: dict[str, Entry] = {}
        self._sol_usd = sol_usd

    def position(self, mint: str, wallet: str) -> Position:
        """The position so far; an empty one where there is none."""
        return self.positions.get(mint, {}).get(wallet) or Position()

    def write(self, mint: str, wallet: str, entry: Entry) -> None:
        """Add an entry, valued by its quote and costs."""
        if entry.kind in ("buy", "sell"):
            entry = entry._replace(lamports=self._value(entry))
            self.launches.setdefault(mint, entry)
        self.positions.setdefault(mint, {}).setdefault(wallet, Position()).add(entry)

    def _value(self, entry: Entry) -> int | None:
        if entry.quote_mint == WSOL:
            quote = entry.quote_raw
        elif entry.quote_mint == USDC:
            quote = usdc_in_lamports(entry.quote_raw, self._sol_usd(entry.block_time))
        else:
            return None
        return quote + entry.costs if entry.kind == "buy" else quote - entry.costs


def usdc_in_lamports(usdc_raw: int, sol_usd: float) -> int:
    """USDC at an hour's SOL price, as an exact fraction of the price's written decimals, floored to lamports."""
    return int(Fraction(usdc_raw, 10**6) / Fraction(str(sol_usd)) * 10**9)
