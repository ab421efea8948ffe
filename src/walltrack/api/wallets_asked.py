"""Which wallets a request asks for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Final

from fastapi import Depends, Path, Query, Request

from walltrack.discovery.models import WalletFilters, WalletOrder
from walltrack.discovery.wallet_models import Flag, WalletStatus

Address = Annotated[
    str, Path(pattern=r"^[1-9A-HJ-NP-Za-km-z]{32,44}$", description="base58 address of a wallet")
]


async def finding_filters(
    request: Request,
    min_score: Annotated[Decimal | None, Query(ge=0, le=1, description="At least this score.")] = None,
    with_flag: Annotated[list[Flag] | None, Query(description="Has all of these flags.")] = None,
    without_flag: Annotated[list[Flag] | None, Query(description="Has none of these flags.")] = None,
    active_within_days: Annotated[
        int | None, Query(ge=0, le=36_500, description="Was active so many days ago or later.")
    ] = None,
    min_closed: Annotated[
        int | None, Query(ge=0, le=1_000_000_000, description="Has so many closed positions or more.")
    ] = None,
    status: Annotated[
        list[WalletStatus] | None, Query(description="One of these; left out: all but excluded ones.")
    ] = None,
    watched: Annotated[bool, Query(description="Is on the watch list.")] = False,
) -> WalletFilters | None:
    """The asked filters by what is known of a wallet; all that are given must hold. None where none is given."""
    if not _OF_WALLETS & set(request.query_params):
        return None
    return WalletFilters(
        min_score=min_score,
        with_flags=tuple(with_flag or ()),
        without_flags=tuple(without_flag or ()),
        active_within_days=active_within_days,
        min_closed_positions=min_closed,
        statuses=tuple(status or ()),
        watched=watched,
    )


_OF_WALLETS: Final = {
    *("min_score", "with_flag", "without_flag", "active_within_days", "min_closed", "status", "watched")
}

AskedFindings = Annotated[WalletFilters | None, Depends(finding_filters)]


async def wallet_filters(
    known: AskedFindings,
    search: Annotated[
        str | None,
        Query(pattern=r"^[1-9A-HJ-NP-Za-km-z]{1,44}$", description="The address begins so, in this case."),
    ] = None,
    demo: Annotated[
        bool | None, Query(description="Only made-up markets showed it, or (false) others did too.")
    ] = None,
    sort: Annotated[
        WalletOrder, Query(description="The best score first, or the last found for the first time.")
    ] = WalletOrder.SCORE,
) -> WalletFilters:
    """The asked filters; all that are given must hold."""
    return replace(known or WalletFilters(), address_prefix=search, demo=demo, order=sort)


AskedWallets = Annotated[WalletFilters, Depends(wallet_filters)]
