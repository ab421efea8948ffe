"""Who calls: API keys with scopes. Off only where the API listens on a loopback address."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from walltrack.api.context import ApiContext, context_of
from walltrack.api.keys import hmac_of, prefix_of
from walltrack.api.problems import ProblemError
from walltrack.config.settings import Settings
from walltrack.contract import Scope
from walltrack.data.supabase.repositories.api_key_repo import ApiKeyRepository
from walltrack.discovery.errors import BadInputError, WallTrackError

FAILURES_A_MINUTE: Final = 10
"""Wrong keys from one address before it is told to wait."""

_ASKS: Final = {"WWW-Authenticate": "Bearer"}
_SAFE: Final = ("GET", "HEAD", "OPTIONS")

_bearer = HTTPBearer(auto_error=False, description="An API key: `walltrack keys create NAME` makes one.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls: the name that records get, what it may do, and the prefix of its key (None: nobody was asked)."""

    name: str
    scope: Scope
    prefix: str | None = None

    def may(self, scope: str) -> bool:
        """Whether this is allowed to it."""
        return self.scope is Scope.OPERATE or scope == Scope.READ


ANYBODY: Final = Caller("anybody on this machine", Scope.OPERATE)


class Gate:
    """Tells who calls. One for each application, since it counts failures."""

    def __init__(self, settings: Settings) -> None:
        self._secret_key = settings.secret_key
        self._asks = settings.asks_for_keys
        self._own_origins = frozenset(settings.cors_origins)
        self._failures = MovingWindowRateLimiter(MemoryStorage())
        self._bound = RateLimitItemPerMinute(FAILURES_A_MINUTE)

    async def caller(self, request: Request, key: str | None) -> Caller | None:
        """Whoever has this key; None where no key was given though one is needed.

        Raises ProblemError: 401 for a key that does not hold, 429 after too many of them from one address, and 403
        where nobody is asked for a key and a page of another site is calling. A key that holds is never slowed.
        """
        if not self._asks:
            self._refuse_other_sites(request)
            return ANYBODY
        if key is None:
            return None
        prefix = prefix_of(key)
        known = None if prefix is None else await self._known(context_of(request), prefix, key)
        if known is not None:
            return known
        address = request.client.host if request.client else "unknown"
        if not await self._failures.hit(self._bound, address):
            raise ProblemError(
                429,
                f"more than {FAILURES_A_MINUTE} wrong keys within a minute came from your address; wait a minute",
                headers={"Retry-After": "60"},
            )
        raise ProblemError(
            401,
            "this key does not hold: it is mistyped, was revoked, or is of another server",
            headers=_ASKS,
        )

    async def _known(self, context: ApiContext, prefix: str, key: str) -> Caller | None:
        assert self._secret_key is not None
        keys = ApiKeyRepository(context.database)
        found = await keys.find(prefix)
        given = hmac_of(key, self._secret_key.get_secret_value())
        if found is None or not hmac.compare_digest(found.key_hmac, given):
            return None
        if found.use_is_due:
            await keys.note_use(prefix)
        return Caller(found.key.name, Scope(found.key.scope), prefix)

    def _refuse_other_sites(self, request: Request) -> None:
        """A page of another site can make a browser on this machine call: what it asks for is not what anybody here
        asked for.
        """
        origin = request.headers.get("origin")
        if request.method in _SAFE or origin is None or origin in self._own_origins:
            return
        if urlsplit(origin).netloc != request.headers.get("host"):
            raise ProblemError(
                403, f"calls from pages of {origin[:100]} are not allowed (WALLTRACK_CORS_ORIGINS)"
            )


def check_authentication(settings: Settings) -> None:
    """Raises BadInputError for settings by which the API would be open to strangers, or could check no key."""
    if not settings.asks_for_keys and not settings.listens_on_loopback:
        raise BadInputError(
            f"WALLTRACK_API_AUTHENTICATION: must not be off while the API listens on {settings.api_host}; "
            "leave it out, or listen on 127.0.0.1"
        )
    if settings.asks_for_keys and settings.secret_key is None:
        raise BadInputError(
            "SECRET_KEY: is needed, since the API asks for keys; `openssl rand -hex 32` makes one, and keep it: "
            "with another one no key holds any more"
        )


async def caller_of(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller | None:
    """Whoever calls, if known. Raises as `Gate.caller`."""
    gate: Gate = request.app.state.gate
    return await gate.caller(request, None if credentials is None else credentials.credentials)


async def caller_if_known(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller | None:
    """As `caller_of`; None too where the database, which has the keys, does not answer."""
    try:
        return await caller_of(request, credentials)
    except WallTrackError:
        return None


async def authorized(scopes: SecurityScopes, caller: Annotated[Caller | None, Depends(caller_of)]) -> Caller:
    """Whoever calls, allowed to do what the route asks for. Raises ProblemError: 401 without a key, 403 without the
    scope.
    """
    if caller is None:
        raise ProblemError(
            401,
            "give an API key: `Authorization: Bearer wt_…`; `walltrack keys create NAME` makes one",
            headers=_ASKS,
        )
    for scope in scopes.scopes:
        if not caller.may(scope):
            raise ProblemError(403, f"this key may not do that: it has the scope {caller.scope}, not {scope}")
    return caller


Known = Annotated[Caller | None, Depends(caller_if_known)]
Reader = Annotated[Caller, Security(authorized, scopes=[Scope.READ])]
Operator = Annotated[Caller, Security(authorized, scopes=[Scope.OPERATE])]
