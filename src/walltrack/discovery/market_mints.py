"""Mints that a market lists beside the tokens, and that never count as pumped.

Addresses of staked SOL as several public code bases give them (front ends of Saber, Solana Agent Kit and Sanctum's
routers, read November 2026). No list of this kind is ever complete; a token of this kind is nearly always far older
than a run asks for.
"""

from __future__ import annotations

from typing import Final

from walltrack.discovery.addresses import QUOTE_MINTS, STABLECOINS

STAKED_SOL: Final = frozenset(
    {
        "J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn",  # JitoSOL
        "mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So",  # mSOL
        "bSo13r4TkiE4KumL71LsHTPpL2euBYLFx6h9HP3piy1",  # bSOL
        "7dHbWXmci3dT8UFYWYZweBLXgycu7Y3iL6trKn1Y7ARj",  # stSOL
        "jupSoLaHXQiZZTSfEWMTRRgpnyFm8f6sZdosWBjx93v",  # JupSOL
        "5oVNBeEEQvYi1cX3ir8Dx5n1P7pdxydbGF2X4TxVusJm",  # INF
        "Bybit2vBJGhPF52GBdNaQfUJ6ZpThSgHBobjWZpLPb4B",  # bbSOL
        "BNso1VUJnh4zcfpZa6986Ea66P6TCp59hvtNJ8b1X85",  # BNSOL
        "he1iusmfkpAdwvxLNGV8Y1iSbj4rUy6yMhEA3fotn9A",  # hSOL
        "Dso1bDeDjCQxTrWHqUUi63oBvV7Mdm6WaobLbQ7gnPQ",  # dSOL
        "BonK1YhkXEGLZzwtcvRTip3gAL9nCeQD7ppZBLXhtTs",  # bonkSOL
        "vSoLxydx6akxyMD9XEcPvGYNGq6Nn66oqVb3UkGkei7",  # vSOL
        "sSo14endRuUbvQaJS3dq36Q829a3A6BEfoeeRGJywEh",  # sSOL
        "HUBsveNpjo5pWqNkH57QzxjQASdTVXcSK7bVKTSZtcSX",  # hubSOL
        "LAinEtNLgpmCP9Rvsf5Hn8W6EhNiKLZQti1xfWMLy6X",  # laineSOL
        "7Q2afV64in6N6SeZsAAB81TJzwDoD6zpqmHkzi9Dcavn",  # JSOL
        "CgnTSoL3DgY9SFHxcLj6CgCgKKoTBr6tp4CPAEWy25DE",  # cgntSOL
        "LnTRntk2kTfWEY6cVB8K9649pgJbt6dJLS1Ns1GZCWg",  # lanternSOL
        "picobAEvs6w7QEknPce34wAE4gknZA9v5tTonnmHYdX",  # picoSOL
        "pathdXw4He1Xk3eX84pDdDZnGKEme3GivBamGCVPZ5a",  # pathSOL
        "suPer8CPwxoJPQ7zksGMwFvjBQhjAHwUMmPV4FVatBw",  # superSOL
        "jucy5XJ76pHVvtPZb5TKRcGQExkwit2P5s4vY8UzmpC",  # jucySOL
    }
)
"""Tokens that stand for staked SOL."""

NEVER_PUMPED: Final = frozenset(QUOTE_MINTS) | STABLECOINS | STAKED_SOL
"""Quote mints, stablecoins and staked SOL."""
