"""`/api/wallets`: wallets over all runs."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Security

from walltrack.api.asked import Cursor, PageSize
from walltrack.api.auth import authorized
from walltrack.api.context import Context
from walltrack.api.document import Answers, refusals
from walltrack.api.problems import ProblemError
from walltrack.api.wallets_asked import Address, AskedWallets
from walltrack.contract import Scope, WalletView
from walltrack.data.supabase.repositories.address_list_repo import AddressListRepository
from walltrack.data.supabase.repositories.finding_pages import FindingPages
from walltrack.data.supabase.repositories.profile_repo import ProfileRepository
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.discovery.models import FindingPage, WalletPage

_NO_WALLET: Final[Answers] = refusals(_404="No run found such a wallet.")

router = APIRouter(
    prefix="/api/wallets", tags=["wallets"], dependencies=[Security(authorized, scopes=[Scope.READ])]
)


@router.get("")
async def list_wallets(
    context: Context, filters: AskedWallets, page_size: PageSize = 50, cursor: Cursor = None
) -> WalletPage:
    """Wallets over all runs: the ranking, or the last found first."""
    return await WalletRepository(context.database).get_wallets(
        filters, limit=page_size, cursor=cursor, now=context.clock.now()
    )


@router.get("/{address}", responses=_NO_WALLET)
async def one_wallet(context: Context, address: Address) -> WalletView:
    """All that is known of a wallet: figures over all runs, profiles, scores with their parts, flags with evidence."""
    wallet = await WalletRepository(context.database).get_wallet(address)
    if wallet is None:
        raise ProblemError(404, f"no run found a wallet {address}")
    return WalletView(
        wallet=wallet,
        profiles=await ProfileRepository(context.database).profiles_of(address),
        lists=await AddressListRepository(context.database).of(address),
    )


@router.get("/{address}/findings", responses=_NO_WALLET)
async def findings_of_wallet(
    context: Context, address: Address, page_size: PageSize = 50, cursor: Cursor = None
) -> FindingPage:
    """What every run found of a wallet: figures, flags with evidence and signatures, the newest first."""
    found = await FindingPages(context.database).of_wallet(address, limit=page_size, cursor=cursor)
    if not found.total and await WalletRepository(context.database).get_wallet(address) is None:
        raise ProblemError(404, f"no run found a wallet {address}")
    return found
