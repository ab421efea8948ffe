"""Runs as they are stored: lists, one run, what it found, what happens to it, statistics over all."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response, Security
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse

from walltrack.api.asked import Asked, Cursor, Page, PageSize
from walltrack.api.auth import authorized
from walltrack.api.context import Context
from walltrack.api.document import NO_RUN, Answers, refusals
from walltrack.api.finding_csv import CSV, csv_of, prefers_csv
from walltrack.api.problems import ProblemError
from walltrack.api.run_events import EVENT_SCHEMA, PING_SECONDS, has_ended, run_events
from walltrack.api.run_view import run_view
from walltrack.api.wallets_asked import AskedFindings
from walltrack.contract import RunsPage, RunTokens, RunView, Scope
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.finding_pages import FindingPages
from walltrack.data.supabase.repositories.outcome_repo import OutcomeRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_progress_repo import RunProgressRepository
from walltrack.data.supabase.repositories.run_standing_repo import RunStandingRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.models import (
    DiscoveryStats,
    FindingOrder,
    FindingPage,
    RunOutcome,
    RunStatus,
    TriggerType,
)
from walltrack.discovery.run_diff import RunDiff

router = APIRouter(tags=["runs"], dependencies=[Security(authorized, scopes=[Scope.READ])])

_NO_RUN: Final[Answers] = refusals(_404=NO_RUN)

LARGEST_RUN: Final = 20_000
"""Findings of a run beyond which two runs are not compared in one request."""


@router.get("/runs")
async def list_runs(
    context: Context,
    period: Asked,
    page: Page,
    status: Annotated[list[RunStatus] | None, Query(description="Only these.")] = None,
    trigger: Annotated[list[TriggerType] | None, Query(description="Only those started so.")] = None,
) -> RunsPage:
    """Runs that started in a date range, newest first."""
    found = await DiscoveryRepository(context.database).get_runs(
        period.start,
        period.end,
        statuses=status or (),
        triggers=trigger or (),
        limit=page.page_size,
        offset=page.offset,
        cursor=page.cursor,
    )
    return RunsPage(
        runs=found.runs,
        total=found.total,
        page=page.page,
        page_size=page.page_size,
        has_more=found.next_cursor is not None,
        next_cursor=found.next_cursor,
    )


@router.get("/stats")
async def statistics(
    context: Context,
    period: Asked,
    weeks: Annotated[int, Query(ge=1, le=104, description="Whole weeks of the trend.")] = 8,
) -> DiscoveryStats:
    """Figures over the runs that started in a date range, this week against the last, daily and weekly series. Days and
    ISO weeks are those of UTC.
    """
    return await DiscoveryRepository(context.database).get_stats(
        period.start, period.end, now=context.clock.now(), weeks=weeks
    )


@router.get("/runs/{run_id}", responses=_NO_RUN)
async def one_run(context: Context, run_id: UUID) -> RunView:
    """One run: what it was asked, where it stands, what it counted, used and left out."""
    return await run_view(context.database, run_id)


@router.get("/runs/{run_id}/tokens", responses=_NO_RUN)
async def tokens_of_run(context: Context, run_id: UUID) -> RunTokens:
    """The outcome of each token of a run, and the tokens that it left out, with the reasons."""
    run = await context.runs.read(run_id)
    return RunTokens(
        removed=run.removed,
        tokens=await RunTokenRepository(context.database).get_run_tokens(run_id),
        refusals=await RunListingRepository(context.database).get_refusals(run_id),
    )


_PAGE_OR_CSV: Final[Answers] = {
    200: {"content": {CSV: {"schema": {"type": "string"}}}, "description": "A page, or with CSV all."}
}


@router.get("/runs/{run_id}/wallets", responses=_PAGE_OR_CSV | _NO_RUN)
async def wallets_of_run(
    context: Context,
    request: Request,
    run_id: UUID,
    filters: AskedFindings,
    sort: Annotated[
        FindingOrder, Query(description="What they are ordered by.")
    ] = FindingOrder.REALIZED_PNL_SOL,
    ascending: Annotated[bool, Query(description="The smallest first.")] = False,
    page_size: PageSize = 50,
    cursor: Cursor = None,
) -> FindingPage:
    """What a run found: one entry for each wallet and token, excluded wallets too where no filter is given, with
    where each wallet stands today. `Accept: text/csv` gives all of them at once as CSV.
    """
    await context.runs.read(run_id)
    pages = FindingPages(context.database)

    async def page(size: int, after: str | None) -> FindingPage:
        return await pages.of_run(
            run_id,
            filters,
            order=sort,
            ascending=ascending,
            limit=size,
            cursor=after,
            now=context.clock.now(),
        )

    if prefers_csv(request.headers.get("accept")):
        return StreamingResponse(  # type: ignore[return-value]  # another form of the same answer
            csv_of(page),
            media_type=CSV,
            headers={"Content-Disposition": f'attachment; filename="{run_id}.csv"'},
        )
    return await page(page_size, cursor)


@router.get("/runs/{run_id}/outcome", responses=refusals(_404=f"{NO_RUN} Or nothing came of it yet."))
async def outcome_of_run(context: Context, run_id: UUID) -> RunOutcome:
    """How the wallets of a run went on after it, as it was last worked out (`walltrack runs outcome ID --read`)."""
    await context.runs.read(run_id)
    outcome = await OutcomeRepository(context.database).newest(run_id)
    if outcome is None:
        raise ProblemError(
            404,
            f"no outcome of run {run_id} was worked out yet: `walltrack runs outcome {run_id} --read` does",
        )
    return outcome


@router.get("/runs/{a}/diff/{b}", responses=_NO_RUN)
async def difference(context: Context, a: UUID, b: UUID) -> RunDiff:
    """What run b has otherwise than run a, and why as far as what they stored tells."""
    for run_id in (a, b):
        await context.runs.read(run_id)
        found, _ = await RunStandingRepository(context.database).count_found(run_id)
        if found > LARGEST_RUN:
            raise ProblemError(
                422,
                f"run {run_id} found {found:,} wallets; more than {LARGEST_RUN:,} are compared by "
                f"`walltrack runs diff {a} {b}`",
            )
    return await context.runs.diff(a, b)


@router.get(
    "/runs/{run_id}/events",
    response_class=EventSourceResponse,
    responses=_NO_RUN
    | {
        200: {
            "description": "Server-sent events.",
            "content": {"text/event-stream": {"schema": EVENT_SCHEMA}},
        },
        204: {"description": "The run has ended, and everything was told: do not come back."},
    },
)
async def events_of_run(
    context: Context,
    request: Request,
    run_id: UUID,
    last_event_id: Annotated[
        str | None, Header(max_length=50, description="The id of the last event that was received.")
    ] = None,
) -> Response:
    """What happens to a run, as it happens: `run` and `token` for every change of state, each with an id, `progress`
    for where it stands, `end`. Whoever comes back with the last id misses nothing and gets nothing twice.
    """
    repository = RunProgressRepository(context.database)
    cursor = last_event_id or None
    is_over = await has_ended(repository, run_id)
    to_come = await repository.events_since(run_id, cursor, limit=1)
    if cursor is not None and is_over and not to_come:
        return Response(status_code=204)
    stop: asyncio.Event = request.app.state.stop
    return EventSourceResponse(run_events(context, run_id, cursor, stop), ping=PING_SECONDS)
