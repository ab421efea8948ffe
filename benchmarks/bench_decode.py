"""How many transactions a second are decoded on one core, JSON parsing included."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from walltrack.discovery.swaps import decode
from walltrack.discovery.transactions import from_rpc

TARGET_PER_SECOND = 12_000
SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).resolve().parents[2] / "shared"))


def best_rate(
    work: Callable[[bytes], object], bodies: list[bytes], rounds: int = 5, repeats: int = 60
) -> float:
    """Transactions per second in the best of `rounds`, which disturbs a noisy machine's figure least."""
    best = 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(repeats):
            for body in bodies:
                work(body)
        best = max(best, repeats * len(bodies) / (time.perf_counter() - started))
    return best


def main() -> None:
    folder = SHARED / "data" / "transactions"
    bodies = [path.read_bytes() for path in sorted(folder.glob("*.json")) if path.name != "expected.json"]
    if not bodies:
        print(f"decode: skipped, no transactions in {folder}")
        return
    plain = best_rate(msgspec.json.decode, bodies)
    ours = best_rate(lambda body: decode(from_rpc(body)), bodies)
    print(
        f"decode: {ours:,.0f} tx/s with JSON parsing, one core, {len(bodies)} captures"
        f" (target {TARGET_PER_SECOND:,}; parsing into plain dictionaries alone: {plain:,.0f} tx/s)"
    )


if __name__ == "__main__":
    main()
