"""The commands of the documentation do what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e import forked
from tests.e2e.conftest import WALLTRACK, CommandLine
from walltrack.services.files import write_example_tapes

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
UNLIMITED = {
    "WALLTRACK_DEXSCREENER_FEED_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_DEXSCREENER_PAIR_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_GECKOTERMINAL_REQUESTS_PER_MINUTE": "60000",
    "WALLTRACK_JUPITER_REQUESTS_PER_MINUTE": "60000",
}  # the sandbox grants what is set: a test need not wait for it
FEWER_WALLETS = {"WALLTRACK_PROFILE_MAX_WALLETS": "10"}
SHELL_S_OWN = set("|&;<>()$`*?\n")
RUNNING_NOW = {"make test"}  # this test is part of it


def commands() -> list[str]:
    """Lines of `console` blocks that begin with a prompt."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```console\n(.*?)```", document.read_text(), re.DOTALL):
            found += re.findall(r"^\$ (.+)$", block, re.MULTILINE)
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("command", [c for c in commands() if c not in RUNNING_NOW])
def test_a_documented_command_works(walltrack: CommandLine, tmp_path: Path, command: str) -> None:
    folder = ROOT
    if command.startswith("walltrack "):
        folder = tmp_path
        write_example_tapes(tmp_path / "data" / "example-tapes")
    environment = walltrack.environment | UNLIMITED | FEWER_WALLETS
    if command.startswith("walltrack ") and not SHELL_S_OWN.intersection(command):
        done = forked.command(shlex.split(command)[1:], environment, folder)
    else:
        done = subprocess.run(
            command.replace("walltrack ", f"{WALLTRACK} ", 1) if folder is tmp_path else command,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr


def test_the_documents_name_no_file_that_is_not_there() -> None:
    for document in DOCUMENTS:
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_command_is_in_the_changelog_or_readme() -> None:
    listed = subprocess.run([WALLTRACK, "--help"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^  ([a-z-]+)  ", listed.split("Commands:")[1], re.MULTILINE)
    told = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    assert names
    assert all(f"walltrack {name}" in told for name in names)


def test_make_help_lists_every_target() -> None:
    assert shutil.which("make")
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(re.search(rf"^{target}\b", told, re.MULTILINE) for target in targets)
