"""Pages of other sites, and names of other servers, get nothing out of the API through somebody's browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.api import CONFIG, RUN, RUNS, ApiServer, api_settings, problem, serving
from tests.integration.databases import Server, settings_for

DESK = "https://desk.example"
EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def unasked(embedded_server: Server) -> Iterator[ApiServer]:
    """A server that asks for no key and knows one origin."""
    with embedded_server.migrated_database() as name:
        given = api_settings(settings_for(embedded_server.url(name)), cors_origins=(DESK,))
        with serving(given.model_copy(update={"api_authentication": None, "secret_key": None})) as running:
            yield running


def preflight(api: ApiServer, origin: str, **headers: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"} | headers
    return httpx.options(api.url + CONFIG, headers=asked)


def test_a_named_origin_may_call_with_a_key_and_read_what_it_needs(unasked: ApiServer) -> None:
    wanted = {"Access-Control-Request-Headers": "authorization, if-match, content-type, idempotency-key"}
    answer = preflight(unasked, DESK, **wanted)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == DESK
    assert "access-control-allow-credentials" not in answer.headers
    called = httpx.get(unasked.url + CONFIG, headers={"Origin": DESK})
    assert called.headers["access-control-allow-origin"] == DESK
    seen = called.headers["access-control-expose-headers"].lower()
    assert all(name in seen for name in ("etag", "location", "retry-after"))


def test_a_refusal_and_an_oversized_request_can_be_read_by_a_named_origin(unasked: ApiServer) -> None:
    headers = {"Origin": DESK}
    for answer in (
        httpx.get(f"{unasked.url}{RUNS}/none", headers=headers),
        httpx.post(unasked.url + RUN, headers=headers, content=b" " * 70_000),
    ):
        assert answer.status_code in (413, 422)
        assert answer.headers["access-control-allow-origin"] == DESK


@pytest.mark.parametrize(
    "origin", [EVIL, "null", "http://desk.example", f"{DESK}.evil.example", f"{DESK}:8443"]
)
def test_a_foreign_origin_is_refused(unasked: ApiServer, origin: str) -> None:
    assert "access-control-allow-origin" not in preflight(unasked, origin).headers
    problem(preflight(unasked, origin), 400)
    reading = httpx.get(unasked.url + CONFIG, headers={"Origin": origin})
    assert "access-control-allow-origin" not in reading.headers
    # A browser sends these without asking first, as forms and plain text.
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        headers = {"Origin": origin, "Content-Type": content_type}
        problem(httpx.post(unasked.url + RUN, headers=headers, content=b"{}"), 403)
        problem(httpx.put(unasked.url + CONFIG, headers=headers, content=b'{"enabled": false}'), 403)
    assert httpx.get(unasked.url + RUNS).json()["total"] == 0


def test_a_page_of_the_server_itself_may_call(unasked: ApiServer) -> None:
    answer = httpx.put(unasked.url + CONFIG, headers={"Origin": unasked.url}, json={"note": "from its page"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "[",
        "::1",
    ],
)
def test_a_name_of_somebody_else_for_this_machine_is_refused(unasked: ApiServer, host: str) -> None:
    problem(httpx.get(unasked.url + CONFIG, headers={"Host": host}), 400)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1", "[::1]", "[::1]:8000"])
def test_names_of_this_machine_are_known(unasked: ApiServer, host: str) -> None:
    assert httpx.get(unasked.url + CONFIG, headers={"Host": host}).status_code == 200


def test_a_server_that_asks_for_keys_is_called_by_any_name_and_from_any_page(api: ApiServer) -> None:
    with api.client(Host="walltrack.example", Origin=EVIL) as client:
        assert client.put(CONFIG, json={"note": "by key"}).status_code == 200
        assert "access-control-allow-origin" not in client.get(CONFIG).headers


def test_every_answer_has_the_headers_that_keep_browsers_from_misusing_it(api: ApiServer) -> None:
    with api.client() as client:
        answers = [
            client.get("/health"),
            client.get("/docs"),
            client.get("/static-offline-docs/swagger-ui.css"),
            client.get("/nowhere"),
            client.get(RUNS),
            client.get(RUNS, headers={"Authorization": ""}),
            client.post(RUN, content=b" " * 70_000),
            client.request("TRACE", "/health"),
        ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


def test_the_documentation_asks_no_other_server_for_anything(api: ApiServer) -> None:
    with httpx.Client(base_url=api.url) as anybody:
        page = anybody.get("/docs").text
        assert "://" not in page
        for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon.png"):
            assert f"/static-offline-docs/{name}" in page
            assert anybody.get(f"/static-offline-docs/{name}").status_code == 200
