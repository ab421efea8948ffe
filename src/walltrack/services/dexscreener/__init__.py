"""DexScreener: which tokens are talked about, and all pools of a token (PROVIDERS §3)."""
