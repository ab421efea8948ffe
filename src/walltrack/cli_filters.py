"""Options of the command line that choose wallets by what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import typer

from walltrack.discovery.models import WalletFilters, WalletOrder
from walltrack.discovery.wallet_models import Flag, WalletStatus

MinScore = Annotated[float | None, typer.Option(min=0, max=1, help="Only wallets with at least this score.")]
WithFlag = Annotated[
    list[Flag] | None, typer.Option(help="Only wallets with this flag; may be given more than once.")
]
WithoutFlag = Annotated[
    list[Flag] | None, typer.Option(help="Only wallets without this flag; may be given more than once.")
]
ActiveWithinDays = Annotated[
    int | None,
    typer.Option(min=0, max=36_500, help="Only wallets that were active so many days ago or later."),
]
MinClosed = Annotated[
    int | None,
    typer.Option(min=0, max=1_000_000_000, help="Only wallets with so many closed positions or more."),
]
StatusIn = Annotated[
    list[WalletStatus] | None,
    typer.Option("--status", help="Only wallets of this status; may be given more than once."),
]
Watched = Annotated[bool, typer.Option("--watched", help="Only wallets on the watch list.")]
Search = Annotated[
    str | None, typer.Option("--search", help="Only addresses that begin so; upper and lower case differ.")
]
Demo = Annotated[
    bool | None,
    typer.Option(
        "--demo/--no-demo", help="Only wallets of made-up markets, or only the others.", show_default=False
    ),
]


class Sort(StrEnum):
    """Orders as the command line names them."""

    SCORE = "score"
    FIRST_SEEN = "first-seen"


SortBy = Annotated[
    Sort, typer.Option("--sort", help="By score, the best first, or the last found for the first time first.")
]

_ORDERS = {Sort.SCORE: WalletOrder.SCORE, Sort.FIRST_SEEN: WalletOrder.FIRST_SEEN}


def filters_of(
    *,
    min_score: float | None = None,
    with_flag: Sequence[Flag] | None = None,
    without_flag: Sequence[Flag] | None = None,
    active_within_days: int | None = None,
    min_closed: int | None = None,
    status: Sequence[WalletStatus] | None = None,
    watched: bool = False,
    search: str | None = None,
    demo: bool | None = None,
    sort: Sort = Sort.SCORE,
) -> WalletFilters:
    """What a command's options choose."""
    return WalletFilters(
        min_score=None if min_score is None else Decimal(str(min_score)),
        with_flags=tuple(flag.value for flag in with_flag or ()),
        without_flags=tuple(flag.value for flag in without_flag or ()),
        active_within_days=active_within_days,
        min_closed_positions=min_closed,
        statuses=tuple(status or ()),
        watched=watched,
        address_prefix=search,
        demo=demo,
        order=_ORDERS[sort],
    )
