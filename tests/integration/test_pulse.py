"""What the dashboard's pages keep an eye on, against the real API."""

from __future__ import annotations

import asyncio

import httpx

from tests.integration.api import ApiServer, Way
from tests.integration.api_runs import a_run
from walltrack.client import WallTrackClient
from walltrack.contract import Scope
from walltrack.ui.pulse import Beat, look


class EndingRuns(Way):
    """The real way to the API, on which every run ends once the running ones were listed."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__()
        self._api = api

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.real.handle_async_request(request)
        if "status=running" in request.url.query.decode():
            await answer.aread()
            await asyncio.to_thread(
                self._api.rows,
                "UPDATE discovery_runs SET status = 'failed', completed_at = started_at WHERE status = 'running'",
            )
        return answer


def seen(api: ApiServer, transport: httpx.AsyncBaseTransport | None = None) -> Beat:
    async def looked() -> Beat:
        async with WallTrackClient(api.url, api_key=api.key(Scope.READ), transport=transport) as client:
            return await look(client, await client.me())

    return asyncio.run(looked())


def test_a_run_that_ends_after_it_was_listed_is_told_as_ended(api: ApiServer) -> None:
    run_id = api.do(a_run(api.context.database))
    assert [view.run.id for view in seen(api).running] == [run_id]
    assert seen(api, EndingRuns(api)).running == ()
