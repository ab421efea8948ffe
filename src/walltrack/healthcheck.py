"""`python -m walltrack.healthcheck [api|dashboard|worker]`: whether this container's process works. Exit code 0 or 1.

For health checks of containers, every some seconds: it imports nothing but a little of the standard library.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

ALIVE_FILE: Final = "WALLTRACK_ALIVE_FILE"
TOUCHED_EVERY_SECONDS: Final = 5.0
ALIVE_FOR_SECONDS: Final = 30.0
"""A file that was not touched for so long: the process hangs, or is gone."""

_ANSWER_SECONDS: Final = 5.0
_ASKED: Final = {
    "api": ("WALLTRACK_API_PORT", 8000, "/health"),
    "dashboard": ("WALLTRACK_DASHBOARD_PORT", 7860, "/healthz"),
}
"""By part: the variable with its port, the port without that, and what is asked for."""


def problem_of(part: str) -> str | None:
    """Why this part does not work; None where it does."""
    if part == "worker":
        return _no_sign_of_life(os.environ.get(ALIVE_FILE, ""))
    if part not in _ASKED:
        return f"{part}: is none of {', '.join((*_ASKED, 'worker'))}"
    variable, port, path = _ASKED[part]
    return _no_answer(int(os.environ.get(variable) or port), path)


@contextmanager
def sign_of_life(path: Path, loop: AbstractEventLoop) -> Iterator[None]:
    """Touch a file every few seconds for as long as this loop goes round, until the block ends.

    Raises OSError where the file cannot be written at first.
    """
    timers: list[TimerHandle] = []

    def touch() -> None:
        path.touch()
        timers[:] = [loop.call_later(TOUCHED_EVERY_SECONDS, touch)]

    touch()
    try:
        yield
    finally:
        timers[0].cancel()
        path.unlink(missing_ok=True)


def main() -> int:
    """The command line. Returns the exit code."""
    problem = problem_of(sys.argv[1] if len(sys.argv) > 1 else "api")
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
    return 0 if problem is None else 1


def _no_answer(port: int, path: str) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"127.0.0.1:{port}{path}: {error}"
    finally:
        connection.close()
    return None if status == 200 else f"127.0.0.1:{port}{path}: answered {status}"


def _no_sign_of_life(path: str) -> str | None:
    if not path:
        return f"{ALIVE_FILE}: is not set, so that the process shows no sign of life"
    try:
        age = time.time() - Path(path).stat().st_mtime
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None if age < ALIVE_FOR_SECONDS else f"{path}: the last sign of life is {age:.0f} s old"


if __name__ == "__main__":
    sys.exit(main())
