"""What runs use of the providers, stored and read back; and that no key is in anything that is written."""

from __future__ import annotations

import asyncio
import logging
import traceback
from datetime import UTC, datetime
from uuid import UUID

import pytest
import stamina
import structlog

from tests.integration.conftest import InDatabase
from tests.integration.databases import LEASE, NOW
from tests.unit.http_servers import KEY, Asked, Say, answer, in_turn, rpc, rpc_error, serving
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.provider_repo import ProviderRepository
from walltrack.discovery.models import DiscoveryRunParams, TriggerType
from walltrack.discovery.run_progress import ProviderUsage
from walltrack.services.faults import ProviderFault, SpentFault
from walltrack.services.http import Http
from walltrack.services.metering import Meter


async def a_run(database: Database) -> UUID:
    run = await DiscoveryRepository(database).create_run(
        TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=LEASE
    )
    return run.id


def test_what_a_run_used_adds_up_over_processes_and_is_stored_at_the_end(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        usage = ProviderRepository(database)
        run_id = await a_run(database)
        async with serving(in_turn(answer(rpc(7)))) as server:
            for _ in range(2):
                async with Http(quotas=usage, meter=Meter(run_id, usage)) as http:
                    for _ in range(3):
                        await http.rpc(server.provider(), "getSlot", [], int, credits=10)
                    await http.rpc(server.provider(name="solana_rpc"), "getSlot", [], int)
        assert await usage.usage_of_run(run_id) == [
            ProviderUsage("helius", 6, 60, 0),
            ProviderUsage("solana_rpc", 2, 0, 0),
        ]
        (helius, _) = await usage.usage_of_month(datetime.now(UTC))
        assert (helius.requests, helius.credits) == (6, 60)
        assert await usage.usage_of_month(NOW) == []

    in_database(scenario)


def test_usage_is_stored_every_so_many_calls_and_not_only_at_the_end(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        usage = ProviderRepository(database)
        run_id = await a_run(database)
        meter = Meter(run_id, usage, flush_every=3)
        for expected in (0, 0, 3, 3, 3, 6):
            await meter.count("helius", requests=1)
            stored = await usage.usage_of_run(run_id)
            assert sum(used.requests for used in stored) == expected

    in_database(scenario)


def test_a_key_that_one_process_finds_spent_is_left_alone_by_the_others_of_the_run(
    in_database: InDatabase,
) -> None:
    async def scenario(database: Database) -> None:
        usage = ProviderRepository(database)
        run_id, other_run_id = await a_run(database), await a_run(database)
        say = in_turn(answer("max usage reached", 429), answer(rpc(7)))
        async with serving(say) as server:
            provider = server.provider()
            async with Http(meter=Meter(run_id, usage)) as first:
                with pytest.raises(SpentFault):
                    await first.rpc(provider, "getSlot", [], int)
            meter = Meter(run_id, usage, flush_every=1)
            async with Http(meter=meter) as second:
                assert await second.rpc(provider, "getSlot", [], int) == 7
                with pytest.raises(SpentFault, match="max usage reached"):
                    await second.rpc(provider, "getSlot", [], int)
            async with Http(meter=Meter(other_run_id, usage, flush_every=1)) as third:
                for _ in range(2):
                    assert await third.rpc(provider, "getSlot", [], int) == 7
        (used,) = await usage.usage_of_run(run_id)
        assert used.stopped_reason == "max usage reached"

    in_database(scenario)


def test_work_outside_of_runs_is_counted_and_stops_nothing_for_ever(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        usage = ProviderRepository(database)
        for _ in range(2):
            reason = await usage.add(
                None, "helius", requests=1, credits=2, errors=0, stopped_reason="spent\x00 today"
            )
            assert reason is None
        (used,) = await usage.usage_of_month(datetime.now(UTC))
        assert (used.requests, used.credits) == (2, 4)

    in_database(scenario)


def test_many_writers_lose_nothing(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        usage = ProviderRepository(database)
        run_id = await a_run(database)
        meters = [Meter(run_id, usage, flush_every=1) for _ in range(8)]
        await asyncio.gather(*(m.count("helius", requests=1, credits=10) for m in meters for _ in range(5)))
        assert await usage.usage_of_run(run_id) == [ProviderUsage("helius", 40, 400, 0)]

    in_database(scenario)


def test_deleting_a_run_takes_its_usage_along(in_database: InDatabase) -> None:
    async def scenario(database: Database) -> None:
        usage = ProviderRepository(database)
        run_id = await a_run(database)
        await usage.add(run_id, "helius", requests=1, credits=1, errors=0, stopped_reason=None)
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM discovery_runs WHERE id = %s", (run_id,))
        assert await usage.usage_of_run(run_id) == []

    in_database(scenario)


def spellings() -> list[str]:
    """Ways in which a server may give the key back."""
    percent = "".join(f"%{ord(c):02X}" for c in KEY)
    return [
        KEY,
        KEY.upper(),
        percent,
        percent.lower(),
        percent.replace("%", "%25"),
        KEY.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
        "".join(f"\\u{ord(c):04x}" for c in KEY),
        KEY.replace("/", "\\/"),
    ]


def echoing() -> list[Say]:
    """Servers that give the key back in every place that may be shown."""
    said = [" ".join(spellings()), "A" * 495 + KEY, f"https://x.example/?api-key={KEY}&x=1"]
    answers = [answer(text, status) for text in said for status in (200, 400, 401, 403, 404, 429, 500)]
    answers += [answer(rpc_error(code, text)) for text in said for code in (-32602, -32005, -32429, -32403)]
    answers += [answer({"error": text}) for text in said]
    answers += [answer("<html>", content_type=f"text/{KEY}"), answer("", 302, {"location": f"/?k={KEY}"})]
    answers += [f"HTTP/1.1 {KEY}\r\n\r\n".encode(), b"", answer(rpc(f"x{KEY}"))]

    async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"error": asked.target}, 400))

    return [echo, *map(in_turn, answers)]


def test_no_key_is_in_any_error_log_line_or_stored_row(
    in_database: InDatabase, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    written: list[str] = []

    async def scenario(database: Database) -> None:
        usage = ProviderRepository(database)
        for say in echoing():
            run_id = await a_run(database)
            async with serving(say) as server, Http(quotas=usage, meter=Meter(run_id, usage)) as http:
                in_query, in_header, in_url = (
                    server.provider(),
                    server.provider(name="jupiter", key_query=None, key_header="x-api-key"),
                    server.provider(f"/node/{KEY}", name="solana_rpc", key=None, url_is_secret=True),
                )
                for provider in (in_query, in_header, in_url):
                    written.append(f"{provider!r} {http!r}")
                    with pytest.raises(ProviderFault) as raised:
                        await http.rpc(provider, "getSlot", [], int)
                    written.extend(everything_of(raised.value))
                    with pytest.raises(ProviderFault) as raised:
                        await http.get(provider, "points", int)
                    written.extend(everything_of(raised.value))
        async with database.transaction() as connection:
            for table in ("provider_usage", "provider_quotas", "discovery_runs"):
                rows = await (await connection.execute(f"SELECT * FROM {table}")).fetchall()
                written.extend(map(str, rows))

    with stamina.set_testing(True, attempts=2, cap=True), structlog.testing.capture_logs() as logged:
        in_database(scenario)
    shown = capsys.readouterr()
    everything = "\n".join([*written, str(logged), caplog.text, shown.out, shown.err])
    assert logged
    assert len(written) > 200
    for part in ("planted", "signs", "706c616e746564", "%70%6c%61%6e%74%65%64"):
        assert part not in everything.lower()
    assert "5f1d7c1e" not in everything


def everything_of(error: BaseException) -> list[str]:
    """What a careless handler may write of an error: text, parts, chain and traceback."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    parts = [f"{found!s} {found!r} {vars(found)} {found.args}" for found in chain]
    return [*parts, "".join(traceback.format_exception(error))]
