"""What pumps now, as the markets list it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Security

from walltrack.api.auth import authorized
from walltrack.api.context import Context
from walltrack.api.document import refusals
from walltrack.contract import PumpsView, Scope, SolPriceView
from walltrack.scheduler.run_control import params_with

router = APIRouter(tags=["market"], dependencies=[Security(authorized, scopes=[Scope.READ])])


@router.get("/pumps", responses=refusals(_502="No market answers."))
async def pumps(
    context: Context,
    min_price_change_pct: Annotated[float | None, Query(ge=0, le=1000, allow_inf_nan=False)] = None,
    min_volume_usd: Annotated[float | None, Query(ge=0, allow_inf_nan=False)] = None,
    max_token_age_hours: Annotated[int | None, Query(ge=1, le=168)] = None,
    min_liquidity_usd: Annotated[float | None, Query(ge=0, allow_inf_nan=False)] = None,
    max_tokens: Annotated[int | None, Query(ge=1, le=100)] = None,
) -> PumpsView:
    """Tokens that pumped, by the stored parameters where none are given, and why the others are left out. The markets
    are asked once a minute at most; `as_of` says when.
    """
    asked: dict[str, Any] = {
        "min_price_change_pct": min_price_change_pct,
        "min_volume_usd": min_volume_usd,
        "max_token_age_hours": max_token_age_hours,
        "min_liquidity_usd": min_liquidity_usd,
        "max_tokens": max_tokens,
    }
    config = await context.scheduler.load_config()
    given = {name: value for name, value in asked.items() if value is not None}
    seen = await context.pumps.pumps(params_with(config.params, given))
    return PumpsView.of(
        seen.pumps,
        seen.warnings,
        seen.as_of,
        source=context.market.token_source,
        demo=context.market.demo,
    )


@router.get("/sol-price", responses=refusals(_502="No market answers."))
async def sol_price(context: Context) -> SolPriceView:
    """USD for one SOL at the close of the hour that was over last, by which amounts in SOL may be shown in USD."""
    found = await context.pumps.sol_price()
    return SolPriceView() if found is None else SolPriceView(hour=found[0], usd=found[1])
