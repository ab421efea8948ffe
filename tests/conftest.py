"""What tests of several kinds share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from xdist.scheduler import LoadFileScheduling

_DASHBOARD: Final = "tests/e2e/ui"
_LONGEST_FIRST: Final = (_DASHBOARD, "tests/e2e", "tests/integration")


class _ByStage(LoadFileScheduling):  # type: ignore[misc]
    """Keeps tests that share what they set up in one process: those of a file, and all of the dashboard."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _DASHBOARD if file.startswith(_DASHBOARD) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByStage:
    """Who does which tests, where there are several processes."""
    return _ByStage(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process is left with it at the end."""
    items.sort(key=lambda item: [not item.nodeid.startswith(first) for first in _LONGEST_FIRST])


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that the users of the servers can reach: pytest's own ones are closed to them."""
    with tempfile.TemporaryDirectory(prefix="walltrack-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def _logging_as_at_first() -> None:
    """Commands that are done within the tests' process set what is logged: no test has that from another."""
    structlog.reset_defaults()
