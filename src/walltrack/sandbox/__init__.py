"""A Solana market made on this machine from a seed, with known truth, served in the providers' formats."""
