"""The key that the sandbox's providers take."""

from typing import Final

SANDBOX_KEY: Final = "sandbox"
"""The key that works when none are named."""
