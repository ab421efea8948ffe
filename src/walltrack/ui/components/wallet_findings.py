"""On which tokens, and by which runs, a wallet was found."""

from __future__ import annotations

from walltrack.ui.view import View


class WalletFindings:
    """The card of a wallet's findings."""

    def __init__(self, view: View, address: str) -> None:
        self._view = view
        self._address = address

    async def load(self) -> None:
        """Ask for the findings."""
