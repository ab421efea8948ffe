-- Searches among millions of wallets, and what providers were used in a month, from indexes alone.

-- Wallets with flags, which are few, by any of them and their status.
DROP INDEX idx_wallets_flags;
CREATE INDEX idx_wallets_flags ON wallets USING gin (array_append(flags, status::text)) WHERE flags <> '{}';

-- By score and by the last trade: each has all that the other filters ask for, so that the one which leaves fewer is
-- read, and no wallet besides those that are shown.
DROP INDEX idx_wallets_known;
CREATE INDEX idx_wallets_known ON wallets (score DESC, address)
    INCLUDE (status, closed_positions, last_active_at, demo, first_seen_at, flags) WHERE score IS NOT NULL;
CREATE INDEX idx_wallets_activity ON wallets (last_active_at DESC, address)
    INCLUDE (score, status, closed_positions, demo, first_seen_at) WHERE last_active_at IS NOT NULL;

-- Whether a made-up market was asked, as its run says: set with the day, and known when the run is deleted, too.
ALTER TABLE provider_usage ADD COLUMN demo BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE provider_usage used SET demo = TRUE FROM discovery_runs run WHERE run.id = used.run_id AND run.demo;

CREATE OR REPLACE FUNCTION set_run_day() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    SELECT (started_at AT TIME ZONE 'UTC')::date, demo INTO NEW.run_day, NEW.demo
    FROM discovery_runs WHERE id = NEW.run_id;
    NEW.demo := coalesce(NEW.demo, FALSE);
    RETURN NEW;
END
$$;

DROP INDEX idx_provider_usage_month;
CREATE INDEX idx_provider_usage_month ON provider_usage (month, provider)
    INCLUDE (requests, credits, errors) WHERE NOT demo;
