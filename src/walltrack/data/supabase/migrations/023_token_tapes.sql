-- Tapes of tokens, in segments of Parquet (zstd) that are written once and never changed: a finalised transaction
-- never changes. Deleting is for retention.

CREATE TABLE token_tapes (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    mint VARCHAR(44) NOT NULL,
    segment INTEGER NOT NULL CHECK (segment >= 0),
    from_slot BIGINT,
    to_slot BIGINT,
    rows BIGINT NOT NULL CHECK (rows >= 0),
    parquet BYTEA NOT NULL,
    sha256 BYTEA NOT NULL CHECK (octet_length(sha256) = 32),
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),

    CONSTRAINT token_tapes_segment_once UNIQUE (mint, segment),
    CONSTRAINT token_tapes_slots_in_order CHECK (from_slot <= to_slot)
);

-- Compressed already.
ALTER TABLE token_tapes ALTER COLUMN parquet SET STORAGE EXTERNAL;

CREATE INDEX idx_token_tapes_created ON token_tapes (created_at);

CREATE FUNCTION token_tapes_never_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'a segment of a tape is never changed: insert another one, or delete it';
END
$$;

CREATE TRIGGER token_tapes_never_change BEFORE UPDATE ON token_tapes
    FOR EACH STATEMENT EXECUTE FUNCTION token_tapes_never_change();
