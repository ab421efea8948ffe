"""Helius' enhanced transactions over REST (deprecated by Helius, still answering)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, cast

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import Route

from walltrack.sandbox.server.base58 import is_address
from walltrack.sandbox.server.bodies import Body, array
from walltrack.sandbox.server.chain_index import OwnedAccounts, walk
from walltrack.sandbox.server.exchange import Answer, Call, RefusedError, endpoint, json_answer
from walltrack.sandbox.server.helius_rpc import PROVIDER, is_spent, known_key, spent
from walltrack.sandbox.server.options import Plan
from walltrack.sandbox.server.state import ServerState

_CREDITS: Final = 100
_PAGE: Final = 100
_DEFAULT_PAGE: Final = 10
_MATCHES: Final = 50
_SCANNED: Final = 1000
_ADDRESS: Final = "GET /v0/addresses/transactions"
_BY_SIGNATURE: Final = "POST /v0/transactions"
_SLOT_BOUNDS: Final = ("gt-slot", "gte-slot", "lt-slot", "lte-slot")
_TIME_BOUNDS: Final = ("gt-time", "gte-time", "lt-time", "lte-time")


@dataclass(frozen=True, slots=True)
class _Query:
    address: str
    ascending: bool
    limit: int
    type: str | None
    source: str | None
    positions: Sequence[int]
    low: int
    high: int
    after_page: int | None
    """The row that the page before ended with, where the query names it."""


class EnhancedTransactions:
    """`GET /helius/v0/addresses/{address}/transactions` and `POST /helius/v0/transactions`: 100 credits per call."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        state = self._state
        return [
            endpoint(
                state, PROVIDER, "/helius/v0/addresses/{address}/transactions", self._by_address, too_many
            ),
            endpoint(state, PROVIDER, "/helius/v0/transactions", self._by_signature, too_many, method="POST"),
        ]

    def _by_address(self, call: Call) -> Answer:
        key, plan = known_key(self._state, call)
        options = {name: value for name, value in call.query.items() if name != "api-key"}
        about: dict[str, Any] = {
            "method": _ADDRESS, "address": call.path["address"], "options": options, "key": key
        }  # fmt: skip
        try:
            self._limit(key, plan)
            return replace(self._page(self._query(call.path["address"], call.query), call), **about)
        except RefusedError as e:
            raise RefusedError(replace(e.answer, **about)) from None

    def _by_signature(self, call: Call) -> Answer:
        key, plan = known_key(self._state, call)
        about: dict[str, Any] = {"method": _BY_SIGNATURE, "key": key}
        try:
            self._limit(key, plan)
            signatures = _signatures(call.body)
        except RefusedError as e:
            raise RefusedError(replace(e.answer, **about)) from None
        known = self._state.chain.by_signature
        rows = [known[signature] for signature in signatures if signature in known]
        return replace(self._rendered(rows), **about, options=signatures)

    def _limit(self, key: str, plan: Plan) -> None:
        wait = self._state.key_limits[key].enhanced.take()
        if wait:
            raise RefusedError(too_many(wait))
        if is_spent(self._state, key):
            raise RefusedError(spent(plan))

    def _query(self, address: str, query: QueryParams) -> _Query:
        if not is_address(address):
            raise _bad("Invalid address")
        limit = _whole(query, "limit", _DEFAULT_PAGE)
        if not 1 <= limit <= _PAGE:
            raise _bad(f"limit must be between 1 and {_PAGE}")
        order = query.get("sort-order", "desc")
        if order not in {"asc", "desc"}:
            raise _bad("sort-order must be asc or desc")
        accounts = query.get("token-accounts", "none")
        if accounts not in {"none", "balanceChanged", "all"}:
            raise _bad("token-accounts must be none, balanceChanged or all")
        if query.get("commitment", "finalized") not in {"finalized", "confirmed"}:
            raise _bad("commitment must be finalized or confirmed")
        low, high = self._bounds(query)
        before = self._place(query, "before-signature", "before")
        after = self._place(query, "after-signature", "until")
        return _Query(
            address=address,
            ascending=order == "asc",
            limit=limit,
            type=query.get("type"),
            source=query.get("source"),
            positions=self._state.chain.positions(address, cast("OwnedAccounts", accounts)),
            low=low if after is None else max(low, after + 1),
            high=high if before is None else min(high, before),
            after_page=after if order == "asc" else before,
        )

    def _bounds(self, query: QueryParams) -> tuple[int, int]:
        """The positions that slots or times allow. Refuses both kinds together: the guide forbids it."""
        chain = self._state.chain
        if any(name in query for name in _SLOT_BOUNDS) and any(name in query for name in _TIME_BOUNDS):
            raise _bad("time and slot filters cannot be combined")
        low, high = 0, len(chain)
        for kind, position in (("slot", chain.from_slot), ("time", chain.from_time)):
            low = max(
                low, position(_whole(query, f"gt-{kind}", -1) + 1), position(_whole(query, f"gte-{kind}", 0))
            )
            if f"lt-{kind}" in query:
                high = min(high, position(_whole(query, f"lt-{kind}", 0)))
            if f"lte-{kind}" in query:
                high = min(high, position(_whole(query, f"lte-{kind}", 0) + 1))
        return low, high

    def _place(self, query: QueryParams, *names: str) -> int | None:
        for name in names:
            if name in query:
                place = self._state.chain.by_signature.get(query[name])
                if place is None:
                    raise _bad(f"{name}: signature not found")
                return place
        return None

    def _page(self, query: _Query, call: Call) -> Answer:
        rows = walk(query.positions, query.low, query.high, ascending=query.ascending)
        if query.type is not None or query.source is not None:
            return self._scan(query, rows)
        faults = self._state.faults
        page: list[int] = []
        if (
            query.after_page is not None
            and query.limit > 1
            and faults.happens(faults.duplicate_rows, call.provider, call.number, "duplicate")
        ):
            page = [query.after_page]
        page += islice(rows, query.limit - len(page))
        return self._rendered(page)

    def _scan(self, query: _Query, rows: Any) -> Answer:
        """Filter a window of the history; 404 with the signature to go on from if nothing in it matches."""
        found: list[int] = []
        last = None
        for last in islice(rows, _SCANNED):
            item = self._state.chain.transactions[last].enhanced()
            if query.type in {None, item.get("type")} and query.source in {None, item.get("source")}:
                found.append(last)
                if len(found) == min(query.limit, _MATCHES):
                    break
        if found or last is None or next(rows, None) is None:
            return self._rendered(found)
        parameter = "after-signature" if query.ascending else "before-signature"
        message = (
            "Failed to find events within the search period. To continue search, query the API again with the "
            f"`{parameter}` parameter set to {self._state.chain.transactions[last].signature}."
        )
        return json_answer({"error": message}, status=404, credits=_CREDITS, items=0, error="404")

    def _rendered(self, rows: Sequence[int]) -> Answer:
        body = Body(array(self._state.json.part(position, "enhanced") for position in rows))
        return Answer(body=body if rows else b"[]", items=len(rows), credits=_CREDITS)


def _signatures(body: bytes) -> list[str]:
    try:
        signatures = msgspec.json.decode(body)["transactions"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise _bad("expected {transactions: [signature, ...]}") from None
    if not isinstance(signatures, list) or not all(isinstance(signature, str) for signature in signatures):
        raise _bad("transactions must be a list of signatures")
    if not 1 <= len(signatures) <= _PAGE:
        raise _bad(f"transactions must have between 1 and {_PAGE} signatures")
    return signatures


def _whole(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 18:
        raise _bad(f"{name} must be a whole number")
    return int(text)


def _bad(problem: str) -> RefusedError:
    return RefusedError(json_answer({"error": problem}, status=400, error="400"))


def too_many(wait: float) -> Answer:
    """The rate limit, as the documentation has it."""
    body = {
        "error": "RATE_LIMIT_EXCEEDED",
        "code": 429,
        "details": "Too many requests. Retry after 2 seconds.",
    }
    return json_answer(body, status=429, error="429")
