"""The embedded PostgreSQL server's life: started by the first user of a data folder, stopped by the last.

Every user holds a shared lock (`users.lock`) while it works; the kernel drops it when a process dies, however it
dies. Starting and stopping happen under `start.lock`. Who leaves and gets `users.lock` for itself alone was the last
one, and stops the server. A server whose users were all killed runs on until its next user leaves.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from walltrack.data.supabase import embedded_folder
from walltrack.data.supabase.embedded_folder import ServerFolder, ServerUser, server_folder
from walltrack.discovery.errors import BadInputError, WallTrackError

DATABASE: Final = "walltrack"
_SUPERUSER: Final = "postgres"
_START_TIMEOUT_SECONDS: Final = 60
_STARTS: Final = 3
_OPTIONS: Final = ("-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "jit=off")


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """One user's hold on a running server. Give it back with `release`, once."""

    folder: ServerFolder
    conninfo: str
    _user: ServerUser
    _users_lock: int

    def release(self) -> None:
        """Give the hold back. The last user stops the server, and waits until it has stopped."""
        with _locked(self.folder.path / "start.lock"):
            try:
                fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # others work with it
            else:
                _stop(self.folder, self._user)
            finally:
                os.close(self._users_lock)


def acquire(data_dir: Path) -> EmbeddedServer:
    """Start the server of this data folder unless it runs, and hold it.

    Blocks while another process starts or stops it. Raises BadInputError where the folder cannot hold a database
    or belongs to another user, or the server is not installed, WallTrackError where it does not start.
    """
    embedded_folder.require_package()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(
            f"{data_dir}: cannot be made: {error.strerror}; choose another WALLTRACK_DATA_DIR"
        ) from None
    folder = server_folder(data_dir)
    user = embedded_folder.server_user(folder)
    embedded_folder.prepare(folder, user)
    with _locked(folder.path / "start.lock"):
        held = _open_lock(folder.path / "users.lock")
        try:
            fcntl.flock(held, fcntl.LOCK_SH)
            sockets = embedded_folder.socket_folder(folder, user)
            conninfo = make_conninfo(host=str(sockets), port=5432, user=_SUPERUSER, dbname=_SUPERUSER)
            _ensure_running(folder, user, sockets, conninfo)
            _ensure_database(conninfo)
        except BaseException:
            os.close(held)
            raise
    return EmbeddedServer(folder, make_conninfo(conninfo, dbname=DATABASE), user, held)


@contextmanager
def serving(data_dir: Path) -> Iterator[EmbeddedServer]:
    """Hold the server of a data folder for a `with` block."""
    server = acquire(data_dir)
    try:
        yield server
    finally:
        server.release()


def server_pid(folder: ServerFolder) -> int | None:
    """The process id of the server that runs on this folder, None where none does."""
    try:
        pid = int((folder.cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_server(pid, folder.cluster) else None


def _is_server(pid: int, cluster: Path) -> bool:
    """Whether this process is the server of this cluster, not one that was given the same number later."""
    if not Path("/proc/self").exists():
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return True
    process = Path("/proc") / str(pid)
    try:
        return (process / "cwd").readlink() == cluster
    except PermissionError:
        # Not for us to see. Of the cluster's user it may be the server; of another it cannot.
        return process.stat().st_uid == cluster.stat().st_uid
    except OSError:
        return False


def _ensure_running(folder: ServerFolder, user: ServerUser, sockets: Path, conninfo: str) -> None:
    """Come to a server that answers: use the one that runs, wait for one that starts or stops, or start one."""
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    starts = 0
    while True:
        running = server_pid(folder) is not None
        problem = _answers(conninfo) if running else "it does not run"
        if problem is None:
            return
        if not running:
            if starts == _STARTS:
                raise WallTrackError(
                    f"{folder.path}: the embedded database does not start: {_end_of_log(folder)}; the whole log is "
                    f"{folder.cluster / 'log'}"
                )
            starts += 1
            _start(folder, user, sockets)
        elif time.monotonic() > deadline:
            raise WallTrackError(
                f"{folder.path}: the embedded database gave no answer for {_START_TIMEOUT_SECONDS} s: {problem}; "
                f"its log is {folder.cluster / 'log'}"
            )
        else:
            time.sleep(0.02)


def _answers(conninfo: str) -> str | None:
    try:
        psycopg.connect(conninfo, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return str(error).strip()
    return None


def _start(folder: ServerFolder, user: ServerUser, sockets: Path) -> None:
    """One attempt. It shows by the server's answer whether it worked."""
    bin_folder = embedded_folder.programs(folder, user)
    if not (folder.cluster / "PG_VERSION").exists():
        _make_cluster(folder, user, bin_folder)
    for stale in (folder.cluster / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        # Whatever process has that number now, it is no server of this cluster: it would only block the start.
        stale.unlink(missing_ok=True)
    # pg_ctl hands its arguments to a shell within double quotes: so no path is among them but the checked one.
    command = ["pg_ctl", "start", "-w", "-t", str(_START_TIMEOUT_SECONDS), "-l", "log"]
    _run(bin_folder, [*command, "-o", shlex.join([*_OPTIONS, "-k", str(sockets)])], user, folder.cluster)


def _make_cluster(folder: ServerFolder, user: ServerUser, bin_folder: Path) -> None:
    """Make it aside and move it into place whole, so that a start that is killed leaves no half of one."""
    if any(folder.cluster.iterdir()):
        raise BadInputError(f"{folder.cluster}: holds files but no database; remove them")
    new = folder.path / "new"
    if new.exists():
        shutil.rmtree(new)
    embedded_folder.private_folder(new, user)
    command = ["initdb", "--auth=trust", "--encoding=utf8", "-U", _SUPERUSER]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    made = _run(bin_folder, command, user, new)
    if made.returncode != 0:
        raise WallTrackError(f"{folder.path}: the embedded database cannot be made: {made.stderr.strip()}")
    new.replace(folder.cluster)


def _stop(folder: ServerFolder, user: ServerUser) -> None:
    if server_pid(folder) is None:
        return
    command = ["pg_ctl", "stop", "-w", "-m", "fast", "-t", str(_START_TIMEOUT_SECONDS)]
    stopped = _run(embedded_folder.programs(folder, user), command, user, folder.cluster)
    if stopped.returncode != 0 and server_pid(folder) is not None:
        raise WallTrackError(f"{folder.path}: the embedded database does not stop: {stopped.stderr.strip()}")


def _ensure_database(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _run(
    bin_folder: Path, command: list[str], user: ServerUser, cluster: Path
) -> subprocess.CompletedProcess[str]:
    program = [str(bin_folder / command[0]), *command[1:]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        program,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cluster,
        env=environment | {"LC_ALL": "C", "PGDATA": str(cluster)},
        **user.as_subprocess(),  # type: ignore[call-overload]
    )
    return done


def _end_of_log(folder: ServerFolder) -> str:
    with suppress(OSError):
        lines = (folder.cluster / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(lines[-3:])
    return "it wrote no log"


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be opened: {error.strerror}; choose another WALLTRACK_DATA_DIR"
        ) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    held = _open_lock(path)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
