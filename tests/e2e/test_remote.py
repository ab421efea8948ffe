"""The command line on a server: the same commands, the same answers, from a machine that has no database."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
import typer
from typer.testing import CliRunner

from tests.e2e.conftest import WALLTRACK, CommandLine
from tests.e2e.test_sandbox import UNLIMITED
from walltrack.cli import app
from walltrack.cli_server import HereOnly
from walltrack.data.supabase import embedded
from walltrack.discovery.outcome import GroupOutcome

NOBODY = "00000000-0000-0000-0000-000000000000"
SETTINGS = UNLIMITED | {
    "WALLTRACK_API_AUTHENTICATION": "true",
    "SECRET_KEY": "of-the-tests-and-of-nothing-else-0123456789",
    "WALLTRACK_PROFILE_MAX_WALLETS": "3",
}
ON_SERVERS = {
    "dashboard",
    "health", "pumps", "runs again", "runs cancel", "runs diff", "runs list", "runs outcome", "runs progress",
    "runs resume", "runs show", "runs start", "runs stats", "runs watch", "schedule enable", "schedule history",
    "schedule pause", "schedule preview", "schedule set", "schedule show", "schedule ticks", "wallets list",
    "wallets show",
}  # fmt: skip


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> Done:
    """`walltrack` within this process: starting another for each of so many commands takes minutes."""
    foreign = {name: None for name in os.environ if name.startswith("WALLTRACK_") or name == "DATABASE_URL"}
    done = CliRunner().invoke(app, arguments, env=foreign | dict(environment), prog_name="walltrack")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


@dataclass(frozen=True)
class Remote:
    """`walltrack --server` as another machine runs it, with a key."""

    url: str
    key: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"WALLTRACK_API_KEY": self.key, "WALLTRACK_DATA_DIR": str(self.folder)}

    def __call__(self, *arguments: str, **environment: str) -> Done:
        done = run(["--server", self.url, *arguments], self.environment | environment)
        assert not self.folder.exists(), "a command on a server must leave this machine alone"
        assert self.key not in done.stdout + done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Site:
    """A server that asks for keys, the command line beside it, and those of an operator and of a reader elsewhere."""

    beside: CommandLine
    there: Remote
    reader: Remote

    def here(self, *arguments: str, **environment: str) -> Done:
        return run(arguments, {"WALLTRACK_DATA_DIR": str(self.beside.data_dir)} | SETTINGS | environment)

    def both(self, *arguments: str) -> tuple[Any, Any]:
        """What a command prints beside the server and elsewhere."""
        done = self.here(*arguments), self.there(*arguments)
        assert [one.returncode for one in done] == [0, 0], done[0].stderr + done[1].stderr
        return done[0].stdout, done[1].stdout


@dataclass(frozen=True)
class Story:
    """Two runs of a server, done from elsewhere: started, and repeated with another parameter."""

    started: dict[str, Any]
    watched: list[dict[str, Any]]
    again: dict[str, Any]

    @property
    def ids(self) -> tuple[str, str]:
        return self.started["run"]["id"], self.again["run"]["id"]


@pytest.fixture(scope="module")
def site(open_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data_dir, elsewhere = open_folder / "remote", tmp_path_factory.mktemp("elsewhere") / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with embedded.serving(data_dir) as server:
        beside = CommandLine(data_dir, server.conninfo)
        site = Site(beside, Remote(url, "", elsewhere), Remote(url, "", elsewhere))
        assert site.here("migrate").returncode == 0
        with (open_folder / "serve.log").open("w") as said:
            serving = subprocess.Popen(
                [WALLTRACK, "serve", "--roles", "api,worker,scheduler"],
                env=beside.environment | SETTINGS | {"WALLTRACK_API_PORT": str(port)},
                stderr=said,
            )
        try:
            keys = [
                site.here("keys", "create", name, "--scope", scope).stdout.strip()
                for name, scope in (("desk", "operate"), ("looker", "read"))
            ]
            for attempt in stamina.retry_context(
                on=httpx.HTTPError, timeout=300, attempts=None, wait_max=0.5
            ):
                with attempt:
                    httpx.get(f"{url}/health/ready").raise_for_status()
            yield Site(beside, *(Remote(url, key, elsewhere) for key in keys))
        finally:
            serving.terminate()
            serving.wait()


@pytest.fixture(scope="module")
def story(site: Site) -> Story:
    started = site.there.json("runs", "start", "--max-tokens", "2")
    # As people do it: the installed command, in a folder and with an environment that have nothing else.
    watched = subprocess.run(
        [WALLTRACK, "runs", "watch", started["run"]["id"], "--json"],
        env=site.beside.environment | site.there.environment | {"WALLTRACK_SERVER": site.there.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert watched.returncode == 0, watched.stderr
    again = site.there.json("runs", "again", started["run"]["id"], "--min-profit-pct", "150")
    assert site.there("runs", "watch", again["run"]["id"]).returncode == 0
    return Story(started, [json.loads(line) for line in watched.stdout.splitlines()], again)


def test_a_run_is_started_watched_and_repeated_from_elsewhere(site: Site, story: Story) -> None:
    first, again = story.started["run"], story.again["run"]
    assert (first["status"], first["trigger_type"], first["triggered_by"]) == ("running", "api", "desk")
    assert (first["parameters"]["max_tokens"], story.started["workers"]) == (2, 1)
    events = [line["event"] for line in story.watched if "event" in line]
    assert [one["details"]["status"] for one in events if one["kind"] == "run"][-1] == "completed"
    assert sum(one["kind"] == "token" and one["details"]["status"] == "done" for one in events) == 2
    assert [line["progress"]["status"] for line in story.watched if "progress" in line][-1] == "completed"
    beside = [
        json.loads(line) for line in site.here("runs", "watch", first["id"], "--json").stdout.splitlines()
    ]
    assert [line["event"] for line in beside if "event" in line] == events
    assert (again["parameters"]["min_profit_pct"], again["parameters"]["max_tokens"]) == (150, 2)
    shown = site.there("runs", "show", again["id"])
    assert f"stored tapes of run {first['id']}" in shown.stdout


@pytest.mark.parametrize(
    "command",
    [
        "runs list --limit 1",
        "runs stats",
        "runs progress FIRST",
        "runs diff FIRST AGAIN",
        "schedule show",
        "schedule ticks",
        "wallets list --limit 5",
        "wallets list --status excluded --status active --sort first-seen --demo",
        "pumps --max-tokens 3",
        "health",
    ],
)
def test_a_command_prints_the_same_here_and_elsewhere(site: Site, story: Story, command: str) -> None:
    first, again = story.ids
    words = command.replace("FIRST", first).replace("AGAIN", again).split()
    here, there = (json.loads(printed) for printed in site.both(*words, "--json"))
    for record in (here, there):
        # The moments at which they were asked.
        record.get("progress", {}).pop("read_at", None)
        for part in ("current", "previous_same_part"):
            record.get("trend", {}).get(part, {}).pop("ends_at", None)
    assert there == here
    if words[0] != "pumps":  # a market takes seconds to make
        assert len({*site.both(*words)}) == 1


def test_one_run_and_one_wallet_are_shown_the_same_here_and_elsewhere(site: Site, story: Story) -> None:
    first, _ = story.ids
    for command in (["runs", "show", first], ["runs", "show", first, "--min-score", "0.5", "--all"]):
        here, there = (json.loads(printed) for printed in site.both(*command, "--json"))
        assert here["wallets"]
        assert there == here
    known, told = (json.loads(p) for p in site.both("wallets", "show", here_wallet(site), "--json"))
    assert known["found"]
    assert told == known


def here_wallet(site: Site) -> str:
    address: str = site.there.json("wallets", "list", "--limit", "1")["wallets"][0]["address"]
    return address


def test_the_stored_outcome_of_a_run_is_told_and_none_is_worked_out(site: Site, story: Story) -> None:
    first, _ = story.ids
    assert "no outcome of run" in site.there("runs", "outcome", first).stderr
    nothing = {"wallets": 2, "unmeasurable": {"no history": 1}, "wallets_with_trades": 1, "positions": 1}
    figures = dict.fromkeys(field.name for field in fields(GroupOutcome)) | nothing
    figures |= {"settled": 1, "wins": 1, "win_rate": "1", "realized_pnl_sol": "0.10"}
    figures |= {"cost_of_sold_sol": "1", "lost_in_abandoned_sol": "0"}
    with site.beside.sql() as connection:
        for group in ("found", "control"):
            connection.execute(
                "INSERT INTO run_outcomes (run_id, computed_at, wallet_group, as_of, figures, control_wallets)"
                " VALUES (%s, '2026-12-02Z', %s, '2026-12-01Z', %s, '{}')",
                (first, group, json.dumps(figures)),
            )
    here, there = site.both("runs", "outcome", first, "--stored", "--json")
    assert here == there == site.there("runs", "outcome", first, "--json").stdout
    assert json.loads(there)["found"]["realized_pnl_sol"] == 0.1
    assert len({*site.both("runs", "outcome", first, "--stored")}) == 1
    assert site.there("runs", "outcome", first, "--read").returncode == 2
    with site.beside.sql() as connection:
        connection.execute("TRUNCATE run_outcomes")


def test_the_schedule_is_changed_from_elsewhere_and_what_is_refused_is_named(site: Site) -> None:
    saved = site.there.json("schedule", "set", "--hours", "12", "--max-tokens", "7")["schedule"]
    assert (saved["schedule_hours"], saved["parameters"]["max_tokens"], saved["updated_by"]) == (
        12,
        7,
        "desk",
    )
    refused = site.there("schedule", "set", "--hours", "0", "--max-tokens", "101")
    assert refused.returncode == 2
    assert [line.split(":")[0] for line in refused.stderr.splitlines()] == [
        "schedule_hours",
        "params.max_tokens",
    ]
    preview = ("schedule", "preview", "--cron", "30 7 * * *", "--timezone", "Asia/Tokyo", "--count", "3")
    assert len({*site.both(*preview)}) == len({*site.both(*preview, "--json")}) == 1
    assert len({*site.both("schedule", "history", "--json")}) == 1
    paused = site.there.json("schedule", "pause", "--note", "key is empty")["schedule"]
    assert (paused["enabled"], paused["paused_note"]) == (False, "key is empty")
    assert site.there.json("schedule", "enable")["schedule"]["paused_note"] is None
    assert json.loads(site.here("schedule", "show", "--json").stdout)["schedule"]["schedule_hours"] == 12


def test_refusals_and_failures_of_a_server_have_the_exit_codes_of_here(site: Site, story: Story) -> None:
    first, _ = story.ids
    for words in (
        ("runs", "show", NOBODY),
        ("runs", "watch", NOBODY),
        ("runs", "again", first, "--max-tokens", "101"),
        ("runs", "resume", first),
        ("runs", "cancel", first),
        ("runs", "outcome", first, "--stored"),
        ("wallets", "show", "../../health"),
        ("runs", "start", "--min-profit-pct", "501"),
    ):
        here, there = site.here(*words), site.there(*words)
        assert there.returncode == here.returncode != 0, words
        assert there.stderr.strip()
    assert f"there is no run {NOBODY}" in site.there("runs", "show", NOBODY).stderr


def test_who_has_a_wrong_key_or_may_only_look_is_told_so(site: Site, story: Story, tmp_path: Path) -> None:
    wrong = replace(site.there, key="wt_00000000_" + "x" * 40)
    refused = wrong("runs", "list")
    assert (refused.returncode, "does not hold" in refused.stderr) == (2, True)
    assert "WALLTRACK_API_KEY" in refused.stderr
    without = site.there("runs", "list", WALLTRACK_API_KEY="")
    assert (without.returncode, "--api-key-file" in without.stderr) == (2, True)
    assert site.reader.json("runs", "list")["total"] == 2
    for words in (("start",), ("cancel", story.ids[0])):
        may_not = site.reader("runs", *words)
        assert (may_not.returncode, "may not do that" in may_not.stderr) == (2, True)
    file = tmp_path / "key"
    file.write_text(site.there.key + "\n")
    by_file = wrong("--api-key-file", str(file), "runs", "list")
    assert by_file.returncode == 0, by_file.stderr
    file.write_text("two words\n")
    assert "two words" not in wrong("--api-key-file", str(file), "runs", "list").stderr


def test_a_server_that_is_not_there_is_a_failure_that_names_its_address(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = replace(site.there, url=url)("runs", "list")
    assert done.returncode == 1
    assert url in done.stderr


def test_a_server_in_the_environment_is_used_and_the_database_not_by_mistake(site: Site) -> None:
    named = {"WALLTRACK_SERVER": site.there.url, "WALLTRACK_API_KEY": site.there.key}
    on_server = site.here("health", "--json", **named)
    assert json.loads(on_server.stdout)["serving_workers"] == 1
    mistaken = site.here("lists", "show", "watch", **named)
    assert (mistaken.returncode, "WALLTRACK_SERVER" in mistaken.stderr) == (2, True)
    assert site.here("--server", "", "lists", "show", "watch", **named).returncode == 0
    settings = site.here("config", "show", **named)
    assert settings.returncode == 0
    assert site.there.key not in settings.stdout
    assert site.there.url in settings.stdout


def test_every_command_works_on_a_server_or_refuses_one() -> None:
    group = typer.main.get_command(app)
    commands = dict(_commands(group))
    assert {name for name, command in commands.items() if not isinstance(command, HereOnly)} == ON_SERVERS


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def test_a_command_of_this_machine_refuses_a_server(site: Site) -> None:
    done = site.there("discover")
    assert done.returncode == 2
    assert "--server: `walltrack discover` works on this machine only" in done.stderr
