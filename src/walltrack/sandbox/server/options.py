"""What a sandbox server can be told: plans, keys, faults and speeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypedDict

from walltrack.sandbox.key import SANDBOX_KEY
from walltrack.sandbox.server.faults import Faults
from walltrack.sandbox.server.renewal import Renewal

PAGE_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a provider key may do.

    `rpc_per_second` and `enhanced_per_second` are Helius' rates, `jupiter_per_minute` Jupiter's. A plan without
    `transactions_for_address` is told so in the way `gated_as` names: HTTP 403, or JSON-RPC error -32403 under HTTP
    200. When `monthly_credits` are used up, `spent_as` decides: HTTP 429 with the text `max usage reached`, or
    JSON-RPC error -32429 under HTTP 429 ("rpc") or 200 ("rpc_200"). `historical_credits` is the price of
    `getTransaction` and its like: 1 in today's price list, 10 in the older one.
    """

    name: str
    rpc_per_second: float
    enhanced_per_second: float
    monthly_credits: int
    jupiter_per_minute: int = 60
    transactions_for_address: bool = True
    historical_credits: int = 1
    gated_as: Literal["http", "rpc"] = "rpc"
    spent_as: Literal["text", "rpc", "rpc_200"] = "text"


PLANS: Final[Mapping[str, Plan]] = {
    plan.name: plan
    for plan in (
        Plan("free", 10, 2, 1_000_000),
        Plan("free-without-history", 10, 2, 1_000_000, transactions_for_address=False),
        Plan("developer", 50, 10, 10_000_000),
        Plan("developer-without-history", 50, 10, 10_000_000, transactions_for_address=False),
        Plan("business", 200, 50, 100_000_000),
        Plan("professional", 500, 100, 200_000_000),
    )
}
"""Helius' plans by name; `...-without-history` lacks getTransactionsForAddress."""


def plan_of(plan: str | Plan) -> Plan:
    """The plan of that name, or the plan itself. Raises ValueError for a name that is none."""
    if isinstance(plan, Plan):
        return plan
    try:
        return PLANS[plan]
    except KeyError:
        raise ValueError(f"no plan {plan!r}: give one of {', '.join(PLANS)}, or a Plan") from None


class ServerOptions(TypedDict, total=False):
    """The options of `serve` and `run`; each can be left out.

    - plan: of `SANDBOX_KEY`, the key that works then ("developer")
    - keys: other keys and their plans; `SANDBOX_KEY` works only if it is among them
    - faults: what goes wrong on purpose (nothing)
    - rate_factor: multiplies every rate limit of every provider (1.0); for tests that do not measure limits
    - truth_file: where to write truth.json (nowhere)
    - renewal: another market every so often (none); truth_file is written anew then
    - page_rows: rows of a page of getTransactionsForAddress at most, however many are asked for (1000)
    - clock: seconds, monotonic, for the rate limits (time.monotonic)
    """

    plan: str | Plan
    keys: Mapping[str, str | Plan]
    faults: Faults
    rate_factor: float
    page_rows: int
    truth_file: Path | None
    renewal: Renewal | None
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Settled:
    """Options with the gaps filled in, and checked."""

    keys: Mapping[str, Plan]
    faults: Faults = field(default_factory=Faults)
    rate_factor: float = 1.0
    page_rows: int = PAGE_ROWS
    clock: Callable[[], float] = time.monotonic
    truth_file: Path | None = None
    renewal: Renewal | None = None


def settled(options: ServerOptions) -> Settled:
    """Fill in what was left out. Raises ValueError for an unknown plan, and for a factor or rows out of bounds."""
    keys = options.get("keys") or {SANDBOX_KEY: options.get("plan", "developer")}
    factor = options.get("rate_factor", 1.0)
    if not factor > 0:
        raise ValueError(f"rate_factor {factor}: must be above 0")
    page_rows = options.get("page_rows", PAGE_ROWS)
    if not 1 <= page_rows <= PAGE_ROWS:
        raise ValueError(f"page_rows {page_rows}: must be between 1 and {PAGE_ROWS}")
    return Settled(
        keys={key: plan_of(plan) for key, plan in keys.items()},
        faults=options.get("faults", Faults()),
        rate_factor=factor,
        page_rows=page_rows,
        clock=options.get("clock", time.monotonic),
        truth_file=options.get("truth_file"),
        renewal=options.get("renewal"),
    )
