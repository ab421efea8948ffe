"""What runs found, over HTTP: pages, CSV, a wallet's findings, and who is calling."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.integration.api import RUNS, ApiServer, problem
from tests.integration.api_runs import a_found_run
from tests.integration.databases import address
from walltrack.contract import Scope


@pytest.fixture
def client(api: ApiServer) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def test_the_findings_of_a_run_come_in_pages_each_once(api: ApiServer, client: httpx.Client) -> None:
    path = f"{RUNS}/{api.do(a_found_run(api.context.database))}/wallets"
    listed, cursor = [], None
    while True:
        page = client.get(path, params={"page_size": 3} | ({"cursor": cursor} if cursor else {})).json()
        assert page["total"] == 4
        listed += [
            (one["finding"]["wallet_address"], one["finding"]["source_token"]) for one in page["findings"]
        ]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(set(listed)) == len(listed) == 4
    by_rank = client.get(path, params={"sort": "entry_rank", "ascending": True}).json()["findings"]
    ranks = [one["finding"]["found"]["entry_rank"] for one in by_rank]
    assert ranks == sorted(ranks)
    assert client.get(path, params={"status": "active"}).json()["total"] == 0


def test_the_findings_of_a_run_are_had_as_csv(api: ApiServer, client: httpx.Client) -> None:
    path = f"{RUNS}/{api.do(a_found_run(api.context.database))}/wallets"
    answer = client.get(path, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["wallet_address"] for row in rows} == {address(number) for number in (1, 2, 3)}
    assert len(rows) == 4
    assert all(row["realized_pnl_sol"] and row["signatures"] for row in rows)
    found = client.get(path, headers={"Accept": "application/json, text/csv"})
    assert found.json()["total"] == 4


def test_what_is_not_there_is_said(client: httpx.Client) -> None:
    problem(client.get(f"{RUNS}/{uuid4()}/wallets"), 404)
    problem(client.get(f"/api/wallets/{address(77)}/findings"), 404)


def test_the_findings_of_a_wallet_are_those_of_all_its_tokens(api: ApiServer, client: httpx.Client) -> None:
    run_id = api.do(a_found_run(api.context.database))
    page = client.get(f"/api/wallets/{address(2)}/findings").json()
    assert (page["total"], page["next_cursor"]) == (2, None)
    assert {one["finding"]["run_id"] for one in page["findings"]} == {str(run_id)}
    assert len({one["finding"]["source_token"] for one in page["findings"]}) == 2


def test_pages_by_number_end_where_a_cursor_is_to_be_taken(api: ApiServer, client: httpx.Client) -> None:
    api.do(a_found_run(api.context.database))
    page = client.get(RUNS, params={"page": 1, "page_size": 10, "trigger": "manual"}).json()
    assert (page["total"], page["page"], page["has_more"]) == (1, 1, False)
    assert page["runs"][0]["used"] == {"requests": 2, "credits": 10}
    assert client.get(RUNS, params={"trigger": "scheduled"}).json()["total"] == 0
    refused = problem(client.get(RUNS, params={"page": 1001, "page_size": 10}), 422)
    assert "next_cursor" in refused["detail"]


def test_callers_are_told_what_they_may_do(api: ApiServer) -> None:
    for scope in Scope:
        with api.client(api.key(scope)) as client:
            assert client.get("/api/me").json()["scope"] == scope.value
