"""The health check of containers."""

from __future__ import annotations

import asyncio
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from walltrack.healthcheck import ALIVE_FOR_SECONDS, problem_of, sign_of_life


@pytest.mark.parametrize(("status", "problem"), [(200, None), (503, "answered 503")])
def test_a_part_works_where_it_answers_200(
    monkeypatch: pytest.MonkeyPatch, status: int, problem: str | None
) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not a word."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        monkeypatch.setenv("WALLTRACK_API_PORT", str(server.server_port))
        Thread(target=server.handle_request).start()
        found = problem_of("api")
    assert found == problem or (problem is not None and found is not None and found.endswith(problem))
    assert "refused" in str(problem_of("api"))


def test_a_worker_works_while_its_file_is_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    monkeypatch.setenv("WALLTRACK_ALIVE_FILE", str(file))

    async def serving() -> None:
        with sign_of_life(file, asyncio.get_running_loop()):
            assert problem_of("worker") is None
            then = file.stat().st_mtime - ALIVE_FOR_SECONDS - 1
            os.utime(file, (then, then))
            assert "sign of life is 3" in str(problem_of("worker"))

    asyncio.run(serving())
    assert "No such file" in str(problem_of("worker"))
    assert "is none of api" in str(problem_of("sandbox"))
