"""Generated sandbox markets for tests, each made once a session."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from walltrack.sandbox.market import generate
from walltrack.sandbox.types import Instruction, Market, SandboxTransaction

NOW = 1_795_300_000


@cache
def default_market() -> Market:
    """The default market of seed 7."""
    return generate(7, now=NOW)


@cache
def small_market() -> Market:
    """Eight tokens of many kinds."""
    return generate(11, now=NOW, size=2_000)


def calls(tx: SandboxTransaction) -> Iterator[Instruction]:
    """All instructions of a transaction, inner ones behind their caller."""
    for top in tx.instructions:
        yield top
        yield from top.inner
