"""A disk that is full while a run is stored: nothing of the token is kept, and the run is failed."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import sql

from tests.integration.databases import LEASE, MINTS, NOW, SUMMARY, Server, a_wallet, listed, settings_for
from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import DatabaseStorageError
from walltrack.data.supabase.migrate import migrate, migrate_async
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.errors import WallTrackError
from walltrack.discovery.models import DiscoveryRunParams, RunStatus, TokenStatus, TriggerType


@dataclass(frozen=True)
class SmallDisk:
    path: Path

    def fill(self) -> None:
        """Leave no room for another page."""
        with (self.path / "ballast").open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def clear(self) -> None:
        (self.path / "ballast").unlink()


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    """A file system of 96 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="walltrack-disk-"))
    folder.chmod(0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture
def url_on_small_disk(server: Server, small_disk: SmallDisk) -> Iterator[str]:
    """A migrated database whose tables lie on the small disk."""
    folder = small_disk.path / "tables"
    folder.mkdir()
    owner = server.system_user or server.sockets.stat().st_uid
    shutil.chown(folder, owner)
    folder.chmod(0o700)
    with server.connect() as admin:
        admin.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(folder))))
        admin.execute("CREATE DATABASE small TEMPLATE template0 TABLESPACE small")
    try:
        migrate(settings_for(server.url("small")), lambda _line: None)
        yield server.url("small")
    finally:
        with server.connect() as admin:
            admin.execute("DROP DATABASE small WITH (FORCE)")
            admin.execute("DROP TABLESPACE small")


def test_a_full_disk_fails_the_run_and_keeps_no_half_of_a_token(
    url_on_small_disk: str, small_disk: SmallDisk
) -> None:
    async def scenario() -> None:
        async with Database(settings_for(url_on_small_disk)) as database:
            runs, tokens = DiscoveryRepository(database), RunTokenRepository(database)
            # As on any server that has been used: every index has a page, with room for some rows.
            before = await runs.create_run(
                TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=LEASE
            )
            await runs.fail_run(before.id, "an earlier one", completed_at=NOW)
            run = await runs.create_run(
                TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=LEASE
            )
            await listed(database, run.id, MINTS[:2])
            for mint, numbers in ((MINTS[0], range(3)), (MINTS[1], range(3, 10_000))):
                attempt = await tokens.start_token(run.id, mint, now=NOW, lease_expires_at=LEASE)
                assert attempt is not None
                finish = tokens.finish_token(
                    run.id,
                    mint,
                    attempt,
                    completed_at=NOW,
                    summary=SUMMARY,
                    wallets=[a_wallet(number, mint) for number in numbers],
                )
                if mint == MINTS[0]:
                    await finish
                    small_disk.fill()
                else:
                    with pytest.raises(
                        DatabaseStorageError, match="the server could not store: could not extend"
                    ):
                        await finish
            failed = await runs.fail_run(run.id, "the disk is full", completed_at=NOW + timedelta(minutes=1))
            assert (failed.status, failed.errors) == (RunStatus.FAILED, ["the disk is full"])
            assert (failed.new_wallets, failed.tokens_analyzed) == (3, 1)
            assert len(await runs.get_run_wallets(run.id)) == 3
            states = [token.status for token in await tokens.get_run_tokens(run.id)]
            assert states == [TokenStatus.DONE, TokenStatus.CANCELLED]
            async with database.transaction() as connection:
                row = await (await connection.execute("SELECT count(*) AS n FROM wallets")).fetchone()
            assert row == {"n": 3}

    asyncio.run(scenario())


def test_a_run_whose_server_died_of_a_full_disk_is_failed_after_the_restart(small_disk: SmallDisk) -> None:
    """Where the log of changes cannot grow, PostgreSQL stops itself; there is nobody then to record the failure."""
    settings = Settings(database_url=None, data_dir=small_disk.path / "data")

    async def die() -> None:
        async with Database(settings) as database:
            await migrate_async(settings, lambda _line: None)
            runs, tokens = DiscoveryRepository(database), RunTokenRepository(database)
            run = await runs.create_run(
                TriggerType.MANUAL, DiscoveryRunParams(), started_at=NOW, lease_expires_at=LEASE
            )
            await listed(database, run.id, MINTS)
            small_disk.fill()
            for mint in MINTS:
                attempt = await tokens.start_token(run.id, mint, now=NOW, lease_expires_at=LEASE)
                assert attempt is not None
                await tokens.finish_token(
                    run.id,
                    mint,
                    attempt,
                    completed_at=NOW,
                    summary=SUMMARY,
                    wallets=[a_wallet(number, mint) for number in range(10_000)],
                )

    async def recover() -> None:
        async with Database(settings) as database:
            (ended,) = await DiscoveryRepository(database).fail_abandoned_runs(LEASE)
            assert ended.status is RunStatus.FAILED
            tokens = await RunTokenRepository(database).get_run_tokens(ended.id)
            done = sum(token.status is TokenStatus.DONE for token in tokens)
            assert ended.tokens_analyzed == done < len(MINTS)
            found = await DiscoveryRepository(database).get_run_wallets(ended.id)
            assert len(found) == 10_000 * done

    with pytest.raises(WallTrackError):
        asyncio.run(die())
    small_disk.clear()
    asyncio.run(recover())
