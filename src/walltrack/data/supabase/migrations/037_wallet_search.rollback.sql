DROP INDEX idx_provider_usage_month;
CREATE INDEX idx_provider_usage_month ON provider_usage (month, provider);

CREATE OR REPLACE FUNCTION set_run_day() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.run_day := (SELECT (started_at AT TIME ZONE 'UTC')::date FROM discovery_runs WHERE id = NEW.run_id);
    RETURN NEW;
END
$$;
ALTER TABLE provider_usage DROP COLUMN demo;

DROP INDEX idx_wallets_activity;
DROP INDEX idx_wallets_known;
CREATE INDEX idx_wallets_known ON wallets (score DESC, address)
    INCLUDE (status, closed_positions, last_active_at, demo) WHERE score IS NOT NULL;
DROP INDEX idx_wallets_flags;
CREATE INDEX idx_wallets_flags ON wallets USING gin (flags) WHERE flags <> '{}';
