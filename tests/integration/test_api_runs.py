"""Runs over HTTP: started once, followed, cancelled, taken up, repeated, compared."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.integration.api import CONFIG, RUN, RUNS, ApiServer, problem
from tests.integration.api_runs import a_found_run, a_run, begin, finish, list_tokens
from tests.integration.databases import MINTS
from walltrack.contract import Scope
from walltrack.discovery.models import DiscoveryRunParams

MINT = "5t7QuoppqaSXJKUhzfoTEnRYFfYKTKUrveN4mSxS8NaA"


@pytest.fixture
def client(api: ApiServer) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def jobs(api: ApiServer) -> int:
    (row,) = api.rows("SELECT count(*) FROM walltrack_jobs.procrastinate_jobs")
    return int(row["count"])


def test_a_run_starts_at_once_with_what_is_given_and_the_stored_configuration(
    api: ApiServer, client: httpx.Client
) -> None:
    assert client.put(CONFIG, json={"params": {"max_tokens": 7, "max_credits": 900}}).status_code == 200
    answer = client.post(RUN, json={"early_window_minutes": 10, "max_credits": None, "mints": [MINT, MINT]})
    assert answer.status_code == 202
    started = answer.json()
    assert answer.headers["location"] == f"{RUNS}/{started['run_id']}"
    run = started["run"]
    wanted = DiscoveryRunParams(max_tokens=7, early_window_minutes=10, max_credits=None)
    assert run["params"] == wanted.model_dump()
    assert (run["mints"], run["status"], run["trigger_type"], run["demo"]) == ([MINT], "running", "api", True)
    assert started["workers"] == 0
    assert jobs(api) == 1
    assert client.get(answer.headers["location"]).json()["run"] == run | {
        "used": {"requests": 0, "credits": 0}
    }


def test_a_run_needs_no_body(client: httpx.Client) -> None:
    assert client.post(RUN).status_code == 202
    assert client.post(RUN, json=None).status_code == 202


def test_stored_parameters_beyond_todays_bounds_are_refused_by_name(
    api: ApiServer, client: httpx.Client
) -> None:
    api.rows("UPDATE discovery_config SET early_window_minutes = 4 WHERE id = 1")
    try:
        refused = problem(client.post(RUN, json={}), 422)
        assert "early_window_minutes" in refused["detail"]
        assert client.post(RUN, json={"early_window_minutes": 5}).status_code == 202
    finally:
        api.rows("UPDATE discovery_config SET early_window_minutes = 30 WHERE id = 1")


def test_no_more_runs_start_than_may_and_the_one_in_the_way_is_named(
    api: ApiServer, client: httpx.Client
) -> None:
    running = [api.start_run(client) for _ in range(api.settings.max_concurrent_runs)]
    refused = problem(client.post(RUN, json={}), 409)
    assert UUID(refused["run_id"]) == running[0]
    ended = client.post(f"{RUNS}/{running[0]}/cancel", json={"reason": "room for another"})
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    assert client.post(RUN, json={}).status_code == 202


def test_the_same_request_with_the_same_key_starts_one_run_also_at_the_same_time(
    api: ApiServer, client: httpx.Client
) -> None:
    def start(_: int) -> httpx.Response:
        return client.post(RUN, json={"max_tokens": 3}, headers={"Idempotency-Key": "one"})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(start, range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert client.get(RUNS).json()["total"] == 1
    assert jobs(api) == 1
    # It is the same run after its end, too.
    run_id = answers[0].json()["run_id"]
    client.post(f"{RUNS}/{run_id}/cancel")
    again = start(0).json()
    assert (again["run_id"], again["status"]) == (run_id, "cancelled")


def test_an_idempotency_key_is_of_one_request_and_one_caller(api: ApiServer, client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post(RUN, json={"max_tokens": 3}, headers=headers).json()["run_id"]
    problem(client.post(RUN, json={"max_tokens": 4}, headers=headers), 422)
    found = api.do(a_found_run(api.context.database))
    problem(client.post(f"{RUNS}/{found}/again", json={"max_tokens": 3}, headers=headers), 422)
    with api.client(api.new_key(Scope.OPERATE, "other")) as other:
        assert other.post(RUN, json={"max_tokens": 4}, headers=headers).json()["run_id"] != first
    for wrong in ("", "x" * 201, "a\tb"):
        problem(client.post(RUN, json={}, headers={"Idempotency-Key": wrong}), 422)


def test_a_refused_request_leaves_its_idempotency_key_free(api: ApiServer, client: httpx.Client) -> None:
    running = [api.start_run(client) for _ in range(api.settings.max_concurrent_runs)]
    headers = {"Idempotency-Key": "later"}
    problem(client.post(RUN, json={}, headers=headers), 409)
    client.post(f"{RUNS}/{running[0]}/cancel")
    assert client.post(RUN, json={}, headers=headers).status_code == 202


def test_a_running_run_shows_how_far_it_is(api: ApiServer, client: httpx.Client) -> None:
    database = api.context.database
    run_id = api.do(a_run(database))
    api.do(list_tokens(database, run_id, 4))
    api.do(finish(database, run_id, MINTS[0], 1, 2))
    api.do(begin(database, run_id, MINTS[1]))
    view = client.get(f"{RUNS}/{run_id}").json()
    assert view["progress"]["tokens"] == {"done": 1, "running": 1, "pending": 2}
    assert (view["progress"]["wallets"], view["progress"]["stage"]) == (2, "tokens")
    assert view["progress"]["estimated_end"] is not None
    assert view["run"]["completed_at"] is None


def test_an_ended_run_has_its_funnel_usage_and_outcomes(api: ApiServer, client: httpx.Client) -> None:
    run_id = api.do(a_found_run(api.context.database))
    view: dict[str, Any] = client.get(f"{RUNS}/{run_id}").json()
    assert view["funnel"] == {
        "tokens_listed": 3,
        "tokens_measured": 2,
        "buyers": 642,
        "early": 90,
        "qualified": 3,
        "kept": 3,
    }
    assert view["usage"][0] == {
        "provider": "helius",
        "requests": 2,
        "credits": 10,
        "errors": 1,
        "stopped_reason": "budget",
    }
    assert (view["run"]["new_wallets"], view["run"]["status"]) == (3, "completed")
    tokens = client.get(f"{RUNS}/{run_id}/tokens").json()["tokens"]
    assert tokens == view["tokens"]
    assert [token["status"] for token in tokens] == ["done", "done", "failed"]
    assert "walltrack runs outcome" in problem(client.get(f"{RUNS}/{run_id}/outcome"), 404)["detail"]


def test_what_has_ended_is_not_cancelled_and_what_runs_is_not_resumed(
    api: ApiServer, client: httpx.Client
) -> None:
    run_id = api.start_run(client)
    problem(client.post(f"{RUNS}/{run_id}/resume"), 409)
    for body in ({"reason": "x" * 501}, {"why": "x"}):
        problem(client.post(f"{RUNS}/{run_id}/cancel", json=body), 422)
    cancelled = client.post(f"{RUNS}/{run_id}/cancel").json()
    assert cancelled["errors"] == ["cancelled by operateer"]
    assert UUID(problem(client.post(f"{RUNS}/{run_id}/cancel"), 409)["run_id"]) == run_id
    resumed = client.post(f"{RUNS}/{run_id}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (202, "running")
    assert resumed.headers["location"] == f"{RUNS}/{run_id}"


def test_a_run_resumes_with_what_failed_of_it(api: ApiServer, client: httpx.Client) -> None:
    run_id = api.do(a_found_run(api.context.database))
    resumed = client.post(f"{RUNS}/{run_id}/resume")
    assert resumed.status_code == 202
    assert client.get(f"{RUNS}/{run_id}").json()["progress"]["tokens"] == {"done": 2, "pending": 1}


def test_a_run_is_repeated_on_its_tokens_with_what_is_changed(api: ApiServer, client: httpx.Client) -> None:
    old = api.do(a_found_run(api.context.database))
    answer = client.post(f"{RUNS}/{old}/again", json={"min_profit_pct": 100})
    assert answer.status_code == 202
    new = answer.json()["run"]
    assert new["mints"] == MINTS[:3]
    assert (new["again_of"], new["from_stored"], new["params"]["min_profit_pct"]) == (str(old), True, 100)
    fresh = client.post(f"{RUNS}/{old}/again", json={"fresh": True}).json()["run"]
    assert (fresh["from_stored"], fresh["token_source"]) == (False, "sandbox, seed 7 (demo data)")
    empty = api.start_run(client)
    problem(client.post(f"{RUNS}/{empty}/again", json={}), 409)


def test_two_runs_are_compared(api: ApiServer, client: httpx.Client) -> None:
    a, b = (api.do(a_found_run(api.context.database)) for _ in range(2))
    same = client.get(f"{RUNS}/{a}/diff/{b}")
    assert same.status_code == 200
    assert same.json() != client.get(f"{RUNS}/{a}/diff/{api.start_run(client)}").json()
