"""DexScreener: which tokens are talked about, and all pools of a token (docs/providers.md)."""
