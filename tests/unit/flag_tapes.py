"""Small tapes for the tests of flags."""

from __future__ import annotations

from typing import Any

from solders.signature import Signature

from tests.unit.oracle import Event, event
from tests.unit.oracle import tape as without_slots
from walltrack.discovery.flags import tape_flags
from walltrack.discovery.tape import Tape
from walltrack.discovery.wallet_models import Flag, FlagEvidence

LAUNCH = 1_000
SOL = 1_000_000_000


def signature(number: int) -> bytes:
    return number.to_bytes(64, "big")


def base58(number: int) -> str:
    return str(Signature.from_bytes(signature(number)))


def at(slot: int, place: int, wallet: str, kind: str, tokens: int, quote: int = 0, **other: Any) -> Event:
    """A row in its own transaction, so many slots after the launch; two slots are a second."""
    where = {"slot": LAUNCH + slot, "tx_index": place, "block_time": slot // 2}
    other = {"signature": signature(slot * 10_000 + place)} | other
    return event(wallet, kind, tokens, quote, **(where | other))


def tape(*events: Event, **other: Any) -> Tape:
    """A tape of these rows, whose first trade was somebody's in the slot of the launch."""
    first = at(0, 7, "first", "buy", 1_000_000, SOL)
    return without_slots([first, *events], **({"launch_slot": LAUNCH} | other))


def flags(found: Tape, wallet: str) -> dict[Flag, FlagEvidence]:
    return {evidence.flag: evidence for evidence in tape_flags(found).get(wallet, ())}


def flagged(found: Tape, flag: Flag) -> set[str]:
    return {
        wallet for wallet, its in tape_flags(found).items() if any(evidence.flag is flag for evidence in its)
    }
