-- Figures of whole ISO weeks (UTC), kept from those of days: ten years are five hundred rows.

LOCK TABLE run_rollups IN SHARE ROW EXCLUSIVE MODE;

-- By the Monday. What stands without more is of all runs of the status; counted, timed: of completed ones.
CREATE TABLE week_rollups (
    week DATE PRIMARY KEY,
    completed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    running BIGINT NOT NULL,
    new_wallets BIGINT NOT NULL,
    updated_wallets BIGINT NOT NULL,
    counted_runs BIGINT NOT NULL,
    counted_wallets BIGINT NOT NULL,
    timed_runs BIGINT NOT NULL,
    duration_seconds NUMERIC NOT NULL
) WITH (fillfactor = 50);

-- Monday is the first day of date_trunc's weeks; a date has no zone.
CREATE FUNCTION monday(day DATE) RETURNS DATE
LANGUAGE sql IMMUTABLE
AS $$ SELECT date_trunc('week', day::timestamp)::date $$;

CREATE FUNCTION roll_up_week() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO week_rollups AS known (
        week, completed, failed, cancelled, running, new_wallets, updated_wallets,
        counted_runs, counted_wallets, timed_runs, duration_seconds
    )
    SELECT monday(day),
        coalesce(sum(sign * runs) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(sign * runs) FILTER (WHERE status = 'failed'), 0),
        coalesce(sum(sign * runs) FILTER (WHERE status = 'cancelled'), 0),
        coalesce(sum(sign * runs) FILTER (WHERE status = 'running'), 0),
        sum(sign * new_wallets), sum(sign * updated_wallets),
        coalesce(sum(sign * counted_runs) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(sign * counted_wallets) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(sign * timed_runs) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(sign * duration_seconds) FILTER (WHERE status = 'completed'), 0)
    FROM (
        SELECT -1 AS sign, OLD.* WHERE TG_OP <> 'INSERT'
        UNION ALL
        SELECT 1, NEW.* WHERE TG_OP <> 'DELETE'
    ) parts
    GROUP BY monday(day)
    ORDER BY monday(day)
    ON CONFLICT (week) DO UPDATE
    SET completed = known.completed + excluded.completed,
        failed = known.failed + excluded.failed,
        cancelled = known.cancelled + excluded.cancelled,
        running = known.running + excluded.running,
        new_wallets = known.new_wallets + excluded.new_wallets,
        updated_wallets = known.updated_wallets + excluded.updated_wallets,
        counted_runs = known.counted_runs + excluded.counted_runs,
        counted_wallets = known.counted_wallets + excluded.counted_wallets,
        timed_runs = known.timed_runs + excluded.timed_runs,
        duration_seconds = known.duration_seconds + excluded.duration_seconds;
    RETURN NULL;
END
$$;

CREATE TRIGGER roll_up_week AFTER INSERT OR UPDATE OR DELETE ON run_rollups
    FOR EACH ROW EXECUTE FUNCTION roll_up_week();

CREATE FUNCTION rebuild_week_rollups() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM week_rollups;
    INSERT INTO week_rollups
    SELECT monday(day),
        coalesce(sum(runs) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(runs) FILTER (WHERE status = 'failed'), 0),
        coalesce(sum(runs) FILTER (WHERE status = 'cancelled'), 0),
        coalesce(sum(runs) FILTER (WHERE status = 'running'), 0),
        sum(new_wallets), sum(updated_wallets),
        coalesce(sum(counted_runs) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(counted_wallets) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(timed_runs) FILTER (WHERE status = 'completed'), 0),
        coalesce(sum(duration_seconds) FILTER (WHERE status = 'completed'), 0)
    FROM run_rollups GROUP BY monday(day);
END
$$;

DO $$ BEGIN PERFORM rebuild_week_rollups(); END $$;

CREATE OR REPLACE FUNCTION rebuild_run_rollups() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    LOCK TABLE discovery_runs, provider_usage IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM run_rollups;
    INSERT INTO run_rollups
    SELECT part.day, part.status, part.trigger_type, sum(part.runs), sum(part.new_wallets), sum(part.updated_wallets),
        sum(part.counted_runs), sum(part.counted_wallets), sum(part.timed_runs), sum(part.duration_seconds)
    FROM discovery_runs run CROSS JOIN LATERAL run_part(run) part
    GROUP BY part.day, part.status, part.trigger_type;
    PERFORM rebuild_week_rollups();
    DELETE FROM credit_rollups;
    INSERT INTO credit_rollups
    SELECT run_day, sum(credits) FROM provider_usage WHERE run_day IS NOT NULL GROUP BY run_day;
END
$$;
