"""The tapes of a sandbox market, decoded from its transactions without a server in between."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec

from walltrack.discovery.chain_tape import assemble_tape, tape_rows
from walltrack.discovery.tape import Tape
from walltrack.discovery.transactions import Transaction, from_rpc
from walltrack.discovery.valuation import hours_to_value, in_sol
from walltrack.sandbox.types import Market


def tapes_of(made: Market) -> dict[str, Tape]:
    """By mint, from all transactions that name the mint or one of its pools. Both encodings take turns."""
    place = {p["address"]: t["mint"] for t in made.truth["tokens"] for p in t["pools"]}
    place |= {t["mint"]: t["mint"] for t in made.truth["tokens"]}
    streams: dict[str, list[Transaction]] = defaultdict(list)
    for number, tx in enumerate(made.transactions):
        mints = {place[key]: None for key in tx.accounts if key in place}
        if mints:
            result: dict[str, Any] = tx.rpc("json" if number % 2 else "jsonParsed")
            decoded = from_rpc(msgspec.json.encode(result | {"transactionIndex": tx.index}))
            for mint in mints:
                streams[mint].append(decoded)
    return {mint: tape_of(made, mint, transactions) for mint, transactions in streams.items()}


def tape_of(made: Market, mint: str, transactions: list[Transaction]) -> Tape:
    """The tape that these transactions give."""
    rows = tape_rows(mint, transactions)
    tape = assemble_tape(mint, [rows.frame], decimals=rows.decimals or 0)
    assert isinstance(tape, Tape)
    prices = {hour: Decimal(str(made.sol_usd(int(hour.timestamp())))) for hour in hours_to_value(tape)}
    return in_sol(tape, prices)
