-- What a run's steps need to know of each other when different processes do them: where the tokens come from, what the
-- market said of each, and what of a bounded budget is left. And every change of a run's state, for those who watch.

ALTER TABLE discovery_runs
    -- Tokens that are named; null where the market chooses.
    ADD COLUMN mints TEXT[],
    ADD COLUMN again_of UUID REFERENCES discovery_runs(id) ON DELETE SET NULL,
    -- On the tapes as `again_of` used them: nothing is read from a provider.
    ADD COLUMN from_stored BOOLEAN NOT NULL DEFAULT FALSE,
    -- Of a bounded budget.
    ADD COLUMN credits_spent BIGINT NOT NULL DEFAULT 0;

-- Credits of a bounded budget that are set aside for calls under way.
CREATE TABLE run_reservations (
    id UUID PRIMARY KEY,
    run_id UUID NOT NULL REFERENCES discovery_runs(id) ON DELETE CASCADE,
    credits BIGINT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX idx_run_reservations_run ON run_reservations (run_id);

ALTER TABLE discovery_run_tokens
    -- Pools, transactions a day, launch, and why it is not read, as they were listed.
    ADD COLUMN listing JSONB,
    -- How many segments of each of its streams the tape was made of: the same ones make the same tape again.
    ADD COLUMN tape_segments JSONB;

CREATE TABLE run_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id UUID NOT NULL REFERENCES discovery_runs(id) ON DELETE CASCADE,
    -- In this order, and up to the oldest transaction that is still open, a reader misses none.
    transaction XID8 NOT NULL DEFAULT pg_current_xact_id(),
    at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    kind TEXT NOT NULL,
    details JSONB NOT NULL
);

CREATE INDEX idx_run_events_order ON run_events (run_id, transaction, id);

CREATE FUNCTION note_run_event() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO run_events (run_id, kind, details) VALUES (
        NEW.id, 'run',
        jsonb_build_object('status', NEW.status, 'stage', NEW.stage, 'profiled_wallets', NEW.profiled_wallets)
    );
    PERFORM pg_notify('walltrack', 'run:' || NEW.id);
    RETURN NULL;
END
$$;

CREATE FUNCTION note_run_token_event() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO run_events (run_id, kind, details) VALUES (
        NEW.run_id, 'token',
        jsonb_build_object(
            'mint', NEW.mint, 'status', NEW.status, 'reason', NEW.reason, 'wallets_found', NEW.wallets_found,
            'requests', NEW.requests, 'credits', NEW.credits
        )
    );
    PERFORM pg_notify('walltrack', 'run:' || NEW.run_id);
    RETURN NULL;
END
$$;

CREATE TRIGGER note_run_begin AFTER INSERT ON discovery_runs
    FOR EACH ROW EXECUTE FUNCTION note_run_event();
CREATE TRIGGER note_run_change AFTER UPDATE ON discovery_runs
    FOR EACH ROW
    WHEN ((OLD.status, OLD.stage, OLD.profiled_wallets) IS DISTINCT FROM (NEW.status, NEW.stage, NEW.profiled_wallets))
    EXECUTE FUNCTION note_run_event();
CREATE TRIGGER note_run_token_change AFTER UPDATE ON discovery_run_tokens
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION note_run_token_event();
