DROP TABLE sol_prices;
DROP TABLE discovery_run_refusals;

ALTER TABLE discovery_run_tokens
    DROP COLUMN plan,
    DROP COLUMN credits,
    DROP COLUMN requests,
    DROP COLUMN forecast_credits,
    DROP COLUMN forecast_requests;

ALTER TABLE discovery_config DROP COLUMN max_credits;

ALTER TABLE discovery_runs
    DROP COLUMN sol_prices,
    DROP COLUMN forecast_credits,
    DROP COLUMN forecast_requests,
    DROP COLUMN max_credits,
    DROP COLUMN demo;
