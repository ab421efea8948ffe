"""Jupiter: tokens that trend or trade most (docs/providers.md)."""
