"""The installed command line, over an embedded database of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.forked import command
from walltrack.data.supabase import embedded

WALLTRACK = str(Path(sys.executable).with_name("walltrack"))


@dataclass(frozen=True)
class CommandLine:
    """`walltrack` with its own data folder."""

    data_dir: Path
    conninfo: str

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("WALLTRACK_") and k != "DATABASE_URL"}
        return kept | {"WALLTRACK_DATA_DIR": str(self.data_dir)}

    def __call__(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return command([*map(str, arguments)], self.environment | environment)

    def json(self, *arguments: str | Path) -> Any:
        """What a command that must succeed prints."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [WALLTRACK, *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sql(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.conninfo, autocommit=True)

    def empty(self) -> None:
        """Forget everything that was stored."""
        with self.sql() as connection:
            connection.execute(
                "TRUNCATE discovery_runs, wallets, wallet_profiles, wallet_histories, measured_launches, address_lists,"
                " tape_streams, provider_methods, sol_prices CASCADE"
            )
            # The one row of the configuration names a run, so it went with them.
            connection.execute("INSERT INTO discovery_config (id) VALUES (1) ON CONFLICT (id) DO NOTHING")


@pytest.fixture(scope="session")
def _server(open_folder: Path) -> Iterator[CommandLine]:
    """Held open over all tests, so that the commands find the server running."""
    data_dir = open_folder / "e2e"
    with embedded.serving(data_dir) as server:
        walltrack = CommandLine(data_dir, server.conninfo)
        assert walltrack("migrate").returncode == 0
        yield walltrack


@pytest.fixture
def walltrack(_server: CommandLine) -> CommandLine:
    """The command line over empty tables."""
    _server.empty()
    return _server
