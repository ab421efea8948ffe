"""Files to download: what a run found, as CSV."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from walltrack.client import ApiProblemError, WallTrackError
from walltrack.ui.guard import SESSION
from walltrack.ui.session import Session


def export_routes() -> APIRouter:
    """The routes of downloads. The guard has admitted whoever asks."""
    router = APIRouter()

    @router.get("/export/runs/{run_id}.csv")
    async def run_wallets(request: Request, run_id: UUID) -> Response:
        session: Session = request.scope[SESSION]
        try:
            content = await session.client.run_wallets_csv(run_id)
        except ApiProblemError as error:
            return PlainTextResponse(str(error), error.status)
        except WallTrackError as error:
            return PlainTextResponse(str(error), 503)
        name = f"walltrack-run-{run_id}.csv"
        return Response(
            content,
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return router
