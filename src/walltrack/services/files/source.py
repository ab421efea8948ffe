"""Tape files as the source of a run's tokens: what lies in the folder is what is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from walltrack.discovery.models import DiscoveryRunParams, ListedToken
from walltrack.discovery.pipeline import TapeReading, TokenList
from walltrack.discovery.profiling import HistoryReading
from walltrack.discovery.tape import Unmeasurable
from walltrack.services.files.reader import TapeFolder


class TapeFiles:
    """The tokens of a folder that has been read, in the order of their launches."""

    def __init__(self, folder: Path, contents: TapeFolder) -> None:
        self.description = f"files: {folder}"
        self.demo = False
        self.warnings: Sequence[str] = contents.warnings
        self._tapes = contents.tapes

    @asynccontextmanager
    async def opened(self, run_id: UUID, budget: object = None) -> AsyncIterator[TapeFiles]:
        yield self

    @property
    def at_once(self) -> int:
        return 1  # everything is in memory already

    async def list_tokens(self, params: DiscoveryRunParams) -> TokenList:
        mints = sorted(self._tapes, key=lambda mint: (self._tapes[mint].launch_time, mint))
        return TokenList([ListedToken(mint) for mint in mints])

    async def read_tape(self, token: ListedToken, params: DiscoveryRunParams) -> TapeReading:
        return TapeReading(self._tapes[token.mint])

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def read_history(self, wallet: str) -> HistoryReading:
        """Files hold tapes of tokens, and no history of a wallet."""
        return HistoryReading(Unmeasurable("tape files hold no histories of wallets"))
