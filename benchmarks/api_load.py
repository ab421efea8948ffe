"""A long history, made in the database itself: runs over ten years, what they found, and what is known of the wallets.

For N runs: 20 N findings of 2 N wallets, five tokens and two providers for each run. A wallet in a hundred thousand was
found 10,000 times where there are runs enough. The tables must be those of `walltrack migrate`, and empty.

Usage: python -m benchmarks.api_load CONNINFO RUNS
"""

from __future__ import annotations

import sys
from typing import Final

import psycopg

YEARS: Final = 10
FINDINGS_PER_RUN: Final = 20
WALLETS_PER_RUN: Final = 2
_FOUND_OFTEN: Final = 10_000

# Base58 of a number, as long as an address. Those of wallets begin in every way, for searches.
_MINT: Final = """
    CREATE FUNCTION pg_temp.mint(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT rpad('M' || translate(number::text, '0', 'z'), 44, 'W')
    $$
"""
_ADDRESSES: Final = """
    CREATE TEMP TABLE addresses AS
    SELECT n, rpad(translate(md5(n::text) || md5('w' || n), '0', 'z'), 44, 'W')::varchar AS address
    FROM generate_series(1::bigint, %(wallets)s) AS n
"""

_RUNS: Final = """
    INSERT INTO discovery_runs (
        id, started_at, completed_at, status, trigger_type, triggered_by, token_source, code_version, stage,
        min_price_change_pct, min_volume_usd, max_token_age_hours, early_window_minutes, min_profit_pct, max_tokens,
        tokens_analyzed, new_wallets, updated_wallets, profiled_wallets, duration_seconds, demo
    )
    SELECT md5('run' || n)::uuid, at, at + length * interval '1 second', status,
        (ARRAY['scheduled', 'scheduled', 'scheduled', 'manual', 'api'])[1 + n %% 5], 'scheduler', 'live market',
        '0.1.0', 'ended', 100, 50000, 72, 30, 50, 20, 5,
        CASE WHEN status = 'completed' THEN 2 ELSE 0 END, CASE WHEN status = 'completed' THEN 18 ELSE 0 END, 2,
        length, n %% 50 = 0
    FROM (
        SELECT n, now() - %(years)s * interval '365 days' * (1 - n / %(runs)s::float8) AS at,
            30 + n * 7919 %% 600 AS length,
            CASE WHEN n %% 40 = 0 THEN 'failed' WHEN n %% 97 = 0 THEN 'cancelled' ELSE 'completed' END AS status
        FROM generate_series(1::bigint, %(runs)s) AS n
    ) made
"""

_TOKENS: Final = """
    INSERT INTO discovery_run_tokens (
        run_id, mint, position, status, wallets_found, launch_at, launch_slot, first_event_at, last_event_at, events,
        wallets_seen, wallets_early, requests, credits, completed_at
    )
    SELECT run.id, pg_temp.mint(n * 5 + place), place, 'done', 4, run.started_at, n, run.started_at,
        run.completed_at, 1000, 300, 60, 2, 20, run.completed_at
    FROM generate_series(greatest(1::bigint, %(runs)s - 200000), %(runs)s) AS n
    JOIN discovery_runs run ON run.id = md5('run' || n)::uuid
    CROSS JOIN generate_series(1, 5) AS place
"""

_USAGE: Final = """
    INSERT INTO provider_usage (run_id, provider, month, requests, credits, run_day)
    SELECT id, provider, date_trunc('month', started_at AT TIME ZONE 'UTC')::date, 20, credits,
        (started_at AT TIME ZONE 'UTC')::date
    FROM discovery_runs CROSS JOIN (VALUES ('helius', 1000), ('geckoterminal', 0)) AS used (provider, credits)
"""

_WALLETS: Final = """
    INSERT INTO wallets (
        address, first_seen_at, last_seen_at, flags, demo, score, score_version, status, closed_positions,
        last_active_at, profiled_at, profile_as_of
    )
    SELECT addresses.address, seen, greatest(seen, active), flags, n %% 50 = 0,
        CASE WHEN status IN ('active', 'dormant') THEN round(power(luck, 2)::numeric, 4) END, 1, status,
        CASE WHEN status IS NOT NULL THEN (luck * luck * 120)::int END,
        CASE WHEN status IS NOT NULL THEN active END,
        CASE WHEN status IS NOT NULL THEN active END, CASE WHEN status IS NOT NULL THEN active END
    FROM (
        SELECT n, now() - %(years)s * interval '365 days' * (1 - n / %(wallets)s::float8) AS seen,
            now() - interval '400 days' * ((n * 48271 %% 100003) / 100003.0) AS active,
            (n * 16807 %% 99991) / 99991.0 AS luck,
            CASE WHEN n %% 10 < 4 THEN NULL WHEN n %% 10 < 6 THEN 'active' WHEN n %% 10 < 8 THEN 'dormant'
                WHEN n %% 10 < 9 THEN 'insufficient_data' ELSE 'excluded' END AS status,
            CASE WHEN n %% 10 = 9 THEN ARRAY[(ARRAY['insider', 'wash', 'launch_slot'])[1 + n / 10 %% 3]]
                WHEN n %% 30 = 4 THEN ARRAY['sniper'] WHEN n %% 45 = 5 THEN ARRAY['fast_trade', 'sniper']
                WHEN n %% 450 = 6 THEN ARRAY['insider'] ELSE '{}' END AS flags
        FROM generate_series(1::bigint, %(wallets)s) AS n
    ) made JOIN addresses USING (n)
"""

_FINDINGS: Final = """
    INSERT INTO discovery_run_wallets (
        id, run_id, wallet_address, source_token, is_new, created_at, entry_rank, seconds_after_launch, first_buy_at,
        first_buy_slot, buys, sells, cost_sol, proceeds_sol, cost_of_sold_sol, realized_pnl_sol, realized_pct,
        held_tokens, held_cost_sol, completeness, signatures
    )
    SELECT gen_random_uuid(), run.id,
        addresses.address,
        pg_temp.mint(made.n * 5 + 1 + place %% 5), place <= 2, run.completed_at, place, 30 * place,
        run.started_at, made.n, 2, 3, 1.5, 1.5 * (2 + place / 10.0), 1.5, 1.5 * (1 + place / 10.0), 100 + 10 * place,
        0, 0, 'complete', ARRAY[repeat('5', 88)]
    FROM generate_series(1::bigint, %(runs)s) AS made (n)
    JOIN discovery_runs run ON run.id = md5('run' || made.n)::uuid
    CROSS JOIN generate_series(1, 20) AS place
    JOIN addresses ON addresses.n = CASE
        WHEN place = 1 AND made.n %% greatest(1, %(runs)s / %(often)s) = 0 THEN 1
        ELSE 1 + (made.n * 20 + place) * 7919 %% %(wallets)s
    END
"""

_LARGE: Final = "discovery_run_wallets"


def load(conninfo: str, *, runs: int) -> None:
    """Fill an empty database with the history of so many runs."""
    values = {
        "runs": runs,
        "years": YEARS,
        "wallets": WALLETS_PER_RUN * runs,
        "often": _FOUND_OFTEN,
    }
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '1GB'")
        # What the triggers keep is made anew below, by what the migrations fill it with.
        connection.execute("SET session_replication_role = replica")
        connection.execute(_MINT)
        connection.execute(_ADDRESSES, values)
        connection.execute("ANALYZE addresses")
        # Twenty million rows that nobody has to recover.
        connection.execute(f"ALTER TABLE {_LARGE} SET UNLOGGED")
        for statement in (_RUNS, _TOKENS, _USAGE, _WALLETS):
            connection.execute(statement, values)
        indexes = connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = %s::regclass AND NOT indisprimary",
            (_LARGE,),
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(_FINDINGS, values)
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("SET session_replication_role = origin")
        connection.execute("SELECT rebuild_run_rollups()")
        connection.execute("SELECT rebuild_wallet_counts()")
        connection.execute("VACUUM (ANALYZE)")


if __name__ == "__main__":
    load(sys.argv[1], runs=int(sys.argv[2]))
