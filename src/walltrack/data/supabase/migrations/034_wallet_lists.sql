-- Lists of wallets that cost the same however many wallets there are: how many stand where, and indexes for what lists
-- are searched by.

-- Changes of the number of wallets by status (null: not profiled) and market. They are added up to read it, so that
-- nobody who finds wallets waits for anybody else; now and then they are added up for good.
CREATE TABLE wallet_counts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status TEXT,
    demo BOOLEAN NOT NULL,
    wallets BIGINT NOT NULL
);

CREATE FUNCTION rebuild_wallet_counts() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    LOCK TABLE wallets IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM wallet_counts;
    INSERT INTO wallet_counts (status, demo, wallets) SELECT status, demo, count(*) FROM wallets GROUP BY status, demo;
END
$$;

DO $$ BEGIN PERFORM rebuild_wallet_counts(); END $$;

-- Two who do so at the same time: the second waits, and finds nothing left of what the first took.
CREATE FUNCTION compact_wallet_counts() RETURNS void
LANGUAGE sql
AS $$
    WITH gone AS (DELETE FROM wallet_counts RETURNING status, demo, wallets)
    INSERT INTO wallet_counts (status, demo, wallets)
    SELECT status, demo, sum(wallets) FROM gone GROUP BY status, demo HAVING sum(wallets) <> 0
$$;

CREATE FUNCTION count_wallets() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO wallet_counts (status, demo, wallets)
        SELECT status, demo, count(*) FROM added GROUP BY status, demo;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO wallet_counts (status, demo, wallets)
        SELECT status, demo, -count(*) FROM gone GROUP BY status, demo;
    ELSIF TG_OP = 'TRUNCATE' THEN
        DELETE FROM wallet_counts;
    ELSE
        INSERT INTO wallet_counts (status, demo, wallets)
        SELECT status, demo, sum(change) FROM (
            SELECT status, demo, 1 AS change FROM added
            UNION ALL
            SELECT status, demo, -1 FROM gone
        ) changes
        GROUP BY status, demo HAVING sum(change) <> 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_new_wallets AFTER INSERT ON wallets
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_wallets();
CREATE TRIGGER count_gone_wallets AFTER DELETE ON wallets
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_wallets();
CREATE TRIGGER count_changed_wallets AFTER UPDATE ON wallets
    REFERENCING OLD TABLE AS gone NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_wallets();
CREATE TRIGGER count_no_wallets AFTER TRUNCATE ON wallets
    FOR EACH STATEMENT EXECUTE FUNCTION count_wallets();

-- Whatever the server's collation is.
CREATE INDEX idx_wallets_address_prefix ON wallets (address varchar_pattern_ops);

-- Wallets with flags, which are few.
CREATE INDEX idx_wallets_flags ON wallets USING gin (flags) WHERE flags <> '{}';

-- Answers most filters by itself.
CREATE INDEX idx_wallets_known ON wallets (score DESC, address)
    INCLUDE (status, closed_positions, last_active_at, demo) WHERE score IS NOT NULL;

-- A wallet's findings, the newest first, at any depth.
UPDATE discovery_run_wallets finding SET created_at = run.started_at
FROM discovery_runs run WHERE run.id = finding.run_id AND finding.created_at IS NULL;
CREATE INDEX idx_drw_wallet_page ON discovery_run_wallets (wallet_address, created_at DESC, id DESC);
