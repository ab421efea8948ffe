-- Figures of runs by day, so that statistics and the totals of lists cost the same however long the history is.
-- Kept by triggers in the transaction that writes the run, whichever version of the application writes it.

-- Who writes runs or their usage meanwhile waits: what is counted below is then all there is.
LOCK TABLE discovery_runs, provider_usage IN SHARE ROW EXCLUSIVE MODE;

-- By the day (UTC) on which the runs started. A row whose runs all moved away stays, with zeros.
CREATE TABLE run_rollups (
    day DATE NOT NULL,
    status TEXT NOT NULL,
    trigger_type TEXT NOT NULL,
    runs BIGINT NOT NULL,
    new_wallets BIGINT NOT NULL,
    updated_wallets BIGINT NOT NULL,
    -- Runs of which both numbers of wallets are known, and their wallets. An earlier version may have left one out.
    counted_runs BIGINT NOT NULL,
    counted_wallets BIGINT NOT NULL,
    -- Runs whose duration is known, and the sum. NUMERIC: what is added can be taken away without a trace.
    timed_runs BIGINT NOT NULL,
    duration_seconds NUMERIC NOT NULL,
    PRIMARY KEY (day, status, trigger_type)
) WITH (fillfactor = 50);

-- Credits by the day on which the run that spent them started: the day on which its wallets count.
CREATE TABLE credit_rollups (
    day DATE PRIMARY KEY,
    credits BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The day (UTC) on which the run started, set by a trigger: known when the run is deleted, too.
ALTER TABLE provider_usage ADD COLUMN run_day DATE;

UPDATE provider_usage used SET run_day = (run.started_at AT TIME ZONE 'UTC')::date
FROM discovery_runs run WHERE run.id = used.run_id;

-- A run's part of the figures: one row. Only finite durations can be taken away again.
CREATE FUNCTION run_part(run discovery_runs) RETURNS SETOF run_rollups
LANGUAGE sql IMMUTABLE
AS $$
    SELECT (run.started_at AT TIME ZONE 'UTC')::date, run.status::text, run.trigger_type::text, 1::bigint,
        coalesce(run.new_wallets, 0)::bigint, coalesce(run.updated_wallets, 0)::bigint,
        (run.new_wallets IS NOT NULL AND run.updated_wallets IS NOT NULL)::int::bigint,
        coalesce(run.new_wallets::bigint + run.updated_wallets, 0),
        (coalesce(run.duration_seconds > '-Infinity' AND run.duration_seconds < 'Infinity', FALSE))::int::bigint,
        CASE WHEN run.duration_seconds > '-Infinity' AND run.duration_seconds < 'Infinity'
            THEN run.duration_seconds::numeric ELSE 0 END
$$;

-- Everything anew from the rows: for the history there is, and after rows were loaded with triggers off.
CREATE FUNCTION rebuild_run_rollups() RETURNS void
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

DO $$ BEGIN PERFORM rebuild_run_rollups(); END $$;

-- In the order of the key, so that two who end runs of the same days wait for each other in one order.
CREATE FUNCTION roll_up_run() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO run_rollups AS known
    SELECT day, status, trigger_type, sum(sign * runs), sum(sign * new_wallets), sum(sign * updated_wallets),
        sum(sign * counted_runs), sum(sign * counted_wallets), sum(sign * timed_runs), sum(sign * duration_seconds)
    FROM (
        SELECT -1 AS sign, before.* FROM run_part(OLD) AS before WHERE TG_OP <> 'INSERT'
        UNION ALL
        SELECT 1, after.* FROM run_part(NEW) AS after WHERE TG_OP <> 'DELETE'
    ) parts
    GROUP BY day, status, trigger_type
    ORDER BY day, status, trigger_type
    ON CONFLICT (day, status, trigger_type) DO UPDATE
    SET runs = known.runs + excluded.runs,
        new_wallets = known.new_wallets + excluded.new_wallets,
        updated_wallets = known.updated_wallets + excluded.updated_wallets,
        counted_runs = known.counted_runs + excluded.counted_runs,
        counted_wallets = known.counted_wallets + excluded.counted_wallets,
        timed_runs = known.timed_runs + excluded.timed_runs,
        duration_seconds = known.duration_seconds + excluded.duration_seconds;
    RETURN NULL;
END
$$;

CREATE TRIGGER roll_up_new_run AFTER INSERT OR DELETE ON discovery_runs
    FOR EACH ROW EXECUTE FUNCTION roll_up_run();
CREATE TRIGGER roll_up_changed_run AFTER UPDATE ON discovery_runs
    FOR EACH ROW
    WHEN ((OLD.started_at, OLD.status, OLD.trigger_type, OLD.new_wallets, OLD.updated_wallets, OLD.duration_seconds)
        IS DISTINCT FROM
        (NEW.started_at, NEW.status, NEW.trigger_type, NEW.new_wallets, NEW.updated_wallets, NEW.duration_seconds))
    EXECUTE FUNCTION roll_up_run();

CREATE FUNCTION set_run_day() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.run_day := (SELECT (started_at AT TIME ZONE 'UTC')::date FROM discovery_runs WHERE id = NEW.run_id);
    RETURN NEW;
END
$$;

CREATE TRIGGER set_run_day BEFORE INSERT OR UPDATE OF run_id, run_day ON provider_usage
    FOR EACH ROW EXECUTE FUNCTION set_run_day();

CREATE FUNCTION roll_up_credits() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO credit_rollups AS known
    SELECT day, sum(credits) FROM (
        SELECT OLD.run_day AS day, -OLD.credits AS credits WHERE TG_OP <> 'INSERT'
        UNION ALL
        SELECT NEW.run_day, NEW.credits WHERE TG_OP <> 'DELETE'
    ) parts
    WHERE day IS NOT NULL
    GROUP BY day
    HAVING sum(credits) <> 0
    ORDER BY day
    ON CONFLICT (day) DO UPDATE SET credits = known.credits + excluded.credits;
    RETURN NULL;
END
$$;

CREATE TRIGGER roll_up_credits AFTER INSERT OR UPDATE OR DELETE ON provider_usage
    FOR EACH ROW EXECUTE FUNCTION roll_up_credits();

-- Nobody moves the start of a run; whoever does it by hand moves its credits too. The lock waits for usage that is being
-- noted by the old day.
CREATE FUNCTION move_run_day() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    LOCK TABLE provider_usage IN SHARE ROW EXCLUSIVE MODE;
    UPDATE provider_usage SET run_day = NULL WHERE run_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER move_run_day AFTER UPDATE ON discovery_runs
    FOR EACH ROW WHEN (OLD.started_at IS DISTINCT FROM NEW.started_at) EXECUTE FUNCTION move_run_day();

-- TRUNCATE fires nothing for rows.
CREATE FUNCTION empty_rollups() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_TABLE_NAME = 'discovery_runs' THEN
        DELETE FROM run_rollups;
    ELSE
        DELETE FROM credit_rollups;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER empty_rollups AFTER TRUNCATE ON discovery_runs
    FOR EACH STATEMENT EXECUTE FUNCTION empty_rollups();
CREATE TRIGGER empty_rollups AFTER TRUNCATE ON provider_usage
    FOR EACH STATEMENT EXECUTE FUNCTION empty_rollups();

-- Pages of runs of one status and trigger, newest first, at any depth.
CREATE INDEX idx_discovery_runs_kind_page
    ON discovery_runs (status, trigger_type, started_at DESC, id DESC);
