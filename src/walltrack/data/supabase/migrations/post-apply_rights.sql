-- Runs at the end of every migration: nobody but the owner comes to these tables, also where a hosted database opens
-- new tables of the schema to the roles of its public API. The owner is not subject to row-level security.

DO $$
DECLARE
    ours CONSTANT TEXT[] := ARRAY[
        'discovery_runs', 'discovery_run_wallets', 'discovery_run_tokens', 'discovery_run_refusals', 'discovery_config',
        'wallets', 'token_tapes', 'tape_streams', 'tape_signatures', 'sol_prices', 'provider_usage', 'provider_quotas',
        'provider_methods'
    ];
    here CONSTANT TEXT := current_schema();
    relation REGCLASS;
    grantee TEXT;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p')
          AND ((n.nspname = here AND c.relname = ANY (ours)) OR n.nspname = 'walltrack_migrations')
    LOOP
        IF NOT (SELECT relrowsecurity FROM pg_class WHERE oid = relation) THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
        END IF;
        EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC', relation);
    END LOOP;

    IF to_regprocedure('token_tapes_never_change()') IS NOT NULL THEN
        REVOKE ALL ON FUNCTION token_tapes_never_change() FROM PUBLIC;
    END IF;
    REVOKE ALL ON SCHEMA walltrack_migrations FROM PUBLIC;

    FOR grantee IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        FOR relation IN
            SELECT c.oid FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p')
              AND ((n.nspname = here AND c.relname = ANY (ours)) OR n.nspname = 'walltrack_migrations')
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %s FROM %I', relation, grantee);
        END LOOP;
        EXECUTE format('REVOKE ALL ON SCHEMA walltrack_migrations FROM %I', grantee);
        IF to_regprocedure('token_tapes_never_change()') IS NOT NULL THEN
            EXECUTE format('REVOKE ALL ON FUNCTION token_tapes_never_change() FROM %I', grantee);
        END IF;
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON TABLES FROM %I', here, grantee);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON SEQUENCES FROM %I', here, grantee);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON FUNCTIONS FROM %I', here, grantee);
    END LOOP;
END
$$;
