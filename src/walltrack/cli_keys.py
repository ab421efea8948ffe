"""Commands about the keys of the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import SecretStr

from walltrack.api.keys import hmac_of, new_key, prefix_of
from walltrack.cli_options import AsJson
from walltrack.cli_running import print_json, with_database
from walltrack.cli_server import HereOnly
from walltrack.cli_tables import Screen, moment
from walltrack.config.settings import load_settings
from walltrack.contract import Scope
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.api_key_repo import ApiKey, ApiKeyRepository
from walltrack.discovery.errors import BadInputError

keys_app = typer.Typer(help="Keys of the HTTP API.", no_args_is_help=True)

LONGEST_NAME = 100


@keys_app.command("create", cls=HereOnly)
def keys_create(
    name: Annotated[str, typer.Argument(help="Whose key it is, for the records of what it does.")],
    scope: Annotated[
        Scope, typer.Option(help="read: look only; operate: also start and cancel runs, and configure.")
    ] = Scope.READ,
    json: AsJson = False,
) -> None:
    """Make a key and print it, once: only its HMAC under SECRET_KEY is stored."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise BadInputError(f"NAME: must have 1 to {LONGEST_NAME} characters")
    secret = _secret_key()
    key = new_key()
    prefix = prefix_of(key)
    assert prefix is not None

    async def add(database: Database) -> ApiKey:
        digest = hmac_of(key, secret.get_secret_value())
        return await ApiKeyRepository(database).add(prefix, digest, name=name.strip(), scope=scope.value)

    stored = with_database(add)
    if json:
        print_json({"key": key, "prefix": stored.prefix, "name": stored.name, "scope": stored.scope})
        return
    # Bare on its line, so that a script can take it.
    typer.echo(key)
    typer.echo(f"Key {stored.prefix} of {stored.name} may {stored.scope}. It is shown this once.", err=True)


@keys_app.command("list", cls=HereOnly)
def keys_list(json: AsJson = False) -> None:
    """Every key: its prefix, whose it is, what it may do, when it was used last. Never the key."""

    async def read(database: Database) -> list[ApiKey]:
        return await ApiKeyRepository(database).all()

    keys = with_database(read)
    if json:
        print_json({"keys": keys})
        return
    screen = Screen()
    if not keys:
        screen.say("There is no key yet: `walltrack keys create NAME` makes one.")
        return
    screen.rows(
        ("prefix", "name", "may", "created", "last used", "revoked"),
        [
            (
                key.prefix,
                key.name,
                key.scope,
                moment(key.created_at),
                "never" if key.last_used_at is None else moment(key.last_used_at),
                "" if key.revoked_at is None else moment(key.revoked_at),
            )
            for key in keys
        ],
    )


@keys_app.command("revoke", cls=HereOnly)
def keys_revoke(
    prefix: Annotated[str, typer.Argument(help="The key's prefix, as `keys list` has it.")],
    json: AsJson = False,
) -> None:
    """Let a key hold no longer, from its next call on."""

    async def revoke(database: Database) -> ApiKey:
        return await ApiKeyRepository(database).revoke(prefix)

    key = with_database(revoke)
    if json:
        print_json({"key": key})
    else:
        Screen().say(f"Key {key.prefix} of {key.name} holds no longer.")


def _secret_key() -> SecretStr:
    secret = load_settings().secret_key
    if secret is None:
        raise BadInputError(
            "SECRET_KEY: is needed to make a key that can be checked; `openssl rand -hex 32` makes one"
        )
    return secret
