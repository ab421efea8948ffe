"""A token's tape from the chain: planned, paid for within a budget, stored as it arrives, extended later."""

from walltrack.services.chain.purse import TapeCutError
from walltrack.services.chain.reader import ChainReader, TapeRead, pools_to_read
from walltrack.services.chain.session import Bounds, TapeStore

__all__ = ["Bounds", "ChainReader", "TapeCutError", "TapeRead", "TapeStore", "pools_to_read"]
