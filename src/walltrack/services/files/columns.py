"""The columns of a tape file: what an analyst's export may name, and within which bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from walltrack.discovery.errors import TapeFileError
from walltrack.services.files.refusals import shown

REQUIRED: Final = ("block_time", "seq", "wallet", "mint", "side", "token_amount", "sol_delta")
OPTIONAL: Final = ("signature", "venue", "sol_amount", "sol_sign", "launch_time", "label", "slot")
KNOWN: Final = REQUIRED + OPTIONAL

FIRST_TIME: Final = 1_584_316_800
"""2020-03-16 00:00 UTC, the day of Solana's first block."""
END_OF_TIME: Final = 4_102_444_800
"""2100-01-01 00:00 UTC, the first second that is refused: milliseconds given for seconds are far beyond."""

MAX_SEQ: Final = 2**32 - 1
MAX_SLOT: Final = 2**63 - 1
MAX_TOKEN_RAW: Final = 2**64 - 1
MAX_TOKEN_DECIMALS: Final = 18
SOL_DECIMALS: Final = 9
MAX_LAMPORTS: Final = 2**63 - 1
MAX_VENUE_CHARS: Final = 64


def check_columns(file: str, names: Sequence[str]) -> None:
    """Refuse a table with an unknown, a repeated or a missing required column.

    Raises TapeFileError, which names the file, the column and the known ones.
    """
    known = f"known are {', '.join(KNOWN)}"
    seen: set[str] = set()
    for name in names:
        if name not in KNOWN:
            raise TapeFileError(file, f"unknown column {shown(name)}; {known}")
        if name in seen:
            raise TapeFileError(file, f"column {name} stands there twice", field=name)
        seen.add(name)
    for name in REQUIRED:
        if name not in seen:
            raise TapeFileError(file, f"required column {name} is missing; {known}", field=name)
