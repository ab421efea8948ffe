"""What is asked of a server, and what it answers, is what the database would be asked and answer."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from pydantic import TypeAdapter

from tests.unit.test_run_diff import NOW, RUN_A, RUN_B, a_run, found
from walltrack.client import ApiProblemError, WallTrackClient
from walltrack.desk.remote import RemoteDesk
from walltrack.discovery.models import DiscoveryRunParams
from walltrack.discovery.run_diff import RunDiff, diff_runs


async def _asked(diff: RunDiff) -> RunDiff:
    body = TypeAdapter(RunDiff).dump_json(diff)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with WallTrackClient("http://walltrack.test", transport=transport) as client:
        return await RemoteDesk(client).diff(RUN_A, RUN_B)


def test_differences_come_back_in_the_types_that_they_had() -> None:
    before = a_run(found(), min_profit_pct=50.0)
    after = a_run(
        found(
            cost_sol=Decimal("1.000000000000000001"),
            first_buy_at=NOW + timedelta(seconds=1),
            first_buy_slot=None,
            flags=("sniper", "bundle"),
            buys=2,
        ),
        run_id=RUN_B,
        min_profit_pct=60.0,
        max_credits=5,
    )
    diff = diff_runs(before, after)
    assert len(diff.wallets_changed[0].figures) == 5
    assert asyncio.run(_asked(diff)) == diff


def test_a_run_is_started_with_the_defaults_of_the_command_whatever_the_schedule_has() -> None:
    asked: list[dict[str, object]] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(422, json={"title": "no", "status": 422, "detail": "seen"})

    async def start() -> None:
        transport = httpx.MockTransport(refuse)
        async with WallTrackClient("http://walltrack.test", transport=transport) as client:
            with pytest.raises(ApiProblemError, match="seen"):
                await RemoteDesk(client).start(DiscoveryRunParams(max_tokens=3), ["M"])

    asyncio.run(start())
    assert asked == [DiscoveryRunParams(max_tokens=3).model_dump() | {"mints": ["M"]}]
