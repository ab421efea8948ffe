"""What a deployment lives through: crashes during a run, more workers, an upgrade and back, a back-up and back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.docker.stack import NEXT_TAG, PROJECT, TAG, Stack, run, until

SMALL_RUN = {"max_tokens": 3, "profile_immediately": False}


def test_a_scheduled_run_completes_though_every_service_crashes_during_it(stack: Stack) -> None:
    stack.wait_ready()
    with stack.client() as client:
        version = client.get("/api/discovery/config").json()["version"]
        saved = client.put(
            "/api/discovery/config",
            headers={"If-Match": f'"{version}"'},
            json={"enabled": True, "schedule_cron": "* * * * *", "params": {"max_tokens": 5}},
        )
        assert saved.status_code == 200, saved.text
    due = until(partial(_scheduled, stack), "a run that the schedule starts")
    with stack.client() as client:  # once is enough
        version = client.get("/api/discovery/config").json()["version"]
        client.put(
            "/api/discovery/config", headers={"If-Match": f'"{version}"'}, json={"enabled": False}
        ).raise_for_status()
    for service in ("walltrack-worker", "walltrack-app", "walltrack-dashboard", "db"):
        restarts = stack.restarts(service)
        stack.crash(service)
        until(partial(_restarted, stack, service, restarts), f"{service} is back")
    found = stack.wait_ended(due)
    assert found["run"]["status"] == "completed", found["run"]["errors"]
    assert found["run"]["tokens_analyzed"] > 0
    stack.wait_healthy("db", "walltrack-app", "walltrack-worker")
    listed = stack.get("/api/discovery/runs?trigger=scheduled&page_size=100")["runs"]
    assert due in [one["id"] for one in listed]
    with stack.client() as client:
        version = client.get("/api/discovery/config").json()["version"]
        client.put(
            "/api/discovery/config",
            headers={"If-Match": f'"{version}"'},
            json={"enabled": True, "schedule_hours": 6},
        ).raise_for_status()


def test_four_workers_serve_and_one_is_left(stack: Stack) -> None:
    stack.compose("up", "-d", "--no-recreate", "--scale", "walltrack-worker=4", "walltrack-worker")
    assert len(stack.containers("walltrack-worker")) == 4
    stack.wait_healthy("walltrack-worker")
    stack.compose("up", "-d", "--no-recreate", "--scale", "walltrack-worker=1", "walltrack-worker")
    stack.wait_ready()


def test_an_upgrade_and_the_way_back_lose_neither_a_row_nor_an_answered_request(stack: Stack) -> None:
    _build_next(stack)
    stack.wait_ready()
    with stack.client() as client:
        started = client.post("/api/discovery/run", json=SMALL_RUN, headers={"Idempotency-Key": str(uuid4())})
    assert started.status_code in (200, 201, 202), started.text
    with _callers(stack) as load:
        stack.compose("up", "-d", "--no-build", WALLTRACK_TAG=NEXT_TAG)
        stack.wait_ready()
        assert stack.inspect("walltrack-app")["Config"]["Image"].endswith(f":{NEXT_TAG}")
        assert stack.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'of_the_next_version'") == "1"
        upgraded = load.answered
        stack.compose("up", "-d", "--no-build", WALLTRACK_TAG=TAG)
        stack.wait_ready()
        assert stack.inspect("walltrack-app")["Config"]["Image"].endswith(f":{TAG}")
        until(lambda: load.answered > upgraded + 20, "answers after the way back")
    assert stack.wait_ended(started.json()["run_id"])["run"]["status"] == "completed"
    assert not load.wrong
    kept = set(stack.sql("SELECT prefix FROM api_keys").split())
    assert load.made
    assert load.made <= kept


def test_what_is_backed_up_is_what_is_restored(stack: Stack, tmp_path: Path) -> None:
    stack.wait_ready()
    tables = ("discovery_runs", "discovery_run_wallets", "api_keys", "wallets")
    counts = f"SELECT {', '.join(f'(SELECT count(*) FROM {table})' for table in tables)}"
    before = stack.sql(counts)
    file = tmp_path / "backup"
    scripts = stack.folder / "deploy"
    run(str(scripts / "backup"), str(file), COMPOSE_PROJECT_NAME=PROJECT, WALLTRACK_TAG=TAG)
    assert file.stat().st_mode & 0o077 == 0
    stack.sql("DELETE FROM discovery_runs")
    with pytest.raises(AssertionError, match="with --replace what it has is lost"):
        run(str(scripts / "restore"), str(file), COMPOSE_PROJECT_NAME=PROJECT, WALLTRACK_TAG=TAG)
    run(str(scripts / "restore"), str(file), "--replace", COMPOSE_PROJECT_NAME=PROJECT, WALLTRACK_TAG=TAG)
    stack.compose("up", "-d")
    stack.wait_ready()
    assert stack.sql(counts) == before


def test_ready_soon_after_the_database(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    services = ("walltrack-app", "walltrack-worker", "db")
    stack.compose("stop", *services)
    stack.compose("up", "-d")
    stack.wait_ready()
    ready = float(run("date", "+%s.%N"))
    stack.wait_healthy("db")
    first = float(run("date", "+%s.%N", "-d", _first_healthy(stack)))
    with capsys.disabled():
        print(f"\n/health/ready answers 200 within {ready - first:.1f} s after the database (target 10 s)")  # noqa: T201


@dataclass
class _Load:
    """What callers saw: keys that the server said it made, answers that no server should give."""

    answered: int = 0
    made: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


@contextmanager
def _callers(stack: Stack) -> Iterator[_Load]:
    """Reads, and changes of the configuration, without a pause, for the time of the block.

    A server that restarts may refuse or break a connection, or say 503; the caller tries again, as clients do.
    """
    load, stop = _Load(), threading.Event()

    def call() -> None:
        while not stop.is_set():
            try:
                with stack.client() as client:
                    for path in ("/api/discovery/runs", "/api/discovery/stats", "/api/wallets"):
                        answer = client.get(path)
                        load.answered += 1
                        if answer.status_code not in (200, 503):
                            load.wrong.append(f"{path}: {answer.status_code} {answer.text[:200]}")
            except httpx.TransportError:
                stop.wait(0.05)

    def change() -> None:
        while not stop.is_set():
            try:
                made = stack.compose(
                    "exec", "-T", "walltrack-app", "walltrack", "keys", "create", "load", "--json"
                )
            except AssertionError:
                stop.wait(0.2)
                continue
            load.made.add(json.loads(made)["prefix"])

    threads = [threading.Thread(target=work) for work in (call, call, change)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _build_next(stack: Stack) -> None:
    """The images of a version that is this one and a migration more, an expansion."""
    folder = stack.folder / "next-version"
    folder.mkdir(exist_ok=True)
    table = (
        "CREATE TABLE of_the_next_version (id INT PRIMARY KEY);\n"
        "ALTER TABLE discovery_runs ADD COLUMN next_note TEXT;\n"
    )
    (folder / "900_next.sql").write_text(table)
    (folder / "900_next.rollback.sql").write_text("DROP TABLE of_the_next_version;\n")
    site = "/opt/walltrack/lib/python3.11/site-packages/walltrack/data/supabase/migrations/"
    for image in ("walltrack-app", "walltrack-dashboard"):
        dockerfile = f"FROM {image}:{TAG}\nCOPY 900_next.sql 900_next.rollback.sql {site}\n"
        (folder / "Dockerfile").write_text(dockerfile)
        run("docker", "build", "-q", "-t", f"{image}:{NEXT_TAG}", ".", cwd=folder, DOCKER_BUILDKIT="0")


def _restarted(stack: Stack, service: str, restarts: int) -> bool:
    return stack.restarts(service) > restarts


def _scheduled(stack: Stack) -> str | None:
    """The id of a run that the schedule has started and that is running."""
    found: list[dict[str, str]] = stack.get("/api/discovery/runs?trigger=scheduled&status=running")["runs"]
    return found[0]["id"] if found and found[0]["started_at"] > "2026" else None


def _first_healthy(stack: Stack) -> str:
    """When the database's first check succeeded since it was started."""
    log = stack.inspect("db")["State"]["Health"]["Log"]
    ended: str = next(one["End"] for one in log if one["ExitCode"] == 0)
    return ended
