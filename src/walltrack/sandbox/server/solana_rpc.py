"""A public Solana RPC node: standard methods only, tight limits per caller (api.mainnet-beta.solana.com)."""

from __future__ import annotations

import math
from typing import Final

from starlette.routing import Route

from walltrack.sandbox.server import jsonrpc
from walltrack.sandbox.server.exchange import Answer, Call, RefusedError, endpoint, json_answer, text_answer
from walltrack.sandbox.server.jsonrpc import RpcError
from walltrack.sandbox.server.limits import TokenBucket
from walltrack.sandbox.server.solana_methods import SolanaMethods
from walltrack.sandbox.server.state import ServerState

PROVIDER: Final = "solana"

_PER_10_SECONDS: Final = 100
_PER_10_SECONDS_AND_METHOD: Final = 40
_LARGEST_BATCH: Final = 100


class SolanaNode:
    """Limits: 100 requests in 10 seconds, 40 of one method. A batch counts by its entries."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._methods = SolanaMethods(state)
        self._all = self._bucket(_PER_10_SECONDS)
        self._by_method: dict[str, TokenBucket] = {}

    def routes(self) -> list[Route]:
        return [
            endpoint(self._state, PROVIDER, path, self._answer, too_many, method="POST")
            for path in ("/solana", "/solana/")
        ]

    def _bucket(self, per_10_seconds: int) -> TokenBucket:
        allowed = per_10_seconds * self._state.settings.rate_factor
        return TokenBucket(allowed, allowed / 10, self._state.settings.clock)

    def _answer(self, call: Call) -> Answer:
        if "origin" in call.headers:
            raise RefusedError(text_answer("Forbidden", status=403))
        requests, batch = jsonrpc.requests_of(call.body)
        if len(requests) > _LARGEST_BATCH:
            raise RefusedError(jsonrpc.failure(None, RpcError(jsonrpc.INVALID_REQUEST, "Batch too large")))
        wait = self._all.take(len(requests))
        for method in {request.method for request in requests}:
            bucket = self._by_method.setdefault(method, self._bucket(_PER_10_SECONDS_AND_METHOD))
            wait = max(wait, bucket.take(sum(request.method == method for request in requests)))
        if wait:
            raise RefusedError(too_many(wait))
        return jsonrpc.run(self._methods.call, requests, batch, call)


def too_many(wait: float) -> Answer:
    """As observed in August 2026."""
    body = {
        "jsonrpc": "2.0",
        "error": {"code": 429, "message": "Too many requests for a specific RPC call"},
        "id": 1,
    }
    headers = {
        "x-ratelimit-rps-limit": "250",
        "x-ratelimit-conn-limit": "40",
        "x-ratelimit-tier": "free",
        "retry-after": str(max(1, math.ceil(wait))),
    }
    return json_answer(body, status=429, headers=headers, error="429")
