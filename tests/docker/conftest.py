"""One deployment for all tests here, brought up by the steps of docs/deployment.md on a database of the older kind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.stack import NEXT_TAG, TAG, Stack, copy_of_checkout, engine_problem, free_port, run
from tests.integration.test_migrations import OLD_ROWS, STORY_9_1, STORY_9_3

ORIGIN = "https://desk.example"

# `make test-docker` runs these: they take minutes, and an engine.
collect_ignore_glob = [] if os.environ.get("WALLTRACK_TEST_CONTAINERS") else ["test_*.py"]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    problem = engine_problem()
    if problem is not None:
        pytest.skip(f"NO CONTAINERS: {problem}")
    return copy_of_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def stack(checkout: Path) -> Iterator[Stack]:
    """The story's deployment steps, over a database with rows of the version before."""
    stack = Stack(checkout, free_port(8080), free_port(7865))
    run(str(checkout / "deploy" / "make-secrets"))
    with (checkout / ".env").open("a", encoding="utf-8") as settings:
        settings.write(
            f"APP_PORT={stack.api_port}\nDASHBOARD_PORT={stack.dashboard_port}\n"
            "COMPOSE_FILE=docker-compose.yml:docker-compose.sandbox.yml\nCOMPOSE_PROFILES=sandbox\n"
            f"WALLTRACK_CORS_ORIGINS={ORIGIN}\nWALLTRACK_LEASE_SECONDS=5\n"
        )
    try:
        stack.compose("down", "-v", "--remove-orphans")
        stack.compose("up", "-d", "db")
        stack.wait_healthy("db")
        stack.sql(f"{STORY_9_1}{STORY_9_3}{OLD_ROWS}")
        stack.compose("down")
        # Without --no-cache, which would install everything twice: a layer is of the files that it was made from.
        stack.compose("build", "walltrack-app", "walltrack-dashboard")
        stack.compose("run", "--rm", "walltrack-app", "python", "-m", "walltrack.data.supabase.migrate")
        stack.migrated = stack.rows_of_old()
        stack.compose("up", "-d")
        stack.wait_ready()
        made = stack.compose(
            "exec", "-T", "walltrack-app", "walltrack", "keys", "create", "tests", "--scope", "operate"
        )
        stack.key = made.strip()
        yield stack
    except BaseException:
        sys.stderr.write(stack.compose("logs", "--no-color", "--tail", "40"))
        raise
    finally:
        if not os.environ.get("WALLTRACK_KEEP_CONTAINERS"):
            stack.compose("down", "-v", "--remove-orphans")
            images = [
                f"{image}:{tag}"
                for image in ("walltrack-app", "walltrack-dashboard")
                for tag in (TAG, NEXT_TAG)
            ]
            subprocess.run(["docker", "rmi", "-f", *images], capture_output=True, check=False)
