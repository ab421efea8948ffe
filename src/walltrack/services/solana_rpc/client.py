"""Any Solana node, by its standard JSON-RPC methods (docs/providers.md; solana.com/docs/rpc)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from solders.signature import Signature

from walltrack.discovery.tape_streams import ListedSignature
from walltrack.discovery.transactions import RpcTransaction
from walltrack.services.faults import MalformedFault, ProviderFault
from walltrack.services.http import Http
from walltrack.services.providers import Provider

SIGNATURES: Final = "getSignaturesForAddress"
TRANSACTION: Final = "getTransaction"
SIGNATURES_PAGE: Final = 1000
LARGEST_BATCH: Final = 100
COMMITMENT: Final = "finalized"
NEWEST_VERSION: Final = 1
"""Of transactions; a reader that allows only 0 gets error -32015 or loses data (docs/providers.md)."""

_END_OF_TIME: Final = 4_102_444_800
_ACCOUNT_HEAD: Final = 166  # bytes that tell a mint from a token account


class _SignatureItem(msgspec.Struct, rename="camel"):
    signature: str
    slot: int
    err: Any = None
    block_time: int | None = None


class _AccountValue(msgspec.Struct):
    owner: str
    data: tuple[str, str]


class _AccountResult(msgspec.Struct):
    value: _AccountValue | None = None


_signature_decoder: Final = msgspec.json.Decoder(_SignatureItem)


@dataclass(frozen=True, slots=True)
class SignaturePage:
    """A page of signatures, newest first.

    `named` are all of them, without repetitions, `listed` those that succeeded; `last` is the oldest of all, and
    `oldest_slot` its slot. `refused` items had another shape. `is_end`: the page was not full.
    """

    named: tuple[ListedSignature, ...]
    last: str | None
    oldest_slot: int | None
    refused: int
    is_end: bool

    @property
    def listed(self) -> tuple[ListedSignature, ...]:
        return tuple(one for one in self.named if not one.failed)


@dataclass(frozen=True, slots=True)
class Account:
    """An account: the program that owns it, and the first bytes of its data."""

    owner: str
    data: bytes
    size: int


class SolanaRpc:
    """A node. Every method raises the faults of `walltrack.services.faults`.

    `historical_credits` is the price of one call about the past, and of each entry of a batch.
    """

    def __init__(
        self,
        http: Http,
        provider: Provider,
        *,
        historical_credits: int = 1,
    ) -> None:
        self.provider = provider
        self.historical_credits = historical_credits
        self._http = http

    async def finalized_slot(self) -> int:
        """The newest finalised slot. Costs one credit."""
        slot = await self._http.rpc(self.provider, "getSlot", [{"commitment": COMMITMENT}], int, credits=1)
        if not 0 <= slot < 2**63:
            raise MalformedFault(self.provider.name, "getSlot", f"slot {str(slot)[:40]} is out of bounds")
        return slot

    async def account(self, address: str) -> Account | None:
        """An account as it is now; None where there is none. Costs one credit."""
        options = {
            "encoding": "base64",
            "commitment": COMMITMENT,
            "dataSlice": {"offset": 0, "length": _ACCOUNT_HEAD},
        }
        found = await self._http.rpc(
            self.provider, "getAccountInfo", [address, options], _AccountResult, credits=1
        )
        if found.value is None:
            return None
        try:
            data = base64.b64decode(found.value.data[0], validate=True)
        except (binascii.Error, ValueError):
            raise MalformedFault(self.provider.name, "getAccountInfo", "the data is not base64") from None
        return Account(found.value.owner, data[:_ACCOUNT_HEAD], len(data))

    async def signatures(
        self, address: str, *, before: str | None = None, limit: int = SIGNATURES_PAGE
    ) -> SignaturePage:
        """Signatures of an address, newest first, older than `before`.

        Raises MalformedFault where a page leads nowhere.
        """
        options: dict[str, object] = {"limit": limit, "commitment": COMMITMENT}
        if before is not None:
            options["before"] = before
        items = await self._http.rpc(
            self.provider, SIGNATURES, [address, options], list[msgspec.Raw], credits=self.historical_credits
        )
        named: dict[str, ListedSignature] = {}
        last, oldest, refused = None, None, 0
        for item in items:
            try:
                found = _signature_decoder.decode(item)
                _check(found)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
                refused += 1
                continue
            if found.signature == before:
                continue
            last, oldest = found.signature, found.slot
            failed = found.err is not None
            one = ListedSignature(found.signature, found.slot, found.block_time, failed)
            named.setdefault(found.signature, one)
        is_end = len(items) < limit
        if last is None and not is_end:
            raise MalformedFault(
                self.provider.name, SIGNATURES, "a full page names nothing older than the one before"
            )
        return SignaturePage(tuple(named.values()), last, oldest, refused, is_end)

    async def transactions(self, signatures: Sequence[str]) -> list[RpcTransaction | ProviderFault | None]:
        """Up to 100 transactions in one request, in the order of their signatures; None where the node answers null.

        Raises MalformedFault where the answer as a whole cannot be read, since one entry of another shape spoils it,
        and RefusedFault or NotInPlanFault where the node takes no batches: ask for each alone then.
        """
        return await self._http.rpc_batch(
            self.provider,
            TRANSACTION,
            [_params(one) for one in signatures],
            RpcTransaction,
            credits_each=self.historical_credits,
        )

    async def transaction(self, signature: str) -> RpcTransaction | None:
        """One transaction; None where the node answers null."""
        return await self._http.rpc_or_null(
            self.provider,
            TRANSACTION,
            _params(signature),
            RpcTransaction,
            credits=self.historical_credits,
        )


def _params(signature: str) -> list[object]:
    options = {
        "encoding": "json",
        "commitment": COMMITMENT,
        "maxSupportedTransactionVersion": NEWEST_VERSION,
    }
    return [signature, options]


def _check(item: _SignatureItem) -> None:
    """Raises ValueError for what is no signature of a transaction."""
    Signature.from_string(item.signature)
    time = item.block_time
    if not 0 <= item.slot < 2**63 or (time is not None and not 0 <= time < _END_OF_TIME):
        raise ValueError("slot or time out of bounds")
