"""On what commands work: this machine's database, or a server that `--server` or WALLTRACK_SERVER names."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import SecretStr
from typer.core import TyperCommand

from walltrack.config.client_settings import check_api_key
from walltrack.config.provider_settings import check_address
from walltrack.config.settings import Settings
from walltrack.discovery.errors import BadInputError

_LONGEST_KEY_FILE: Final = 4096


@dataclass(frozen=True, slots=True)
class Server:
    """A server to work on. `named_by` is the option or variable that names it."""

    url: str
    api_key: SecretStr | None
    named_by: str


@dataclass(frozen=True, slots=True)
class _Given:
    server: str | None = None
    api_key_file: Path | None = None


_NOTHING: Final = _Given()
_given: ContextVar[_Given] = ContextVar("given")


def server_options(
    server: Annotated[
        str | None,
        typer.Option(
            help="Work on the server at this address, like https://walltrack.example, with the key in"
            ' WALLTRACK_API_KEY; "" works here, whatever WALLTRACK_SERVER says.'
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Take the server's API key from this file.")
    ] = None,
) -> None:
    """Options that come before the command. A key is none of them: options are seen in lists of processes."""
    _given.set(_Given(server, api_key_file))


def server_asked(settings: Settings) -> Server | None:
    """The server that commands are to work on; None: they work here.

    Raises BadInputError for an address or a key file that cannot be.
    """
    given = _given.get(_NOTHING)
    url, named_by = given.server, "--server"
    if url is None:
        url, named_by = settings.server, Settings.env_name("server")
    if not url:
        if given.api_key_file is not None:
            raise BadInputError("--api-key-file: is for a server, and there is no --server")
        return None
    try:
        url = check_address(url)
    except ValueError as error:
        raise BadInputError(f"{named_by}: {error}") from None
    key = settings.api_key if given.api_key_file is None else _key_in(given.api_key_file)
    return Server(url, key, named_by)


def refuse_options(server: Server, options: Mapping[str, bool]) -> None:
    """Raises BadInputError for options that were given though they say nothing to a server."""
    given = [name for name, is_given in options.items() if is_given]
    if given:
        raise BadInputError(f"{', '.join(given)}: leave out, the market is that of {server.url}")


class HereOnly(TyperCommand):
    """A command that is about this machine: with --server it is refused."""

    def invoke(self, ctx: Any) -> Any:
        if _given.get(_NOTHING).server:
            raise BadInputError(
                f"--server: `{ctx.command_path}` works on this machine only; leave --server out, and run it where "
                "the server runs"
            )
        return super().invoke(ctx)


def require_here(settings: Settings) -> None:
    """Raises BadInputError where a command that needs the database was asked to work on a server."""
    server = server_asked(settings)
    if server is not None:
        raise BadInputError(
            f"{server.named_by}: this command works on the database, not on {server.url}; run it where the server "
            'runs, or say `walltrack --server ""` to work on the database here'
        )


def _key_in(path: Path) -> SecretStr:
    try:
        with path.open("rb") as file:
            key = file.read(_LONGEST_KEY_FILE).decode("utf-8").strip()
    except OSError as error:
        raise BadInputError(f"--api-key-file {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInputError(f"--api-key-file {path}: is no text") from None
    try:
        check_api_key(key)
    except ValueError as error:
        raise BadInputError(f"--api-key-file {path}: what is in it {error}") from None
    return SecretStr(key)
