"""Who may call: every route, found from the application itself, refuses whoever may not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route

from tests.integration.api import CONFIG, RUN, SECRET_KEY, ApiServer, api_settings, problem, serving
from walltrack.api.app import create_app
from walltrack.api.auth import FAILURES_A_MINUTE
from walltrack.api.keys import hmac_of, new_key, prefix_of
from walltrack.config.settings import Settings, load_settings
from walltrack.contract import Scope
from walltrack.data.supabase.repositories.api_key_repo import ApiKeyRepository
from walltrack.discovery.errors import BadInputError

OPEN: Final = {
    "/health",
    "/health/ready",
    "/health/detailed",
    "/openapi.json",
    "/docs",
    "/docs/oauth2-redirect",
    "/static-offline-docs",
}
OPERATE: Final = {
    ("POST", "/api/discovery/run"),
    ("POST", "/api/discovery/runs/{run_id}/again"),
    ("POST", "/api/discovery/runs/{run_id}/resume"),
    ("POST", "/api/discovery/runs/{run_id}/cancel"),
    ("PUT", "/api/discovery/config"),
}
DOCUMENT: Final = create_app(Settings()).openapi()
OPERATIONS: Final = sorted(
    (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
)
ASKING: Final = [one for one in OPERATIONS if one[1] not in OPEN]
ANY_ID: Final = "00000000-0000-4000-8000-000000000000"


def routes(of: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of everything that an application answers, documented or not."""
    for route in getattr(of, "routes", ()):
        if isinstance(route, Mount):
            yield "GET", prefix + route.path
        elif isinstance(route, Route | APIRoute):
            yield from ((method, prefix + route.path) for method in (route.methods or set()) - {"HEAD"})
        else:
            yield from _included(route, prefix)


def _included(route: BaseRoute, prefix: str) -> Iterator[tuple[str, str]]:
    router = getattr(route, "original_router")  # noqa: B009
    context = getattr(route, "include_context")  # noqa: B009
    yield from routes(router, prefix + context.prefix)


def at(path: str) -> str:
    """A path that comes to the route."""
    for name in ("run_id", "a", "b"):
        path = path.replace(f"{{{name}}}", ANY_ID)
    return path.replace("{address}", "7JznjW7JXS69Ja8LiyShPB5ih8QXbtmRsYRhhmrd4ZGA")


_numbers = itertools.count(2)


def ask(
    api: ApiServer, operation: tuple[str, str], key: str | None, *, address: str | None = None
) -> httpx.Response:
    """The answer to one request, from an address that nobody has called from where none is given."""
    number = next(_numbers)
    transport = httpx.HTTPTransport(local_address=address or f"127.0.{number // 250}.{number % 250 + 2}")
    headers = {} if key is None else {"Authorization": key if " " in key else f"Bearer {key}"}
    body: dict[str, object] | None = {} if operation[0] in ("POST", "PUT") else None
    with httpx.Client(base_url=api.url, headers=headers, transport=transport, timeout=30) as client:
        return client.request(operation[0], at(operation[1]), json=body)


def test_every_route_is_documented_or_of_the_documentation() -> None:
    answered = set(routes(create_app(Settings()).router))
    assert answered
    assert {path for _, path in answered - set(OPERATIONS)} == OPEN - {path for _, path in OPERATIONS}
    assert {path for _, path in OPERATIONS} & OPEN == {"/health", "/health/ready", "/health/detailed"}


@pytest.mark.parametrize("operation", ASKING, ids=" ".join)
def test_a_route_refuses_without_a_key_and_with_one_that_does_not_hold(
    api: ApiServer, operation: tuple[str, str]
) -> None:
    revoked = api.new_key(Scope.OPERATE)
    prefix = prefix_of(revoked)
    assert prefix is not None
    api.do(ApiKeyRepository(api.context.database).revoke(prefix))
    right = api.key(Scope.OPERATE)
    for key in (None, "Basic wt_", "Bearer", "wt_", new_key(), revoked, right[:-1] + "_", f"Basic {right}"):
        answer = ask(api, operation, key)
        refused = problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert not key or key not in str(refused)


@pytest.mark.parametrize("operation", ASKING, ids=" ".join)
def test_a_key_that_may_read_operates_nothing(api: ApiServer, operation: tuple[str, str]) -> None:
    answer = ask(api, operation, api.key(Scope.READ))
    if operation in OPERATE:
        assert "scope" in problem(answer, 403)["detail"]
    else:
        assert answer.status_code not in (401, 403, 429), answer.text
    assert ask(api, operation, api.key(Scope.OPERATE)).status_code not in (401, 403, 429)


def test_what_changes_something_asks_for_the_scope_that_says_so() -> None:
    changing = {one for one in ASKING if one[0] not in ("GET", "HEAD")}
    assert changing - OPERATE == {("POST", "/api/discovery/config/preview")}


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"])
def test_what_is_open_answers_anybody(api: ApiServer, path: str) -> None:
    assert httpx.get(api.url + path).status_code == 200


def test_guessing_is_slowed_and_a_key_that_holds_is_not(one_off_settings: Settings) -> None:
    with serving(one_off_settings) as api:
        good = api.key(Scope.READ)

        def answer(key: str | None, address: str = "127.0.0.9") -> httpx.Response:
            return ask(api, ("GET", CONFIG), key, address=address)

        statuses = [answer(new_key()).status_code for _ in range(FAILURES_A_MINUTE + 3)]
        assert statuses == [401] * FAILURES_A_MINUTE + [429] * 3
        slowed = answer("wt_nonsense")
        problem(slowed, 429)
        assert int(slowed.headers["retry-after"]) > 0
        assert answer(good).status_code == 200
        # Asking without a key is no guess, and others are not slowed.
        assert answer(None).status_code == 401
        assert answer(new_key(), "127.0.0.10").status_code == 401


def test_only_the_hmac_of_a_key_is_stored_and_its_use_is_noted(api: ApiServer) -> None:
    key = api.new_key(Scope.READ, "desk")
    (before,) = api.rows("SELECT * FROM api_keys")
    assert key not in str(before)
    assert bytes(before["key_hmac"]) == hmac_of(key, SECRET_KEY)
    assert before["last_used_at"] is None
    assert ask(api, ("GET", CONFIG), key).status_code == 200
    (used,) = api.rows("SELECT last_used_at FROM api_keys")
    assert used["last_used_at"] is not None
    ask(api, ("GET", CONFIG), key)
    assert api.rows("SELECT last_used_at FROM api_keys") == [used]


def test_a_key_holds_under_its_own_secret_only(api: ApiServer) -> None:
    key = new_key()
    prefix = prefix_of(key)
    assert prefix is not None
    digest = hmac_of(key, "another secret, of another server")
    api.do(ApiKeyRepository(api.context.database).add(prefix, digest, name="other", scope="operate"))
    assert ask(api, ("GET", CONFIG), key).status_code == 401


def test_keys_have_a_prefix_and_a_checksum_that_tells_a_mistyped_one() -> None:
    keys = {new_key() for _ in range(200)}
    assert len({prefix_of(key) for key in keys}) == 200
    for key in keys:
        assert key.startswith(f"wt_{prefix_of(key)}_")
        for place in range(len("wt_"), len(key)):
            other = "a" if key[place] != "a" else "b"
            assert prefix_of(key[:place] + other + key[place + 1 :]) is None
        assert prefix_of(key + "0") is None
        assert prefix_of(f" {key}") is None
        assert prefix_of(f"{key}\n") is None


def test_a_record_names_whose_key_started_it(api: ApiServer) -> None:
    with api.client(api.new_key(Scope.OPERATE, "night shift")) as client:
        run = client.post(RUN, json={}).json()["run"]
        assert (run["trigger_type"], run["triggered_by"]) == ("api", "night shift")
        assert client.put(CONFIG, json={"note": "x"}).json()["updated_by"] == "night shift"
        assert client.get("/api/me").json()["name"] == "night shift"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "desk.example"])
def test_the_api_is_never_open_beyond_this_machine(host: str) -> None:
    with pytest.raises(BadInputError, match="WALLTRACK_API_AUTHENTICATION"):
        create_app(Settings(api_host=host, api_authentication=False))
    with pytest.raises(BadInputError, match="SECRET_KEY: is needed"):
        create_app(Settings().model_copy(update={"api_host": host}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_on_this_machine_keys_are_asked_for_only_where_that_is_set(host: str) -> None:
    settings = Settings().model_copy(update={"api_host": host})
    assert not settings.asks_for_keys
    create_app(settings)
    assert api_settings(settings).asks_for_keys


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SECRET_KEY", "short", "32 characters"),
        ("WALLTRACK_CORS_ORIGINS", "*", "must name each origin"),
        ("WALLTRACK_CORS_ORIGINS", "https://desk.example,*", "must name each origin"),
        ("WALLTRACK_CORS_ORIGINS", "https://*.example", "must name each origin"),
        ("WALLTRACK_CORS_ORIGINS", "desk.example", "no origin"),
        ("WALLTRACK_CORS_ORIGINS", "https://desk.example/page", "no origin"),
        ("WALLTRACK_CORS_ORIGINS", "null", "no origin"),
    ],
)
def test_unsafe_settings_are_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInputError, match=f"{name}.*{says}") as refused:
        load_settings()
    assert name != "SECRET_KEY" or value not in str(refused.value)
