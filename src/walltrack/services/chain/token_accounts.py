"""Where an owner's tokens of a mint are kept: the associated token account (docs/providers.md), and odd ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from solders.pubkey import Pubkey

SPL_TOKEN: Final = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - an address
SPL_TOKEN_2022: Final = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105
SPL_PROGRAMS: Final = (SPL_TOKEN, SPL_TOKEN_2022)

_ASSOCIATED_TOKEN: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
_MINT_SIZE: Final = 82
_KIND_AT: Final = 165  # of Token-2022 accounts with extensions: 1 is a mint
_DECIMALS_AT: Final = 44


@lru_cache(maxsize=65_536)
def associated_account(owner: str, token_program: str, mint: str) -> str:
    """The associated token account of an owner. Raises ValueError for what is no address."""
    seeds = [bytes(Pubkey.from_string(part)) for part in (owner, token_program, mint)]
    return str(Pubkey.find_program_address(seeds, _ASSOCIATED_TOKEN)[0])


def program_of(mint: str, accounts: Mapping[str, Iterable[str]]) -> str | None:
    """Under which token program these accounts, by owner, are associated ones of the mint. None: under none."""
    for owner, of_owner in accounts.items():
        for program in SPL_PROGRAMS:
            if _is_address(owner) and associated_account(owner, program, mint) in of_owner:
                return program
    return None


def odd_ones(
    mint: str, token_program: str, accounts: Mapping[str, Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """Of these accounts, by owner, those that are not the associated ones."""
    odd: dict[str, tuple[str, ...]] = {}
    for owner, of_owner in accounts.items():
        usual = associated_account(owner, token_program, mint) if _is_address(owner) else None
        others = tuple(sorted(account for account in of_owner if account != usual))
        if others:
            odd[owner] = others
    return odd


def mint_decimals(owner: str, data: bytes) -> int | None:
    """The decimals of a mint, given its account; None where the account is no mint."""
    is_mint = len(data) == _MINT_SIZE or (
        owner == SPL_TOKEN_2022 and len(data) > _KIND_AT and data[_KIND_AT] == 1
    )
    return data[_DECIMALS_AT] if owner in SPL_PROGRAMS and is_mint else None


def is_address(text: str) -> bool:
    """Whether this is an address: 32 bytes in base58."""
    return _is_address(text)


@lru_cache(maxsize=65_536)
def _is_address(text: str) -> bool:
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True
