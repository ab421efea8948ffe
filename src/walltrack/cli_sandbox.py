"""The command that serves a made-up market to other processes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from walltrack.cli_market import sandbox_environment
from walltrack.cli_options import Seed
from walltrack.cli_tables import DEMO, Screen
from walltrack.discovery.errors import BadInputError

if TYPE_CHECKING:
    from walltrack.sandbox.server import SandboxServer
    from walltrack.sandbox.types import Market


def sandbox_command(
    seed: Seed = 1,
    size: Annotated[
        int | None, typer.Option(min=1, help="About how many transactions; default some 20,000.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on: 0.0.0.0 for other machines and containers.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8899,
    advertise: Annotated[
        str | None,
        typer.Option(
            help="Host name by which others reach it, for the printed URLs.", show_default="the host"
        ),
    ] = None,
    renew_hours: Annotated[
        float, typer.Option(min=0, max=168, help="Make a new market so often; 0 for never.")
    ] = 6.0,
    plan: Annotated[str, typer.Option(help="Helius plan of its key.")] = "developer",
    truth: Annotated[Path | None, typer.Option(help="Write the market's truth to this file.")] = None,
) -> None:
    """Serve a made-up market in the providers' formats until Ctrl-C, and say how to point commands at it.

    Its data is demo data. It ends at the moment it is started, so that commands with the machine's clock find it
    fresh; after --renew-hours another market, with other tokens, takes its place.
    """
    # What it is made of takes long to import, which other commands need not wait for.
    from walltrack.sandbox.server import Renewal, run  # noqa: PLC0415

    if advertise is not None and not re.fullmatch(r"[A-Za-z0-9._:-]+", advertise):
        raise BadInputError(f"--advertise: {advertise[:60]!r} is no host name or address, such as sandbox")
    made = market_of(seed, datetime.now(UTC), size)

    def ready(server: SandboxServer) -> None:
        screen = Screen()
        screen.say(f"A sandbox ({DEMO}) of {len(made.transactions):,} transactions is served. To use it:")
        for name, value in sandbox_environment(server.urls).items():
            screen.say(f"export {name}={value}")

    renewal = Renewal(timedelta(hours=renew_hours), lambda: market_of(seed, datetime.now(UTC), size))
    try:
        run(
            made,
            ready,
            host=host,
            port=port,
            advertise=advertise,
            plan=plan,
            truth_file=truth,
            renewal=renewal if renew_hours else None,
        )
    except (ValueError, OSError) as error:
        raise BadInputError(f"the sandbox cannot be served: {error}") from error


def market_of(seed: int, now: datetime, size: int | None) -> Market:
    """The market of a seed that ends at a moment. Another moment is another market, with other addresses: the same ones
    would have traded at other times then, which tapes that are stored of them contradict.
    """
    from walltrack.sandbox.market import generate  # noqa: PLC0415 - as above

    second = int(now.timestamp())
    mixed = blake2b(f"{seed}/{second}".encode(), digest_size=4).digest()
    return generate(int.from_bytes(mixed, "big"), now=second, size=size)
