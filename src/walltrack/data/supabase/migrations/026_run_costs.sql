-- What a run may spend, what reading its tokens was forecast to cost and did cost, what it left out and why, and the
-- prices by which it valued stablecoins.

ALTER TABLE discovery_runs
    -- Of a made-up market: every view of it says so.
    ADD COLUMN demo BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN max_credits BIGINT CHECK (max_credits >= 0),
    ADD COLUMN forecast_requests BIGINT,
    ADD COLUMN forecast_credits BIGINT,
    ADD COLUMN sol_prices JSONB NOT NULL DEFAULT '{}';

ALTER TABLE discovery_config ADD COLUMN max_credits BIGINT CHECK (max_credits >= 0);

ALTER TABLE discovery_run_tokens
    ADD COLUMN forecast_requests BIGINT,
    ADD COLUMN forecast_credits BIGINT,
    ADD COLUMN requests BIGINT,
    ADD COLUMN credits BIGINT,
    ADD COLUMN plan TEXT;

CREATE TABLE discovery_run_refusals (
    run_id UUID NOT NULL REFERENCES discovery_runs(id) ON DELETE CASCADE,
    mint TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run_id, mint)
);

-- Hours of the past do not change: kept for ever.
CREATE TABLE sol_prices (
    hour TIMESTAMPTZ PRIMARY KEY,
    usd NUMERIC NOT NULL CHECK (usd > 0),
    source TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
