-- Where the reading of each address of a token stands. A page's rows and the new place are stored in one transaction,
-- by the holder of the current attempt only.

CREATE TABLE tape_streams (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    mint VARCHAR(44) NOT NULL,
    address VARCHAR(44) NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('mint', 'pool', 'account')),

    -- How the next page is asked for.
    query JSONB,
    token TEXT,
    walk JSONB,

    complete_to_slot BIGINT,
    complete_to_time BIGINT,
    exhausted_at TIMESTAMPTZ,
    segments INTEGER NOT NULL DEFAULT 0,
    transactions BIGINT NOT NULL DEFAULT 0,
    refused BIGINT NOT NULL DEFAULT 0,
    missing BIGINT NOT NULL DEFAULT 0,
    decimals SMALLINT,
    token_program TEXT,
    escrow_owners JSONB NOT NULL DEFAULT '{}',
    odd_accounts JSONB NOT NULL DEFAULT '{}',

    attempt INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT,
    lease_expires_at TIMESTAMPTZ,
    last_error TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),

    CONSTRAINT tape_streams_once UNIQUE (mint, address)
);

-- Segments are those of one stream, numbered as its pages arrived. A stream cannot lose one and keep its place, so
-- retention deletes streams.
ALTER TABLE token_tapes
    DROP CONSTRAINT token_tapes_segment_once,
    ADD COLUMN stream_id UUID NOT NULL REFERENCES tape_streams(id) ON DELETE CASCADE,
    ADD CONSTRAINT token_tapes_segment_once UNIQUE (stream_id, segment);

CREATE INDEX idx_token_tapes_mint ON token_tapes (mint);

-- Lists of signatures (64 bytes each, one after the other, newest first), so that no history is walked twice.
CREATE TABLE tape_signatures (
    stream_id UUID NOT NULL REFERENCES tape_streams(id) ON DELETE CASCADE,
    walk INTEGER NOT NULL,
    page INTEGER NOT NULL,
    signatures BYTEA NOT NULL,
    slots BIGINT[] NOT NULL,
    times BIGINT[] NOT NULL,
    PRIMARY KEY (stream_id, walk, page),
    CONSTRAINT tape_signatures_whole CHECK (
        octet_length(signatures) = 64 * cardinality(slots) AND cardinality(slots) = cardinality(times)
    )
);

-- Which methods a provider key's plan has. The key itself is not here.
CREATE TABLE provider_methods (
    key_hash BYTEA NOT NULL CHECK (octet_length(key_hash) = 32),
    method TEXT NOT NULL,
    available BOOLEAN NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (key_hash, method)
);

ALTER TABLE tape_streams ENABLE ROW LEVEL SECURITY;
ALTER TABLE tape_signatures ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider_methods ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE tape_streams, tape_signatures, provider_methods FROM PUBLIC;
