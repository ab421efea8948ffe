"""Keeping keys out of everything that is shown, logged, raised or stored."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, urlsplit

MASK: Final = "****"
SHORTEST_SECRET: Final = 6
"""Anything shorter is no secret, and masking it would mask ordinary words."""

_READ_AT_MOST: Final = 100_000
_CLIENT_LOGGERS: Final = (
    *("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.http2"),
    *("httpcore.proxy", "httpcore.socks"),
)


class Redactor:
    """Masks given secrets in a text, however they are written: plain, percent-encoded once or twice, escaped as in
    JSON, in upper or lower case.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = sorted(
            {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True
        )
        self._pattern = re.compile("|".join(map(_any_spelling, found)), re.IGNORECASE) if found else None

    def __repr__(self) -> str:
        return "Redactor()"

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def clipped(self, text: str | bytes, length: int) -> str:
        """The text in one line, without secrets and control characters, at most `length` characters.

        Masked before it is cut, since half a key is half a secret.
        """
        if isinstance(text, bytes):
            text = text[:_READ_AT_MOST].decode("utf-8", "replace")
        shown = self(text[:_READ_AT_MOST])
        shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
        return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def secrets_of_url(url: str) -> list[str]:
    """What may be a key in a URL: user, password, path segments and values of the query, of six characters or more.

    Providers of RPC nodes put keys at any of these places.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL: nothing of it may be shown
        return [url]
    pieces = [parts.username or "", parts.password or "", *parts.path.split("/")]
    pieces += [pair.rpartition("=")[2] for pair in parts.query.split("&")]
    return [
        spelling for piece in pieces for spelling in {piece, unquote(piece)} if len(piece) >= SHORTEST_SECRET
    ]


def silence_http_client_logs() -> None:
    """Drop what the HTTP libraries log below a warning, whatever their level is set to: whole URLs and headers."""
    for name in _CLIENT_LOGGERS:
        logger = logging.getLogger(name)
        if _warnings_only not in logger.filters:
            logger.addFilter(_warnings_only)


def _warnings_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _any_spelling(secret: str) -> str:
    return "".join(map(_any_spelling_of_character, secret))


def _any_spelling_of_character(character: str) -> str:
    percent = "".join(f"%(?:25)?{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    # The longer ones first: of "%25" for "%", the plain spelling would leave the "25" behind.
    spellings = [percent, rf"\\u{ord(character):04x}", rf"\\{re.escape(character)}", re.escape(character)]
    if character == " ":
        spellings.append(r"\+")
    return f"(?:{'|'.join(spellings)})"
