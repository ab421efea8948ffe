-- Every wallet ever found, and the figures of each finding.

CREATE TABLE wallets (
    address VARCHAR(44) PRIMARY KEY,
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    -- The run that found it first. A finding is new where this is its run.
    first_run_id UUID REFERENCES discovery_runs(id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

CREATE INDEX idx_wallets_page ON wallets (first_seen_at DESC, address);
CREATE INDEX idx_wallets_first_run ON wallets (first_run_id);

-- What an earlier version found.
INSERT INTO wallets (address, first_seen_at, last_seen_at, first_run_id)
SELECT DISTINCT ON (w.wallet_address)
    w.wallet_address,
    min(r.started_at) OVER by_wallet,
    max(r.started_at) OVER by_wallet,
    w.run_id
FROM discovery_run_wallets w
JOIN discovery_runs r ON r.id = w.run_id
WINDOW by_wallet AS (PARTITION BY w.wallet_address)
ORDER BY w.wallet_address, r.started_at, r.id;

-- The figures are null on rows of an earlier version. Amounts in SOL are exact; held_tokens is in UI units.
ALTER TABLE discovery_run_wallets
    ADD COLUMN entry_rank INTEGER,
    ADD COLUMN seconds_after_launch BIGINT,
    ADD COLUMN first_buy_at TIMESTAMPTZ,
    ADD COLUMN first_buy_slot BIGINT,
    ADD COLUMN buys INTEGER,
    ADD COLUMN sells INTEGER,
    ADD COLUMN cost_sol NUMERIC,
    ADD COLUMN proceeds_sol NUMERIC,
    ADD COLUMN cost_of_sold_sol NUMERIC,
    ADD COLUMN realized_pnl_sol NUMERIC,
    ADD COLUMN realized_pct NUMERIC,
    ADD COLUMN held_tokens NUMERIC,
    ADD COLUMN held_cost_sol NUMERIC,
    ADD COLUMN completeness TEXT,
    ADD COLUMN flags TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN signatures TEXT[] NOT NULL DEFAULT '{}',
    -- An earlier version could store the same finding twice. Every row is kept; the later ones point to the first.
    ADD COLUMN duplicate_of UUID REFERENCES discovery_run_wallets(id) ON DELETE CASCADE;

WITH ranked AS (
    SELECT id, first_value(id) OVER (
        PARTITION BY run_id, wallet_address, source_token ORDER BY created_at, id
    ) AS first_id
    FROM discovery_run_wallets
)
UPDATE discovery_run_wallets w
SET duplicate_of = ranked.first_id
FROM ranked
WHERE ranked.id = w.id AND ranked.first_id <> w.id;

CREATE UNIQUE INDEX discovery_run_wallets_once
    ON discovery_run_wallets (run_id, wallet_address, source_token) WHERE duplicate_of IS NULL;
CREATE INDEX idx_drw_duplicate ON discovery_run_wallets (duplicate_of) WHERE duplicate_of IS NOT NULL;
