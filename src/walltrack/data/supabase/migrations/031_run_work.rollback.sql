DROP TRIGGER note_run_token_change ON discovery_run_tokens;
DROP TRIGGER note_run_change ON discovery_runs;
DROP TRIGGER note_run_begin ON discovery_runs;
DROP FUNCTION note_run_token_event();
DROP FUNCTION note_run_event();
DROP TABLE run_events;
DROP TABLE run_reservations;
ALTER TABLE discovery_run_tokens DROP COLUMN tape_segments, DROP COLUMN listing;
ALTER TABLE discovery_runs
    DROP COLUMN credits_spent, DROP COLUMN from_stored, DROP COLUMN again_of, DROP COLUMN mints;
