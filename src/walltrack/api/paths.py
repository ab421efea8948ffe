"""Which route a request came to."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import Scope


def route_of(scope: Scope) -> str | None:
    """The whole path of the route that a request came to, its parameters by name; None where it came to none."""
    route = scope.get("route")
    if not isinstance(route, Route):
        return None
    # The route has its path below those of the routers that it is in, which have no parameters.
    parts = scope["path"].split("/")
    return "/".join(parts[: len(parts) - route.path.count("/")]) + route.path
