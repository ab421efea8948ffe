"""The JSON of transactions, rendered once and kept compressed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from walltrack.sandbox.server.bodies import Part, part
from walltrack.sandbox.types import SandboxTransaction

Form = Literal["json", "jsonParsed", "history json", "history jsonParsed", "enhanced"]

_KEPT_BYTES: Final = 192 * 1024 * 1024


class TransactionJson:
    """Renders transactions by their position in the chain. The `history` forms have `transactionIndex` as well."""

    def __init__(self, transactions: Sequence[SandboxTransaction], kept_bytes: int = _KEPT_BYTES) -> None:
        self._transactions = transactions
        self._kept_bytes = kept_bytes
        self._parts: OrderedDict[tuple[int, Form], Part] = OrderedDict()
        self._bytes = 0

    def part(self, position: int, form: Form) -> Part:
        """The transaction in this form."""
        key = (position, form)
        known = self._parts.get(key)
        if known is not None:
            return known
        made = part(msgspec.json.encode(self._value(position, form)))
        self._parts[key] = made
        self._bytes += len(made.deflated)
        while self._bytes > self._kept_bytes:
            self._bytes -= len(self._parts.popitem(last=False)[1].deflated)
        return made

    def _value(self, position: int, form: Form) -> object:
        transaction = self._transactions[position]
        if form == "enhanced":
            return transaction.enhanced()
        if form in {"json", "jsonParsed"}:
            return transaction.rpc(form)
        rendered = transaction.rpc("jsonParsed" if form == "history jsonParsed" else "json")
        return {"slot": transaction.slot, "transactionIndex": transaction.index, **rendered}
