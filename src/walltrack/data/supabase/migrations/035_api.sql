-- Who may call the HTTP API, and which of its requests started which run.

CREATE TABLE api_keys (
    -- The part of a key by which it is named.
    prefix TEXT PRIMARY KEY,
    -- HMAC-SHA256 of the whole key under SECRET_KEY. The key itself is stored nowhere.
    key_hmac BYTEA NOT NULL CHECK (octet_length(key_hmac) = 32),
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'operate')),
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    last_used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);

-- A request that is sent again with the same Idempotency-Key gets the run that the first one started.
CREATE TABLE run_requests (
    requested_by TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- SHA-256 of what was asked for.
    request_hash BYTEA NOT NULL CHECK (octet_length(request_hash) = 32),
    run_id UUID REFERENCES discovery_runs(id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (requested_by, idempotency_key)
);

CREATE INDEX idx_run_requests_run ON run_requests (run_id);
