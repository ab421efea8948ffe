"""Who looks: one session for each browser that logged in with an API key, and what it calls the API with.

Sessions live in this process's memory alone: a key is never written anywhere, and a restart asks for it again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeVar

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from walltrack.client import ApiProblemError, Me, Scope, WallTrackClient, WallTrackError
from walltrack.ui.options import DashboardOptions
from walltrack.ui.pulse import Pulse

T = TypeVar("T")

COOKIE: Final = "walltrack_session"
IDLE_SECONDS: Final = 12 * 3600
MOST_SESSIONS: Final = 1000
TRIES_A_MINUTE: Final = 10
LONGEST_KEY: Final = 200
PRICE_SECONDS: Final = 300
PRICE_PATIENCE_SECONDS: Final = 2.0
NO_PRICE_SECONDS: Final = 10
"""How long none is asked for after none was told: each page would wait for it otherwise."""


class LogInRefusedError(Exception):
    """No session: the message says why, for the person at the browser."""


class OpenToStrangersError(LogInRefusedError):
    """The API asks for no key, and this dashboard would hand it to whoever reaches this machine."""


@dataclass(eq=False, slots=True)
class Session:
    """One caller of the API. `pulse` is what all its open pages watch."""

    client: WallTrackClient
    me: Me
    pulse: Pulse
    token: str | None = None
    used_at: float = field(default_factory=time.monotonic)

    _sol_usd: tuple[float, Decimal | None] | None = None

    @property
    def may_operate(self) -> bool:
        """Whether it may change and start things."""
        return self.me.scope is Scope.OPERATE

    async def sol_usd(self) -> Decimal | None:
        """USD for one SOL; None while no market tells. Asked again only some time later."""
        if self._sol_usd is None or time.monotonic() > self._sol_usd[0]:
            try:
                async with asyncio.timeout(PRICE_PATIENCE_SECONDS):
                    price = (await self.client.sol_price()).usd
            except (WallTrackError, TimeoutError):
                price = None  # a page without USD is better than none
            holds = NO_PRICE_SECONDS if price is None else PRICE_SECONDS
            self._sol_usd = (time.monotonic() + holds, price)
        return self._sol_usd[1]

    async def priced(self, asked: Awaitable[T]) -> tuple[T, Decimal | None]:
        """An answer of the API with what a SOL is worth in USD. Raises what the answer does."""
        return await asked, await self.sol_usd()


class Sessions:
    """All sessions of this process. With an API that asks for no key there is one, which everybody shares."""

    def __init__(self, options: DashboardOptions, *, now: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._now = now
        self._by_token: dict[str, Session] = {}
        self._anybody: Session | None = None
        self._tries = MovingWindowRateLimiter(MemoryStorage())
        self._bound = RateLimitItemPerMinute(TRIES_A_MINUTE)

    @property
    def count(self) -> int:
        """How many are logged in."""
        return len(self._by_token)

    def of(self, token: str | None) -> Session | None:
        """The session of a cookie, while it holds."""
        session = self._by_token.get(token) if token else None
        if session is None:
            return None
        now = self._now()
        if session.pulse.is_watched:
            session.used_at = now
        if now - session.used_at > IDLE_SECONDS or session.pulse.is_refused:
            self._end(session)
            return None
        session.used_at = now
        return session

    async def anybody(self) -> Session | None:
        """The session that needs no key; None where the API asks for one.

        Raises OpenToStrangersError, and what the client raises where the API does not answer.
        """
        if self._anybody is not None and not self._anybody.pulse.is_refused:
            return self._anybody
        self._anybody = None
        client = WallTrackClient(self._options.api_url)
        try:
            me = await client.me()
        except ApiProblemError as error:
            await client.aclose()
            if error.status == 401:
                return None
            raise
        except BaseException:
            await client.aclose()
            raise
        if not self._options.listens_on_loopback:
            await client.aclose()
            raise OpenToStrangersError(
                "The API asks for no key, so this dashboard, which listens for other machines, would open it to "
                "all of them. Set WALLTRACK_API_AUTHENTICATION=true at the API, or let the dashboard listen on "
                "127.0.0.1."
            )
        self._anybody = Session(client, me, Pulse(client, me))
        return self._anybody

    async def log_in(self, key: str, address: str) -> Session:
        """A new session with this key, for a browser at this address.

        Raises LogInRefusedError for a key that does not hold or too many tries, and what the client raises where the
        API does not answer.
        """
        if not self._tries.hit(self._bound, address):
            raise LogInRefusedError(
                f"More than {TRIES_A_MINUTE} tries within a minute came from your address. Wait a minute."
            )
        key = key.strip()
        if not key or len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()):
            raise LogInRefusedError("That is no API key: `walltrack keys create NAME` makes one.")
        client = WallTrackClient(self._options.api_url, api_key=key)
        try:
            me = await client.me()
        except ApiProblemError as error:
            await client.aclose()
            if error.status in (401, 429):
                raise LogInRefusedError(str(error)[:1].upper() + str(error)[1:] + ".") from None
            raise
        except BaseException:
            await client.aclose()
            raise
        self._make_room()
        session = Session(client, me, Pulse(client, me), secrets.token_urlsafe(32))
        assert session.token is not None
        self._by_token[session.token] = session
        return session

    def log_out(self, token: str | None) -> None:
        """End the session of a cookie; its open pages go to the log-in page."""
        session = self._by_token.get(token) if token else None
        if session is not None:
            self._end(session)

    async def close(self) -> None:
        """End all sessions."""
        for session in [*self._by_token.values(), *([self._anybody] if self._anybody else [])]:
            session.pulse.end()
            await session.client.aclose()
        self._by_token.clear()
        self._anybody = None

    def _end(self, session: Session) -> None:
        if session.token is not None:
            self._by_token.pop(session.token, None)
        session.pulse.end()

    def _make_room(self) -> None:
        now = self._now()
        for session in list(self._by_token.values()):
            if now - session.used_at > IDLE_SECONDS and not session.pulse.is_watched:
                self._end(session)
        while len(self._by_token) >= MOST_SESSIONS:
            self._end(min(self._by_token.values(), key=lambda one: one.used_at))
