CREATE INDEX idx_drw_wallet ON discovery_run_wallets (wallet_address);
DROP INDEX idx_drw_wallet_figures;
