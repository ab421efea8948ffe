"""The command that serves the dashboard: settings are read here, the dashboard itself knows only the API."""

from __future__ import annotations

import sys

import typer

from walltrack.cli_running import Commands, tell
from walltrack.config.settings import Settings, load_settings
from walltrack.discovery.errors import BadInputError
from walltrack.ui.options import AddressTakenError, DashboardOptions


def dashboard_command() -> None:
    """Serve the dashboard, a page for browsers that shows and steers what the API offers, until SIGTERM.

    It asks for an API key where the API does, and may do what that key may.
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
    """Where the API is: as it was set, else on this machine."""
    return settings.api_url or f"http://127.0.0.1:{settings.api_port}"


def main() -> None:
    """The command alone, as `python -m walltrack.ui.dashboard`."""
    one = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
    one.command("dashboard")(dashboard_command)
    typer.main.get_group(one)(["dashboard", *sys.argv[1:]], prog_name="walltrack")
