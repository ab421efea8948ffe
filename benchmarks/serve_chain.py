"""Serves tokens made by hand to a benchmark: `python -m benchmarks.serve_chain TOKENS TRANSACTIONS crowd|rush|pumped`.

Says where, as one line of JSON, and goes on until its input ends.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from tests.integration.chain_market import TOKENS, Trade, chain, crowd, market
from tests.unit import solana

from walltrack.sandbox.server import serve


def pumped(count: int) -> list[Trade]:
    """150 early buyers who sell later, amid a crowd."""
    early = [Trade(solana.wallet(f"early {n}"), TOKENS, solana.SOL, 20 + 5 * n) for n in range(150)]
    later = [
        replace(one, tokens=-TOKENS, lamports=2 * solana.SOL, seconds=40_000 + one.seconds) for one in early
    ]
    rest = [replace(one, seconds=2_000 + one.seconds) for one in crowd(count, offset=1_000)]
    first = Trade(solana.wallet("sniper"), TOKENS, solana.SOL, 0)
    return sorted([first, *early, *later, *rest], key=lambda one: one.seconds)


def main(tokens: int, transactions: int, kind: str) -> None:
    mints = [solana.wallet(f"mint {number}") for number in range(tokens)]
    made = []
    for number, mint in enumerate(mints):
        seconds = 1_700 if kind == "rush" else 86_400
        trades = (
            pumped(transactions) if kind == "pumped" else crowd(transactions, wallets=2_000, seconds=seconds)
        )
        part = chain(mint, trades)
        for one in part:
            one.index += 10 * number
        made += part
    with serve(market(made), rate_factor=100_000) as server:
        for position in range(len(made)):
            server._state.json.part(position, "history json")
        sys.stdout.write(json.dumps({"url": server.urls.helius, "mints": mints}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
