DROP TABLE run_outcomes;
DROP TABLE address_lists;
DROP TABLE launch_rushes;
DROP TABLE measured_launches;

ALTER TABLE discovery_run_wallets DROP COLUMN evidence;

DROP INDEX idx_wallets_ranking;
ALTER TABLE wallets
    DROP CONSTRAINT wallets_status_known,
    DROP COLUMN demo,
    DROP COLUMN profile_as_of,
    DROP COLUMN profiled_at,
    DROP COLUMN last_active_at,
    DROP COLUMN closed_positions,
    DROP COLUMN flags,
    DROP COLUMN status_reason,
    DROP COLUMN status,
    DROP COLUMN score_version,
    DROP COLUMN score;

DROP TABLE wallet_profiles;
DROP FUNCTION wallet_profiles_never_change();
