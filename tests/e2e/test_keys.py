"""Keys of the API, made, listed and revoked on the command line."""

from __future__ import annotations

import json

from tests.e2e.conftest import CommandLine

SECRET = {"SECRET_KEY": "planted-secret-of-the-command-line-0123456789"}


def test_a_key_is_shown_once_listed_without_itself_and_revoked(walltrack: CommandLine) -> None:
    with walltrack.sql() as connection:
        connection.execute("TRUNCATE api_keys")
    assert "There is no key yet" in walltrack("keys", "list").stdout
    made = walltrack("keys", "create", "night shift", "--scope", "operate", **SECRET)
    key = made.stdout.strip()
    assert made.returncode == 0
    assert key.startswith("wt_")
    assert key not in made.stderr
    prefix = key.split("_")[1]
    listed = walltrack("keys", "list")
    assert prefix in listed.stdout
    assert "night shift" in listed.stdout
    assert key not in listed.stdout
    with walltrack.sql() as connection:
        stored = str(connection.execute("SELECT * FROM api_keys").fetchall())
    assert key not in stored
    assert SECRET["SECRET_KEY"] not in stored + made.stdout + made.stderr
    assert walltrack("keys", "revoke", prefix).returncode == 0
    (record,) = walltrack.json("keys", "list")["keys"]
    assert record["revoked_at"] is not None
    unknown = walltrack("keys", "revoke", "nobodys0")
    assert (unknown.returncode, "keys list" in unknown.stderr) == (2, True)


def test_a_key_that_could_not_be_checked_is_not_made(walltrack: CommandLine) -> None:
    without = walltrack("keys", "create", "desk")
    assert without.returncode == 2
    assert "SECRET_KEY" in without.stderr
    assert walltrack("keys", "create", " ", **SECRET).returncode == 2
    made = walltrack("keys", "create", "desk", "--json", **SECRET)
    assert json.loads(made.stdout)["scope"] == "read"
    assert walltrack("serve", "--roles", "api", WALLTRACK_API_HOST="0.0.0.0").returncode == 2
