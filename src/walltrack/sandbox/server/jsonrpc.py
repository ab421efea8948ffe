"""JSON-RPC 2.0 as Solana nodes and Helius speak it: errors stand in bodies of HTTP 200."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from walltrack.sandbox.server.base58 import is_address
from walltrack.sandbox.server.bodies import Body, Part
from walltrack.sandbox.server.exchange import Answer, Call, RefusedError

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
NO_SUCH_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
UNSUPPORTED_VERSION: Final = -32015
CONTEXT_NOT_REACHED: Final = -32016
BLOCK_NOT_AVAILABLE: Final = -32004
TOO_MANY: Final = -32005
SPENT: Final = -32429
NOT_IN_PLAN: Final = -32403


class RpcError(Exception):
    """A method fails with this code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One request of a body. `id` is whatever the client sent."""

    id: Any
    method: str
    params: list[Any]


@dataclass(slots=True)
class Result:
    """What a method returns: a JSON value, or the parts of one. `items` are its rows, `credits` its price."""

    value: Any = None
    parts: Sequence[Part | bytes] | None = None
    items: int | None = None
    credits: int = 0
    address: str | None = None
    options: Any = field(default=None)


MethodCall = Callable[[str, list[Any], str, int], Result]
"""Runs a method: its name, parameters, the provider and the number of the HTTP request."""


def encoded(value: Any) -> bytes:
    """A value as JSON."""
    return msgspec.json.encode(value)


def requests_of(body: bytes) -> tuple[list[RpcRequest], bool]:
    """The requests of a body, and whether it is a batch. Raises RefusedError for what is no JSON-RPC."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise RefusedError(failure(None, RpcError(PARSE_ERROR, "Parse error"))) from None
    batch = isinstance(decoded, list)
    requests = [_request(entry) for entry in (decoded if batch else [decoded])]
    if not requests:
        raise RefusedError(failure(None, RpcError(INVALID_REQUEST, "Invalid request")))
    return requests, batch


def _request(entry: Any) -> RpcRequest:
    if isinstance(entry, dict) and isinstance(entry.get("method"), str):
        params = entry.get("params") or []
        if isinstance(params, list):
            return RpcRequest(entry.get("id"), entry["method"], params)
    raise RefusedError(failure(None, RpcError(INVALID_REQUEST, "Invalid request")))


def failure(id_: Any, error: RpcError, *, status: int = 200) -> Answer:
    """An answer that is one error."""
    return Answer(status=status, body=error_bytes(id_, error), error=str(error.code))


def error_bytes(id_: Any, error: RpcError) -> bytes:
    """The envelope of an error. An unknown method is answered with `id: null`, whatever the request's id."""
    return msgspec.json.encode(
        {
            "jsonrpc": "2.0",
            "error": {"code": error.code, "message": error.message},
            "id": None if error.code == NO_SUCH_METHOD else id_,
        }
    )


def envelope(id_: Any, result: Result) -> list[Part | bytes]:
    """The envelope around a result."""
    parts: Sequence[Part | bytes] = (
        [msgspec.json.encode(result.value)] if result.parts is None else result.parts
    )
    return [b'{"jsonrpc":"2.0","result":', *parts, b',"id":' + msgspec.json.encode(id_) + b"}"]


def success(request: RpcRequest, result: Result) -> Answer:
    """An answer that is one result."""
    return Answer(
        body=_body(envelope(request.id, result)),
        method=request.method,
        address=result.address,
        options=result.options,
        items=result.items,
        credits=result.credits,
    )


def batch_answer(answers: Sequence[Sequence[Part | bytes]]) -> bytes | Body:
    """The body of a batch's answers, in the requests' order."""
    parts: list[Part | bytes] = []
    for answer in answers:
        parts += (b"," if parts else b"[", *answer)
    return _body([*parts, b"]"])


def _body(parts: Sequence[Part | bytes]) -> bytes | Body:
    if all(isinstance(part, bytes) for part in parts):
        return b"".join(part for part in parts if isinstance(part, bytes))
    return Body(parts)


def run(method_call: MethodCall, requests: list[RpcRequest], batch: bool, call: Call) -> Answer:
    """Run the requests of a body, and answer them together: a failure is that request's own."""
    if not batch:
        request = requests[0]
        try:
            result = method_call(request.method, request.params, call.provider, call.number)
        except RpcError as e:
            answer = failure(request.id, e)
            answer.method, answer.options = request.method, request.params
            return answer
        return success(request, result)
    answers: list[list[Part | bytes]] = []
    items, credits, error = 0, 0, None
    for request in requests:
        try:
            result = method_call(request.method, request.params, call.provider, call.number)
        except RpcError as e:
            answers.append([error_bytes(request.id, e)])
            error = str(e.code)
        else:
            answers.append(envelope(request.id, result))
            items += result.items or 0
            credits += result.credits
    methods = sorted({request.method for request in requests})
    return Answer(
        body=batch_answer(answers),
        method=",".join(methods),
        options=[request.params for request in requests],
        items=items,
        credits=credits,
        error=error,
    )


def address_param(params: Sequence[Any]) -> str:
    """The first parameter, an address. Raises RpcError."""
    address = params[0] if params else None
    if not is_address(address):
        raise RpcError(INVALID_PARAMS, "Invalid param: Invalid Base58 string")
    return str(address)


def options_param(params: Sequence[Any], place: int = 1) -> dict[str, Any]:
    """The options at this place, {} where there are none. Raises RpcError."""
    return _object(params[place] if len(params) > place else None, "options")


def object_param(options: dict[str, Any], name: str) -> dict[str, Any]:
    """An object among the options, {} where it is absent or null. Raises RpcError."""
    return _object(options.get(name), name)


def _object(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RpcError(INVALID_PARAMS, f"Invalid params: {name} must be an object")
    return value


def integer_param(options: dict[str, Any], name: str) -> int | None:
    """A whole number, 0 or more, among the options; None where it is absent or null. Raises RpcError."""
    value = options.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RpcError(INVALID_PARAMS, f"Invalid params: {name} must be a whole number, 0 or more")
    return value


def choice_param(options: dict[str, Any], name: str, choices: Sequence[str]) -> str:
    """One of the choices, the first where the option is absent or null. Raises RpcError."""
    value = options.get(name)
    if value is None:
        return choices[0]
    if value not in choices:
        raise RpcError(INVALID_PARAMS, f"Invalid params: {name} must be one of {', '.join(choices)}")
    return str(value)


def unsupported_version(version: object) -> RpcError:
    """A transaction is of a version that the client did not say it reads."""
    return RpcError(
        UNSUPPORTED_VERSION,
        f"Transaction version ({version}) is not supported by the requesting client. Please try the request again "
        f'with the following configuration parameter: "maxSupportedTransactionVersion": {version}',
    )
