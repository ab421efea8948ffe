"""Bars on standard error while a run works, where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from walltrack.discovery.models import TokenStatus


class Bars:
    """Bars for the files that are read, the tokens of the run, and the wallets that are profiled."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._wallets = 0
        self._files: TaskID | None = None
        self._tokens: TaskID | None = None
        self._profiles: TaskID | None = None

    def bytes_read(self, done: int, total: int) -> None:
        if self._files is None:
            self._files = self._bars.add_task("reading tapes", total=total)
        self._bars.update(self._files, completed=done, total=total)

    def tokens_listed(self, mints: Sequence[str]) -> None:
        self._tokens = self._bars.add_task("measuring tokens", total=len(mints))

    def token_finished(self, mint: str, status: TokenStatus, wallets: int) -> None:
        self._wallets += wallets
        if self._tokens is not None:
            self._bars.update(
                self._tokens, advance=1, description=f"measuring tokens, {self._wallets} wallets"
            )

    def wallets_listed(self, wallets: int) -> None:
        self._profiles = self._bars.add_task("profiling wallets", total=wallets)

    def wallet_profiled(self, wallet: str) -> None:
        if self._profiles is not None:
            self._bars.update(self._profiles, advance=1)


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars for the time of the block; none where standard error is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bars(progress)
