"""getTransactionsForAddress (docs/providers.md): an address's transactions in pages, in either order of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from walltrack.discovery.reading_plan import PER_100
from walltrack.discovery.tape_streams import HistoryQuery
from walltrack.services.faults import MalformedFault, NotInPlanFault
from walltrack.services.http import Http
from walltrack.services.providers import Provider
from walltrack.services.solana_rpc.client import COMMITMENT, NEWEST_VERSION

METHOD: Final = "getTransactionsForAddress"
PROBE_CREDITS: Final = 10

_KNOWN_MINT: Final = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
_EMPTY_PAGES: Final = 20
"""Empty pages in a row, each with a token, after which a walk is given up: they are billed like others."""


class _Result(msgspec.Struct, rename="camel"):
    data: list[msgspec.Raw]
    pagination_token: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page as it came: each item is JSON still. `token` None: the walk has ended."""

    items: list[msgspec.Raw]
    token: str | None

    @property
    def credits(self) -> int:
        """What it cost: 10 for each 100 items or part of them, at least 10."""
        return credits_of(len(self.items))


def credits_of(transactions: int) -> int:
    """What a page of so many transactions costs."""
    return max(PER_100, PER_100 * math.ceil(transactions / 100))


class HeliusHistory:
    """The method under one key. Raises the faults of `walltrack.services.faults`."""

    def __init__(self, http: Http, provider: Provider) -> None:
        self.provider = provider
        self._http = http

    @property
    def key_hash(self) -> bytes:
        """Names the key without giving it away."""
        return self.provider.key_hash("default")

    async def is_in_plan(self) -> bool:
        """Whether the key's plan has the method. Costs 10 credits where it has."""
        options = {"transactionDetails": "signatures", "limit": 1, "commitment": COMMITMENT}
        try:
            await self._http.rpc(
                self.provider, METHOD, [_KNOWN_MINT, options], _Result, credits=PROBE_CREDITS
            )
        except NotInPlanFault:
            return False
        return True

    async def page(self, address: str, query: HistoryQuery, token: str | None = None) -> HistoryPage:
        """One page. Raises MalformedFault where it is larger than asked for."""
        result = await self._http.rpc(
            self.provider,
            METHOD,
            [address, _options(query, token)],
            _Result,
            credits=lambda page: credits_of(len(page.data)),
        )
        if len(result.data) > query.limit:
            raise MalformedFault(
                self.provider.name,
                METHOD,
                f"{len(result.data):,} transactions where {query.limit:,} were asked for",
            )
        return HistoryPage(result.data, result.pagination_token)


class HistoryWalk:
    """The pages of one query, from its start or from a token. The end is a page without a token, and nothing else."""

    def __init__(
        self, client: HeliusHistory, address: str, query: HistoryQuery, token: str | None = None
    ) -> None:
        self.query = query
        self._client = client
        self._address = address
        self._token = token
        self._tokens = {token}
        self._empty = 0

    async def next_page(self) -> HistoryPage:
        """The page after the last one. Raises MalformedFault where a token comes again, or nothing but empty pages."""
        page = await self._client.page(self._address, self.query, self._token)
        name = self._client.provider.name
        if page.token is not None:
            if page.token in self._tokens:
                raise MalformedFault(
                    name, METHOD, "a pagination token came a second time: the pages go in a circle"
                )
            self._empty = 0 if page.items else self._empty + 1
            if self._empty >= _EMPTY_PAGES:
                raise MalformedFault(name, METHOD, f"{_EMPTY_PAGES} empty pages in a row")
        self._tokens.add(page.token)
        self._token = page.token
        return page


def _options(query: HistoryQuery, token: str | None) -> dict[str, object]:
    filters: dict[str, object] = {"status": "any" if query.of_wallet else "succeeded"}
    if query.of_wallet:
        filters["tokenAccounts"] = "balanceChanged"
    slots = {"gt": query.after_slot, "lte": query.to_slot}
    times = {"gte": query.from_time, "lte": query.to_time}
    for name, bounds in (("slot", slots), ("blockTime", times)):
        given = {comparison: value for comparison, value in bounds.items() if value is not None}
        if given:
            filters[name] = given
    options: dict[str, object] = {
        "transactionDetails": "full",
        "sortOrder": "desc" if query.of_wallet else "asc",
        "limit": query.limit,
        "commitment": COMMITMENT,
        "encoding": "json",
        "maxSupportedTransactionVersion": NEWEST_VERSION,
        "filters": filters,
    }
    if token is not None:
        options["paginationToken"] = token
    return options
