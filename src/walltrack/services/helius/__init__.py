"""Helius' own JSON-RPC method that gives an address's history oldest first."""

from walltrack.services.helius.history import HeliusHistory, HistoryPage, HistoryWalk

__all__ = ["HeliusHistory", "HistoryPage", "HistoryWalk"]
