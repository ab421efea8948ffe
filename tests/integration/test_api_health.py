"""How the API says that it lives, can work, and what of it failed; and its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import conninfo_to_dict

from tests.integration.api import CONFIG, RUNS, ApiServer, api_settings, problem, serving
from tests.integration.api_runs import a_found_run
from tests.integration.databases import Server, settings_for
from walltrack.config.settings import Settings
from walltrack.contract import Scope
from walltrack.data.supabase import embedded
from walltrack.data.supabase.migrate import migrate

COUNTS = ("serving_workers", "waiting_jobs", "running_jobs", "providers")


@pytest.fixture
def anybody(api: ApiServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url) as client:
        yield client


def let_a_worker_serve(api: ApiServer) -> None:
    api.rows(
        "INSERT INTO walltrack_jobs.procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 hour')"
    )


def test_health_is_well_where_a_worker_serves(api: ApiServer, anybody: httpx.Client) -> None:
    let_a_worker_serve(api)
    ready = anybody.get("/health/ready")
    assert (ready.status_code, ready.json()["failed"]) == (200, [])
    detailed = anybody.get("/health/detailed")
    assert (detailed.status_code, detailed.json()["status"]) == (200, "ok")


def test_the_schedule_stands_under_the_keys_that_operators_know(
    api: ApiServer, anybody: httpx.Client
) -> None:
    with api.client() as client:
        client.put(CONFIG, json={"enabled": True, "schedule_hours": 4})
    told = anybody.get("/health/detailed").json()["scheduler"]
    assert set(told) == {"enabled", "next_run", "last_run"}
    assert (told["enabled"], told["last_run"]) == (True, None)
    assert told["next_run"] is not None


def test_without_a_worker_what_failed_is_named(anybody: httpx.Client) -> None:
    for path in ("/health/ready", "/health/detailed"):
        answer = anybody.get(path)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["failed"] == ["workers"]
        assert "walltrack serve" in answer.json()["workers"]["says"]


def test_an_overdue_run_says_that_nobody_keeps_the_schedule(api: ApiServer, anybody: httpx.Client) -> None:
    let_a_worker_serve(api)
    due = "UPDATE discovery_config SET next_run_at = now() - {} * interval '1 minute' WHERE id = 1"
    api.rows(due.format(9))
    assert anybody.get("/health/detailed").status_code == 200
    api.rows(due.format(11))
    answer = anybody.get("/health/detailed")
    assert (answer.status_code, answer.json()["failed"]) == (503, ["schedule"])
    # It hinders nobody from working.
    assert anybody.get("/health/ready").status_code == 200


def test_a_schedule_that_is_off_is_no_failure(api: ApiServer, anybody: httpx.Client) -> None:
    let_a_worker_serve(api)
    with api.client() as client:
        client.put(CONFIG, json={"enabled": False, "note": "until Monday"})
    told = anybody.get("/health/detailed").json()
    assert (told["status"], told["schedule"]) == ("ok", {"status": "off", "says": "until Monday"})


def test_counts_and_names_of_providers_are_for_those_with_a_key(
    api: ApiServer, anybody: httpx.Client
) -> None:
    run_id = api.do(a_found_run(api.context.database))
    told = anybody.get("/health/detailed").json()
    assert [told[name] for name in COUNTS] == [None] * 4
    assert "helius" not in str(told)
    assert told["last_discovery_run"]["id"] == str(run_id)
    with api.client(api.key(Scope.READ)) as client:
        known = client.get("/health/detailed").json()
    assert [known[name] for name in COUNTS[:3]] == [0, 0, 0]
    (helius,) = known["providers"]
    assert (helius["provider"], helius["credits"], helius["says"]) == ("helius", 10, "budget")
    # A wrong key is a guess like any other.
    wrong = httpx.get(f"{api.url}/health/detailed", headers={"Authorization": "Bearer wt_wrong"})
    problem(wrong, 401)


def test_tables_of_another_version_are_named(one_off_settings: Settings) -> None:
    with serving(one_off_settings) as api:
        api.rows("DELETE FROM walltrack_migrations._yoyo_migration WHERE migration_id LIKE '034%'")
        ready = httpx.get(f"{api.url}/health/ready")
        assert (ready.status_code, ready.json()["failed"]) == (503, ["schema_version", "workers"])
        assert "walltrack migrate" in ready.json()["schema_version"]["says"]


def test_a_stopped_database_is_named_and_where_it_stands_is_told_to_nobody(open_folder: Path) -> None:
    folder = open_folder / "stopped"
    running = embedded.acquire(folder)
    try:
        sockets = Path(str(conninfo_to_dict(running.conninfo)["host"]))
        settings = settings_for(Server("one that stops", sockets).url(), database_connect_timeout_seconds=2)
        migrate(settings, lambda _line: None)
        with serving(api_settings(settings)) as api, api.client() as client:
            assert client.get(RUNS).status_code == 200
            running.release()
            with httpx.Client(base_url=api.url, timeout=60) as anybody:
                assert anybody.get("/health").status_code == 200
                assert anybody.get("/docs").status_code == 200
                ready = anybody.get("/health/ready")
                detailed = [one.get("/health/detailed") for one in (anybody, client)]
            assert ready.json()["failed"] == ["database", "schema_version", "workers"]
            for answer in (ready, *detailed):
                assert answer.status_code == 503
                assert "database" in answer.json()["failed"]
                assert str(sockets) not in answer.text
            assert detailed[0].json()["scheduler"] == {"enabled": None, "next_run": None, "last_run": None}
            away = client.get(RUNS)
            assert "health" in problem(away, 503)["detail"]
            assert int(away.headers["retry-after"]) > 0
            assert str(sockets) not in away.text
            running = embedded.acquire(folder)
            assert client.get(RUNS).status_code == 200
    finally:
        running.release()


def test_metrics_are_what_prometheus_reads(api: ApiServer) -> None:
    api.do(a_found_run(api.context.database))
    with api.client() as client:
        client.get(f"{RUNS}/00000000-0000-4000-8000-000000000000")
        client.get("/nowhere/at/all")
        client.request("PROPFIND", "/health")
        client.get("/metrics")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    values = {
        (one.name, *sorted(one.labels.values())): one.value for f in families.values() for one in f.samples
    }
    assert values["walltrack_runs", "completed"] == 1
    assert values["walltrack_wallets_discovered",] == 3
    assert values["walltrack_part_up", "database"] == 1
    assert values["walltrack_part_up", "workers"] == 0
    assert values["walltrack_provider_month_credits", "helius"] == 10
    counted = {
        (one.labels["method"], one.labels["route"]) for one in families["walltrack_http_requests"].samples
    }
    assert {
        ("GET", "/api/discovery/runs/{run_id}"),
        ("GET", "none"),
        ("GET", "/metrics"),
        ("other", "/health"),
    } <= counted
    documented = set(httpx.get(f"{api.url}/openapi.json", timeout=60).json()["paths"])
    assert {route for _, route in counted} <= documented | {"none", "/docs", "/openapi.json"}
