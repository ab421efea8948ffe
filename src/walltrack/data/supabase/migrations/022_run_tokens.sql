-- A run's work on each of its tokens. The row is the one authority: claimed with a lease and an attempt number, and a
-- result is written only by the holder of the current attempt.

CREATE TABLE discovery_run_tokens (
    run_id UUID NOT NULL REFERENCES discovery_runs(id) ON DELETE CASCADE,
    mint VARCHAR(44) NOT NULL,
    position INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    reason TEXT,

    attempt INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT,
    lease_expires_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,

    wallets_found INTEGER NOT NULL DEFAULT 0,
    launch_at TIMESTAMPTZ,
    launch_slot BIGINT,
    first_event_at TIMESTAMPTZ,
    last_event_at TIMESTAMPTZ,
    events BIGINT,
    wallets_seen BIGINT,
    wallets_early BIGINT,
    tape_cut TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),

    PRIMARY KEY (run_id, mint),
    CONSTRAINT discovery_run_tokens_status_known
        CHECK (status IN ('pending', 'running', 'done', 'unmeasurable', 'failed', 'cancelled')),
    CONSTRAINT discovery_run_tokens_reason_given
        CHECK (status NOT IN ('unmeasurable', 'failed') OR reason IS NOT NULL)
);

CREATE INDEX idx_discovery_run_tokens_open
    ON discovery_run_tokens (run_id, position) WHERE status IN ('pending', 'running');
CREATE INDEX idx_discovery_run_tokens_mint ON discovery_run_tokens (mint);
