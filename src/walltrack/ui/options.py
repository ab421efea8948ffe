"""What the dashboard is told when it is started."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DashboardOptions:
    """Where it listens, and the address of the API that it shows."""

    host: str
    port: int
    api_url: str

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine reaches the dashboard."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class AddressTakenError(Exception):
    """Another program listens there, or the address is not this machine's."""
