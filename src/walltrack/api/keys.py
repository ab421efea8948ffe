"""API keys: `wt_<prefix>_<random><checksum>`. The prefix names a key, the checksum tells a mistyped one at once."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import Final

_LETTERS: Final = string.digits + string.ascii_letters
_PREFIX_LENGTH: Final = 8
_RANDOM_LENGTH: Final = 32
"""190 bits."""
_CHECKSUM_LENGTH: Final = 6

_KEY: Final = re.compile(
    rf"wt_([0-9A-Za-z]{{{_PREFIX_LENGTH}}})_[0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII
)


def new_key() -> str:
    """A key that nobody has."""
    prefix = "".join(secrets.choice(_LETTERS) for _ in range(_PREFIX_LENGTH))
    random = "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM_LENGTH))
    body = f"wt_{prefix}_{random}"
    return body + _checksum(body)


def prefix_of(key: str) -> str | None:
    """The prefix of a well-formed key; None for anything else."""
    found = _KEY.fullmatch(key)
    if found is None or not hmac.compare_digest(_checksum(key[:-_CHECKSUM_LENGTH]), key[-_CHECKSUM_LENGTH:]):
        return None
    return found[1]


def hmac_of(key: str, secret_key: str) -> bytes:
    """What is stored of a key: HMAC-SHA256 under the secret, 32 bytes."""
    return hmac.digest(secret_key.encode(), key.encode(), hashlib.sha256)


def _checksum(body: str) -> str:
    """CRC-32 in base 62."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_LETTERS))
        digits = _LETTERS[digit] + digits
    return digits
