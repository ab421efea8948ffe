-- Values that the narrow columns cannot hold come down to the largest that they can.
DROP INDEX idx_discovery_runs_status_page;
DROP INDEX idx_discovery_runs_page;

ALTER TABLE discovery_runs
    DROP CONSTRAINT discovery_runs_trigger_type_known,
    DROP CONSTRAINT discovery_runs_status_known,
    DROP COLUMN lease_expires_at,
    DROP COLUMN claimed_by,
    DROP COLUMN warnings,
    DROP COLUMN code_version,
    DROP COLUMN token_source,
    DROP COLUMN include_launch_slot,
    DROP COLUMN min_liquidity_usd,
    DROP COLUMN profile_immediately,
    ALTER COLUMN triggered_by TYPE VARCHAR(100) USING left(triggered_by, 100),
    ALTER COLUMN duration_seconds TYPE DECIMAL(10,2) USING least(duration_seconds, 99999999.99),
    ALTER COLUMN min_profit_pct TYPE DECIMAL(5,2) USING least(min_profit_pct, 999.99),
    ALTER COLUMN min_volume_usd TYPE DECIMAL(15,2) USING least(min_volume_usd, 9999999999999.99),
    ALTER COLUMN min_price_change_pct TYPE DECIMAL(5,2) USING least(min_price_change_pct, 999.99);

ALTER TABLE discovery_config
    DROP COLUMN include_launch_slot,
    DROP COLUMN min_liquidity_usd,
    ALTER COLUMN updated_by TYPE VARCHAR(100) USING left(updated_by, 100),
    ALTER COLUMN min_profit_pct TYPE DECIMAL(5,2) USING least(min_profit_pct, 999.99),
    ALTER COLUMN min_volume_usd TYPE DECIMAL(15,2) USING least(min_volume_usd, 9999999999999.99),
    ALTER COLUMN min_price_change_pct TYPE DECIMAL(5,2) USING least(min_price_change_pct, 999.99);
