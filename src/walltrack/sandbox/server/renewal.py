"""Another market in the place of the one that is served: for a server that runs for days, since tokens grow old."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from walltrack.sandbox.types import Market

if TYPE_CHECKING:
    from walltrack.sandbox.server.state import ServerState


@dataclass(frozen=True, slots=True)
class Renewal:
    """`market` makes the next market, in a thread, every so often."""

    every: timedelta
    market: Callable[[], Market]


async def keep_renewing(state: ServerState, renewal: Renewal) -> None:
    """Renew the market for ever. Keys, credits, limits and the log of requests go on as they are."""
    while True:
        await asyncio.sleep(renewal.every.total_seconds())
        await asyncio.to_thread(_renew, state, renewal)


def _renew(state: ServerState, renewal: Renewal) -> None:
    market = renewal.market()
    state.show(market)
    if state.settings.truth_file is not None:
        write_truth(market, state.settings.truth_file)
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # as at the start: see `running`


def write_truth(market: Market, path: Path) -> None:
    """Write what is true of a market as JSON. Raises OSError."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(market.truth)))
