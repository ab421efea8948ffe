"""What tests of several kinds share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist notes the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file share what they set up, so they stay in one process where there are several."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that the users of the servers can reach: pytest's own ones are closed to them."""
    with tempfile.TemporaryDirectory(prefix="walltrack-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
