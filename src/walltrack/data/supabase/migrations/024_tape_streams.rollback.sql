DROP TABLE provider_methods;
DROP TABLE tape_signatures;
-- Segments of several streams of a mint have the same numbers.
DELETE FROM token_tapes;
DROP INDEX idx_token_tapes_mint;
ALTER TABLE token_tapes
    DROP CONSTRAINT token_tapes_segment_once,
    DROP COLUMN stream_id,
    ADD CONSTRAINT token_tapes_segment_once UNIQUE (mint, segment);
DROP TABLE tape_streams;
