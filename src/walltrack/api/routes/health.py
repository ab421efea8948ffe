"""Whether the process lives, whether work can be taken, how every part is; and metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response, Security
from fastapi.responses import PlainTextResponse

from walltrack.api.auth import Known, authorized
from walltrack.api.context import Context
from walltrack.api.health import detailed, readiness
from walltrack.api.metrics import CONTENT_TYPE, Metrics
from walltrack.contract import DetailedHealth, Liveness, PartState, Readiness, Scope
from walltrack.scheduler.trigger import CODE_VERSION

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> Liveness:
    """The process answers. Touches nothing else."""
    return Liveness(version=CODE_VERSION)


@router.get("/health/ready", responses={503: {"model": Readiness, "description": "A part of it failed."}})
async def health_ready(context: Context, response: Response) -> Readiness:
    """Whether work can be taken: database, its tables, a worker. 503 with the failing parts named."""
    found = await readiness(context)
    response.status_code = 200 if found.status is PartState.OK else 503
    return found


@router.get(
    "/health/detailed",
    responses={503: {"model": DetailedHealth, "description": "A part of it failed."}},
    openapi_extra={"security": [{}]},  # a key may be given
)
async def health_detailed(context: Context, caller: Known, response: Response) -> DetailedHealth:
    """How every part is: 503 with the failing parts named. With a key, also counts, and what providers were used."""
    found = await detailed(context, to_known=caller is not None)
    response.status_code = 200 if found.status is PartState.OK else 503
    return found


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    dependencies=[Security(authorized, scopes=[Scope.READ])],
)
async def metrics(context: Context, request: Request) -> Response:
    """Metrics in Prometheus' text format: of this process's requests, and of the system by the database."""
    found: Metrics = request.app.state.metrics
    return Response(await found.text(context), media_type=CONTENT_TYPE)
