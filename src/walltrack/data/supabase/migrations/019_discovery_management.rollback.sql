DROP TABLE IF EXISTS discovery_config;
DROP TABLE IF EXISTS discovery_run_wallets;
DROP TABLE IF EXISTS discovery_runs;
