"""The examples of docs/api.md run, from the first to the last, against a real server."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import WALLTRACK, CommandLine
from tests.e2e.test_docs import ROOT, UNLIMITED

DOCUMENT = (ROOT / "docs" / "api.md").read_text()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_the_examples_of_the_api_do_what_is_said(walltrack: CommandLine, tmp_path: Path) -> None:
    shell = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    (shown,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "example.py").write_text(program)
    port = free_port()
    # The Python example comes before the metrics.
    example = f"export API KEY\n{sys.executable} example.py\n"
    script = "\n".join(["set -euo pipefail", "trap 'kill $(jobs -p)' EXIT", *shell[:-1], example, shell[-1]])
    done = subprocess.run(
        ["bash", "-c", script.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{port}")],
        cwd=tmp_path,
        env=walltrack.environment
        | UNLIMITED
        | {"WALLTRACK_API_PORT": str(port), "PATH": f"{Path(WALLTRACK).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = done.stdout
    assert '"scope": "read"' in told
    assert "event: end" in told
    assert re.search(r"completed \d+\n", told)
    assert 'walltrack_part_up{part="database"} 1.0' in told
    assert "asks for API keys" in done.stderr
    for line in re.findall(r'"detail": "(early_window[^"]*)"', shown):
        assert line in told
