"""What is done with runs: start, cancel, resume, repeat."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel

from walltrack.api.asked import refused
from walltrack.api.auth import Caller, Operator
from walltrack.api.context import ApiContext, Context
from walltrack.api.document import NO_RUN, Answers, refusals
from walltrack.contract import BASE_PATH, AgainRequest, CancelRequest, RunRequest, RunResumed, RunStarted
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.data.supabase.repositories.run_request_repo import RunRequestKey
from walltrack.discovery.models import DiscoveryRun, TriggerType
from walltrack.scheduler.run_control import params_with

router = APIRouter(tags=["runs"])

_STARTED: Final[Answers] = {
    202: {
        "description": "The run is there; workers do it.",
        "headers": {"Location": {"description": "The path of the run.", "schema": {"type": "string"}}},
    }
}
_BUSY: Final = "As many runs are running as may; `run_id` is one of them."

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=200,
        description="Of your choice. The same request sent again with it gets the run that the first one started.",
    ),
]


@router.post("/run", status_code=202, responses=_STARTED | refusals(_409=_BUSY))
async def start_run(
    context: Context,
    caller: Operator,
    response: Response,
    request: RunRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted:
    """Start a run and get its id at once; workers do it. What is left out is as in the stored configuration."""
    asked = request or RunRequest()
    config = await context.scheduler.load_config()
    params = params_with(config.params, asked.given())
    run = await context.runs.start(
        params,
        trigger_type=TriggerType.API,
        triggered_by=caller.name,
        mints=list(dict.fromkeys(asked.mints)),
        once=_once(caller, idempotency_key, "run", asked),
    )
    return await _started(context, run, response)


@router.post(
    "/runs/{run_id}/again",
    status_code=202,
    responses=_STARTED | refusals(_404=NO_RUN, _409=f"{_BUSY} Or that one listed no token."),
)
async def repeat_run(
    context: Context,
    caller: Operator,
    response: Response,
    run_id: UUID,
    request: AgainRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> RunStarted:
    """Start a new run on the tokens and stored tapes of an earlier one: no provider is asked, unless `fresh`."""
    asked = request or AgainRequest()
    run = await context.runs.again(
        run_id,
        asked.given(),
        fresh=asked.fresh,
        trigger_type=TriggerType.API,
        triggered_by=caller.name,
        once=_once(caller, idempotency_key, f"again {run_id}", asked),
    )
    return await _started(context, run, response)


@router.post(
    "/runs/{run_id}/resume",
    status_code=202,
    responses=_STARTED | refusals(_404=NO_RUN, _409=f"{_BUSY} Or there is nothing to resume."),
)
async def resume_run(context: Context, caller: Operator, response: Response, run_id: UUID) -> RunResumed:
    """Let an ended run go on: what failed or was cancelled of it is done once more, what it found stays."""
    resumed = await context.runs.resume(run_id)
    started = await _started(context, resumed.run, response)
    return RunResumed(**dict(started), tokens=list(resumed.mints))


@router.post("/runs/{run_id}/cancel", responses=refusals(_404=NO_RUN, _409="The run has ended."))
async def cancel_run(
    context: Context, caller: Operator, run_id: UUID, request: CancelRequest | None = None
) -> DiscoveryRun:
    """End a running run, with what it has found. No request of it goes out two seconds later."""
    reason = request.reason if request is not None and request.reason else f"cancelled by {caller.name}"
    return await context.runs.cancel(run_id, reason)


async def _started(context: ApiContext, run: DiscoveryRun, response: Response) -> RunStarted:
    response.headers["Location"] = f"{BASE_PATH}/runs/{run.id}"
    workers = await RunProgressRepository(context.database).serving_workers()
    return RunStarted(run_id=run.id, status=run.status, run=run, workers=workers)


def _once(caller: Caller, key: str | None, action: str, asked: BaseModel) -> RunRequestKey | None:
    if key is None:
        return None
    if not key.strip() or not key.isprintable():
        raise refused("idempotency-key", "must be 1 to 200 printable characters")
    body = asked.model_dump_json(exclude_unset=True)
    digest = hashlib.sha256(f"{action}\n{body}".encode()).digest()
    return RunRequestKey(caller.prefix or caller.name, key, digest)
