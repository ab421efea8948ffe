"""The command line in processes of its own that need not load their modules first: those take over a second.

Each command is forked from a process that has loaded `walltrack.cli` and the sandbox, and done nothing else. The
installed program itself is what documented commands of more than one word of the shell, and tests that stop a command,
start.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_SECONDS: Final = 120.0

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["walltrack.cli", "walltrack.sandbox.market", "walltrack.sandbox.server"])


def command(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Do one command to its end, in a folder. Raises TimeoutExpired after two minutes."""
    with tempfile.TemporaryDirectory(prefix="walltrack-command-") as kept:
        out, err = Path(kept) / "out", Path(kept) / "err"
        process = _forks.Process(
            target=_command, args=(list(arguments), dict(environment), folder or Path.cwd(), out, err)
        )
        process.start()
        process.join(_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), _SECONDS, out.read_bytes(), err.read_bytes())
        said = [path.read_text(encoding="utf-8") for path in (out, err)]
        return subprocess.CompletedProcess(list(arguments), process.exitcode, *said)


def _command(arguments: list[str], environment: dict[str, str], folder: Path, out: Path, err: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["walltrack", *arguments]
    from walltrack.cli import main

    main()
