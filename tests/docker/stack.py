"""A deployment of its own, made from this checkout's files: a folder with secrets, Compose, and the API's answers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

ROOT = Path(__file__).resolve().parents[2]
PROJECT = f"walltrack-test-{os.getpid()}"
TAG = f"test-{os.getpid()}"
NEXT_TAG = f"{TAG}-next"
"""Of this process alone: others may test on the same engine."""

PATIENCE_SECONDS = 240
"""How long something is waited for that must come: generous, since it decides nothing but a hang."""

_ROWS_OF_OLD: Final = {
    "discovery_runs": (
        "id, started_at, completed_at, trigger_type, min_price_change_pct, duration_seconds, errors",
        "started_at < '2025-06-01'",
    ),
    "discovery_run_wallets": (
        "id, run_id, wallet_address, source_token, initial_score, created_at",
        "created_at < '2025-06-01'",
    ),
    "discovery_config": ("id, schedule_hours, min_profit_pct", "true"),
}
"""By table: columns that the version before had, and the condition for its rows."""

T = TypeVar("T")


def engine_problem() -> str | None:
    """Why no container can be run here; None where one can."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        return "no Docker engine answers"
    return None if compose_command() else "there is neither `docker compose` nor docker-compose"


def compose_command() -> list[str]:
    """`docker compose`, or docker-compose where there is no plugin; empty where there is neither."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (
        f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def until(question: Callable[[], T | None], what: str) -> T:
    """The answer to a question that is asked again until there is one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {PATIENCE_SECONDS} s")


def copy_of_checkout(folder: Path) -> Path:
    """The files that Git has or would have, in a folder of their own: no .env and no secrets of this machine."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@dataclass
class Stack:
    """The services of one Compose project."""

    folder: Path
    api_port: int
    dashboard_port: int
    key: str = ""
    migrated: dict[str, str] = field(default_factory=dict)
    """`rows_of_old` after the migration, before anybody served."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def compose(self, *arguments: str, **environment: str) -> str:
        command = compose_command()
        plain = {} if command[0] == "docker" else {"DOCKER_BUILDKIT": "0"}
        return run(
            *command,
            "-p",
            PROJECT,
            *arguments,
            cwd=self.folder,
            **plain,
            **({"WALLTRACK_TAG": TAG} | environment),
        )

    def sql(self, statement: str) -> str:
        """What psql prints within the service `db`."""
        return self.compose(
            "exec", "-T", "db", "psql", "-U", "walltrack", "-d", "walltrack", "-qAt", "-v", "ON_ERROR_STOP=1",
            "-c", statement,
        ).strip()  # fmt: skip

    def rows_of_old(self) -> dict[str, str]:
        """What is left of the rows of the version before, by table, as psql prints them."""
        return {
            table: self.sql(f"SELECT {columns} FROM {table} WHERE {old} ORDER BY id")
            for table, (columns, old) in _ROWS_OF_OLD.items()
        }

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "-q", service).split()

    def inspect(self, service: str) -> dict[str, Any]:
        """The first container of a service, as the engine has it."""
        found: dict[str, Any] = json.loads(run("docker", "inspect", self.containers(service)[0]))[0]
        return found

    def wait_healthy(self, *services: str) -> None:
        for service in services:
            until(partial(self._is_healthy, service), f"{service} is healthy")

    def _is_healthy(self, service: str) -> bool:
        found = [json.loads(run("docker", "inspect", one))[0] for one in self.containers(service)]
        return bool(found) and all(one["State"].get("Health", {}).get("Status") == "healthy" for one in found)

    def restarts(self, service: str) -> int:
        """How often the engine started a service again by itself."""
        found: int = self.inspect(service)["RestartCount"]
        return found

    def crash(self, service: str) -> None:
        """Kill the process of a service from outside, as the kernel does when memory is short.

        `docker kill` is no crash: the engine takes it for the operator's wish, and starts nothing again.
        """
        state = self.inspect(service)["State"]
        assert state["Running"], (
            f"{service} is {state['Status']} already"
        )  # of one that does not run, Pid is 0
        os.kill(state["Pid"], 9)

    @contextmanager
    def client(self, *, known: bool = True) -> Iterator[httpx.Client]:
        headers = {"Authorization": f"Bearer {self.key}"} if known else {}
        with httpx.Client(base_url=self.base, headers=headers, timeout=30) as client:
            yield client

    def get(self, path: str) -> Any:
        with self.client() as client:
            answer = client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def wait_ready(self) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"{self.base}/health/ready", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        until(ready, "/health/ready")

    def wait_ended(self, run_id: str) -> dict[str, Any]:
        """A run once it has ended. The API may be away meanwhile."""

        def ended() -> dict[str, Any] | None:
            try:
                with self.client() as client:
                    answer = client.get(f"/api/discovery/runs/{run_id}")
            except httpx.TransportError:
                return None
            if answer.status_code != 200:
                return None
            found: dict[str, Any] = answer.json()
            return found if found["run"]["status"] != "running" else None

        return until(ended, f"the end of run {run_id}")


def free_port(wanted: int) -> int:
    """This port, or another one where it is taken."""
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", wanted))
        except OSError:
            one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
