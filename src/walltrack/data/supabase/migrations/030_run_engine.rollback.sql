DROP INDEX idx_discovery_run_tokens_leases;
DROP INDEX idx_discovery_runs_engine;

ALTER TABLE discovery_run_tokens DROP COLUMN deaths;

ALTER TABLE discovery_runs
    DROP COLUMN deaths,
    DROP COLUMN attempt,
    DROP COLUMN stage;
