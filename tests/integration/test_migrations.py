"""The schema: from nothing, from an earlier version, twice, at once, after a kill, back and forth."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from yoyo import get_backend, read_migrations

from tests.integration.databases import Server, settings_for
from walltrack.config.settings import Settings
from walltrack.data.supabase.bookkeeping import known_migrations
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import DatabaseRightsError, SchemaOutdatedError
from walltrack.data.supabase.migrate import (
    list_migrations,
    migrate,
    pending_migrations,
    require_current_schema,
    roll_back,
)
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.finding_pages import FindingPages
from walltrack.data.supabase.repositories.wallet_repo import WalletRepository
from walltrack.discovery.errors import BadInputError

STORY_9_1 = """
CREATE TABLE IF NOT EXISTS discovery_runs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    started_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ,
    status VARCHAR(20) NOT NULL DEFAULT 'running',
    trigger_type VARCHAR(20) NOT NULL,
    triggered_by VARCHAR(100),
    min_price_change_pct DECIMAL(5,2),
    min_volume_usd DECIMAL(15,2),
    max_token_age_hours INTEGER,
    early_window_minutes INTEGER,
    min_profit_pct DECIMAL(5,2),
    max_tokens INTEGER,
    tokens_analyzed INTEGER DEFAULT 0,
    new_wallets INTEGER DEFAULT 0,
    updated_wallets INTEGER DEFAULT 0,
    profiled_wallets INTEGER DEFAULT 0,
    duration_seconds DECIMAL(10,2),
    errors JSONB DEFAULT '[]',
    created_at TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX idx_discovery_runs_started ON discovery_runs(started_at DESC);
CREATE INDEX idx_discovery_runs_status ON discovery_runs(status);
CREATE TABLE IF NOT EXISTS discovery_run_wallets (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id UUID NOT NULL REFERENCES discovery_runs(id),
    wallet_address VARCHAR(44) NOT NULL,
    source_token VARCHAR(44) NOT NULL,
    is_new BOOLEAN DEFAULT TRUE,
    initial_score DECIMAL(5,4),
    created_at TIMESTAMPTZ DEFAULT NOW()
);
CREATE INDEX idx_drw_run ON discovery_run_wallets(run_id);
CREATE INDEX idx_drw_wallet ON discovery_run_wallets(wallet_address);
"""
STORY_9_3 = """
CREATE TABLE IF NOT EXISTS discovery_config (
    id INTEGER PRIMARY KEY DEFAULT 1,
    enabled BOOLEAN DEFAULT TRUE,
    schedule_hours INTEGER DEFAULT 6,
    min_price_change_pct DECIMAL(5,2) DEFAULT 100.0,
    min_volume_usd DECIMAL(15,2) DEFAULT 50000.0,
    max_token_age_hours INTEGER DEFAULT 72,
    early_window_minutes INTEGER DEFAULT 30,
    min_profit_pct DECIMAL(5,2) DEFAULT 50.0,
    max_tokens INTEGER DEFAULT 20,
    profile_immediately BOOLEAN DEFAULT TRUE,
    updated_at TIMESTAMPTZ DEFAULT NOW(),
    updated_by VARCHAR(100),
    CONSTRAINT single_row CHECK (id = 1)
);
INSERT INTO discovery_config (id) VALUES (1) ON CONFLICT DO NOTHING;
"""
OLD_ROWS = """
UPDATE discovery_config SET schedule_hours = 12, min_profit_pct = 75.5, updated_by = 'ada';
INSERT INTO discovery_runs (
    id, started_at, completed_at, status, trigger_type, min_price_change_pct, min_volume_usd, max_tokens,
    new_wallets, duration_seconds, errors
) VALUES
    ('00000000-0000-0000-0000-000000000001', '2025-01-02 03:04:05+00', '2025-01-02 03:05:05+00', 'completed', 'manual',
     123.45, 50000.01, 500, 2, 60.25, '["token X: timeout"]'),
    ('00000000-0000-0000-0000-000000000002', '2025-01-03 03:04:05+00', NULL, 'running', 'scheduled',
     NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO discovery_run_wallets (id, run_id, wallet_address, source_token, is_new, initial_score, created_at) VALUES
    ('10000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001', 'walletA', 'tokenX', TRUE, 0.75,
     '2025-01-02'),
    ('10000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'walletA', 'tokenX', TRUE, 0.75,
     '2025-01-03'),
    ('10000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000001', 'walletB', 'tokenX', NULL, NULL,
     '2025-01-02'),
    ('10000000-0000-0000-0000-000000000004', '00000000-0000-0000-0000-000000000002', 'walletA', 'tokenY', FALSE, 0.5,
     '2025-01-03');
"""
OLD_TABLES = ("discovery_runs", "discovery_run_wallets", "discovery_config")

SCHEMA_DUMPS = {
    "columns": """
        SELECT table_schema, table_name, ordinal_position, column_name, data_type, udt_name, character_maximum_length,
               numeric_precision, numeric_scale, column_default, is_nullable
        FROM information_schema.columns WHERE table_schema IN ('public', 'walltrack_migrations') ORDER BY 1, 2, 3
    """,
    "indexes": """
        SELECT schemaname, indexname, indexdef FROM pg_indexes
        WHERE schemaname IN ('public', 'walltrack_migrations') ORDER BY 1, 2
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, confdeltype, convalidated, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace IN ('public'::regnamespace, 'walltrack_migrations'::regnamespace)
        ORDER BY 1, 2
    """,
    "tables": """
        SELECT oid::regclass::text, relrowsecurity, relforcerowsecurity, coalesce(relacl::text, '')
        FROM pg_class WHERE relkind = 'r'
        AND relnamespace IN ('public'::regnamespace, 'walltrack_migrations'::regnamespace) ORDER BY 1
    """,
    "storage": """
        SELECT attrelid::regclass::text, attname, attstorage FROM pg_attribute
        WHERE attrelid = 'public.token_tapes'::regclass AND attnum > 0 ORDER BY 2
    """,
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
}


def quiet(_line: str) -> None:
    pass


def dump(url: str) -> dict[str, list[Any]]:
    with psycopg.connect(url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in SCHEMA_DUMPS.items()}


def rows_of(url: str, table: str, columns: list[str]) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id").fetchall()
    return [
        json.dumps({name: row[0][name] for name in columns}, sort_keys=True, default=str) for row in found
    ]


def columns_of(url: str, table: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s", (table,)
        ).fetchall()
    return [row[0] for row in found]


def name_in(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def yoyo_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture(params=["with yoyo's notes", "by hand"])
def earlier_version_url(request: pytest.FixtureRequest, empty_url: str, tmp_path: Path) -> str:
    """A database as an earlier version left it, with rows; also rows that it should never have written."""
    if request.param == "by hand":
        with psycopg.connect(empty_url) as connection:
            connection.execute(STORY_9_1)
            connection.execute(STORY_9_3)
    else:
        (tmp_path / "019_discovery_runs.sql").write_text(STORY_9_1)
        (tmp_path / "020_discovery_config.sql").write_text(STORY_9_3)
        with get_backend(yoyo_url(empty_url)) as backend:
            backend.apply_migrations(read_migrations(str(tmp_path)))
    with psycopg.connect(empty_url) as connection:
        connection.execute(OLD_ROWS)
    return empty_url


def test_a_fresh_database_gets_the_schema_and_says_what_was_done(empty_url: str) -> None:
    settings = settings_for(empty_url)
    said: list[str] = []
    applied = migrate(settings, said.append)
    assert applied == known_migrations() == sorted(known_migrations())
    assert said[:-1] == [f"applied {name}" for name in applied]
    assert said[-1].endswith(f"{len(applied)} applied, {len(applied)} in all; the schema is current")
    assert list_migrations(settings) == [(name, True) for name in applied]


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    settings = settings_for(empty_url)
    migrate(settings, quiet)
    before = dump(empty_url)
    assert migrate(settings, quiet) == []
    assert dump(empty_url) == before


def test_an_earlier_version_converges_to_the_fresh_schema_with_every_row_kept(
    server: Server, earlier_version_url: str
) -> None:
    kept = {table: columns_of(earlier_version_url, table) for table in OLD_TABLES}
    before = {table: rows_of(earlier_version_url, table, columns) for table, columns in kept.items()}
    migrate(settings_for(earlier_version_url), quiet)
    with server.migrated_database() as fresh:
        expected = dump(server.url(fresh))
    found = dump(earlier_version_url)
    for name, rows in expected.items():
        assert found[name] == rows, name
    for table, columns in kept.items():
        after = rows_of(earlier_version_url, table, columns)
        assert [numbers_equal(row) for row in after] == [numbers_equal(row) for row in before[table]]


def numbers_equal(row: str) -> dict[str, object]:
    """60.25 and 60.250 are the same number, whatever the column's type."""
    return {
        name: float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for name, value in json.loads(row).items()
    }


def test_history_of_an_earlier_version_can_be_read(earlier_version_url: str) -> None:
    settings = settings_for(earlier_version_url)
    migrate(settings, quiet)

    async def scenario() -> None:
        async with Database(settings) as database:
            await require_current_schema(database)
            page = await DiscoveryRepository(database).get_runs()
            unfinished, completed = page.runs
            assert (completed.params.min_price_change_pct, completed.params.max_tokens) == (123.45, 500)
            assert (completed.errors, completed.duration_seconds) == (["token X: timeout"], 60.25)
            assert (unfinished.params.max_tokens, unfinished.errors, unfinished.new_wallets) == (20, [], 0)
            found = await DiscoveryRepository(database).get_run_wallets(completed.id)
            assert [(row.wallet_address, row.found) for row in found] == [
                ("walletA", None),
                ("walletB", None),
            ]
            wallet = await WalletRepository(database).get_wallet("walletA")
            assert wallet is not None
            assert (wallet.runs, wallet.sources, wallet.total_realized_pnl_sol) == (2, 2, None)
            assert wallet.first_seen_at == completed.started_at
            assert wallet.last_seen_at == unfinished.started_at
            ended = await DiscoveryRepository(database).fail_abandoned_runs(completed.started_at)
            assert [run.id for run in ended] == [unfinished.id]

    asyncio.run(scenario())


def test_two_at_once_apply_each_migration_once(empty_url: str) -> None:
    settings = settings_for(empty_url)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(migrate, settings, quiet) for _ in range(2)]
    assert sorted(both[0].result() + both[1].result()) == known_migrations()
    assert migrate(settings, quiet) == []


def test_a_killed_migrator_blocks_nobody(empty_url: str) -> None:
    blocker = psycopg.connect(empty_url)
    blocker.execute(
        "CREATE TABLE discovery_runs (id INT)"
    )  # uncommitted: the migrator waits within its migration
    script = "import sys; from walltrack.data.supabase.migrate import main; sys.exit(main())"
    migrator = subprocess.Popen(
        [sys.executable, "-c", script],
        env={"DATABASE_URL": empty_url, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with psycopg.connect(empty_url, autocommit=True) as watcher:
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while watcher.execute(waiting).fetchone() is None:
            assert migrator.poll() is None
        migrator.kill()
        migrator.wait()
        deadline = time.monotonic() + 30
        while watcher.execute(waiting).fetchone() is not None:
            assert time.monotonic() < deadline, "the server still works for a migrator that is dead"
        blocker.close()
    assert migrate(settings_for(empty_url), quiet) == known_migrations()


def test_a_stale_lock_of_yoyo_blocks_nobody(empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute(
            "CREATE TABLE yoyo_lock (locked INT PRIMARY KEY, ctime TIMESTAMP, pid INT NOT NULL)"
        )
        connection.execute("INSERT INTO yoyo_lock VALUES (1, now(), 99999)")
    assert migrate(settings_for(empty_url), quiet) == known_migrations()


def test_rolled_back_and_applied_again_is_the_same_schema(empty_url: str) -> None:
    settings = settings_for(empty_url)
    migrate(settings, quiet)
    before = dump(empty_url)
    with psycopg.connect(empty_url) as connection:
        connection.execute(
            "INSERT INTO discovery_runs (started_at, status, trigger_type, min_price_change_pct, min_volume_usd) "
            "VALUES (now(), 'completed', 'api', 1000, 1e300)"
        )
    taken_back = roll_back(settings, "019", quiet)
    assert taken_back == list(reversed(known_migrations()[1:]))
    with psycopg.connect(empty_url) as connection:
        row = connection.execute("SELECT min_price_change_pct, min_volume_usd FROM discovery_runs").fetchone()
    assert row is not None
    assert [str(value) for value in row] == ["999.99", "9999999999999.99"]
    assert migrate(settings, quiet) == known_migrations()[1:]
    after = dump(empty_url)
    assert _without_places(after) == _without_places(before)


def _without_places(dumped: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns that were dropped and added again come at higher numbers."""
    return dumped | {"columns": [row[:2] + row[3:] for row in dumped["columns"]]}


def test_rolled_back_to_nothing_leaves_none_of_our_tables(empty_url: str) -> None:
    settings = settings_for(empty_url)
    migrate(settings, quiet)
    assert roll_back(settings, "none", quiet) == list(reversed(known_migrations()))
    with psycopg.connect(empty_url) as connection:
        left = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert left == []
    assert migrate(settings, quiet) == known_migrations()


FOUND_BY_THE_VERSION_BEFORE = """
    WITH met AS (
        INSERT INTO wallets (address, first_seen_at, last_seen_at) VALUES ('walletC', now(), now()) RETURNING address
    ), run AS (
        INSERT INTO discovery_runs (started_at, trigger_type) VALUES (now(), 'manual') RETURNING id
    )
    INSERT INTO discovery_run_wallets (
        run_id, wallet_address, source_token, is_new, entry_rank, seconds_after_launch, first_buy_at, buys, sells,
        cost_sol, proceeds_sol, cost_of_sold_sol, realized_pnl_sol, realized_pct, held_tokens, held_cost_sol,
        completeness, flags, signatures
    )
    SELECT run.id, met.address, token, TRUE, 1, 0, now(), 1, 1, 1, 2, 1, 1, 100, 0, 0, 'complete', flags, '{}'
    FROM run, met, (VALUES ('tokenX', ARRAY['launch_slot']), ('tokenY', '{}')) AS found (token, flags)
"""


def test_the_version_before_profiles_works_on_the_new_schema(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        connection.execute(FOUND_BY_THE_VERSION_BEFORE)

    async def scenario() -> None:
        async with Database(settings_for(migrated_url)) as database:
            wallet = await WalletRepository(database).get_wallet("walletC")
            assert wallet is not None
            assert (wallet.sources, wallet.score, wallet.status, wallet.flags) == (2, None, None, ())
            findings = (await FindingPages(database).of_wallet("walletC")).findings
            found = {one.finding.source_token: one.finding.found for one in findings}
            assert found.keys() == {"tokenX", "tokenY"}
            assert found["tokenX"] is not None
            assert (found["tokenX"].flags, found["tokenX"].evidence) == (("launch_slot",), ())

    asyncio.run(scenario())


def test_what_findings_say_of_wallets_is_known_of_those_found_before_too(empty_url: str) -> None:
    settings = settings_for(empty_url)
    migrate(settings, quiet)
    roll_back(settings, "027", quiet)
    with psycopg.connect(empty_url) as connection:
        connection.execute(FOUND_BY_THE_VERSION_BEFORE)
        connection.execute("UPDATE discovery_runs SET demo = TRUE")
    migrate(settings, quiet)
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT address, flags, demo FROM wallets").fetchall() == [
            ("walletC", ["launch_slot"], True)
        ]


def test_an_unknown_rollback_target_is_refused_with_those_that_exist(migrated_url: str) -> None:
    with pytest.raises(
        BadInputError, match="042: no such migration; there are 019_discovery_management, 020_"
    ):
        roll_back(settings_for(migrated_url), "042", quiet)


def test_the_api_roles_of_a_hosted_database_get_nothing(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as admin:
        for role in ("anon", "authenticated"):
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
                admin.execute(f"CREATE ROLE {role} NOLOGIN")
            for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
                admin.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {kind} TO {role}")
    migrate(settings_for(empty_url), quiet)
    with psycopg.connect(empty_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE made_later (id INT)")
        open_to = admin.execute("""
            SELECT c.oid::regclass::text, role.rolname, right_name
            FROM pg_class c
            CROSS JOIN (SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')) role
            CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
                AS right_name
            WHERE c.relkind = 'r' AND c.relnamespace IN ('public'::regnamespace, 'walltrack_migrations'::regnamespace)
              AND has_table_privilege(role.rolname, c.oid, right_name)
        """).fetchall()
        assert open_to == []
        usage = admin.execute(
            "SELECT has_schema_privilege('anon', 'walltrack_migrations', 'USAGE')"
        ).fetchone()
        assert usage == (False,)
        for function in ("token_tapes_never_change()", "wallet_profiles_never_change()"):
            call = admin.execute(
                "SELECT has_function_privilege('anon', %s, 'EXECUTE')", (function,)
            ).fetchone()
            assert call == (False,), function
        admin.execute("DROP TABLE made_later")
        roles = "anon, authenticated"
        admin.execute(f"DROP OWNED BY {roles}")
        admin.execute(f"DROP ROLE {roles}")


def test_row_level_security_is_on_for_every_table(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        tables = connection.execute(
            "SELECT oid::regclass::text, relrowsecurity FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace IN ('public'::regnamespace, 'walltrack_migrations'::regnamespace)"
        ).fetchall()
    assert {"discovery_runs", "token_tapes", "sol_prices", "wallet_profiles"} < {name for name, _ in tables}
    assert [name for name, on in tables if not on] == []


def test_a_segment_of_a_tape_never_changes(migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        connection.execute(
            "WITH stream AS (INSERT INTO tape_streams (mint, address, kind) VALUES ('m', 'm', 'mint') RETURNING id)"
            " INSERT INTO token_tapes (stream_id, mint, segment, rows, parquet, sha256)"
            " SELECT id, 'm', 0, 1, 'x', sha256('x') FROM stream"
        )
        with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
            connection.execute("UPDATE token_tapes SET rows = 2")


def test_a_user_without_rights_is_told_which(server: Server, empty_url: str) -> None:
    settings = _settings_of_new_user(server, empty_url, "S3cret/pass@word")
    with pytest.raises(DatabaseRightsError, match="permission denied") as raised:
        migrate(settings, quiet)
    assert "GRANT CREATE ON DATABASE" in str(raised.value)
    assert "user weak user" in str(raised.value)
    assert "S3cret" not in repr(raised.value)


def test_a_user_who_may_not_read_the_tables_is_told_so(server: Server, migrated_url: str) -> None:
    settings = _settings_of_new_user(server, migrated_url, "S3cret/pass@word")

    async def scenario() -> None:
        async with Database(settings) as database:
            with pytest.raises(DatabaseRightsError, match="permission denied"):
                await DiscoveryRepository(database).get_runs()

    asyncio.run(scenario())


def test_a_user_from_whom_row_security_hides_the_rows_is_told_so(server: Server, migrated_url: str) -> None:
    settings = _settings_of_new_user(server, migrated_url, "pw")
    with psycopg.connect(migrated_url) as admin:
        admin.execute('GRANT SELECT ON ALL TABLES IN SCHEMA public, walltrack_migrations TO "weak user"')
        admin.execute('GRANT USAGE ON SCHEMA walltrack_migrations TO "weak user"')

    async def scenario() -> None:
        async with Database(settings) as database:
            with pytest.raises(
                DatabaseRightsError, match="row-level security hides the rows of discovery_config"
            ):
                await require_current_schema(database)

    asyncio.run(scenario())


def test_the_owner_of_the_database_is_enough_to_migrate_and_to_work(server: Server, empty_url: str) -> None:
    settings = _settings_of_new_user(server, empty_url, "p@ss:w/ö rd%?#")
    with server.connect() as admin:
        admin.execute(f'ALTER DATABASE {name_in(empty_url)} OWNER TO "weak user"')
    assert migrate(settings, quiet) == known_migrations()

    async def scenario() -> None:
        async with Database(settings) as database:
            await require_current_schema(database)
            assert (await DiscoveryRepository(database).get_runs()).total == 0

    asyncio.run(scenario())


def _settings_of_new_user(server: Server, url: str, password: str) -> Settings:
    with server.connect() as admin:
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'weak user'").fetchone() is None:
            admin.execute('CREATE ROLE "weak user" LOGIN')
        admin.execute(
            psycopg.sql.SQL('ALTER ROLE "weak user" PASSWORD {}').format(psycopg.sql.Literal(password))
        )
    return settings_for(server.url(name_in(url), "weak user", password))


def test_an_outdated_schema_is_named_with_the_remedy(empty_url: str) -> None:
    async def scenario() -> None:
        async with Database(settings_for(empty_url)) as database:
            assert await pending_migrations(database) == known_migrations()
            with pytest.raises(
                SchemaOutdatedError, match=r"lacks 019_discovery_management, .* `walltrack migrate`"
            ):
                await require_current_schema(database)
            with pytest.raises(SchemaOutdatedError, match="run `walltrack migrate`"):
                await DiscoveryRepository(database).get_runs()

    asyncio.run(scenario())


def test_a_table_of_another_application_is_left_alone(empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE TABLE wallets (theirs INT)")
    with pytest.raises(BadInputError, match=r'"wallets" already exists, and is not WallTrack.s'):
        migrate(settings_for(empty_url), quiet)
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT count(theirs) FROM wallets").fetchone() == (0,)
