"""The previous version of the application works on the tables of this one: that is what makes a roll back possible."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PREVIOUS = "af119d5"
"""The version whose tests are run here on today's tables."""

TESTS = (
    "test_discovery_repo",
    "test_run_engine_repo",
    "test_schedule_repo",
    "test_wallet_repo",
    "test_tape_repo",
)
MIGRATED_BY_THIS_VERSION = """
import os, subprocess, sys
import tests.integration.databases as databases

def migrate(settings, report):
    environment = os.environ | {"DATABASE_URL": settings.database_url.get_secret_value(), "PYTHONPATH": TODAY}
    command = [sys.executable, "-m", "walltrack.data.supabase.migrate"]
    subprocess.run(command, env=environment, check=True, capture_output=True)

databases.migrate = migrate
"""


def test_the_previous_version_s_own_tests_pass_on_today_s_tables(tmp_path: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", PREVIOUS, "src", "tests", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode != 0:
        pytest.skip(f"{PREVIOUS} is not in this clone: fetch more of its history")
    subprocess.run(["tar", "-x"], cwd=tmp_path, input=archive.stdout, check=True)
    plugin = f"TODAY = {str(ROOT / 'src')!r}\n{MIGRATED_BY_THIS_VERSION}"
    (tmp_path / "todays_tables.py").write_text(plugin, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "todays_tables", "-n", "0", "-k", "embedded"]
        + [f"tests/integration/{name}.py" for name in TESTS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'src'}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "[100%]" in done.stdout
