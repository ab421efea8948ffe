"""A client of the HTTP API, for the dashboard, for `walltrack --server`, and for programs of your own.

    async with WallTrackClient("https://walltrack.example", api_key="wt_…") as client:
        page = await client.runs(status=["completed"])

Answers are the domain's own objects and those of `walltrack.contract`.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import quote
from uuid import UUID

import httpx
import stamina
from httpx_sse import ServerSentEvent, aconnect_sse
from pydantic import TypeAdapter, ValidationError

from walltrack.contract import (
    BASE_PATH,
    ConfigPreview,
    ConfigView,
    CostForecast,
    DetailedHealth,
    FieldError,
    Me,
    Part,
    PartState,
    Problem,
    PumpsView,
    PumpView,
    RunFunnel,
    RunResumed,
    RunsPage,
    RunStarted,
    RunTokens,
    RunView,
    Scope,
    SolPriceView,
    WalletView,
)
from walltrack.discovery.errors import BadInputError, WallTrackError
from walltrack.discovery.models import (
    DayFigures,
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryStats,
    FindingOrder,
    FindingPage,
    ReadingCost,
    RunOutcome,
    RunStatus,
    RunToken,
    StandingFinding,
    TokenRefusal,
    TokenStatus,
    TriggerType,
    WalletFilters,
    WalletOrder,
    WalletPage,
    WalletRecord,
    WeekFigures,
)
from walltrack.discovery.run_diff import RunDiff
from walltrack.discovery.run_progress import ProviderUsage, RunEvent, RunProgress
from walltrack.discovery.schedule_records import ConfigChangePage, TickPage
from walltrack.discovery.wallet_models import Flag, FlagEvidence, StoredProfile, WalletScore, WalletStatus

__all__ = [
    "ApiProblemError",
    "ConfigPreview",
    "ConfigView",
    "CostForecast",
    "DayFigures",
    "DetailedHealth",
    "DiscoveryRun",
    "DiscoveryRunParams",
    "DiscoveryStats",
    "FieldError",
    "FindingOrder",
    "FindingPage",
    "Flag",
    "FlagEvidence",
    "Me",
    "Part",
    "PartState",
    "Problem",
    "ProviderUsage",
    "PumpView",
    "PumpsView",
    "ReadingCost",
    "RunDiff",
    "RunFunnel",
    "RunOutcome",
    "RunProgress",
    "RunStarted",
    "RunStatus",
    "RunToken",
    "RunTokens",
    "RunView",
    "RunsPage",
    "Scope",
    "ServerUnreachableError",
    "SolPriceView",
    "StandingFinding",
    "StoredProfile",
    "StreamedEvent",
    "TokenRefusal",
    "TokenStatus",
    "TriggerType",
    "WallTrackClient",
    "WallTrackError",
    "WalletFilters",
    "WalletOrder",
    "WalletPage",
    "WalletRecord",
    "WalletScore",
    "WalletStatus",
    "WalletView",
    "WeekFigures",
    "filter_query",
]

T = TypeVar("T")

WALLETS: Final = "/api/wallets"
TIMEOUT_SECONDS: Final = 35.0
"""A little longer than the server takes before it gives a request up."""

_TRIES: Final = 4
_LONGEST_WAIT_SECONDS: Final = 5.0
_SILENCE_SECONDS: Final = 60.0
"""Without even a ping for so long, a stream of events is broken."""

Params = Mapping[str, Any]


class ServerUnreachableError(WallTrackError):
    """Nothing answers at the server's address, or what answers is no WallTrack."""

    passes = True


class ApiProblemError(WallTrackError):
    """The server refused, or failed. `problem` says what, where and which bound."""

    def __init__(self, problem: Problem, retry_after: int | None = None) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.retry_after = retry_after
        self.passes = problem.status in (502, 503, 504)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def errors(self) -> list[FieldError]:
        """The fields that were refused."""
        return self.problem.errors


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """Something of a run's stream: a change of state (`event`), or where the run stands (`progress`).

    `is_end`: the run has ended and everything was told.
    """

    event: RunEvent | None = None
    progress: RunProgress | None = None
    is_end: bool = False


class WallTrackClient:
    """Calls the API at `server`, like https://walltrack.example, as an async context manager.

    Every method raises ApiProblemError for what the server refuses, ServerUnreachableError where nothing answers.
    What only reads is tried again where the server cannot answer for the moment. Raises BadInputError for an address or
    a key that cannot be one.
    """

    def __init__(
        self, server: str, *, api_key: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.server = server.rstrip("/")
        headers = {}
        if api_key is not None:
            if not api_key.isascii() or not api_key.isprintable() or not api_key or " " in api_key:
                raise BadInputError("the API key is none: those of `walltrack keys create` begin with wt_")
            headers["Authorization"] = f"Bearer {api_key}"
        if not self.server.startswith(("http://", "https://")):
            raise BadInputError(f"{server!r} is no address of a server, like https://walltrack.example")
        try:
            self._http = httpx.AsyncClient(
                base_url=self.server, headers=headers, timeout=TIMEOUT_SECONDS, transport=transport
            )
        except httpx.InvalidURL as error:
            raise BadInputError(f"{server!r} is no address of a server: {_in_words(error)}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; for those who keep a client longer than a block."""
        await self._http.aclose()

    async def me(self) -> Me:
        """Whose key this client has, and what it may do."""
        return await self._get("/api/me", Me)

    async def runs(
        self,
        *,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        status: Sequence[str] = (),
        trigger: Sequence[str] = (),
        page: int | None = None,
        page_size: int = 50,
        cursor: str | None = None,
    ) -> RunsPage:
        """A page of runs, newest first."""
        asked = {
            "start_date": start_date,
            "end_date": end_date,
            "status": status,
            "trigger": trigger,
            "page": page,
            "page_size": page_size,
            "cursor": cursor,
        }
        return await self._get(f"{BASE_PATH}/runs", RunsPage, asked)

    async def run(self, run_id: UUID) -> RunView:
        """One run, with its tokens, progress and usage."""
        return await self._get(f"{BASE_PATH}/runs/{run_id}", RunView)

    async def run_wallets(
        self,
        run_id: UUID,
        filters: WalletFilters | None = None,
        *,
        sort: FindingOrder = FindingOrder.REALIZED_PNL_SOL,
        ascending: bool = False,
        page_size: int = 50,
        cursor: str | None = None,
    ) -> FindingPage:
        """A page of what a run found; with filters, only of wallets that pass them today."""
        asked = {"sort": sort.value, "ascending": ascending, "page_size": page_size, "cursor": cursor}
        query = {name: value for name, value in filter_query(filters).items() if name != "sort"}
        return await self._get(f"{BASE_PATH}/runs/{run_id}/wallets", FindingPage, query | asked)

    async def run_wallets_csv(self, run_id: UUID) -> bytes:
        """All that a run found, as CSV in UTF-8 with a line of names."""
        path = f"{BASE_PATH}/runs/{run_id}/wallets"
        return (await self._asked("GET", path, headers={"Accept": "text/csv"})).content

    async def run_tokens(self, run_id: UUID) -> RunTokens:
        """The outcome of each token of a run."""
        return await self._get(f"{BASE_PATH}/runs/{run_id}/tokens", RunTokens)

    async def run_outcome(self, run_id: UUID) -> RunOutcome:
        """How the wallets of a run went on after it."""
        return await self._get(f"{BASE_PATH}/runs/{run_id}/outcome", RunOutcome)

    async def run_diff(self, a: UUID, b: UUID) -> RunDiff:
        """What run b has otherwise than run a."""
        return await self._get(f"{BASE_PATH}/runs/{a}/diff/{b}", RunDiff)

    async def stats(
        self, start_date: datetime | None = None, end_date: datetime | None = None, *, weeks: int = 8
    ) -> DiscoveryStats:
        """Figures over the runs of a date range."""
        asked = {"start_date": start_date, "end_date": end_date, "weeks": weeks}
        return await self._get(f"{BASE_PATH}/stats", DiscoveryStats, asked)

    async def start_run(
        self, params: Params | None = None, *, mints: Sequence[str] = (), idempotency_key: str | None = None
    ) -> RunStarted:
        """Start a run. What `params` leaves out is as in the stored configuration.

        Tried again where the answer got lost: with the idempotency key, which is made where none is given, it starts
        once.
        """
        body = {**(params or {}), **({"mints": list(mints)} if mints else {})}
        return await self._start(f"{BASE_PATH}/run", body, idempotency_key)

    async def repeat_run(
        self,
        run_id: UUID,
        params: Params | None = None,
        *,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> RunStarted:
        """Start a new run on the tokens of an earlier one, with its parameters but those that are given."""
        return await self._start(
            f"{BASE_PATH}/runs/{run_id}/again", {**(params or {}), "fresh": fresh}, idempotency_key
        )

    async def resume_run(self, run_id: UUID) -> RunResumed:
        """Let an ended run go on with what failed or was cancelled of it."""
        return await self._send("POST", f"{BASE_PATH}/runs/{run_id}/resume", RunResumed)

    async def cancel_run(self, run_id: UUID, reason: str | None = None) -> DiscoveryRun:
        """End a running run, with what it has found."""
        return await self._send(
            "POST", f"{BASE_PATH}/runs/{run_id}/cancel", DiscoveryRun, body={"reason": reason}
        )

    async def follow_run(self, run_id: UUID, after: str | None = None) -> AsyncIterator[StreamedEvent]:
        """What happens to a run, until it has ended. A stream that breaks after something was heard is taken up where
        it broke, for as long as it takes: nothing is missed, and no change of state comes twice.
        """
        cursor, was_heard, tries = after, False, 0

        def goes_on(error: Exception) -> bool:
            return _passes(error) and (was_heard or tries < _TRIES)

        async for attempt in stamina.retry_context(
            on=goes_on, attempts=None, timeout=None, wait_max=_LONGEST_WAIT_SECONDS
        ):
            tries = attempt.num
            with attempt:
                async for sent in self._events(run_id, cursor):
                    told = _streamed(sent)
                    was_heard = True
                    cursor = sent.id or cursor
                    if told is not None:
                        yield told
                        if told.is_end:
                            return

    async def config(self) -> ConfigView:
        """The configuration, and where the schedule stands."""
        return await self._get(f"{BASE_PATH}/config", ConfigView)

    async def save_config(self, changes: Params, *, version: int | None = None) -> ConfigView:
        """Change what is given of the configuration. With a version, status 412 where somebody changed it since."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        return await self._send("PUT", f"{BASE_PATH}/config", ConfigView, body=changes, headers=headers)

    async def preview_config(self, changes: Params | None = None) -> ConfigPreview:
        """When the next runs would start after a change, and what one would cost. Saves nothing."""
        return await self._send("POST", f"{BASE_PATH}/config/preview", ConfigPreview, body=changes or {})

    async def config_history(self, *, page_size: int = 50, cursor: str | None = None) -> ConfigChangePage:
        """Who changed what, newest first."""
        asked = {"page_size": page_size, "cursor": cursor}
        return await self._get(f"{BASE_PATH}/config/history", ConfigChangePage, asked)

    async def ticks(self, *, page_size: int = 50, cursor: str | None = None) -> TickPage:
        """What became of every due time, newest first."""
        asked = {"page_size": page_size, "cursor": cursor}
        return await self._get(f"{BASE_PATH}/config/ticks", TickPage, asked)

    async def pumps(self, params: Params | None = None) -> PumpsView:
        """What pumps now, by the stored parameters but those that are given."""
        return await self._get(f"{BASE_PATH}/pumps", PumpsView, params or {})

    async def sol_price(self) -> SolPriceView:
        """What a SOL is worth in USD, by the hour that was over last."""
        return await self._get(f"{BASE_PATH}/sol-price", SolPriceView)

    async def wallets(
        self, filters: WalletFilters | None = None, *, page_size: int = 50, cursor: str | None = None
    ) -> WalletPage:
        """A page of the wallets over all runs."""
        return await self._get(
            WALLETS, WalletPage, filter_query(filters) | {"page_size": page_size, "cursor": cursor}
        )

    async def wallet(self, address: str) -> WalletView:
        """All that is known of a wallet."""
        return await self._get(f"{WALLETS}/{quote(address, safe='')}", WalletView)

    async def wallet_findings(
        self, address: str, *, page_size: int = 50, cursor: str | None = None
    ) -> FindingPage:
        """A page of what every run found of a wallet, the newest first."""
        path = f"{WALLETS}/{quote(address, safe='')}/findings"
        return await self._get(path, FindingPage, {"page_size": page_size, "cursor": cursor})

    async def health(self) -> DetailedHealth:
        """How every part is; also where a part of it failed."""
        answer = await self._asked("GET", "/health/detailed", may_fail=True)
        return _read(answer, DetailedHealth)

    async def _get(self, path: str, kind: type[T], query: Params | None = None) -> T:
        async for attempt in stamina.retry_context(
            on=_passes, attempts=_TRIES, wait_max=_LONGEST_WAIT_SECONDS
        ):
            with attempt:
                return _read(await self._asked("GET", path, query=query), kind)
        raise AssertionError("stamina ends with a result or an error")

    async def _start(self, path: str, body: Params, idempotency_key: str | None) -> RunStarted:
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        async for attempt in stamina.retry_context(
            on=_passes, attempts=_TRIES, wait_max=_LONGEST_WAIT_SECONDS
        ):
            with attempt:
                return await self._send("POST", path, RunStarted, body=body, headers=headers)
        raise AssertionError("stamina ends with a result or an error")

    async def _send(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        return _read(await self._asked(method, path, body=body, headers=headers), kind)

    async def _asked(
        self,
        method: str,
        path: str,
        *,
        query: Params | None = None,
        body: Params | None = None,
        headers: Mapping[str, str] | None = None,
        may_fail: bool = False,
    ) -> httpx.Response:
        try:
            answer = await self._http.request(
                method, path, params=_query(query or {}), json=body, headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerUnreachableError(f"{self.server}: {_in_words(error)}") from error
        if answer.is_success or (may_fail and answer.status_code == 503):
            return answer
        raise _problem_of(answer)

    async def _events(self, run_id: UUID, cursor: str | None) -> AsyncIterator[ServerSentEvent]:
        headers = {} if cursor is None else {"Last-Event-ID": cursor}
        path = f"{BASE_PATH}/runs/{run_id}/events"
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=_SILENCE_SECONDS)
        try:
            async with aconnect_sse(self._http, "GET", path, headers=headers, timeout=timeout) as source:
                if source.response.status_code == 204:
                    progress = (await self.run(run_id)).progress
                    yield ServerSentEvent("end", _progress().dump_json(progress).decode(), cursor or "")
                    return
                if not source.response.is_success:
                    await source.response.aread()
                    raise _problem_of(source.response)
                async for sent in source.aiter_sse():
                    yield sent
        except httpx.HTTPError as error:
            raise ServerUnreachableError(f"{self.server}: {_in_words(error)}") from error
        raise ServerUnreachableError(f"{self.server}: the stream of events ended before the run did")


def filter_query(filters: WalletFilters | None) -> dict[str, Any]:
    """Filters of wallets as the API's query has them."""
    if filters is None:
        return {}
    return {
        "min_score": filters.min_score,
        "with_flag": filters.with_flags,
        "without_flag": filters.without_flags,
        "active_within_days": filters.active_within_days,
        "min_closed": filters.min_closed_positions,
        "status": [status.value for status in filters.statuses],
        "watched": filters.watched or None,
        "search": filters.address_prefix,
        "demo": filters.demo,
        "sort": filters.order.value,
    }


def _query(values: Params) -> httpx.QueryParams:
    """Names and values of a query; None is left out, a list stands once for each."""
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in values.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is not None:
                text = one.isoformat() if isinstance(one, datetime) else str(one)
                pairs.append((name, text.lower() if isinstance(one, bool) else text))
    return httpx.QueryParams(pairs)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _progress() -> TypeAdapter[Any]:
    return _adapter(RunProgress)


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        read: T = _adapter(cast("Any", kind)).validate_json(answer.content)
    except ValidationError:
        raise ServerUnreachableError(
            f"{answer.url.copy_with(query=None)}: what answers there is no WallTrack of this version"
        ) from None
    return read


def _streamed(sent: ServerSentEvent) -> StreamedEvent | None:
    try:
        if sent.event in ("progress", "end"):
            progress = _progress().validate_json(sent.data)
            return StreamedEvent(progress=progress, is_end=sent.event == "end")
        if sent.event in ("run", "token"):
            return StreamedEvent(event=_adapter(RunEvent).validate_json(sent.data))
    except ValidationError:
        raise ServerUnreachableError(
            f"the stream of events has a {sent.event!r} that is none of this version"
        ) from None
    return None


def _problem_of(answer: httpx.Response) -> ApiProblemError:
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        problem = Problem(title=answer.reason_phrase, status=answer.status_code, detail=answer.text[:200])
    wait = answer.headers.get("Retry-After", "")
    return ApiProblemError(problem, int(wait) if wait.isdigit() else None)


def _passes(error: Exception) -> bool:
    return isinstance(error, WallTrackError) and error.passes


def _in_words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
