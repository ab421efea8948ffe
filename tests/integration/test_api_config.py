"""The configuration over HTTP: changed wholly or not at all, and never somebody else's change undone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.api import CONFIG, ApiServer, problem

FIELDS = {
    "enabled", "schedule_hours", "schedule_cron", "schedule_timezone", "jitter_seconds", "params", "note",
    "next_run_at", "last_run_at", "last_run_id", "last_result", "updated_at", "updated_by", "version",
}  # fmt: skip


@pytest.fixture
def client(api: ApiServer) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def test_the_configuration_has_its_fields_and_its_version_as_etag(client: httpx.Client) -> None:
    answer = client.get(CONFIG)
    assert set(answer.json()) == FIELDS
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'


def test_a_change_leaves_what_it_does_not_name(client: httpx.Client) -> None:
    before = client.get(CONFIG).json()
    changed = client.put(CONFIG, json={"schedule_hours": 12, "params": {"max_tokens": 9, "max_credits": 50}})
    after = changed.json()
    assert changed.headers["etag"] == f'"{after["version"]}"'
    assert after["version"] == before["version"] + 1
    assert (after["schedule_hours"], after["updated_by"]) == (12, "operateer")
    assert after["params"] == before["params"] | {"max_tokens": 9, "max_credits": 50}
    nothing = {"schedule_hours": None, "params": {"max_credits": None}, "note": None}
    last = client.put(CONFIG, json=nothing).json()
    assert last["params"] == after["params"] | {"max_credits": None}
    assert last["schedule_hours"] == 12


def test_a_change_of_what_somebody_else_changed_is_refused(client: httpx.Client) -> None:
    tag = client.get(CONFIG).headers["etag"]
    first = client.put(CONFIG, json={"note": "first"}, headers={"If-Match": tag})
    assert first.status_code == 200
    refused = client.put(CONFIG, json={"note": "second", "schedule_hours": 3}, headers={"If-Match": tag})
    assert "read it again" in problem(refused, 412)["detail"]
    for other in ('"0"', "3", 'W/"1"', '"1", "2"', "x", '"' + "9" * 90 + '"'):
        problem(client.put(CONFIG, json={"note": "second"}, headers={"If-Match": other}), 412)
    unchanged = client.get(CONFIG)
    assert (unchanged.json()["note"], unchanged.headers["etag"]) == ("first", first.headers["etag"])
    assert client.put(CONFIG, json={"note": "any"}, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"schedule_hours": 0, "enabled": "yes"}, {"schedule_hours", "enabled"}),
        ({"schedule_hours": 169}, {"schedule_hours"}),
        ({"schedule_cron": "61 * * * *", "schedule_timezone": "Mars/Olympus"}, {"schedule_cron", "schedule_timezone"}),
        ({"schedule_cron": "\x00"}, {"schedule_cron"}),
        ({"jitter_seconds": 10**30}, {"jitter_seconds"}),
        ({"jitter_seconds": -1}, {"jitter_seconds"}),
        ({"note": "x" * 501}, {"note"}),
        ({"params": {"max_tokens": 101, "min_profit_pct": None}}, {"params.max_tokens", "params.min_profit_pct"}),
        ({"params": {"mints": []}}, {"params.mints"}),
        ({"next_run_at": "2026-01-01T00:00:00Z"}, {"next_run_at"}),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused_by_field_and_nothing_is_changed(
    client: httpx.Client, change: dict[str, object], fields: set[str]
) -> None:
    before = client.get(CONFIG).json()
    refused = problem(client.put(CONFIG, json=change | {"enabled": change.get("enabled", False)}), 422)
    assert {error["field"] for error in refused["errors"]} == fields
    assert client.get(CONFIG).json() == before


def test_writers_at_the_same_time_lose_nothing(client: httpx.Client) -> None:
    """Each changes a parameter of its own, over and over, without saying on which version."""
    names = ("max_tokens", "early_window_minutes", "max_token_age_hours", "max_credits")
    rounds = 5

    def write(number: int) -> list[int]:
        values = range(20 + number, 20 + number + rounds)
        return [client.put(CONFIG, json={"params": {names[number]: value}}).status_code for value in values]

    with ThreadPoolExecutor(len(names)) as threads:
        answers = [status for statuses in threads.map(write, range(len(names))) for status in statuses]
    assert answers == [200] * len(names) * rounds
    params = client.get(CONFIG).json()["params"]
    assert [params[name] for name in names] == [20 + number + rounds - 1 for number in range(len(names))]


def test_the_history_has_every_change_newest_first_in_pages(client: httpx.Client) -> None:
    for hours in (2, 3, 4):
        client.put(CONFIG, json={"schedule_hours": hours, "note": f"every {hours}"})
    told, cursor = [], None
    while True:
        query = {"page_size": 4} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{CONFIG}/history", params=query).json()
        told += page["changes"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(told) == 6
    steps = [(change["old"], change["new"]) for change in told if change["field"] == "schedule_hours"]
    assert steps == [(3, 4), (2, 3), (6, 2)]
    assert {change["changed_by"] for change in told} == {"operateer"}


def test_a_preview_says_when_runs_would_start_and_saves_nothing(client: httpx.Client) -> None:
    before = client.get(CONFIG).json()
    times = client.post(f"{CONFIG}/preview", json={"schedule_hours": 2, "count": 3}).json()["times"]
    assert len(times) == 3
    looked = client.post(f"{CONFIG}/preview", json={"enabled": False})
    assert looked.json() == {"at_once": False, "times": [], "forecast": None, "forecast_problem": None}
    problem(client.post(f"{CONFIG}/preview", json={"count": 101}), 422)
    problem(client.post(f"{CONFIG}/preview", json={"schedule_cron": "nonsense"}), 422)
    assert client.get(CONFIG).json() == before


def test_a_forecast_says_where_no_market_answers(client: httpx.Client) -> None:
    looked = client.post(f"{CONFIG}/preview", json={"forecast": True}).json()
    assert looked["forecast"] is None
    assert looked["forecast_problem"]
    assert "no market" in problem(client.get("/api/discovery/pumps"), 502)["detail"].lower()


def test_ticks_tell_what_became_of_due_times(api: ApiServer, client: httpx.Client) -> None:
    api.rows(
        "INSERT INTO schedule_ticks (due_at, status, skipped_because, reason, decided_at, decided_by)"
        " SELECT now() - n * interval '1 hour', 'skipped', 'missed', 'nobody was there', now(), 'test'"
        " FROM generate_series(1, 3) n"
    )
    first = client.get(f"{CONFIG}/ticks", params={"page_size": 2}).json()
    rest = client.get(f"{CONFIG}/ticks", params={"page_size": 2, "cursor": first["next_cursor"]}).json()
    ticks = first["ticks"] + rest["ticks"]
    assert [tick["due_at"] for tick in ticks] == sorted((tick["due_at"] for tick in ticks), reverse=True)
    assert (len(ticks), rest["next_cursor"], ticks[0]["reason"]) == (3, None, "nobody was there")
