"""GeckoTerminal, and CoinGecko's onchain interface of the same paths: pools and candles (docs/providers.md)."""
