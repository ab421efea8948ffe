"""Helius' JSON-RPC endpoint: keys, plans, credits, batches; the methods themselves stand elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.routing import Route

from walltrack.sandbox.server import jsonrpc
from walltrack.sandbox.server.exchange import Answer, Call, RefusedError, endpoint, json_answer, text_answer
from walltrack.sandbox.server.helius_history import METHOD as HISTORY
from walltrack.sandbox.server.helius_history import AddressHistory
from walltrack.sandbox.server.jsonrpc import Result, RpcError, RpcRequest
from walltrack.sandbox.server.options import Plan
from walltrack.sandbox.server.solana_methods import SolanaMethods
from walltrack.sandbox.server.state import ServerState

PROVIDER: Final = "helius"

_HISTORICAL: Final = frozenset({"getTransaction", "getSignaturesForAddress", "getBlockTime"})
_LARGEST_BATCH: Final[Mapping[str, int]] = {"getTransaction": 100}
_LARGEST_OTHER_BATCH: Final = 10
_SPENT: Final = "max usage reached"
_GATED: Final = f"{HISTORY} is only available for paid plans. Please upgrade your plan to use it"


class HeliusRpc:
    """`POST /helius/?api-key=KEY`."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._standard = SolanaMethods(state)
        self._history = AddressHistory(state, self._standard)

    def routes(self) -> list[Route]:
        return [
            endpoint(self._state, PROVIDER, path, self._answer, too_many, method="POST")
            for path in ("/helius", "/helius/")
        ]

    def _answer(self, call: Call) -> Answer:
        key, plan = known_key(self._state, call)
        requests, batch = _only_of_known_size(*jsonrpc.requests_of(call.body))
        wait = self._state.key_limits[key].rpc.take()
        if wait:
            return replace(too_many(wait), key=key, method=requests[0].method)
        if is_spent(self._state, key):
            return replace(spent(plan, requests[0].id), key=key, method=requests[0].method)
        if plan.gated_as == "http" and self._is_gated(plan, requests):
            return replace(text_answer(_GATED, status=403), key=key, method=HISTORY, error="403")

        def method_call(method: str, params: list[Any], provider: str, number: int) -> Result:
            return self._call(plan, method, params, provider, number)

        return replace(jsonrpc.run(method_call, requests, batch, call), key=key)

    def _is_gated(self, plan: Plan, requests: list[RpcRequest]) -> bool:
        return not plan.transactions_for_address and any(r.method == HISTORY for r in requests)

    def _call(self, plan: Plan, method: str, params: list[Any], provider: str, number: int) -> Result:
        if method == HISTORY:
            if not plan.transactions_for_address:
                raise RpcError(jsonrpc.NOT_IN_PLAN, _GATED)
            return self._history.call(params, provider, number)
        result = self._standard.call(method, params, provider, number)
        result.credits = plan.historical_credits if method in _HISTORICAL else 1
        return result


def _only_of_known_size(requests: list[RpcRequest], batch: bool) -> tuple[list[RpcRequest], bool]:
    """Raises RefusedError for a batch that Helius does not take. Its exact answer to that is not known."""
    if not batch:
        return requests, batch
    methods = {request.method for request in requests}
    problem = None
    if HISTORY in methods:
        problem = f"Batch requests are not supported for {HISTORY}"
    else:
        largest = min(_LARGEST_BATCH.get(method, _LARGEST_OTHER_BATCH) for method in methods)
        if len(requests) > largest:
            problem = f"Batch size {len(requests)} exceeds the maximum of {largest}"
    if problem is not None:
        raise RefusedError(
            jsonrpc.failure(None, RpcError(jsonrpc.INVALID_REQUEST, problem), status=400),
        )
    return requests, batch


def known_key(state: ServerState, call: Call) -> tuple[str, Plan]:
    """The request's key and its plan. Raises RefusedError (401, plain text) for a missing or unknown key."""
    key = call.query.get("api-key", "")
    plan = state.keys.get(key)
    if plan is None:
        raise RefusedError(text_answer("Unauthorized", status=401, error="401"))
    return key, plan


def is_spent(state: ServerState, key: str) -> bool:
    """Whether the month's credits of this key are used up."""
    return state.ledger.used(key) >= state.keys[key].monthly_credits


def spent(plan: Plan, id_: object = 1) -> Answer:
    """The month's credits are used up, in the form that the plan names."""
    if plan.spent_as == "text":
        return text_answer(_SPENT, status=429, error=_SPENT)
    status = 200 if plan.spent_as == "rpc_200" else 429
    return jsonrpc.failure(id_, RpcError(jsonrpc.SPENT, _SPENT), status=status)


def too_many(wait: float) -> Answer:
    """The rate limit, as the documentation has it."""
    body = {"jsonrpc": "2.0", "error": {"code": jsonrpc.TOO_MANY, "message": "Too many requests"}, "id": "1"}
    return json_answer(body, status=429, error="429")
