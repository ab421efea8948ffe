"""Reading an answer's body within a bound that holds while it comes in and after it is unpacked."""

from __future__ import annotations

import zlib
from typing import Final

import httpx

_GZIP: Final = 31  # zlib's window bits for a gzip header and the largest window
_GZIP_MAGIC: Final = b"\x1f\x8b"


class BodyError(Exception):
    """The body cannot be used; the message says why."""


class BodyCutError(Exception):
    """The body ended before its end."""


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """The body, unpacked where it is gzip. Reads and unpacks no more than `max_bytes`.

    Raises BodyError for a larger one or another encoding, BodyCutError for one cut short, and httpx's own errors.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    announced = response.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > max_bytes):
        raise BodyError(_too_large(max_bytes))
    if encoding in {"", "identity"}:
        return await _plain(response, max_bytes)
    if encoding in {"gzip", "x-gzip"}:
        return await _unpacked(response, max_bytes)
    raise BodyError("the body is compressed in another way than gzip")


async def _plain(response: httpx.Response, max_bytes: int) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise BodyError(_too_large(max_bytes))
    return b"".join(parts)


async def _unpacked(response: httpx.Response, max_bytes: int) -> bytes:
    # Not httpx's own unpacking: it unpacks a whole network read at once, a thousandfold in the worst case.
    unpacker = zlib.decompressobj(_GZIP)
    parts, size = [], 0
    async for packed in response.aiter_raw():
        rest = packed
        while rest:
            if unpacker.eof:
                if not rest.startswith(_GZIP_MAGIC):  # padding after the last member
                    break
                unpacker = zlib.decompressobj(_GZIP)
            try:
                part = unpacker.decompress(rest, max_bytes - size + 1)
            except zlib.error:
                raise BodyError("the body says it is gzip and is not") from None
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                raise BodyError(_too_large(max_bytes))
            rest = unpacker.unused_data
    if not unpacker.eof:
        raise BodyCutError("the compressed body ended before its end")
    return b"".join(parts)


def _too_large(max_bytes: int) -> str:
    return f"the body is larger than {max_bytes:,} bytes (WALLTRACK_HTTP_MAX_BODY_MB)"
