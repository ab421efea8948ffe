-- What was read of wallets' own histories, and where the reading of each stands. A page's rows and the new state are
-- stored in one transaction, by the holder of the current attempt only.

CREATE TABLE wallet_histories (
    wallet VARCHAR(44) PRIMARY KEY,

    -- Parts that are whole, the newest last; between two of them lies a gap.
    stretches JSONB NOT NULL DEFAULT '[]',
    escrow_owners JSONB NOT NULL DEFAULT '{}',
    checked_at TIMESTAMPTZ,
    lookback_days INTEGER NOT NULL DEFAULT 0,
    stopped TEXT,
    pages INTEGER NOT NULL DEFAULT 0,

    attempt INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT,
    lease_expires_at TIMESTAMPTZ,
    last_error TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

-- Written once and never changed: a finalised transaction never changes. A history cannot lose a page and keep its
-- state, so what deletes, deletes histories.
CREATE TABLE wallet_history_pages (
    wallet VARCHAR(44) NOT NULL REFERENCES wallet_histories(wallet) ON DELETE CASCADE,
    page INTEGER NOT NULL CHECK (page >= 0),
    stretch INTEGER NOT NULL CHECK (stretch >= 0),
    transactions INTEGER NOT NULL CHECK (transactions >= 0),
    rows INTEGER NOT NULL CHECK (rows >= 0),
    -- Parquet (zstd): what changed hands, and the time of every transaction.
    parquet BYTEA NOT NULL,
    times BYTEA NOT NULL,
    -- zlib, a JSON list: transactions that an older page may explain.
    undecided BYTEA,
    sha256 BYTEA NOT NULL CHECK (octet_length(sha256) = 32),
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (wallet, page)
);

-- Compressed already.
ALTER TABLE wallet_history_pages
    ALTER COLUMN parquet SET STORAGE EXTERNAL,
    ALTER COLUMN times SET STORAGE EXTERNAL,
    ALTER COLUMN undecided SET STORAGE EXTERNAL;

ALTER TABLE wallet_histories ENABLE ROW LEVEL SECURITY;
ALTER TABLE wallet_history_pages ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE wallet_histories, wallet_history_pages FROM PUBLIC;
