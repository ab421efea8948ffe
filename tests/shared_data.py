"""Where the shared real data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).resolve().parents[2] / "shared"


def shared_data() -> Path:
    """The folder `data` of the shared data beside the checkout (`SHARED_DATA` names another place).

    Skips the test where it is absent: the data is not to be redistributed with the project.
    """
    folder = Path(os.environ.get("SHARED_DATA", DEFAULT)) / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not present: {folder} (set SHARED_DATA to the folder that holds data/)")
    return folder
