"""What an address is, apart from anything it traded: no trader's, or an exchange's."""

from __future__ import annotations

from collections.abc import Mapping

from walltrack.discovery.addresses import no_wallets
from walltrack.discovery.flag_rows import is_derived
from walltrack.discovery.wallet_models import Flag, FlagEvidence


def account_flags(wallet: str, exchanges: Mapping[str, str]) -> tuple[FlagEvidence, ...]:
    """NO_TRADER where the address is on one of the lists of `addresses`, or no key can sign for it; EXCHANGE where
    `exchanges` (address -> name) has it.

    An address off the ed25519 curve is derived from a program, which alone can sign for it: a pool, a vault, an
    escrow, now and then somebody's multisignature account. What is no 32-byte base58 address is nothing that can be
    told of.
    """
    found = []
    role = no_wallets().get(wallet)
    if role is None and is_derived(wallet):
        role = "an account of a program: no key can sign for it"
    if role is not None:
        found.append(FlagEvidence(Flag.NO_TRADER, None, 1, role))
    if wallet in exchanges:
        found.append(FlagEvidence(Flag.EXCHANGE, None, 1, f"on the list of exchanges: {exchanges[wallet]}"))
    return tuple(found)
