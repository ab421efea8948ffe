"""Tape files as the source of a run's tokens: what lies in the folder is what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from walltrack.discovery.tape import Tape, Unmeasurable
from walltrack.services.files.reader import TapeFolder


class TapeFiles:
    """The tokens of a folder that has been read, in the order of their launches."""

    def __init__(self, folder: Path, contents: TapeFolder) -> None:
        self.description = f"files: {folder}"
        self.warnings: Sequence[str] = contents.warnings
        self._tapes = contents.tapes

    async def mints(self) -> Sequence[str]:
        return sorted(self._tapes, key=lambda mint: (self._tapes[mint].launch_time, mint))

    async def tape(self, mint: str) -> Tape | Unmeasurable:
        return self._tapes[mint]
