-- The schedule: when the next run is due and how the last one went, what became of every due time, and who changed the
-- configuration when.

INSERT INTO discovery_config (id) VALUES (1) ON CONFLICT (id) DO NOTHING;

-- An earlier version checked nothing.
UPDATE discovery_config
SET enabled = coalesce(enabled, TRUE), schedule_hours = least(168, greatest(1, coalesce(schedule_hours, 6)));

ALTER TABLE discovery_config
    ALTER COLUMN enabled SET NOT NULL,
    ALTER COLUMN schedule_hours SET NOT NULL,
    ADD COLUMN schedule_cron TEXT,
    ADD COLUMN schedule_timezone TEXT NOT NULL DEFAULT 'UTC',
    ADD COLUMN jitter_seconds INTEGER NOT NULL DEFAULT 0 CHECK (jitter_seconds >= 0),
    ADD COLUMN paused_note TEXT,
    -- The next due time, without its jitter.
    ADD COLUMN next_run_at TIMESTAMPTZ,
    -- Of the last run that the schedule started.
    ADD COLUMN last_run_at TIMESTAMPTZ,
    ADD COLUMN last_run_id UUID REFERENCES discovery_runs(id) ON DELETE SET NULL,
    ADD COLUMN version BIGINT NOT NULL DEFAULT 1,
    ADD CONSTRAINT discovery_config_hours_bound CHECK (schedule_hours BETWEEN 1 AND 168),
    ADD CONSTRAINT discovery_config_disabled_has_no_next CHECK (enabled OR next_run_at IS NULL);

-- Every due time that came: its run, or why there was none. The primary key lets one process win.
CREATE TABLE schedule_ticks (
    due_at TIMESTAMPTZ PRIMARY KEY,
    -- The row stands for all due times from due_at up to it, too many to list.
    due_until TIMESTAMPTZ,
    status TEXT NOT NULL,
    skipped_because TEXT,
    reason TEXT,
    -- The run that was started, or the one that was in the way.
    run_id UUID REFERENCES discovery_runs(id) ON DELETE SET NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    decided_by TEXT,

    CONSTRAINT schedule_ticks_status_known CHECK (status IN ('started', 'skipped')),
    CONSTRAINT schedule_ticks_reason_given CHECK (
        (status = 'started') = (skipped_because IS NULL) AND (status = 'started' OR reason IS NOT NULL)
    ),
    CONSTRAINT schedule_ticks_cause_known CHECK (skipped_because IN ('overlap', 'missed', 'changed'))
);

CREATE UNIQUE INDEX idx_schedule_ticks_started ON schedule_ticks (run_id) WHERE status = 'started';
CREATE INDEX idx_schedule_ticks_run ON schedule_ticks (run_id);

CREATE TABLE config_audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version BIGINT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    changed_by TEXT NOT NULL,
    field TEXT NOT NULL,
    old_value JSONB,
    new_value JSONB
);
