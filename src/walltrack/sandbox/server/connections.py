"""Breaking connections: the server's protocol remembers its transports, so that one can be reset under a request."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Connections:
    """The open connections by the client's address and port."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """A protocol class for uvicorn that keeps this register."""
        register = self._open

        class Remembered(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
                super().connection_made(transport)
                if self.client is not None:
                    register[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    register.pop(self.client, None)
                super().connection_lost(exc)

        return Remembered

    def reset(self, scope: Scope) -> None:
        """Reset (RST) the connection of this request, without an answer."""
        transport = self._open[tuple(scope["client"])]
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    def close(self, scope: Scope) -> None:
        """Close the connection of this request after what has been written."""
        self._open[tuple(scope["client"])].close()
