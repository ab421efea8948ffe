"""Asking cheaply what an address has that is not stored yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from walltrack.discovery.reading_plan import PAGE
from walltrack.services.chain.session import Session

_GLANCE: Final = 100
"""Signatures that are asked for where only the newest matter: failed ones are among them."""


@dataclass(frozen=True, slots=True)
class Newer:
    """Successful transactions behind a slot. Where counting stopped early there are more than `count`."""

    count: int
    newest_slot: int | None


async def newer_than(session: Session, address: str, slot: int | None, *, enough: int) -> Newer:
    """Count the successful transactions of an address behind a slot (None: all), to `enough` and at most some more.

    Costs one historical call for each thousand of them. Raises TapeCutError, and the faults of the provider.
    """
    seen: set[str] = set()
    newest: int | None = None
    before: str | None = None
    limit = _GLANCE if enough == 1 else PAGE
    price = session.rpc.historical_credits
    while True:
        async with session.purse.paying(price) as payment:
            page = await session.rpc.signatures(address, before=before, limit=limit)
            payment.used = price
        behind = [one for one in page.listed if slot is None or one.slot > slot]
        seen.update(one.signature for one in behind)
        if newest is None and behind:
            newest = behind[0].slot
        reached = slot is not None and page.oldest_slot is not None and page.oldest_slot <= slot
        if page.is_end or reached or len(seen) >= enough or page.last is None:
            return Newer(len(seen), newest)
        before = page.last
