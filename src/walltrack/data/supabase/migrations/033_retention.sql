-- What is kept for how long: whose turn it is to remove the rest, and what remains known of what was removed.

-- One row: a process at a time removes, and by this once a day.
CREATE TABLE retention (
    one_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one_row),
    due_at TIMESTAMPTZ NOT NULL,
    done_at TIMESTAMPTZ,
    attempt INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT,
    lease_expires_at TIMESTAMPTZ,
    last_error TEXT
);

-- A run without its rows by token, its refusals and events: when they were removed, and what they came to.
ALTER TABLE discovery_runs
    ADD COLUMN tokens_removed_at TIMESTAMPTZ,
    ADD COLUMN removed_tokens JSONB;

-- When a stream went of which the token's tape was made: what is read of it later is no longer what the run had.
ALTER TABLE discovery_run_tokens ADD COLUMN tape_removed_at TIMESTAMPTZ;

-- The runs whose rows come next, the oldest first.
CREATE INDEX idx_discovery_runs_retention
    ON discovery_runs ((coalesce(completed_at, started_at)))
    WHERE tokens_removed_at IS NULL AND status <> 'running';
