"""Finds Solana wallets that were early in tokens that pumped and took profit."""
