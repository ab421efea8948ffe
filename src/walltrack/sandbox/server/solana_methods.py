"""The standard Solana RPC methods, as every node has them (solana.com/docs/rpc)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, cast

from walltrack.sandbox.server import jsonrpc
from walltrack.sandbox.server.base58 import is_signature
from walltrack.sandbox.server.chain_index import walk
from walltrack.sandbox.server.jsonrpc import Result, RpcError
from walltrack.sandbox.server.state import ServerState
from walltrack.sandbox.types import SandboxToken, SandboxTransaction

SIGNATURES_PAGE: Final = 1000
_MINT_BYTES: Final = 82
_MINT_LAMPORTS: Final = 1_461_600
_SYSTEM: Final = "11111111111111111111111111111111"
_RENT_EPOCH: Final = 2**64 - 1
_SPL_2022: Final = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"


class SolanaMethods:
    """Runs standard methods. `call` raises RpcError."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._methods: Mapping[str, Callable[[list[Any], str, int], Result]] = {
            "getTransaction": self._transaction,
            "getSignaturesForAddress": self._signatures,
            "getSignatureStatuses": self._statuses,
            "getBlockTime": self._block_time,
            "getAccountInfo": self._account,
            "getSlot": lambda *_: Result(value=self._state.chain.slot),
            "getHealth": lambda *_: Result(value="ok"),
        }

    def __contains__(self, method: str) -> bool:
        return method in self._methods

    def call(self, method: str, params: list[Any], provider: str, number: int) -> Result:
        """The result of a method. `provider` and `number` say which faults it suffers."""
        if method not in self._methods:
            raise RpcError(jsonrpc.NO_SUCH_METHOD, "Method not found")
        return self._methods[method](params, provider, number)

    def _transaction(self, params: list[Any], provider: str, number: int) -> Result:
        signature = params[0] if params else None
        if not is_signature(signature):
            raise RpcError(jsonrpc.INVALID_PARAMS, "Invalid param: Invalid")
        given = params[1] if len(params) > 1 else None
        options = {"encoding": given} if isinstance(given, str) else jsonrpc.options_param(params)
        encoding = encoding_of(options)
        jsonrpc.choice_param(options, "commitment", ("finalized", "confirmed"))
        result = Result(address=str(signature), options=options, items=0)
        position = self._state.chain.by_signature.get(str(signature))
        faults = self._state.faults
        if position is None or faults.happens(faults.null_transaction, provider, number, f"null {signature}"):
            return result
        check_version(self._state.chain.transactions[position], options)
        result.parts = [self._state.json.part(position, encoding)]
        result.items = 1
        return result

    def _signatures(self, params: list[Any], provider: str, number: int) -> Result:
        address = jsonrpc.address_param(params)
        options = jsonrpc.options_param(params)
        limit = jsonrpc.integer_param(options, "limit")
        if limit is None:
            limit = SIGNATURES_PAGE
        if not 1 <= limit <= SIGNATURES_PAGE:
            raise RpcError(jsonrpc.INVALID_PARAMS, f"Invalid limit; max {SIGNATURES_PAGE}")
        self.check_context(options)
        jsonrpc.choice_param(options, "commitment", ("finalized", "confirmed"))
        chain, faults = self._state.chain, self._state.faults
        before = self._bound(options, "before", len(chain))
        after = self._bound(options, "until", -1)
        rows: list[int] = []
        if before is not None and after is not None:
            repeated = (
                options.get("before") is not None
                and limit > 1
                and faults.happens(faults.duplicate_rows, provider, number, "duplicate")
            )
            found = walk(chain.positions(address), after + 1, before, ascending=False)
            rows = [before] if repeated else []
            rows += islice(found, limit - len(rows))
        value = [signature_row(chain.transactions[position]) for position in rows]
        return Result(value=value, items=len(value), address=address, options=options)

    def _bound(self, options: dict[str, Any], name: str, default: int) -> int | None:
        """The position of a signature; None for one that is on no chain (a node answers [] then)."""
        signature = options.get(name)
        if signature is None:
            return default
        if not is_signature(signature):
            raise RpcError(jsonrpc.INVALID_PARAMS, "Invalid param: Invalid")
        return self._state.chain.by_signature.get(signature)

    def _statuses(self, params: list[Any], provider: str, number: int) -> Result:
        signatures = params[0] if params else None
        if not isinstance(signatures, list) or len(signatures) > 256:
            raise RpcError(jsonrpc.INVALID_PARAMS, "Too many inputs provided; max 256")
        chain = self._state.chain
        values = []
        for signature in signatures:
            position = chain.by_signature.get(signature) if isinstance(signature, str) else None
            values.append(None if position is None else _status(chain.transactions[position]))
        return Result(value={"context": {"slot": chain.slot}, "value": values}, items=len(values))

    def _block_time(self, params: list[Any], provider: str, number: int) -> Result:
        slot = params[0] if params else None
        if not isinstance(slot, int) or isinstance(slot, bool):
            raise RpcError(jsonrpc.INVALID_PARAMS, "Invalid params: expected a slot")
        at = self._state.chain.block_time(slot)
        if at is None:
            raise RpcError(jsonrpc.BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
        return Result(value=at, items=1)

    def _account(self, params: list[Any], provider: str, number: int) -> Result:
        address = jsonrpc.address_param(params)
        options = jsonrpc.options_param(params)
        encoding = jsonrpc.choice_param(options, "encoding", ("base64", "jsonParsed"))
        view = self._state.view.tokens.get(address)
        account: dict[str, Any] | None = None
        if view is not None:
            token = view.token
            data = _mint_parsed(token) if encoding == "jsonParsed" else _base64(_mint_bytes(token))
            account = _account_value(token.token_program, data, _MINT_LAMPORTS, _MINT_BYTES)
        elif self._state.chain.positions(address):
            pool = self._state.view.pools.get(address)
            program = _SYSTEM if pool is None else pool.pool.program
            account = _account_value(program, _base64(b""), 1_000_000, 0)
        value = {"context": {"slot": self._state.chain.slot, "apiVersion": "4.3.0"}, "value": account}
        return Result(value=value, items=int(account is not None), address=address, options=options)

    def check_context(self, options: dict[str, Any]) -> None:
        """Raises RpcError if `minContextSlot` is not reached."""
        slot = jsonrpc.integer_param(options, "minContextSlot")
        if slot is not None and slot > self._state.chain.slot:
            raise RpcError(jsonrpc.CONTEXT_NOT_REACHED, "Minimum context slot has not been reached")


def encoding_of(options: dict[str, Any]) -> Any:
    """json or jsonParsed. Raises RpcError: the sandbox has no others."""
    return cast("Any", jsonrpc.choice_param(options, "encoding", ("json", "jsonParsed")))


def check_version(transaction: SandboxTransaction, options: dict[str, Any]) -> None:
    """Raises RpcError for a version above `maxSupportedTransactionVersion`; without the option only legacy is read."""
    if transaction.version == "legacy":
        return
    highest = jsonrpc.integer_param(options, "maxSupportedTransactionVersion")
    if highest is None or int(transaction.version) > highest:
        raise jsonrpc.unsupported_version(transaction.version)


def signature_row(transaction: SandboxTransaction) -> dict[str, Any]:
    """A row of getSignaturesForAddress."""
    return {
        "blockTime": transaction.block_time,
        "confirmationStatus": "finalized",
        "err": transaction.err,
        "memo": None,
        "signature": transaction.signature,
        "slot": transaction.slot,
    }


def _status(transaction: SandboxTransaction) -> dict[str, Any]:
    return {
        "slot": transaction.slot,
        "confirmations": None,
        "err": transaction.err,
        "status": {"Ok": None} if transaction.err is None else {"Err": transaction.err},
        "confirmationStatus": "finalized",
    }


def _account_value(owner: str, data: object, lamports: int, space: int) -> dict[str, Any]:
    return {
        "lamports": lamports,
        "data": data,
        "owner": owner,
        "executable": False,
        "rentEpoch": _RENT_EPOCH,
        "space": space,
    }


def _base64(data: bytes) -> list[str]:
    return [base64.b64encode(data).decode(), "base64"]


def _mint_parsed(token: SandboxToken) -> dict[str, Any]:
    info = {
        "decimals": token.decimals,
        "freezeAuthority": None,
        "isInitialized": True,
        "mintAuthority": None,
        "supply": str(token.supply_raw),
    }
    program = "spl-token-2022" if token.token_program == _SPL_2022 else "spl-token"
    return {"program": program, "parsed": {"type": "mint", "info": info}, "space": _MINT_BYTES}


def _mint_bytes(token: SandboxToken) -> bytes:
    """The mint's account: no mint authority, supply, decimals, initialized, no freeze authority."""
    supply = token.supply_raw.to_bytes(8, "little")
    return bytes(36) + supply + bytes([token.decimals, 1]) + bytes(36)
