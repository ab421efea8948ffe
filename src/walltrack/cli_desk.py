"""Where commands get their answers from: the database, or the server that was named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from walltrack.cli_market import Market, market_name
from walltrack.cli_running import interruptible, tell, with_database
from walltrack.cli_server import Server, refuse_options, server_asked
from walltrack.client import ApiProblemError, WallTrackClient
from walltrack.config.settings import load_settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.desk.desk import Desk
from walltrack.desk.local import LocalDesk
from walltrack.desk.remote import RemoteDesk
from walltrack.discovery.errors import BadInputError, WallTrackError
from walltrack.scheduler.market_view import ServedMarket
from walltrack.scheduler.tasks.discovery_task import SystemClock
from walltrack.scheduler.trigger import MarketName

T = TypeVar("T")

DEFAULT_SEED: Final = 1


class ServerFailedError(WallTrackError):
    """The server could not do what it was asked to, though nothing is wrong with the asking."""


class ServerRefusedError(BadInputError):
    """The server refused what it was asked for."""


def with_desk(
    work: Callable[[Desk], Awaitable[T]], *, seed: int = DEFAULT_SEED, place: Market | None = None
) -> T:
    """Let a command ask its questions, of the server where one was named, else of the database.

    `seed` names the sandbox where runs are made on one; `place` is the market where the command has opened it.
    """
    settings = load_settings()
    server = server_asked(settings)
    if server is not None:
        refuse_options(server, {"--seed": seed != DEFAULT_SEED})
        with _told_by(server):
            return interruptible(_on(server, work))
    if place is not None:
        served = ServedMarket(place.settings, place.clock, MarketName(place.description, place.demo))
    else:
        served = ServedMarket(settings, SystemClock(), market_name(settings, sandbox=False, seed=seed))

    async def here(database: Database) -> T:
        return await work(LocalDesk(database, settings, served))

    try:
        return with_database(here)
    except RunNotFoundError as error:
        raise BadInputError(f"{error}; `walltrack runs list` has them") from None


async def _on(server: Server, work: Callable[[Desk], Awaitable[T]]) -> T:
    key = None if server.api_key is None else server.api_key.get_secret_value()
    async with WallTrackClient(server.url, api_key=key) as client:
        return await work(RemoteDesk(client))


@contextmanager
def _told_by(server: Server) -> Iterator[None]:
    """What the server refuses ends as it would here; that it does not answer for the moment is said once."""

    def waiting(details: RetryDetails) -> None:
        if details.retry_num == 1:
            tell(f"{server.url} does not answer for the moment; trying again")

    hooks = get_on_retry_hooks()
    set_on_retry_hooks([waiting])
    try:
        yield
    except ApiProblemError as error:
        raise _as_here(error) from None
    finally:
        set_on_retry_hooks(hooks)


def _as_here(error: ApiProblemError) -> WallTrackError:
    """The error that ends a command as the same one would here: a server that fails and a run that is in the way are
    failures, all other refusals wrong input.
    """
    problem = error.problem
    lines = [f"{one.field}: {one.detail}" for one in problem.errors] or [problem.detail or problem.title]
    if problem.status == 401:
        lines.append("The key is taken from WALLTRACK_API_KEY, or from the file of --api-key-file.")
    is_in_the_way = problem.status == 409 and problem.run_id is not None
    kind = ServerFailedError if problem.status >= 500 or is_in_the_way else ServerRefusedError
    return kind("\n".join(lines))
