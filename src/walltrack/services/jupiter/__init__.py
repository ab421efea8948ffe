"""Jupiter: tokens that trend or trade most (PROVIDERS §6)."""
