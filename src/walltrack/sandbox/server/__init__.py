"""The sandbox market over HTTP, in the formats, limits and errors of the providers."""

from walltrack.sandbox.key import SANDBOX_KEY
from walltrack.sandbox.server.exchange import LoggedRequest
from walltrack.sandbox.server.faults import Faults
from walltrack.sandbox.server.gecko_sol import SOL_USDC_POOL
from walltrack.sandbox.server.options import PLANS, Plan, ServerOptions
from walltrack.sandbox.server.renewal import Renewal
from walltrack.sandbox.server.running import SandboxServer, Urls, run, serve

__all__ = [
    "PLANS",
    "SANDBOX_KEY",
    "SOL_USDC_POOL",
    "Faults",
    "LoggedRequest",
    "Plan",
    "Renewal",
    "SandboxServer",
    "ServerOptions",
    "Urls",
    "run",
    "serve",
]
