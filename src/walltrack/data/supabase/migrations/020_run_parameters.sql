-- Parameters as they were given: wide enough for every value within their bounds, and the same number when read back.
-- Then what else a run records: where its tokens came from, which code computed it, its lease, its warnings.

ALTER TABLE discovery_runs
    ALTER COLUMN min_price_change_pct TYPE DOUBLE PRECISION,
    ALTER COLUMN min_volume_usd TYPE DOUBLE PRECISION,
    ALTER COLUMN min_profit_pct TYPE DOUBLE PRECISION,
    ALTER COLUMN duration_seconds TYPE DOUBLE PRECISION,
    ALTER COLUMN triggered_by TYPE TEXT,
    ADD COLUMN profile_immediately BOOLEAN NOT NULL DEFAULT TRUE,
    ADD COLUMN min_liquidity_usd DOUBLE PRECISION NOT NULL DEFAULT 10000,
    ADD COLUMN include_launch_slot BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN token_source TEXT,
    ADD COLUMN code_version TEXT,
    ADD COLUMN warnings JSONB NOT NULL DEFAULT '[]',
    ADD COLUMN claimed_by TEXT,
    ADD COLUMN lease_expires_at TIMESTAMPTZ;

ALTER TABLE discovery_config
    ALTER COLUMN min_price_change_pct TYPE DOUBLE PRECISION,
    ALTER COLUMN min_volume_usd TYPE DOUBLE PRECISION,
    ALTER COLUMN min_profit_pct TYPE DOUBLE PRECISION,
    ALTER COLUMN updated_by TYPE TEXT,
    ADD COLUMN min_liquidity_usd DOUBLE PRECISION NOT NULL DEFAULT 10000,
    ADD COLUMN include_launch_slot BOOLEAN NOT NULL DEFAULT FALSE;

-- NOT VALID: rows of an earlier version are kept whatever they hold; new ones are checked.
ALTER TABLE discovery_runs
    ADD CONSTRAINT discovery_runs_status_known
        CHECK (status IN ('running', 'completed', 'failed', 'cancelled')) NOT VALID,
    ADD CONSTRAINT discovery_runs_trigger_type_known
        CHECK (trigger_type IN ('manual', 'scheduled', 'api')) NOT VALID;

CREATE INDEX idx_discovery_runs_page ON discovery_runs (started_at DESC, id DESC);
CREATE INDEX idx_discovery_runs_status_page ON discovery_runs (status, started_at DESC, id DESC);
