"""Any Solana node's JSON-RPC: lists of signatures, transactions, accounts."""

from walltrack.services.solana_rpc.client import Account, SignaturePage, SolanaRpc

__all__ = ["Account", "SignaturePage", "SolanaRpc"]
