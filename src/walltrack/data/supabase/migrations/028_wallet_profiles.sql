-- What is known of wallets beyond their findings: profiles and scores by their date, the newest of them on the wallet
-- itself, flags with their evidence, who was in the rush of which launch, the operator's lists, and how the wallets of
-- a run went on after it.

-- Written once and never changed, so that it can be shown what was known when. Figures are null where there was nothing
-- to profile; amounts in SOL are exact, shares are 0-1.
CREATE TABLE wallet_profiles (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    wallet_address VARCHAR(44) NOT NULL,
    run_id UUID REFERENCES discovery_runs(id) ON DELETE SET NULL,
    computed_at TIMESTAMPTZ NOT NULL,
    -- Nothing after it was used.
    as_of TIMESTAMPTZ NOT NULL,

    lookback_days INTEGER,
    transactions BIGINT,
    failed BIGINT,
    positions INTEGER,
    based_positions INTEGER,
    closed_positions INTEGER,
    abandoned_positions INTEGER,
    wins INTEGER,
    trades BIGINT,
    fast_trades BIGINT,
    realized_pnl_sol NUMERIC,
    cost_of_sold_sol NUMERIC,
    lost_in_abandoned_sol NUMERIC,
    win_rate NUMERIC,
    return_on_cost_pct NUMERIC,
    profit_factor NUMERIC,
    median_hold_seconds BIGINT,
    median_cost_sol NUMERIC,
    trades_per_day NUMERIC,
    largest_win_share NUMERIC,
    failed_share NUMERIC,
    last_active_at TIMESTAMPTZ,
    completeness TEXT,
    -- Null where the wallet was not profiled; "measured", or why there are no figures.
    outcome TEXT,

    flags JSONB NOT NULL DEFAULT '[]',
    score NUMERIC(5,4) CHECK (score BETWEEN 0 AND 1),
    score_version INTEGER NOT NULL,
    score_parts JSONB NOT NULL DEFAULT '[]',
    status TEXT NOT NULL CHECK (status IN ('active', 'dormant', 'insufficient_data', 'excluded')),
    status_reason TEXT,

    CONSTRAINT wallet_profiles_ranked_by_score CHECK (status NOT IN ('active', 'dormant') OR score IS NOT NULL)
);

CREATE UNIQUE INDEX wallet_profiles_once ON wallet_profiles (run_id, wallet_address) WHERE run_id IS NOT NULL;
CREATE INDEX idx_wallet_profiles_wallet ON wallet_profiles (wallet_address, as_of DESC, computed_at DESC);
CREATE INDEX idx_wallet_profiles_profiled ON wallet_profiles (run_id) WHERE outcome IS NOT NULL;

CREATE FUNCTION wallet_profiles_never_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    -- A deleted run leaves its profiles, without itself.
    IF NEW.run_id IS NULL AND to_jsonb(NEW) - 'run_id' = to_jsonb(OLD) - 'run_id' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a profile of a wallet is never changed: insert another one, or delete it';
END
$$;

CREATE TRIGGER wallet_profiles_never_change BEFORE UPDATE ON wallet_profiles
    FOR EACH ROW EXECUTE FUNCTION wallet_profiles_never_change();

-- The newest profile's, by (profile_as_of, profiled_at). `flags` are those of all findings and of that profile.
ALTER TABLE wallets
    ADD COLUMN score NUMERIC(5,4),
    ADD COLUMN score_version INTEGER,
    ADD COLUMN status TEXT,
    ADD COLUMN status_reason TEXT,
    ADD COLUMN flags TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN closed_positions INTEGER,
    ADD COLUMN last_active_at TIMESTAMPTZ,
    ADD COLUMN profiled_at TIMESTAMPTZ,
    ADD COLUMN profile_as_of TIMESTAMPTZ,
    -- Nothing but made-up markets showed it.
    ADD COLUMN demo BOOLEAN NOT NULL DEFAULT FALSE;

-- NOT VALID: no row has one yet, and looking at all of them would keep others waiting.
ALTER TABLE wallets ADD CONSTRAINT wallets_status_known
    CHECK (status IN ('active', 'dormant', 'insufficient_data', 'excluded')) NOT VALID;

CREATE INDEX idx_wallets_ranking ON wallets (score DESC, address)
    WHERE status IN ('active', 'dormant');

-- A list of objects, one for each piece of evidence of the flags.
ALTER TABLE discovery_run_wallets ADD COLUMN evidence JSONB NOT NULL DEFAULT '[]';

UPDATE wallets SET flags = found.flags
FROM (
    SELECT wallet_address, array_agg(DISTINCT flag ORDER BY flag) AS flags
    FROM discovery_run_wallets CROSS JOIN unnest(flags) AS flag
    WHERE flags <> '{}' AND duplicate_of IS NULL
    GROUP BY wallet_address
) found
WHERE wallets.address = found.wallet_address;

UPDATE wallets SET demo = TRUE
WHERE EXISTS (
    SELECT FROM discovery_run_wallets finding JOIN discovery_runs run ON run.id = finding.run_id
    WHERE finding.wallet_address = wallets.address AND run.demo
) AND NOT EXISTS (
    SELECT FROM discovery_run_wallets finding JOIN discovery_runs run ON run.id = finding.run_id
    WHERE finding.wallet_address = wallets.address AND NOT run.demo
);

-- Tokens whose rush at the launch was measured, and the wallets of each.
CREATE TABLE measured_launches (
    mint VARCHAR(44) PRIMARY KEY,
    launch_at TIMESTAMPTZ NOT NULL,
    launch_slot BIGINT,
    rushers INTEGER NOT NULL CHECK (rushers >= 0),
    -- Of a made-up market, which is not counted with others.
    demo BOOLEAN NOT NULL DEFAULT FALSE,
    -- For the first time.
    measured_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE launch_rushes (
    mint VARCHAR(44) NOT NULL REFERENCES measured_launches(mint) ON DELETE CASCADE,
    wallet VARCHAR(44) NOT NULL,
    -- Null where the tape has no slots.
    slots_after_launch SMALLINT CHECK (slots_after_launch >= 0),
    seconds_after_launch INTEGER NOT NULL,
    signature TEXT,
    demo BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (mint, wallet)
);

CREATE INDEX idx_launch_rushes_wallet ON launch_rushes (wallet, demo);

CREATE TABLE address_lists (
    list TEXT NOT NULL CHECK (list IN ('watch', 'exclude', 'exchange')),
    address VARCHAR(44) NOT NULL,
    label TEXT,
    note TEXT,
    added_at TIMESTAMPTZ NOT NULL,
    added_by TEXT,
    PRIMARY KEY (list, address)
);

CREATE INDEX idx_address_lists_address ON address_lists (address);

-- How a run's wallets went on after it, beside other buyers of the same tokens.
CREATE TABLE run_outcomes (
    run_id UUID NOT NULL REFERENCES discovery_runs(id) ON DELETE CASCADE,
    computed_at TIMESTAMPTZ NOT NULL,
    wallet_group TEXT NOT NULL CHECK (wallet_group IN ('found', 'control')),
    as_of TIMESTAMPTZ NOT NULL,
    figures JSONB NOT NULL,
    -- Who the control was.
    control_wallets TEXT[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, computed_at, wallet_group)
);
