"""Whether a text is an address or a signature."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_DIGITS: Final = {c: n for n, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_LONGEST: Final = 90


@lru_cache(maxsize=100_000)
def decoded(text: str) -> bytes | None:
    """The bytes a base58 text stands for, or None if it is none (or longer than a signature's)."""
    if not text or len(text) > _LONGEST:
        return None
    number = 0
    for c in text:
        digit = _DIGITS.get(c)
        if digit is None:
            return None
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def is_address(value: object) -> bool:
    """Whether this is a text of 32 bytes in base58."""
    return isinstance(value, str) and len(decoded(value) or b"") == 32


def is_signature(value: object) -> bool:
    """Whether this is a text of 64 bytes in base58."""
    return isinstance(value, str) and len(decoded(value) or b"") == 64
