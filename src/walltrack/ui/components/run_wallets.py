"""The wallets that a run found."""

from __future__ import annotations

from walltrack.client import DiscoveryRun
from walltrack.ui.view import View


class RunWallets:
    """The card of a run's wallets."""

    def __init__(self, view: View, run: DiscoveryRun) -> None:
        self._view = view
        self._run = run
