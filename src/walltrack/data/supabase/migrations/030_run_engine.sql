-- What the run engine needs of a run: the step it stands at, the fence of whoever does that step, and how often one
-- died doing it. A run without a stage is none of the engine's: it lives and ends with the process that started it, as
-- every run of an earlier version does.

ALTER TABLE discovery_runs
    ADD COLUMN stage TEXT
        CONSTRAINT discovery_runs_stage_known CHECK (stage IN ('listing', 'tokens', 'profiling', 'ended')),
    ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;

-- How often a worker died while it held the token. Unlike the attempts, handing a token over is none.
ALTER TABLE discovery_run_tokens ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;

-- What a sweep looks at.
CREATE INDEX idx_discovery_runs_engine ON discovery_runs (id) WHERE status = 'running' AND stage IS NOT NULL;
CREATE INDEX idx_discovery_run_tokens_leases
    ON discovery_run_tokens (lease_expires_at) WHERE status = 'running';
