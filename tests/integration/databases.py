"""Real PostgreSQL servers for tests, and what tests store in them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from pydantic import SecretStr

from walltrack.config.settings import Settings
from walltrack.data.supabase.client import Database
from walltrack.data.supabase.migrate import migrate
from walltrack.data.supabase.repositories.run_engine_repo import StepClaim
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.discovery.models import ListedToken, QualifiedWallet, TokenSummary

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=5)
MINTS = [f"{letter * 43}m" for letter in "ABCDEFGH"]
SUMMARY = TokenSummary(
    launch_at=NOW - timedelta(hours=5),
    launch_slot=300_000_000,
    first_event_at=NOW - timedelta(hours=5),
    last_event_at=NOW - timedelta(minutes=1),
    events=1234,
    wallets_seen=321,
    wallets_early=45,
    tape_cut="budget",
)


@dataclass
class Server:
    """A running server, reached over its socket as superuser."""

    name: str
    sockets: Path
    system_user: str | None = None
    _templates: list[str] = field(default_factory=list)

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
        return f"postgresql://{login}@/{database}?host={quote(str(self.sockets), safe='')}"

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection[TupleRow]:
        return psycopg.connect(self.url(database, user), autocommit=True)

    @contextmanager
    def empty_database(self, template: str = "template0") -> Iterator[str]:
        name = f"t_{uuid4().hex[:12]}"
        with self.connect() as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        try:
            yield name
        finally:
            with self.connect() as admin:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        if not self._templates:
            name = "migrated_template"
            with self.connect() as admin:
                admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            migrate(settings_for(self.url(name)), lambda _line: None)
            self._templates.append(name)
        with self.empty_database(self._templates[0]) as name:
            yield name


def settings_for(url: str, **more: int) -> Settings:
    return Settings(database_url=SecretStr(url), **more)  # type: ignore[arg-type]


async def listed(
    database: Database, run_id: UUID, mints: Sequence[str], *, step: StepClaim | None = None
) -> None:
    """Note the tokens of a run as its listing does."""
    tokens = [ListedToken(mint) for mint in mints]
    await RunListingRepository(database).store_plan(
        run_id, tokens=tokens, refusals=[], forecast=None, step=step
    )


def run_as(user: str | None, command: list[str]) -> None:
    drop = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
    done = subprocess.run([*drop, *command], check=False, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"


def address(number: int) -> str:
    """A wallet's address: 44 characters that sort by number."""
    return f"W{number:043d}".replace("0", "z")


def a_wallet(number: int, mint: str = MINTS[0], **changes: object) -> QualifiedWallet:
    values: dict[str, object] = {
        "wallet_address": address(number),
        "source_token": mint,
        "entry_rank": number + 1,
        "seconds_after_launch": 17,
        "first_buy_at": NOW - timedelta(hours=4),
        "first_buy_slot": 300_000_017,
        "buys": 2,
        "sells": 1,
        "cost_sol": Decimal("1.000000000000000001"),
        "proceeds_sol": Decimal("12345678901.123456789012345678"),
        "cost_of_sold_sol": Decimal("0.5"),
        "realized_pnl_sol": Decimal("3.25") + number,
        "realized_pct": Decimal("650.000000000000000001"),
        "held_tokens": Decimal("18446744073709.551615"),
        "held_cost_sol": Decimal("0.500000000000000001"),
        "completeness": "tape_cut+unpriced",
        "flags": ("launch_slot", "bundled"),
        "signatures": ("5" * 88, "4" * 87),
    }
    return QualifiedWallet(**(values | changes))  # type: ignore[arg-type]
