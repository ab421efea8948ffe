"""Helius' getTransactionsForAddress (docs of 2026, and as probed in August and September 2026)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain as chained
from itertools import islice
from typing import Any, Final, Literal, cast

from walltrack.sandbox.server import bodies, jsonrpc
from walltrack.sandbox.server.base58 import is_signature
from walltrack.sandbox.server.chain_index import ChainIndex, OwnedAccounts, walk
from walltrack.sandbox.server.jsonrpc import Result, RpcError
from walltrack.sandbox.server.options import PAGE_ROWS
from walltrack.sandbox.server.solana_methods import SolanaMethods, check_version, encoding_of, signature_row
from walltrack.sandbox.server.state import ServerState
from walltrack.sandbox.server.transaction_json import Form
from walltrack.sandbox.types import SandboxTransaction

METHOD: Final = "getTransactionsForAddress"

_PAGE: Final = PAGE_ROWS
_SIGNATURES_CREDITS: Final = 10
_CREDITS_PER_100: Final = 10
_HOPS: Final = 8
_OPTIONS: Final = frozenset(
    {"transactionDetails", "sortOrder", "limit", "paginationToken", "commitment", "minContextSlot", "encoding",
     "maxSupportedTransactionVersion", "filters"}
)  # fmt: skip
_FILTERS: Final = frozenset({"slot", "blockTime", "signature", "status", "tokenAccounts"})


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a walk goes on: beyond the place `index` of `slot`. `hops` empty pages were given since the last row."""

    slot: int
    index: int
    hops: int = 0

    def __str__(self) -> str:
        return f"{self.slot}:{self.index * _HOPS + self.hops}"

    @classmethod
    def read(cls, token: object) -> _Cursor:
        """Raises RpcError for a token that is none."""
        slot, colon, position = token.partition(":") if isinstance(token, str) else ("", "", "")
        if not (colon and slot.isdecimal() and position.isdecimal() and len(slot) + len(position) < 40):
            raise RpcError(jsonrpc.INTERNAL, "Bad request: Invalid pagination token")
        return cls(int(slot), *divmod(int(position), _HOPS))


@dataclass(frozen=True, slots=True)
class _Query:
    address: str
    full: bool
    ascending: bool
    limit: int
    cursor: _Cursor | None
    status: Literal["any", "succeeded", "failed"]
    positions: Sequence[int]
    low: int
    high: int
    """Positions of the market's transactions that the filters allow: [low, high)."""


class AddressHistory:
    """Answers getTransactionsForAddress. `call` raises RpcError."""

    def __init__(self, state: ServerState, methods: SolanaMethods) -> None:
        self._state = state
        self._methods = methods

    def call(self, params: list[Any], provider: str, number: int) -> Result:
        """A page: 10 credits for signatures; for full transactions 10 per 100 returned, rounded up, at least 10."""
        address = jsonrpc.address_param(params)
        options = jsonrpc.options_param(params)
        query = self._query(address, options)
        rows, cursor = self._page(query, provider, number)
        parts: list[bodies.Part | bytes]
        if query.full:
            encoding = encoding_of(options)
            for position in rows:
                check_version(self._state.chain.transactions[position], options)
            form: Form = "history jsonParsed" if encoding == "jsonParsed" else "history json"
            parts = bodies.array(self._state.json.part(position, form) for position in rows)
            credits = max(_CREDITS_PER_100, _CREDITS_PER_100 * -(-len(rows) // 100))
        else:
            transactions = self._state.chain.transactions
            rendered = jsonrpc.encoded([_row(transactions[position]) for position in rows])
            parts, credits = [rendered], _SIGNATURES_CREDITS
        token = jsonrpc.encoded(None if cursor is None else str(cursor))
        parts = [b'{"data":', *parts, b',"paginationToken":' + token + b"}"]
        return Result(parts=parts, items=len(rows), credits=credits, address=address, options=options)

    def _query(self, address: str, options: dict[str, Any]) -> _Query:
        unknown = set(options) - _OPTIONS
        if unknown:
            raise _invalid(f"unknown field {min(unknown)!r}")
        limit = jsonrpc.integer_param(options, "limit")
        if limit is not None and limit > _PAGE:
            raise RpcError(jsonrpc.INTERNAL, f"You can only request up to {_PAGE} transactions at a time")
        if limit == 0:
            raise _invalid("limit must be at least 1")
        jsonrpc.choice_param(options, "commitment", ("finalized", "confirmed"))
        self._methods.check_context(options)
        filters = jsonrpc.object_param(options, "filters")
        unknown = set(filters) - _FILTERS
        if unknown:
            raise _invalid(f"the sandbox knows no filter {min(unknown)!r}")
        chain = self._state.chain
        accounts = jsonrpc.choice_param(filters, "tokenAccounts", ("none", "balanceChanged", "all"))
        low, high = _allowed(chain, filters)
        token = options.get("paginationToken")
        status = jsonrpc.choice_param(filters, "status", ("any", "succeeded", "failed"))
        details = jsonrpc.choice_param(options, "transactionDetails", ("signatures", "full"))
        return _Query(
            address=address,
            full=details == "full",
            ascending=jsonrpc.choice_param(options, "sortOrder", ("desc", "asc")) == "asc",
            limit=min(limit or _PAGE, self._state.settings.page_rows),
            cursor=None if token is None else _Cursor.read(token),
            status=cast("Literal['any', 'succeeded', 'failed']", status),
            positions=chain.positions(address, cast("OwnedAccounts", accounts)),
            low=low,
            high=high,
        )

    def _page(self, query: _Query, provider: str, number: int) -> tuple[list[int], _Cursor | None]:
        """The rows of a page, and where to go on; None at the end."""
        chain, faults = self._state.chain, self._state.faults
        rows = self._rows(query)
        first = next(rows, None)
        if first is None:
            return [], None
        hops = query.cursor.hops if query.cursor else 0
        if hops < _HOPS - 1 and faults.happens(faults.empty_page, provider, number, "empty"):
            at = query.cursor or _before(chain.transactions[first], ascending=query.ascending)
            return [], _Cursor(at.slot, at.index, hops + 1)
        page: list[int] = []
        if query.limit > 1 and faults.happens(faults.duplicate_rows, provider, number, "duplicate"):
            page += self._last_of_page_before(query)
        rows = chained([first], rows)
        page += islice(rows, query.limit - len(page))
        more = next(rows, None) is not None
        if not more and not faults.happens(faults.last_page_token, provider, number, "last token"):
            return page, None
        last = chain.transactions[page[-1]]
        return page, _Cursor(last.slot, last.index)

    def _rows(self, query: _Query) -> Iterator[int]:
        low, high = query.low, query.high
        if query.cursor is not None:
            beyond = query.cursor.index + int(query.ascending)
            place = self._state.chain.from_key(query.cursor.slot, beyond)
            low, high = (max(low, place), high) if query.ascending else (low, min(high, place))
        return self._allowed_rows(query, low, high)

    def _allowed_rows(self, query: _Query, low: int, high: int) -> Iterator[int]:
        found = walk(query.positions, low, high, ascending=query.ascending)
        if query.status == "any":
            return found
        transactions, succeeded = self._state.chain.transactions, query.status == "succeeded"
        return (position for position in found if (transactions[position].err is None) == succeeded)

    def _last_of_page_before(self, query: _Query) -> list[int]:
        if query.cursor is None:
            return []
        chain, cursor = self._state.chain, query.cursor
        place, end = chain.from_key(cursor.slot, cursor.index), chain.from_key(cursor.slot, cursor.index + 1)
        return list(self._allowed_rows(query, max(query.low, place), min(query.high, end)))


def _before(first: SandboxTransaction, *, ascending: bool) -> _Cursor:
    """A cursor in front of a walk's first row."""
    return _Cursor(first.slot - 1, 1 << 20) if ascending else _Cursor(first.slot, first.index + 1)


def _row(transaction: SandboxTransaction) -> dict[str, Any]:
    return {**signature_row(transaction), "transactionIndex": transaction.index}


def _invalid(problem: str) -> RpcError:
    return RpcError(jsonrpc.INVALID_PARAMS, f"Invalid params: {problem}")


def _allowed(chain: ChainIndex, filters: dict[str, Any]) -> tuple[int, int]:
    """The positions that slot, block time and signature allow: [low, high)."""
    low, high = 0, len(chain)
    for name, position in (("slot", chain.from_slot), ("blockTime", chain.from_time)):
        for comparison, value in _comparisons(filters, name, ("gte", "gt", "lte", "lt", "eq")).items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise _invalid(f"filters.{name}.{comparison} must be a whole number")
            if comparison in {"gte", "gt", "eq"}:
                low = max(low, position(value + (comparison == "gt")))
            if comparison in {"lte", "lt", "eq"}:
                high = min(high, position(value + (comparison != "lt")))
    for comparison, value in _comparisons(filters, "signature", ("gte", "gt", "lte", "lt")).items():
        place = chain.by_signature.get(value) if is_signature(value) else None
        if place is None:
            raise _invalid(f"filters.signature.{comparison} is no known signature")
        if comparison in {"gte", "gt"}:
            low = max(low, place + (comparison == "gt"))
        else:
            high = min(high, place + (comparison == "lte"))
    return low, high


def _comparisons(filters: dict[str, Any], name: str, known: Sequence[str]) -> Mapping[str, Any]:
    given = jsonrpc.object_param(filters, name)
    if set(given) - set(known):
        raise _invalid(f"filters.{name} has {', '.join(known)}")
    return given
