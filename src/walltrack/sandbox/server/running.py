"""Running the server: in a thread for tests, in the foreground for the command line."""

from __future__ import annotations

import gc
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Unpack

import uvicorn

from walltrack.sandbox.server import hostile
from walltrack.sandbox.server.app import application, credits_of
from walltrack.sandbox.server.exchange import LoggedRequest
from walltrack.sandbox.server.faults import Faults
from walltrack.sandbox.server.options import ServerOptions, settled
from walltrack.sandbox.server.renewal import write_truth
from walltrack.sandbox.server.state import ServerState
from walltrack.sandbox.types import Market

_START_SECONDS: Final = 30.0
_GRACE_SECONDS: Final = 1
_BACKLOG: Final = 512
_ALL_ADDRESSES: Final = ("0.0.0.0", "::")  # noqa: S104 - told apart, not bound to


@dataclass(frozen=True, slots=True)
class Urls:
    """Base URLs, each without a slash at its end, to be used in place of the providers' own."""

    root: str

    @property
    def dexscreener(self) -> str:
        """For https://api.dexscreener.com."""
        return f"{self.root}/dexscreener"

    @property
    def geckoterminal(self) -> str:
        """For https://api.geckoterminal.com/api/v2."""
        return f"{self.root}/geckoterminal/api/v2"

    @property
    def jupiter(self) -> str:
        """For https://api.jup.ag."""
        return f"{self.root}/jupiter"

    @property
    def helius(self) -> str:
        """For https://mainnet.helius-rpc.com and https://api-mainnet.helius-rpc.com."""
        return f"{self.root}/helius"

    @property
    def solana(self) -> str:
        """For https://api.mainnet-beta.solana.com."""
        return f"{self.root}/solana"

    def hostile(self, kind: str, provider: str = "dexscreener") -> str:
        """A base URL below which everything is hostile (`hostile.KINDS`), for this provider. Raises ValueError."""
        if kind not in hostile.KINDS:
            raise ValueError(f"no hostile kind {kind!r}: give one of {', '.join(hostile.KINDS)}")
        return str(getattr(self, provider)).replace(self.root, f"{self.root}/hostile/{kind}", 1)


class SandboxServer:
    """A server that runs."""

    def __init__(self, state: ServerState, urls: Urls) -> None:
        self._state = state
        self.urls = urls
        self.key = next(iter(state.keys))
        """A key that works."""

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose; can be set while the server runs."""
        return self._state.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._state.faults = faults

    def requests(self, provider: str | None = None, method: str | None = None) -> list[LoggedRequest]:
        """The requests so far, in the order of their answers."""
        return [
            entry
            for entry in list(self._state.log)
            if provider in {None, entry.provider} and method in {None, entry.method}
        ]

    def clear_requests(self) -> None:
        """Forget the requests so far; numbers and credits go on."""
        self._state.log.clear()

    def credits_used(self, key: str | None = None) -> int:
        """Credits of a key (without one: of `key`)."""
        return self._state.ledger.used(key or self.key)

    def credits(self) -> dict[str, dict[str, Any]]:
        """By key: plan, monthly_credits, used, by_method."""
        return credits_of(self._state)


@contextmanager
def serve(
    market: Market, *, host: str = "127.0.0.1", port: int = 0, **options: Unpack[ServerOptions]
) -> Iterator[SandboxServer]:
    """Serve a market from a thread while the block runs; port 0 takes a free one.

    Raises ValueError for options out of bounds, a host that is not loopback and a market out of order, OSError for a
    port that is taken.
    """
    if not _is_loopback(host):
        raise ValueError(
            f"host {host!r}: from a thread the sandbox listens on loopback only, such as 127.0.0.1"
        )
    with _market_left_out_of_collection():
        state, listener, urls = _prepared(market, host, port, None, options)
        started = threading.Event()
        server = _uvicorn(state, started.set)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True
        )
        thread.start()
        try:
            if not started.wait(_START_SECONDS):
                raise RuntimeError(f"the sandbox server did not start within {_START_SECONDS:.0f} s")
            yield SandboxServer(state, urls)
        finally:
            server.should_exit = True
            thread.join()
            listener.close()


def run(
    market: Market,
    ready: Callable[[SandboxServer], None],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    advertise: str | None = None,
    **options: Unpack[ServerOptions],
) -> None:
    """Serve a market in the foreground until SIGINT or SIGTERM; `ready` is called once it takes requests.

    The URLs name the host as `advertise` does: what others reach it by, where that is not `host`. Raises ValueError
    for options out of bounds, OSError for a host or port that cannot be had; KeyboardInterrupt after SIGINT.
    """
    with _market_left_out_of_collection():
        state, listener, urls = _prepared(market, host, port, advertise, options)
        with listener:
            _uvicorn(state, lambda: ready(SandboxServer(state, urls))).run(sockets=[listener])


def _prepared(
    market: Market, host: str, port: int, advertise: str | None, options: ServerOptions
) -> tuple[ServerState, socket.socket, Urls]:
    state = ServerState(market, settled(options))
    if state.settings.truth_file is not None:
        write_truth(market, state.settings.truth_file)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    # Connections inherit it: without it each small answer waits 40 ms for the acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = advertise or _reachable(host)
    name = f"[{name}]" if ":" in name else name
    return state, listener, Urls(f"http://{name}:{listener.getsockname()[1]}")


@contextmanager
def _market_left_out_of_collection() -> Iterator[None]:
    """Without this the garbage collector walks through the whole market while pages are rendered: twice as slow."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _reachable(host: str) -> str:
    """By which name others reach this machine: one that listens on all its addresses has none by that."""
    return socket.gethostname() if host in _ALL_ADDRESSES else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _uvicorn(state: ServerState, started: Callable[[], None]) -> uvicorn.Server:
    config = uvicorn.Config(
        application(state, started),
        http=state.connections.protocol(),
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        backlog=_BACKLOG,
    )
    return uvicorn.Server(config)
