-- What runs use of the providers, and how often a provider's key may be asked.

CREATE TABLE provider_usage (
    month DATE NOT NULL,
    run_id UUID REFERENCES discovery_runs(id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    requests BIGINT NOT NULL DEFAULT 0 CHECK (requests >= 0),
    credits BIGINT NOT NULL DEFAULT 0 CHECK (credits >= 0),
    errors BIGINT NOT NULL DEFAULT 0 CHECK (errors >= 0),
    stopped_reason TEXT,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),

    -- One row without a run is the work outside of runs.
    CONSTRAINT provider_usage_once UNIQUE NULLS NOT DISTINCT (run_id, provider, month)
);

CREATE INDEX idx_provider_usage_month ON provider_usage (month, provider);

-- One row for each bucket of each key, named by an HMAC of the key. Nothing of value is lost with the table, so it
-- is spared the log.
CREATE UNLOGGED TABLE provider_quotas (
    key_hash BYTEA PRIMARY KEY CHECK (octet_length(key_hash) = 32),
    full_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE provider_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider_quotas ENABLE ROW LEVEL SECURITY;

-- A hosted database may have opened the new tables to the roles of its public API.
DO $$
DECLARE
    grantee TEXT;
BEGIN
    REVOKE ALL ON TABLE provider_usage, provider_quotas FROM PUBLIC;
    FOR grantee IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON TABLE provider_usage, provider_quotas FROM %I', grantee);
    END LOOP;
END
$$;
