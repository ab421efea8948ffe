-- Runs at the end of every migration: nobody but the owner comes to these tables, also where a hosted database opens
-- new tables of the schema to the roles of its public API. The owner is not subject to row-level security.

DO $$
DECLARE
    ours CONSTANT TEXT[] := ARRAY[
        'discovery_runs', 'discovery_run_wallets', 'discovery_run_tokens', 'discovery_run_refusals', 'discovery_config',
        'wallets', 'token_tapes', 'tape_streams', 'tape_signatures', 'sol_prices', 'provider_usage', 'provider_quotas',
        'provider_methods', 'wallet_histories', 'wallet_history_pages', 'wallet_profiles', 'measured_launches',
        'launch_rushes', 'address_lists', 'run_outcomes', 'schedule_ticks', 'config_audit',
        'run_events', 'run_reservations', 'api_keys', 'run_requests', 'run_rollups', 'week_rollups',
        'credit_rollups', 'wallet_counts', 'retention'
    ];
    functions CONSTANT TEXT[] := ARRAY[
        'token_tapes_never_change()', 'wallet_profiles_never_change()', 'note_run_event()', 'note_run_token_event()',
        'run_part(discovery_runs)', 'rebuild_run_rollups()', 'roll_up_run()', 'set_run_day()', 'roll_up_credits()',
        'move_run_day()', 'empty_rollups()', 'rebuild_wallet_counts()', 'compact_wallet_counts()', 'count_wallets()',
        'monday(date)', 'roll_up_week()', 'rebuild_week_rollups()'
    ];
    here CONSTANT TEXT := current_schema();
    relation REGCLASS;
    function REGPROCEDURE;
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

    FOR function IN SELECT to_regprocedure(name) FROM unnest(functions) AS name LOOP
        IF function IS NOT NULL THEN
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
        END IF;
    END LOOP;
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
        FOR function IN SELECT to_regprocedure(name) FROM unnest(functions) AS name LOOP
            IF function IS NOT NULL THEN
                EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', function, grantee);
            END IF;
        END LOOP;
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON TABLES FROM %I', here, grantee);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON SEQUENCES FROM %I', here, grantee);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON FUNCTIONS FROM %I', here, grantee);
    END LOOP;
END
$$;
