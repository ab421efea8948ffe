"""Whatever is refused, or fails, is a problem document that says what and which bound, and never too much."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from tests.integration.api import CONFIG, RUN, RUNS, ApiServer, problem, serving
from tests.integration.api_runs import a_found_run
from walltrack.api.app import create_app
from walltrack.api.bounds import LARGEST_BODY
from walltrack.config.settings import Settings
from walltrack.contract import Scope
from walltrack.data.supabase.repositories.schedule_repo import ScheduleRepository
from walltrack.discovery.errors import BadInputError


@pytest.fixture
def client(api: ApiServer) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def fields(document: dict[str, Any]) -> set[str]:
    return {error["field"] for error in document["errors"]}


@pytest.mark.parametrize("large", [LARGEST_BODY + 1, 4 * LARGEST_BODY])
def test_a_body_beyond_the_bound_is_refused_whether_it_says_its_length_or_not(
    client: httpx.Client, large: int
) -> None:
    for content in (b" " * large, iter([b" " * 1000] * (large // 1000 + 1))):
        document = problem(
            client.post(RUN, content=content, headers={"Content-Type": "application/json"}), 413
        )
        assert f"{LARGEST_BODY:,}" in document["detail"]


def test_a_body_up_to_the_bound_is_read(client: httpx.Client) -> None:
    body = b"{}".ljust(LARGEST_BODY)
    headers = {"Content-Type": "application/json"}
    assert client.post(RUN, content=body, headers=headers).status_code == 202
    chunks = iter([body[:1000], body[1000:]])
    assert client.post(RUN, content=chunks, headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"{", "application/json"),
        (b'{"max_tokens": 3}', "text/plain"),
        (b"max_tokens=3", "application/x-www-form-urlencoded"),
        (b"[]", "application/json"),
        (b"3", "application/json"),
        (b'{"max_tokens": NaN}', "application/json"),
        (b'{"min_profit_pct": Infinity}', "application/json"),
        (b'{"min_profit_pct": 1' + b"0" * 400 + b"}", "application/json"),
        (b'{"max_credits": 1' + b"0" * 40 + b"}", "application/json"),
        (b'{"max_credits": 1' + b"0" * 5000 + b"}", "application/json"),
        (b'{"mints": ["\\ud800"]}', "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"[" * 60_000, "application/json"),
        (b'{"no_such": 1}', "application/json"),
        (b'{"max_tokens": "3"}', "application/json"),
        (b'{"max_tokens": 101}', "application/json"),
        (b'{"profile_immediately": 1}', "application/json"),
        (b"{}", ""),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_and_nothing_starts(
    client: httpx.Client, content: bytes, content_type: str
) -> None:
    answer = client.post(RUN, content=content, headers={"Content-Type": content_type} if content_type else {})
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code)
    assert client.get(RUNS).json()["total"] == 0


def test_every_refused_value_is_named_with_its_bound_and_never_repeated(client: httpx.Client) -> None:
    body = {"max_tokens": 0, "early_window_minutes": 4, "mints": ["planted-in-the-wrong-place"], "key": "x"}
    answer = client.post(RUN, json=body)
    document = problem(answer, 422)
    assert fields(document) == {"max_tokens", "early_window_minutes", "mints.0", "key"}
    details = {error["field"]: error["detail"] for error in document["errors"]}
    assert "greater than or equal to 5" in details["early_window_minutes"]
    assert "planted-in-the-wrong-place" not in answer.text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{RUNS}?page_size=501", "page_size"),
        (f"{RUNS}?page_size=0", "page_size"),
        (f"{RUNS}?page=0", "page"),
        (f"{RUNS}?page={10**30}", "page"),
        (f"{RUNS}?page=201&page_size=50", "page"),
        (f"{RUNS}?page=1&cursor=x", "page"),
        (f"{RUNS}?status=gone", "status.0"),
        (f"{RUNS}?start_date=2026-01-01T00:00:00", "start_date"),
        (f"{RUNS}?start_date=1999-01-01T00:00:00Z", "start_date"),
        (f"{RUNS}?end_date=9999-12-31T23:59:59Z", "end_date"),
        (f"{RUNS}?start_date=2026-02-01T00:00:00Z&end_date=2026-01-01T00:00:00Z", "end_date"),
        (f"{RUNS}/{'0' * 8}", "run_id"),
        ("/api/discovery/stats?weeks=105", "weeks"),
        ("/api/discovery/pumps?min_volume_usd=nan", "min_volume_usd"),
        ("/api/wallets?min_score=1.01", "min_score"),
        ("/api/wallets?search=0OIl", "search"),
        (f"/api/wallets?cursor={'a' * 501}", "cursor"),
        ("/api/wallets/0x12", "address"),
    ],
)
def test_what_a_query_asks_beyond_the_bounds_is_refused_by_field(
    client: httpx.Client, path: str, field: str
) -> None:
    assert field in fields(problem(client.get(path), 422))


FORGED = (
    "null",
    "[]",
    "{}",
    "[null, null]",
    "[" * 300,
    '["2026-01-01T00:00:00+00:00", null]',
    '["2026-01-01T00:00:00+00:00", "99999999999999999999999"]',
    '["2026-01-01T00:00:00+00:00", "\\ud800"]',
    '["2026-01-01T00:00:00+00:00", "\\u0000"]',
    '["0001-01-01T00:00:00+14:00", "1"]',
    '["9999-12-31T23:59:59-23:59", "1"]',
    '["9999-12-31T23:59:59-23:59", "00000000-0000-4000-8000-000000000000"]',
    '["1e999999", "a"]',
    '["-1", "a"]',
    '["NaN", "a"]',
    '[null, "\\ud800"]',
)


@pytest.mark.parametrize(
    "path",
    [RUNS, "/api/wallets?sort=score", "/api/wallets?sort=first_seen", f"{CONFIG}/history", f"{CONFIG}/ticks"],
)
def test_a_forged_cursor_is_refused_or_leads_to_a_page(
    api: ApiServer, client: httpx.Client, path: str
) -> None:
    api.do(a_found_run(api.context.database))
    for text in FORGED:
        cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        answer = client.get(path, params={"cursor": cursor, **dict(httpx.URL(path).params)})
        assert answer.status_code in (200, 400), (text, answer.text)
        if answer.status_code == 400:
            assert "cursor" in problem(answer, 400)["detail"]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/discovery", f"{RUNS}/", f"{CONFIG}/", "/api/discovery//runs", "/%00"]
)
def test_what_is_not_there_says_so(client: httpx.Client, path: str) -> None:
    problem(client.get(path), 404)


def test_a_method_that_is_none_of_the_routes_is_refused_with_those_that_are(client: httpx.Client) -> None:
    for method in ("DELETE", "PATCH", "TRACE", "OPTIONS", "QUERY"):
        answer = client.request(method, RUNS)
        problem(answer, 405)
        assert answer.headers["allow"] == "GET"
    head = client.head(RUNS)
    assert (head.status_code, head.content) == (405, b"")


def test_a_run_that_is_not_there_is_named(client: httpx.Client) -> None:
    run_id = uuid4()
    for method, path in (
        ("GET", ""),
        ("GET", "/tokens"),
        ("GET", "/outcome"),
        ("GET", "/events"),
        ("GET", f"/diff/{run_id}"),
        ("POST", "/cancel"),
        ("POST", "/resume"),
        ("POST", "/again"),
    ):
        document = problem(client.request(method, f"{RUNS}/{run_id}{path}"), 404)
        assert UUID(document["run_id"]) == run_id


def test_what_takes_too_long_is_given_up(api: ApiServer) -> None:
    app = create_app(api.settings, api.context, longest_seconds=0.2)
    key = api.key(Scope.OPERATE)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url=api.url, headers=headers) as client:
            return await client.put(CONFIG, json={"note": "waits for whoever holds the row"})

    assert api.settings.database_url is not None
    with psycopg.connect(api.settings.database_url.get_secret_value()) as holder:
        holder.execute("SELECT FROM discovery_config FOR UPDATE")
        document = problem(api.do(ask()), 504)
        assert "0.2 seconds" in document["detail"]
    assert api.do(ScheduleRepository(api.context.database).get_config()).note is None


def test_a_defect_has_an_id_that_the_log_has_and_says_nothing_else(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> Any:
        raise ZeroDivisionError("a secret of the inside")

    with api.client() as client, capture_logs() as logs:
        monkeypatch.setattr(api.context.scheduler, "load_config", broken)
        answer = client.get(CONFIG)
    document = problem(answer, 500)
    (entry,) = [log for log in logs if log["event"] == "request_failed"]
    assert entry["error_id"] == document["error_id"]
    assert document["error_id"] in document["detail"]
    assert "secret of the inside" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_application_without_a_database_says_so() -> None:
    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(create_app(Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path)

    problem(asyncio.run(ask(RUNS)), 503)
    assert asyncio.run(ask("/health")).status_code == 200
    assert asyncio.run(ask("/openapi.json")).status_code == 200


def test_what_is_no_http_ends_the_connection_and_nothing_else(api: ApiServer, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as raw:
        raw.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert b"400" in raw.recv(1000).split(b"\r\n")[0]
    assert client.get("/health").status_code == 200


def test_serving_says_where_a_port_is_taken(api: ApiServer, one_off_settings: Settings) -> None:
    with (
        pytest.raises(BadInputError, match=f"cannot listen on 127.0.0.1:{api.port}"),
        serving(one_off_settings.model_copy(update={"api_port": api.port})),
    ):
        pass
