"""Large JSON bodies put together from parts that are compressed once.

A page of 1,000 transactions is megabytes of JSON that are mostly asked for with gzip, and most transactions are asked
for several times. So each part is kept as deflate blocks that end at a byte; joined, they are one valid gzip stream.
Its checksum follows from those of the parts (the combination that zlib's crc32_combine computes).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31
_LEVEL: Final = 1
_STORED_UP_TO: Final = 160
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK: Final = b"\x03\x00"


class Part(NamedTuple):
    """Some bytes as deflate blocks, with their checksum and length uncompressed."""

    deflated: bytes
    crc: int
    size: int


def part(data: bytes) -> Part:
    """Compress some bytes; very short ones are only wrapped."""
    if len(data) <= _STORED_UP_TO:
        size = len(data)
        blocks = b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data
    else:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
        blocks = compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)
    return Part(blocks, zlib.crc32(data), len(data))


COMMA: Final = part(b",")


def array(items: Iterable[Part]) -> list[Part | bytes]:
    """A JSON array of parts."""
    parts: list[Part | bytes] = [b"["]
    for item in items:
        if len(parts) > 1:
            parts.append(COMMA)
        parts.append(item)
    parts.append(b"]")
    return parts


class Body:
    """A body of parts, in order."""

    def __init__(self, parts: Sequence[Part | bytes]) -> None:
        self._parts = parts

    def plain(self) -> bytes:
        """The bytes."""
        return b"".join(p if isinstance(p, bytes) else _inflated(p) for p in self._parts)

    def gzip(self) -> bytes:
        """The bytes as a gzip stream (RFC 1952)."""
        blocks = [_GZIP_HEADER]
        crc = size = 0
        for piece in self._parts:
            one = part(piece) if isinstance(piece, bytes) else piece
            blocks.append(one.deflated)
            crc = _times(_shift(one.size), crc) ^ one.crc
            size += one.size
        blocks += (_LAST_BLOCK, crc.to_bytes(4, "little"), (size & 0xFFFFFFFF).to_bytes(4, "little"))
        return b"".join(blocks)


def _inflated(one: Part) -> bytes:
    return zlib.decompressobj(-15).decompress(one.deflated)


def _times(a: int, b: int) -> int:
    """The product of two polynomials modulo the CRC's, in its reversed order of bits."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


@cache
def _shift(size: int) -> int:
    """x to the power of 8 * size: what a checksum is multiplied by when that many bytes follow."""
    result, power, rest = _ONE, 1 << 23, size  # 1 << 23 is x to the power of 8
    while rest:
        if rest & 1:
            result = _times(result, power)
        power = _times(power, power)
        rest >>= 1
    return result
