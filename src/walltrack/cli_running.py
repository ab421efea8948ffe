"""How commands run and end: exit codes, the database around the work, what goes to which stream."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TextIO, TypeVar

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from structlog.dev import ConsoleRenderer, plain_traceback
from typer.core import TyperGroup

from walltrack.cli_server import require_here
from walltrack.config.settings import LogLevel, Settings, load_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import (
    migrate_async,
    pending_migrations,
    require_current_schema,
)
from walltrack.discovery.errors import BadInputError, WallTrackError
from walltrack.discovery.schedule import InvalidConfigError
from walltrack.services.files.export import as_json

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

T = TypeVar("T")


class Commands(TyperGroup):
    """The commands, with one place that turns how they end into an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            tell("Interrupted. A run that had begun is recorded as cancelled, with what it had found.")
            raise typer.Exit(INTERRUPTED) from None
        except InvalidConfigError as error:
            for problem in error.problems:
                tell(str(problem))
            raise typer.Exit(WRONG_USAGE) from None
        except WallTrackError as error:
            tell(str(error))
            raise typer.Exit(WRONG_USAGE if isinstance(error, BadInputError) else FAILED) from None


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the database, its tables brought up to date where it is our own.

    Ends as `interruptible`. Raises BadInputError where the command was asked to work on a server.
    """
    settings = load_settings()
    require_here(settings)
    log_from(settings.log_level)

    async def connected() -> T:
        async with Database(settings) as database:
            if database.is_embedded and await pending_migrations(database):
                await migrate_async(settings, _unheard)
            await require_current_schema(database)
            return await work(database)

    return interruptible(connected())


def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Do the work. Ctrl-C, and SIGTERM like it, cancel it, so that it records its end; then KeyboardInterrupt."""

    async def watched() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def bring_up_to_date(settings: Settings) -> None:
    """Bring the tables up to date where the database is our own."""
    async with Database(settings) as database:
        if database.is_embedded and await pending_migrations(database):
            await migrate_async(settings, _unheard)


def print_json(value: object) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(as_json(value).decode() + "\n")


def log_to(stream: TextIO) -> None:
    """Log to a stream. A traceback has no values of variables, which structlog's own would show: keys, for example.

    The level is `INFO` until `log_from` says another one.
    """
    renderer = ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain_traceback)
    structlog.configure(
        processors=[*structlog.get_config()["processors"][:-1], renderer],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    log_from(LogLevel.INFO)


def log_from(level: LogLevel) -> None:
    """Log what is of a level or above it."""
    number = logging.getLevelNamesMapping()[level]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))


def tell(line: str) -> None:
    """A line for the person who runs the command, on standard error."""
    Console(stderr=True, highlight=False).print(escape(line), soft_wrap=True)


def _unheard(line: str) -> None:
    """Our own database is brought up to date without a word."""
