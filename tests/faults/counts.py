"""What a fault scenario comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """How many things were put at risk, and what became of them."""

    tried: int
    survived: int
    lost: int
    duplicated: int
