"""Wallets in the forms that trading terminals import: address and label.

- `lines`: `address,label`, one wallet a line, the plain form. A `.csv` file has a header, a `.txt` file has none.
- `gmgn`: a JSON list of `address`, `name`, `emoji` (docs.gmgn.ai, "Wallets Import Export").
- `axiom`: a JSON list with the fields of an export of Axiom's own wallet tracker. Axiom publishes no format.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from walltrack.discovery.errors import BadInputError
from walltrack.services.files.writer import write_whole

EMOJI: Final = "🎯"
"""GMGN and Axiom show one before each name."""


class Terminal(StrEnum):
    """Forms of a list of wallets."""

    LINES = "lines"
    GMGN = "gmgn"
    AXIOM = "axiom"


@dataclass(frozen=True, slots=True)
class TerminalWallet:
    """A wallet, and what a terminal is to call it."""

    address: str
    label: str


_SUFFIXES: Final = {
    ".csv": (Terminal.LINES,),
    ".txt": (Terminal.LINES, Terminal.GMGN, Terminal.AXIOM),
    ".json": (Terminal.GMGN, Terminal.AXIOM),
}
"""Forms that a file of a suffix may have; the first where none is named."""


def terminal_writer(
    path: Path, terminal: Terminal | None = None
) -> Callable[[Sequence[TerminalWallet]], None]:
    """What writes wallets to a file of this name. The file appears whole or not at all.

    Raises BadInputError for a suffix that does not fit the form, or a folder that does not exist; writing raises
    WallTrackError.
    """
    suffix = path.suffix.lower()
    forms = _SUFFIXES.get(suffix)
    if forms is None:
        raise BadInputError(f"{path}: the name must end in {', '.join(_SUFFIXES)}")
    form = terminal or forms[0]
    if form not in forms:
        raise BadInputError(f"{path}: a {suffix} file is written as {' or '.join(forms)}, not as {form}")
    if not path.parent.is_dir():
        raise BadInputError(f"{path}: there is no folder {path.parent}")
    return lambda wallets: write_whole(path, _encoded(wallets, form, header=suffix == ".csv"))


def _encoded(wallets: Sequence[TerminalWallet], form: Terminal, *, header: bool) -> bytes:
    if form is Terminal.LINES:
        target = io.StringIO(newline="")
        rows = csv.writer(target, lineterminator="\n")
        if header:
            rows.writerow(("address", "label"))
        rows.writerows((wallet.address, wallet.label) for wallet in wallets)
        return target.getvalue().encode()
    made = _gmgn if form is Terminal.GMGN else _axiom
    return msgspec.json.format(msgspec.json.encode([made(wallet) for wallet in wallets]), indent=2) + b"\n"


def _gmgn(wallet: TerminalWallet) -> dict[str, Any]:
    return {"address": wallet.address, "name": wallet.label, "emoji": EMOJI}


def _axiom(wallet: TerminalWallet) -> dict[str, Any]:
    return {
        "trackedWalletAddress": wallet.address,
        "name": wallet.label,
        "emoji": EMOJI,
        "alertsOnToast": False,
        "alertsOnBubble": False,
        "alertsOnFeed": True,
        "groups": ["Main"],
        "sound": "default",
    }
