"""`/api/me`: who is calling."""

from __future__ import annotations

from fastapi import APIRouter

from walltrack.api.auth import Reader
from walltrack.api.context import Context
from walltrack.contract import Me

router = APIRouter(prefix="/api", tags=["caller"])


@router.get("/me")
async def me(context: Context, caller: Reader) -> Me:
    """Whose key this is and what it may do, so that a program can offer that and no more."""
    return Me(
        name=caller.name,
        scope=caller.scope,
        asks_for_keys=context.settings.asks_for_keys,
        market=context.market.token_source,
        demo=context.market.demo,
    )
