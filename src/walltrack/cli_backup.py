"""Commands that back the database up and restore it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from walltrack.cli_tables import Screen
from walltrack.config.settings import load_settings
from walltrack.data.supabase.backup import back_up, restore


def backup_command(
    file: Annotated[Path, typer.Argument(help="Where to write it; it must not exist yet.")],
) -> None:
    """Write all that WallTrack keeps into a file, by `pg_dump` of the server's version. Others may work meanwhile."""
    size = back_up(load_settings(), file)
    Screen().say(f"{file}: {size:,} bytes. `walltrack restore` puts it into an empty database.")


def restore_command(
    file: Annotated[Path, typer.Argument(help="A back-up of `walltrack backup` or deploy/backup.")],
) -> None:
    """Put a back-up into an empty database, all of it or nothing, and bring its tables up to date."""
    screen = Screen()
    restore(load_settings(), file, screen.say)
    screen.say(f"{file} is restored.")
