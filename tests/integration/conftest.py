"""Servers for the tests: the embedded one, and Debian's where it is installed. A fresh database for each test."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.integration.api import ApiServer, api_settings, serving
from tests.integration.databases import Server, run_as, settings_for
from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded
from walltrack.data.supabase.client import Database

T = TypeVar("T")
InDatabase = Callable[[Callable[[Database], Awaitable[object]]], None]


@pytest.fixture(scope="session")
def embedded_server(open_folder: Path) -> Iterator[Server]:
    with embedded.serving(open_folder / "embedded") as running:
        yield Server("embedded", Path(str(conninfo_to_dict(running.conninfo)["host"])))


@pytest.fixture(scope="session")
def debian_server(open_folder: Path) -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        pytest.skip("no Debian PostgreSQL in /usr/lib/postgresql: install postgresql-15 or newer")
    bin_folder = found[-1].parent
    user = None
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("no system user postgres to run Debian's PostgreSQL as")
        if shutil.which("setpriv") is None:
            pytest.skip("no setpriv to run Debian's PostgreSQL as user postgres")
        user = "postgres"
    folder = open_folder / "debian"
    folder.mkdir()
    if user is not None:
        shutil.chown(folder, user)
    cluster = folder / "cluster"
    run_as(user, [str(bin_folder / "initdb"), "-A", "trust", "-U", "postgres", "-N", "-D", str(cluster)])
    # Passwords are asked of everyone but the superuser, to test what a wrong one says.
    with (cluster / "pg_hba.conf").open("w", encoding="ascii") as rules:
        rules.write("local all postgres trust\nlocal all all scram-sha-256\n")
    control = [str(bin_folder / "pg_ctl"), "-w", "-D", str(cluster), "-l", str(folder / "log")]
    run_as(user, [*control, "-o", f"-c listen_addresses= -c fsync=off -k {folder}", "start"])
    try:
        yield Server(f"debian {bin_folder.parts[4]}", folder, user)
    finally:
        run_as(user, [*control, "-m", "immediate", "stop"])


@pytest.fixture(params=["embedded", "debian"])
def server(request: pytest.FixtureRequest) -> Server:
    running: Server = request.getfixturevalue(f"{request.param}_server")
    return running


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    with server.empty_database() as name:
        yield server.url(name)


@pytest.fixture
def migrated_url(server: Server) -> Iterator[str]:
    with server.migrated_database() as name:
        yield server.url(name)


@pytest.fixture
def settings(migrated_url: str) -> Settings:
    return settings_for(migrated_url)


@pytest.fixture
def in_database(settings: Settings) -> InDatabase:
    """Runs a coroutine function over an open, migrated database."""

    def run(scenario: Callable[[Database], Awaitable[object]]) -> None:
        async def whole() -> None:
            async with Database(settings) as database:
                await scenario(database)

        asyncio.run(whole())

    return run


@pytest.fixture(scope="module")
def _api(embedded_server: Server) -> Iterator[ApiServer]:
    """One server over all tests of a module."""
    with embedded_server.migrated_database() as name:
        given = api_settings(settings_for(embedded_server.url(name)), max_concurrent_runs=3)
        with serving(given) as running:
            yield running


@pytest.fixture
def api(_api: ApiServer) -> ApiServer:
    """The API over empty tables, asking for keys."""
    _api.empty()
    return _api


@pytest.fixture
def one_off_settings(embedded_server: Server) -> Iterator[Settings]:
    """Settings over a database of its own, for servers that a test starts and ends."""
    with embedded_server.migrated_database() as name:
        yield api_settings(settings_for(embedded_server.url(name)))
