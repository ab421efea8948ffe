"""Addresses of the sandbox's chain: known programs and accounts, and derived ones.

The well-known addresses are those of docs/providers.md. They are repeated here, and not
imported, so that a fault in the product's own lists shows.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from typing import Final

from solders.pubkey import Pubkey

SYSTEM: Final = "11111111111111111111111111111111"
TOKEN: Final = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - a program
TOKEN_2022: Final = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105 - a program
ASSOCIATED: Final = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"
COMPUTE_BUDGET: Final = "ComputeBudget111111111111111111111111111111"
MEMO: Final = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
RENT_SYSVAR: Final = "SysvarRent111111111111111111111111111111111"

PUMP: Final = "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P"
PUMPSWAP: Final = "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA"
PUMP_FEES: Final = "pfeeUxB6jkeY1Hxd7CsFCAjcbHA9rWtchMGdZ6VojVZ"
MAYHEM: Final = "MAyhSmzXzV1pTf7LsNkrNwkWKTo4ougAJ1PPg47MD4e"
RAYDIUM_V4: Final = "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8"
RAYDIUM_CPMM: Final = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"
JUPITER: Final = "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4"
LIMIT_ORDERS: Final = "j1o2qRpjcyUwEvwtcfhEQefh773ZgjxcVRry7LDqg5X"
DCA: Final = "DCA265Vj8a9CEuX1eb1LWRnDT7uK6q1xMipnNyatn23M"
OKX: Final = "6m2CDdhRgxpH4WjvdzxAYbGxwdGUz5MziiL5jek2kBma"
OKX_AUTHORITY: Final = "HV1KXxWFaSeriyFvXyx48FqG9BoFbfinB8njCJonqP7K"
OPENBOOK: Final = "srmqPvymJeFKQ4zGQed1GFppgkRHL9kaELCbyksJtPX"

WSOL: Final = "So11111111111111111111111111111111111111112"
USDC: Final = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

PUMP_GLOBAL: Final = "4wTV1YmiEkRvAtNtsSGPtUrqRYQMe5SKy2uB4Jjaxnjf"
PUMP_EVENTS: Final = "Ce6TQqeHC9p8KetsN6JsjHK7UTZk7nasjjnr7XxXp9F1"
PUMP_MINT_AUTHORITY: Final = "TSLvdd1pWpHVjahSpsvCXUbgwsL3JAcvokwaKt1eokM"
PUMP_MIGRATOR: Final = "39azUYFWPz3VHgKCf3VChUwbpURdCHRxjWVowf5jUJjg"
PUMPSWAP_CONFIG: Final = "ADyA8hdefvWN2dbGGWFotbzWxrAvLW83WG6QCVXvJKqw"
PUMPSWAP_EVENTS: Final = "GS4CU59F31iL7aR2Q8zVS8DRrcRnXX1yjQ66TqNVQnaR"

PUMP_FEE_RECIPIENTS: Final = (
    "62qc2CNXwrYqQScmEdiZFFAnJR262PxWEuNQtxfafNgV",
    "7VtfL8fvgNfhz17qKRMjzQEXgbdpnHHHQRh54R9jP2RJ",
    "7hTckgnGnLQR6sdH7YkqFTAA7VwTfYFaZ6EhEsU3saCX",
    "9rPYyANsfQZw3DnDmKE3YCQF5E8oD89UXoHn9JFEhJUz",
    "AVmoTthdrX6tKt4nDjco2D775W2YK3sDhxPcMmzUAmTY",
    "JCRGumoE9Qi5BBgULTgdgTLjSgkCMSbF62ZZfGs84JeU",
)
TIP_ACCOUNTS: Final = (
    "96gYZGLnJYVFmbjzopPSU6QiEV5fGqZNyN9nmNhvrZU5",
    "HFqU5x63VTqvQss8hp11i4wVV8bD44PvwucfZ2bU7gRe",
    "Cw8CFyM9FkoMi7K7Crf6HNQqf4uEMzpKw6QNghXLvLkY",
    "ADaUMid9yfUytqMBgopwjb2DTLSokTSzL1zt6iGPaS49",
    "DfXygSm4jCyNCybVYYK6DwvWqjKee8pbDmJGcLWNDXjh",
    "HWEoBxYs7ssKuudEjzjmpfJVX7Dvi7wescFsVx2L5yoY",
    "TEMPaMeCRFAS9EKF53Jd6KpHxgL47uWLcpFArU1Fanq",
    "NexTbLoCkWykbLuB1NkjXgFWkX9oAtcoagQegygXXA2",
)
BOT_FEE_WALLETS: Final = (
    "9yMwSPk9mrXSN7yDHUuZurAh1sjbJsfpUqjZ7SvVtdco",
    "ZG98FUCjb8mJ824Gbs6RsgVmr1FhXb2oNiJHa2dwmPd",
    "7HeD6sLLqAnKVRuSfc1Ko3BSPMNKWgGTiWLKXJF31vKM",
    "J5XGHmzrRmnYWbmw45DbYkdZAU2bwERFZ11qCDXPvFB5",
    "7LCZckF6XXGQ1hDY6HFXBKWAtiUgL9QY5vj1C4Bn1Qjj",
    "BB5dnY55FXS1e1NXqZDwCzgdYJdMCj3B92PU6Q5Fb6DT",
    "AVUCZyuT35YSuj4RH7fwiyPu82Djn2Hfg7y2ND2XcnZH",
)

PROGRAMS: Final = frozenset(
    {
        SYSTEM,
        TOKEN,
        TOKEN_2022,
        ASSOCIATED,
        COMPUTE_BUDGET,
        MEMO,
        PUMP,
        PUMPSWAP,
        PUMP_FEES,
        MAYHEM,
        RAYDIUM_V4,
        RAYDIUM_CPMM,
        JUPITER,
        LIMIT_ORDERS,
        DCA,
        OKX,
        OPENBOOK,
    }
)


@lru_cache(maxsize=65_536)
def raw(address: str) -> bytes:
    """The 32 bytes of an address."""
    return bytes(Pubkey.from_string(address))


@cache
def _program(address: str) -> Pubkey:
    return Pubkey.from_string(address)


def derived(program: str, *seeds: bytes) -> str:
    """A program-derived address: off the curve."""
    return str(Pubkey.find_program_address(list(seeds), _program(program))[0])


@lru_cache(maxsize=65_536)
def token_account(owner: str, mint: str, token_program: str) -> str:
    """The associated token account (docs/providers.md)."""
    return derived(ASSOCIATED, raw(owner), raw(token_program), raw(mint))


@lru_cache(maxsize=16_384)
def volume_accumulator(user: str, program: str) -> str:
    return derived(program, b"user_volume_accumulator", raw(user))


def bonding_curve(mint: str) -> str:
    return derived(PUMP, b"bonding-curve", raw(mint))


def creator_vault(creator: str) -> str:
    """Where the curve puts the creator's fees, in lamports."""
    return derived(PUMP, b"creator-vault", raw(creator))


def amm_creator_vault(creator: str) -> str:
    """Owner of the token accounts where PumpSwap puts the creator's fees."""
    return derived(PUMPSWAP, b"creator_vault", raw(creator))


def pool_authority(mint: str) -> str:
    return derived(PUMP, b"pool-authority", raw(mint))


def pumpswap_pool(creator: str, base: str, quote: str, index: int = 0) -> str:
    return derived(PUMPSWAP, b"pool", struct.pack("<H", index), raw(creator), raw(base), raw(quote))


GLOBAL_VOLUME: Final = derived(PUMP, b"global_volume_accumulator")
AMM_GLOBAL_VOLUME: Final = derived(PUMPSWAP, b"global_volume_accumulator")
FEE_CONFIG: Final = derived(PUMP_FEES, b"fee_config", raw(PUMP))
AMM_FEE_CONFIG: Final = derived(PUMP_FEES, b"fee_config", raw(PUMPSWAP))
CPMM_AUTHORITY: Final = derived(RAYDIUM_CPMM, b"vault_and_lp_mint_auth_seed")
CPMM_CONFIG: Final = derived(RAYDIUM_CPMM, b"amm_config", b"\0\0")
V4_AUTHORITY: Final = derived(RAYDIUM_V4, b"amm authority")
