DROP TABLE config_audit;
DROP TABLE schedule_ticks;

ALTER TABLE discovery_config
    DROP CONSTRAINT discovery_config_disabled_has_no_next,
    DROP CONSTRAINT discovery_config_hours_bound,
    DROP COLUMN version,
    DROP COLUMN last_run_id,
    DROP COLUMN last_run_at,
    DROP COLUMN next_run_at,
    DROP COLUMN paused_note,
    DROP COLUMN jitter_seconds,
    DROP COLUMN schedule_timezone,
    DROP COLUMN schedule_cron,
    ALTER COLUMN schedule_hours DROP NOT NULL,
    ALTER COLUMN enabled DROP NOT NULL;
