-- What lists tell of a wallet's findings, from an index alone: how many runs and tokens found it, and of each token the
-- finding that was stored last. A wallet found ten thousand times costs some milliseconds then.
CREATE INDEX idx_drw_wallet_figures
    ON discovery_run_wallets (wallet_address, source_token, created_at DESC, id)
    INCLUDE (run_id, realized_pct, realized_pnl_sol);

-- The other indexes that begin with the wallet do what it did.
DROP INDEX idx_drw_wallet;
