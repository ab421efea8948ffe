"""The one way out to providers: quota, retries, bounds, decoding, metering, and no key in anything that is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import msgspec
import stamina
import structlog

from walltrack.services.answers import AnswerError, Reply, rest_result, result_of, rpc_result, rpc_results
from walltrack.services.faults import MalformedFault, ProviderFault, RetryableFault, SpentFault
from walltrack.services.metering import Meter
from walltrack.services.providers import Provider
from walltrack.services.quota import LocalQuotas, QuotaStore
from walltrack.services.redaction import Redactor, silence_http_client_logs
from walltrack.services.retries import RetryPolicy, TryAgainError, wait_before_the_next
from walltrack.services.wire import Client, HttpBounds, Request, exchanged, new_client

T = TypeVar("T")
Credits = int | Callable[[T], int]
"""What an answer costs: a number, or a function of the decoded result. Failed calls cost nothing."""

_LONGEST_MESSAGE: Final = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    request: Request
    method: str
    read: Callable[[Reply], T]
    bucket: str
    slots: int = 1

    @property
    def provider(self) -> Provider:
        return self.request.provider


class Http:
    """Calls to providers, for one run or one command. An async context manager; leaving it stores what was metered.

    `quotas` and the meter's store are shared through the database; without them this process limits and counts for
    itself. A `client` (`new_client`) that is given is left open, and its connections with it; without one this has a
    client of its own. Every method raises one of the five kinds of `ProviderFault`, and whatever quotas and meter
    raise.
    """

    def __init__(
        self,
        *,
        quotas: QuotaStore | None = None,
        meter: Meter | None = None,
        bounds: HttpBounds | None = None,
        retries: RetryPolicy | None = None,
        client: Client | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.meter = meter or Meter()
        self._quotas = quotas or LocalQuotas()
        self._bounds = bounds or HttpBounds()
        self._retries = retries or RetryPolicy()
        self._sleep = sleep
        self._lent = client
        self._client: Client | None = None
        self._in_flight: dict[str, asyncio.Semaphore] = {}
        self._redactors: dict[str, Redactor] = {}

    async def __aenter__(self) -> Self:
        silence_http_client_logs()
        stamina.instrumentation.set_on_retry_hooks(())  # we log failed tries ourselves, without keys
        self._client = self._lent or new_client(self._bounds)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        client, self._client = self._client, None
        try:
            await self.meter.flush()
        finally:
            if client is not None and client is not self._lent:
                await client.aclose()

    async def get(
        self,
        provider: Provider,
        path: str,
        answer: type[T],
        *,
        params: Mapping[str, str | int] | None = None,
        method: str | None = None,
        bucket: str = "default",
        credits: Credits[T] = 0,
    ) -> T:
        """GET a path below the provider's base URL. `method` names the call in messages, for paths with long ids."""
        request = Request(provider, path, params)
        call = _Call(request, method or path, lambda reply: rest_result(reply, answer), bucket)
        return await self._booked(call, credits)

    async def post(
        self,
        provider: Provider,
        path: str,
        body: object,
        answer: type[T],
        *,
        params: Mapping[str, str | int] | None = None,
        method: str | None = None,
        bucket: str = "default",
        credits: Credits[T] = 0,
    ) -> T:
        """POST JSON to a path below the provider's base URL."""
        content = msgspec.json.encode(body)
        request = Request(provider, path, params, lambda: content)
        call = _Call(request, method or path, lambda reply: rest_result(reply, answer), bucket)
        return await self._booked(call, credits)

    async def rpc(
        self,
        provider: Provider,
        method: str,
        params: Sequence[object],
        result: type[T],
        *,
        bucket: str = "default",
        credits: Credits[T] = 0,
    ) -> T:
        """One JSON-RPC call. A null result is a MalformedFault; where it is an answer, use `rpc_or_null`."""
        found = await self.rpc_or_null(provider, method, params, result, bucket=bucket, credits=credits)
        if found is None:
            await self.meter.count(provider.name, errors=1)
            raise MalformedFault(provider.name, method, "the result is null", status=200)
        return found

    async def rpc_or_null(
        self,
        provider: Provider,
        method: str,
        params: Sequence[object],
        result: type[T],
        *,
        bucket: str = "default",
        credits: Credits[T] = 0,
    ) -> T | None:
        """One JSON-RPC call whose result may be null. A null costs what `credits` says as a number, else nothing."""
        content = msgspec.json.encode(_rpc_body(1, method, params))
        request = Request(provider, content=lambda: content)
        call = _Call(request, method, lambda reply: rpc_result(reply, result), bucket)
        found = await self._called(call)
        spent = credits if isinstance(credits, int) else (0 if found is None else credits(found))
        await self._book(provider, spent)
        return found

    async def rpc_batch(
        self,
        provider: Provider,
        method: str,
        params: Sequence[Sequence[object]],
        result: type[T],
        *,
        bucket: str = "default",
        slots: int | None = None,
        credits_each: int = 0,
    ) -> list[T | ProviderFault | None]:
        """Calls of one method in one request; what each brought, in their order: result, null or fault.

        Entries that failed for the moment are asked again, alone. `slots` is what the request takes of the quota: by
        default one for each entry. Credits are booked for each entry that has a result or null. Raises where no
        entry was answered at all.
        """
        found: dict[int, T | ProviderFault | None] = {}
        left = set(range(len(params)))

        def content() -> bytes:
            return msgspec.json.encode([_rpc_body(n, method, params[n]) for n in sorted(left)])

        def read(reply: Reply) -> None:
            again: AnswerError | None = None
            for answer in rpc_results(reply, result):
                if not isinstance(answer.id, int) or answer.id not in left:
                    continue
                try:
                    found[answer.id] = result_of(answer)
                except AnswerError as problem:
                    fault = found[answer.id] = self._fault(call, problem, 200)
                    if issubclass(problem.kind, SpentFault):
                        self.meter.stop(provider.name, fault.said)
                    if issubclass(problem.kind, RetryableFault):
                        again = problem
                        continue
                left.discard(answer.id)
            if again is not None:
                raise again
            if left and len(left) == len(params):
                raise AnswerError(MalformedFault, "no entry of the batch was answered")

        request = Request(provider, content=content)
        call = _Call(request, method, read, bucket, len(params) if slots is None else slots)
        if params:
            try:
                await self._called(call)
            except RetryableFault:
                if not found:
                    raise
            finally:
                answered = sum(not isinstance(brought, ProviderFault) for brought in found.values())
                await self._book(provider, credits_each * answered)
        missing = MalformedFault(provider.name, method, "the batch has no answer to this entry", status=200)
        return [found.get(n, missing) for n in range(len(params))]

    async def _booked(self, call: _Call[T], credits: Credits[T]) -> T:
        found = await self._called(call)
        await self._book(call.provider, credits if isinstance(credits, int) else credits(found))
        return found

    async def _book(self, provider: Provider, credits: int) -> None:
        if credits:
            await self.meter.count(provider.name, credits=credits)

    async def _called(self, call: _Call[T]) -> T:
        """Do a call, as often as the policy says. The fault is raised outside of every handler, so that it carries no
        error of the HTTP library, whose request has the key.
        """
        fault: ProviderFault
        try:
            async for attempt in stamina.retry_context(
                on=wait_before_the_next, attempts=self._retries.tries, timeout=None
            ):
                with attempt:
                    return await self._once(call, attempt.num)
            raise AssertionError("stamina ends with a result or an error")
        except TryAgainError as again:
            fault = again.fault
        raise fault

    async def _once(self, call: _Call[T], number: int) -> T:
        """One try. Raises TryAgainError where another may bring more."""
        client, provider = self._client, call.provider
        if client is None:
            raise RuntimeError("Http is not open: use it with `async with`")
        async with self._semaphore(provider):
            self._check_not_stopped(call)
            quota = provider.quotas[call.bucket]
            wait = await self._quotas.reserve(
                provider.key_hash(call.bucket), rate=quota.rate, burst=quota.burst, slots=call.slots
            )
            if wait > 0:
                await self._sleep(wait)
                self._check_not_stopped(call)
            await self.meter.count(provider.name, requests=1)
            reply = await exchanged(client, call.request, self._bounds)
        try:
            if isinstance(reply, AnswerError):
                raise reply
            return call.read(reply)
        except AnswerError as raised:
            problem = raised
        status = None if isinstance(reply, AnswerError) else reply.status
        fault = self._fault(call, problem, status)
        if isinstance(fault, SpentFault):
            self.meter.stop(provider.name, fault.said)
        await self.meter.count(provider.name, errors=1)
        if not isinstance(fault, RetryableFault):
            raise fault
        again = self._again(fault, number, provider, reply)
        log.debug(
            "provider_try_failed",
            provider=provider.name,
            method=fault.method,
            tries=number,
            wait_seconds=round(again.wait, 3),
            reason=str(fault.said),
            status=status,
        )
        raise again

    def _again(
        self, fault: RetryableFault, number: int, provider: Provider, reply: Reply | AnswerError
    ) -> TryAgainError:
        limited = fault.status == 429 or fault.code in {429, -32005}
        return TryAgainError(
            fault,
            self._retries.wait(
                number,
                first_wait=provider.first_wait_when_limited if limited else None,
                retry_after=reply.retry_after if isinstance(reply, Reply) else None,
            ),
        )

    def _check_not_stopped(self, call: _Call[T]) -> None:
        reason = self.meter.stopped(call.provider.name)
        if reason is not None:
            raise SpentFault(call.provider.name, call.method, reason)

    def _fault(self, call: _Call[T], problem: AnswerError, status: int | None) -> ProviderFault:
        redact = self._redactor(call.provider)
        return problem.kind(
            call.provider.name,
            redact.clipped(call.method, 120),
            redact.clipped(problem.said, _LONGEST_MESSAGE),
            status=status,
            code=problem.code,
        )

    def _redactor(self, provider: Provider) -> Redactor:
        if provider.name not in self._redactors:
            self._redactors[provider.name] = Redactor(provider.secrets)
        return self._redactors[provider.name]

    def _semaphore(self, provider: Provider) -> asyncio.Semaphore:
        if provider.name not in self._in_flight:
            self._in_flight[provider.name] = asyncio.Semaphore(provider.max_in_flight)
        return self._in_flight[provider.name]


def _rpc_body(number: int, method: str, params: Sequence[object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
