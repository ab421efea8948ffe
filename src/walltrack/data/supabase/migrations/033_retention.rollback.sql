DROP INDEX idx_discovery_runs_retention;
-- Streams on their way out have no name of a token any more.
DELETE FROM tape_streams WHERE mint = 'removed';
ALTER TABLE discovery_run_tokens DROP COLUMN tape_removed_at;
ALTER TABLE discovery_runs DROP COLUMN removed_tokens, DROP COLUMN tokens_removed_at;
DROP TABLE retention;
