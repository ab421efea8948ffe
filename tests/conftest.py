"""What tests of several kinds share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that the users of the servers can reach: pytest's own ones are closed to them."""
    with tempfile.TemporaryDirectory(prefix="walltrack-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
