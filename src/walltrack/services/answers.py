"""What an answer says: a result of the asked type, or which kind of fault.

The forms of errors are those of docs/providers.md and of captured answers: Helius, a public RPC node, GeckoTerminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from walltrack.services.faults import (
    MalformedFault,
    NotInPlanFault,
    ProviderFault,
    RefusedFault,
    RetryableFault,
    SpentFault,
)

T = TypeVar("T")

RETRIED_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
_RETRIED_CODES: Final = RETRIED_STATUSES | {-32005}
_SPENT_CODE: Final = -32429
_PLAN_CODES: Final = frozenset({-32403, -32601})
_SPENT_WORDS: Final = "max usage reached"
_PLAN_WORDS: Final = ("only available for paid plan", "upgrade your plan", "not available on your plan")
_ERROR_BODY_READ: Final = 65_536
_LONGEST_RETRY_AFTER: Final = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over the network."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds the provider asks to wait. None where it says nothing useful: GeckoTerminal says 0."""
        try:
            seconds = float(self.headers.get("retry-after", ""))
        except ValueError:
            return None
        return seconds if 0 < seconds <= _LONGEST_RETRY_AFTER else None


class AnswerError(Exception):
    """An answer without a result. `said` is as the provider said it: keys and all."""

    def __init__(self, kind: type[ProviderFault], said: str | bytes, code: int | None = None) -> None:
        super().__init__()
        self.kind = kind
        self.said = said
        self.code = code


class RpcError(msgspec.Struct, frozen=True):
    """The error of JSON-RPC 2.0."""

    code: int = 0
    message: str = ""


class RpcAnswer(msgspec.Struct, Generic[T], frozen=True):
    """One answer of JSON-RPC 2.0."""

    result: T | UnsetType = UNSET
    error: RpcError | None = None
    id: int | str | None = None


class _RestErrors(msgspec.Struct, frozen=True):
    error: msgspec.Raw | UnsetType = UNSET
    errors: msgspec.Raw | UnsetType = UNSET
    status: msgspec.Raw | UnsetType = UNSET


def rest_result(reply: Reply, answer: type[T]) -> T:
    """The body as the asked type. Raises AnswerError."""
    _check_status(reply)
    if reply.body.lstrip()[:1] == b"{":
        said = _decoded(reply, _RestErrors)
        if _is_error(said):
            raise _error_in(reply)
    return _decoded(reply, answer)


def rpc_result(reply: Reply, result: type[T]) -> T | None:
    """The result of one JSON-RPC call; None where it is null. Raises AnswerError."""
    _check_status(reply)
    return result_of(_decoded(reply, _answer_type(cast(Any, result))))


def rpc_results(reply: Reply, result: type[T]) -> list[RpcAnswer[T]]:
    """The answers to a JSON-RPC batch, in the order in which they came. Raises AnswerError."""
    _check_status(reply)
    if reply.body.lstrip()[:1] == b"{":  # one error for all
        result_of(_decoded(reply, _answer_type(cast(Any, result))))
        raise AnswerError(MalformedFault, "a batch was answered with one result")
    return cast("list[RpcAnswer[T]]", _decoded(reply, _answers_type(cast(Any, result))))


def result_of(answer: RpcAnswer[T]) -> T | None:
    """The result of one answer; None where it is null. Raises AnswerError."""
    if answer.error is not None:
        raise problem_of(None, answer.error.code, answer.error.message)
    if answer.result is UNSET:
        raise AnswerError(MalformedFault, "neither a result nor an error")
    return cast("T | None", answer.result)


def problem_of(status: int | None, code: int | None, said: str) -> AnswerError:
    """Which kind of fault an error is. An error of HTTP 200 is told by its code and words alone."""
    words = said.lower()
    kind: type[ProviderFault]
    if code == _SPENT_CODE or _SPENT_WORDS in words:
        kind = SpentFault
    elif code in _PLAN_CODES or any(known in words for known in _PLAN_WORDS):
        kind = NotInPlanFault
    elif status in RETRIED_STATUSES or code in _RETRIED_CODES:
        kind = RetryableFault
    else:
        kind = RefusedFault
    return AnswerError(kind, said, code)


def _check_status(reply: Reply) -> None:
    if 300 <= reply.status < 400:
        raise AnswerError(RefusedFault, "it redirects elsewhere, which is not followed; check the base URL")
    if not 200 <= reply.status < 300:
        raise _error_in(reply)


def _error_in(reply: Reply) -> AnswerError:
    """The error that a body holds, in any of the forms seen; else its text."""
    try:
        body = msgspec.json.decode(reply.body[:_ERROR_BODY_READ])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    code, said = _code_and_words(body)
    ok = 200 <= reply.status < 300
    return problem_of(
        None if ok else reply.status, code, said or reply.body[:4096].decode("utf-8", "replace")
    )


def _code_and_words(body: object) -> tuple[int | None, str]:
    if not isinstance(body, dict):
        return None, ""
    error = body.get("error")
    if isinstance(error, dict):
        return _number(error.get("code")), str(error.get("message", ""))
    if error:
        return _number(body.get("code")), ": ".join(str(body[k]) for k in ("error", "details") if body.get(k))
    if isinstance(body.get("status"), dict):
        return _number(body["status"].get("error_code")), str(body["status"].get("error_message", ""))
    if isinstance(body.get("errors"), list):
        titles = [str(item.get("title", "")) for item in body["errors"] if isinstance(item, dict)]
        return None, ", ".join(title for title in titles if title)
    return None, str(body.get("message") or "")


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_error(said: _RestErrors) -> bool:
    if said.error is not UNSET and bytes(said.error) not in {b"null", b'""', b"false"}:
        return True
    if said.errors is not UNSET and bytes(said.errors) not in {b"null", b"[]"}:
        return True
    return said.status is not UNSET and b'"error_code"' in bytes(said.status)[:4096]


def _decoded(reply: Reply, wanted: type[T]) -> T:
    decoder: msgspec.json.Decoder[T] = _decoder(cast(Any, wanted))
    try:
        return decoder.decode(reply.body)
    except msgspec.ValidationError as error:
        problem = AnswerError(MalformedFault, f"not of the documented shape: {error}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if _is_cut(reply.body):
            problem = AnswerError(RetryableFault, f"the answer was cut short after {len(reply.body):,} bytes")
        else:
            kind = reply.headers.get("content-type", "").partition(";")[0] or "unnamed content"
            problem = AnswerError(MalformedFault, f"not JSON ({kind}): {error}")
    raise problem


def _is_cut(body: bytes) -> bool:
    """Whether this is JSON without its end."""
    text = body.strip()
    return not text or (text[:1] in b"[{" and text[-1:] not in b"]}") or _ends_early(text)


def _ends_early(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except RecursionError:
        return False
    return False


@cache
def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(wanted)


@cache
def _answer_type(result: Any) -> type[RpcAnswer[Any]]:
    return RpcAnswer[result | None]


@cache
def _answers_type(result: Any) -> type[list[RpcAnswer[Any]]]:
    return list[RpcAnswer[result | None]]
