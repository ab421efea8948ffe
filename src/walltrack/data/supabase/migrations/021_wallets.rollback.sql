DROP INDEX idx_drw_duplicate;
DROP INDEX discovery_run_wallets_once;

ALTER TABLE discovery_run_wallets
    DROP COLUMN duplicate_of,
    DROP COLUMN signatures,
    DROP COLUMN flags,
    DROP COLUMN completeness,
    DROP COLUMN held_cost_sol,
    DROP COLUMN held_tokens,
    DROP COLUMN realized_pct,
    DROP COLUMN realized_pnl_sol,
    DROP COLUMN cost_of_sold_sol,
    DROP COLUMN proceeds_sol,
    DROP COLUMN cost_sol,
    DROP COLUMN sells,
    DROP COLUMN buys,
    DROP COLUMN first_buy_slot,
    DROP COLUMN first_buy_at,
    DROP COLUMN seconds_after_launch,
    DROP COLUMN entry_rank;

DROP TABLE wallets;
