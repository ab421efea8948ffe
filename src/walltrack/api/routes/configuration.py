"""The one configuration: when runs start by themselves, and with which parameters."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response, Security

from walltrack.api.asked import LONGEST_CURSOR, IfMatch, PageSize
from walltrack.api.auth import Operator, authorized
from walltrack.api.context import ApiContext, Context
from walltrack.api.document import Answers, refusals
from walltrack.contract import (
    ConfigPreview,
    ConfigUpdate,
    ConfigView,
    CostForecast,
    GivenParams,
    PreviewRequest,
    Scope,
)
from walltrack.data.supabase.repositories.schedule_repo import ScheduleRepository
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.schedule import SchedulerConfig
from walltrack.discovery.schedule_records import ConfigChangePage, TickPage
from walltrack.scheduler.config_change import change_config
from walltrack.services.faults import ProviderFault
from walltrack.services.markets import NoMarketError

router = APIRouter(prefix="/config", tags=["configuration"])
reading = Security(authorized, scopes=[Scope.READ])

_TAGGED: Final[Answers] = {
    200: {
        "description": "The configuration.",
        "headers": {"ETag": {"description": "Its version, for If-Match.", "schema": {"type": "string"}}},
    }
}
_SCHEDULE: Final = ("enabled", "schedule_hours", "schedule_cron", "schedule_timezone", "jitter_seconds")

HistoryCursor = Annotated[
    str | None, Query(max_length=LONGEST_CURSOR, description="`next_cursor` of the page before.")
]


@router.get("", dependencies=[reading], responses=_TAGGED)
async def configuration(context: Context, response: Response) -> ConfigView:
    """The configuration, and where the schedule stands. `ETag` is its version."""
    return _tagged(await context.scheduler.load_config(), response)


@router.put("", responses=_TAGGED | refusals(_412="Somebody changed it since."))
async def save_configuration(
    context: Context, caller: Operator, response: Response, request: ConfigUpdate, if_match: IfMatch = None
) -> ConfigView:
    """Change the configuration, in force in every process at once. What is left out stays as it is.

    With `If-Match`, nothing is changed (412) where somebody else changed it since. What is out of bounds is refused,
    field by field, and nothing is changed.
    """
    saved = await change_config(
        context.scheduler,
        {**request.model_dump(include=set(_SCHEDULE)), "paused_note": request.note},
        params={} if request.params is None else request.params.given(),
        updated_by=caller.name,
        version=if_match,
    )
    return _tagged(saved, response)


@router.post("/preview", dependencies=[reading])
async def preview(context: Context, request: PreviewRequest) -> ConfigPreview:
    """When the next runs would start after a change, and what one would cost now. Saves nothing."""
    looked = await context.scheduler.preview(
        **request.model_dump(include=set(_SCHEDULE)), count=request.count
    )
    forecast, problem = await _forecast(context, request) if request.forecast else (None, None)
    return ConfigPreview(
        at_once=looked.at_once, times=list(looked.times), forecast=forecast, forecast_problem=problem
    )


@router.get("/history", dependencies=[reading])
async def history(
    context: Context, page_size: PageSize = 50, cursor: HistoryCursor = None
) -> ConfigChangePage:
    """Who changed what, and when, newest first."""
    return await ScheduleRepository(context.database).get_changes(limit=page_size, cursor=cursor)


@router.get("/ticks", dependencies=[reading])
async def ticks(context: Context, page_size: PageSize = 50, cursor: HistoryCursor = None) -> TickPage:
    """What became of every due time, newest first: its run, or why there was none."""
    return await ScheduleRepository(context.database).get_ticks(limit=page_size, cursor=cursor)


async def _forecast(context: ApiContext, request: PreviewRequest) -> tuple[CostForecast | None, str | None]:
    config = await context.scheduler.load_config()
    params = _changed(config.params, request.params)
    try:
        cost = await context.pumps.forecast(params)
    except (NoMarketError, ProviderFault) as error:
        return None, str(error)
    return (
        CostForecast(
            tokens=cost.tokens,
            reading=cost.reading,
            histories_at_most=cost.histories_at_most,
            max_credits=params.max_credits,
        ),
        None,
    )


def _changed(params: DiscoveryRunParams, given: GivenParams | None) -> DiscoveryRunParams:
    changes: dict[str, Any] = {} if given is None else given.given()
    return params.model_copy(update=changes)


def _tagged(config: SchedulerConfig, response: Response) -> ConfigView:
    response.headers["ETag"] = f'"{config.version}"'
    return ConfigView.of(config)
