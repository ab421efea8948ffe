"""One request and what it brought, within bounds. Nothing here raises what the HTTP library raises: it knows the URL,
and the URL may hold the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Self

import httpx

from walltrack.config.provider_settings import ProviderSettings
from walltrack.services.answers import AnswerError, Reply
from walltrack.services.bodies import BodyCutError, BodyError, read_body
from walltrack.services.faults import MalformedFault, RefusedFault, RetryableFault
from walltrack.services.providers import Provider

Client = httpx.AsyncClient
"""Holds connections, and the certificates that are trusted: loading those takes 25 ms of CPU."""

_DIRECT_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """Bounds of one try, in seconds and bytes. `total_seconds` holds whatever trickles in."""

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    total_seconds: float = 180.0
    max_body_bytes: int = 64 * 1024 * 1024

    @classmethod
    def of(cls, settings: ProviderSettings) -> Self:
        """The bounds that the settings give."""
        return cls(
            connect_seconds=settings.http_connect_timeout_seconds,
            read_seconds=settings.http_read_timeout_seconds,
            total_seconds=settings.http_total_timeout_seconds,
            max_body_bytes=settings.http_max_body_mb * 1024 * 1024,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask: a path below the provider's base URL; a POST of JSON where there is `content`, else a GET.

    `content` is made anew for each try.
    """

    provider: Provider
    path: str = ""
    params: Mapping[str, str | int] | None = None
    content: Callable[[], bytes] | None = None


def new_client(bounds: HttpBounds) -> Client:
    """The HTTP client, as every call needs it: no redirects, HTTP/1.1, gzip, a name of its own."""
    return Client(
        http1=True,
        http2=False,
        follow_redirects=False,
        timeout=httpx.Timeout(bounds.read_seconds, connect=bounds.connect_seconds, pool=None),
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
        headers={
            "user-agent": f"walltrack/{_version()}",
            "accept": "application/json",
            "accept-encoding": "gzip",
        },
        # A proxy of the environment is for the outside; the sandbox is on this machine.
        mounts={f"all://{host}": None for host in _DIRECT_HOSTS},
    )


async def exchanged(client: Client, request: Request, bounds: HttpBounds) -> Reply | AnswerError:
    """What one request brought: the answer whole, or why there is none."""
    built = _built(client, request)
    if isinstance(built, AnswerError):
        return built
    try:
        async with asyncio.timeout(bounds.total_seconds):
            response = await client.send(built, stream=True)
            try:
                body = await read_body(response, bounds.max_body_bytes)
            finally:
                await response.aclose()
        return Reply(response.status_code, dict(response.headers), body)
    except TimeoutError:
        failed = AnswerError(RetryableFault, f"no whole answer within {bounds.total_seconds:g} seconds")
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        failed = AnswerError(RefusedFault, f"the request cannot be sent: {error}")
    except httpx.TransportError as error:
        failed = AnswerError(RetryableFault, f"{type(error).__name__}: {error}".removesuffix(": "))
    except BodyCutError as error:
        failed = AnswerError(RetryableFault, str(error))
    except BodyError as error:
        failed = AnswerError(MalformedFault, str(error))
    return failed


def _built(client: Client, request: Request) -> httpx.Request | AnswerError:
    provider = request.provider
    key = provider.key.get_secret_value() if provider.key else None
    content = request.content() if request.content else None
    headers = {} if content is None else {"content-type": "application/json"}
    if key and provider.key_header:
        headers[provider.key_header] = key
    try:
        url = httpx.URL(provider.base_url)
        if url.port is not None and not 0 < url.port < 65536:
            return AnswerError(RefusedFault, f"the request cannot be built: there is no port {url.port}")
        if request.path:
            url = url.copy_with(path=f"{url.path.rstrip('/')}/{request.path.lstrip('/')}")
        if request.params:
            url = url.copy_merge_params(dict(request.params))
        if key and provider.key_query:
            url = url.copy_set_param(provider.key_query, key)
        method = "GET" if content is None else "POST"
        return client.build_request(method, url, headers=headers, content=content)
    except (httpx.InvalidURL, ValueError) as error:
        return AnswerError(RefusedFault, f"the request cannot be built: {error}")


def _version() -> str:
    try:
        return version("walltrack")
    except PackageNotFoundError:
        return "0"
