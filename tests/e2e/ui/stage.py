"""The whole system as an operator has it: `walltrack serve` on the sandbox, and `walltrack dashboard` before it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import psycopg

from walltrack.data.supabase import embedded

WALLTRACK: Final = str(Path(sys.executable).with_name("walltrack"))
STARTS_SECONDS: Final = 300
"""How long a process may take to answer before something is wrong with it."""

DEFAULTS: Final[dict[str, Any]] = {
    "enabled": False,
    "schedule_hours": 6,
    "schedule_timezone": "UTC",
    "jitter_seconds": 0,
    "note": "",
    "params": {
        "min_price_change_pct": 100.0,
        "min_volume_usd": 50_000.0,
        "max_token_age_hours": 72,
        "early_window_minutes": 30,
        "min_profit_pct": 50.0,
        "max_tokens": 20,
        "profile_immediately": True,
        "min_liquidity_usd": 10_000.0,
        "include_launch_slot": False,
        "max_credits": None,
    },
}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@dataclass
class Process:
    """One of our commands, which may be stopped and started again at the same address."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    health: str
    log: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [WALLTRACK, *self.arguments], env=dict(self.environment), stdout=log, stderr=log
            )

    def wait(self) -> None:
        """Wait until it answers."""
        assert self.running is not None
        until = time.monotonic() + STARTS_SECONDS
        while time.monotonic() < until:
            if self.running.poll() is not None:
                break
            try:
                if httpx.get(self.health, timeout=5).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError(f"{self.arguments} does not answer:\n{self.log.read_text()[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, and wait until it is gone."""
        if self.running is not None:
            self.running.send_signal(how)
            self.running.wait(STARTS_SECONDS)
            self.running = None


@dataclass
class Stage:
    """An API and a dashboard over one data folder."""

    api_url: str
    url: str
    api: Process
    dashboard: Process
    data_dir: Path

    def get(self, path: str, **query: Any) -> Any:
        """What the API answers."""
        answer = httpx.get(f"{self.api_url}{path}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """What the API answers to something that is done."""
        answer = httpx.request(method, f"{self.api_url}{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def config(self) -> Any:
        """The stored configuration."""
        return self.get("/api/discovery/config")

    def reset(self) -> None:
        """The configuration as it is at first, but without a schedule; no run runs."""
        for run in self.get("/api/discovery/runs", status="running")["runs"]:
            self.send("POST", f"/api/discovery/runs/{run['id']}/cancel")
        self.send("PUT", "/api/discovery/config", DEFAULTS)

    def run(self, **params: Any) -> UUID:
        """The id of a run that was started now, and has ended."""
        run_id = self.send("POST", "/api/discovery/run", params)["run_id"]
        until = time.monotonic() + STARTS_SECONDS
        while self.get(f"/api/discovery/runs/{run_id}")["run"]["status"] == "running":
            assert time.monotonic() < until, "the run does not end"
            time.sleep(0.1)
        return UUID(run_id)

    def start(self) -> None:
        """Start both, and wait until they answer."""
        self.api.launch()
        self.dashboard.launch()
        self.api.wait()
        self.dashboard.wait()

    @contextmanager
    def sql(self) -> Iterator[psycopg.Connection[Any]]:
        """The database, for what no operator could wait for: runs of long ago."""
        with (
            embedded.serving(self.data_dir) as server,
            psycopg.connect(server.conninfo, autocommit=True) as connection,
        ):
            yield connection

    def new_key(self, name: str, scope: str) -> str:
        """A new API key."""
        made = subprocess.run(
            [WALLTRACK, "keys", "create", name, "--scope", scope, "--json"],
            env=dict(self.api.environment),
            capture_output=True,
            text=True,
            check=True,
        )
        key: str = json.loads(made.stdout)["key"]
        return key

    def stop(self) -> None:
        """Stop both."""
        self.dashboard.stop()
        self.api.stop()


@contextmanager
def staged(folder: Path, **settings: str) -> Iterator[Stage]:
    """A stage within a folder that other users of this machine can reach."""
    with _stage(folder, folder / "data", ("serve",), settings) as stage:
        yield stage


@contextmanager
def staged_empty(folder: Path) -> Iterator[Stage]:
    """A stage on which no run was ever made, and none will be: nobody works there."""
    with _stage(folder, folder / "data", ("serve", "--roles", "api"), {}) as stage:
        yield stage


@contextmanager
def second(first: Stage, folder: Path, **settings: str) -> Iterator[Stage]:
    """Another API and dashboard over the database of the first one, which does the runs."""
    with _stage(folder, first.data_dir, ("serve", "--roles", "api"), settings) as stage:
        yield stage


@contextmanager
def _stage(folder: Path, data: Path, serve: tuple[str, ...], settings: Mapping[str, str]) -> Iterator[Stage]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    api_port, port = free_port(), free_port()
    api_url, url = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{port}"
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WALLTRACK_", "DISCOVERY_")) and name not in ("DATABASE_URL", "SECRET_KEY")
    }
    environment = kept | {
        "WALLTRACK_DATA_DIR": str(data),
        "WALLTRACK_API_PORT": str(api_port),
        "WALLTRACK_DASHBOARD_PORT": str(port),
        "WALLTRACK_GECKOTERMINAL_REQUESTS_PER_MINUTE": "60000",
        "WALLTRACK_PROFILE_MAX_WALLETS": "10",
        "DISCOVERY_SCHEDULER_ENABLED": "false",
        **settings,
    }
    api = Process(serve, environment, f"{api_url}/health", folder / "api.log")
    dashboard = Process(
        ("dashboard",),
        environment | {"WALLTRACK_SERVER": api_url},
        f"{url}/healthz",
        folder / "dashboard.log",
    )
    stage = Stage(api_url, url, api, dashboard, data)
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()
