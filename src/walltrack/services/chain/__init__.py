"""Tapes and wallets' histories from the chain: planned, paid for within a budget, stored as they arrive, extended
later.
"""

from walltrack.services.chain.purse import TapeCutError
from walltrack.services.chain.reader import ChainReader, TapeRead, pools_to_read
from walltrack.services.chain.session import Bounds, TapeStore
from walltrack.services.chain.wallet_histories import HistoryRead, WalletHistoryReader

__all__ = [
    "Bounds",
    "ChainReader",
    "HistoryRead",
    "TapeCutError",
    "TapeRead",
    "TapeStore",
    "WalletHistoryReader",
    "pools_to_read",
]
