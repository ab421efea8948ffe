DROP TRIGGER roll_up_week ON run_rollups;

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
    DELETE FROM credit_rollups;
    INSERT INTO credit_rollups
    SELECT run_day, sum(credits) FROM provider_usage WHERE run_day IS NOT NULL GROUP BY run_day;
END
$$;

DROP FUNCTION rebuild_week_rollups();
DROP FUNCTION roll_up_week();
DROP FUNCTION monday(date);
DROP TABLE week_rollups;
