"""The command that serves the dashboard: settings are read here, the dashboard itself knows only the API."""

from __future__ import annotations

import sys

import typer

from walltrack.cli_running import Commands, tell
from walltrack.cli_server import server_asked
from walltrack.config.settings import Settings, load_settings
from walltrack.discovery.errors import BadInputError
from walltrack.ui.options import AddressTakenError, DashboardOptions


def dashboard_command() -> None:
    """Serve the dashboard, pages for browsers that show and steer what the API offers, until SIGTERM.

    The API is the one that WALLTRACK_SERVER or --server names, else the one of this machine. Where it asks for keys,
    so does the dashboard, and whoever looks may do what his key may.
    """
    # What it is made of takes a second to import, which other commands need not wait for.
    from walltrack.ui.dashboard import serve_dashboard  # noqa: PLC0415

    settings = load_settings()
    options = DashboardOptions(
        host=settings.dashboard_host, port=settings.dashboard_port, api_url=api_address(settings)
    )
    tell(
        f"dashboard at http://{options.host}:{options.port}, of the API at {options.api_url}. Ctrl-C ends it."
    )
    try:
        serve_dashboard(options)
    except AddressTakenError as error:
        raise BadInputError(f"WALLTRACK_DASHBOARD_PORT: {error}; give another one") from None


def api_address(settings: Settings) -> str:
    """Where the API is: the server that commands work on, else this machine."""
    server = server_asked(settings)
    return f"http://127.0.0.1:{settings.api_port}" if server is None else server.url


def main() -> None:
    """The command alone, as `python -m walltrack.ui.dashboard`."""
    one = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
    one.command("dashboard")(dashboard_command)
    typer.main.get_group(one)(["dashboard", *sys.argv[1:]], prog_name="walltrack")
