"""The keys of the HTTP API: what is kept of them, never the keys themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.repositories.rows import Row, storable, utc, utc_or_none
from walltrack.discovery.errors import BadInputError

_ADD: Final = """
    INSERT INTO api_keys (prefix, key_hmac, name, scope) VALUES (%(prefix)s, %(key_hmac)s, %(name)s, %(scope)s)
    RETURNING *
"""

_FIND: Final = """
    SELECT *, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS use_is_due
    FROM api_keys WHERE prefix = %s AND revoked_at IS NULL
"""

# Not with every call: a row that is written all the time is one that everybody waits for.
_NOTE_USE: Final = """
    UPDATE api_keys SET last_used_at = now()
    WHERE prefix = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""

_ALL: Final = "SELECT * FROM api_keys ORDER BY created_at, prefix"

_REVOKE: Final = """
    UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE prefix = %s RETURNING *
"""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. `scope` is read or operate; `last_used_at` is up to a minute old."""

    prefix: str
    name: str
    scope: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that holds, with its HMAC. `use_is_due`: that it is used was not noted within the last minute."""

    key: ApiKey
    key_hmac: bytes
    use_is_due: bool


class ApiKeyRepository:
    """Rows of `api_keys`. Every method raises the errors of `walltrack.data.supabase.errors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, prefix: str, key_hmac: bytes, *, name: str, scope: str) -> ApiKey:
        """Keep a new key."""
        values = {"prefix": prefix, "key_hmac": key_hmac, "name": storable(name), "scope": scope}
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_ADD, values)).fetchone()
        assert row is not None
        return _key(row)

    async def find(self, prefix: str) -> KnownKey | None:
        """The key of this prefix, or None where there is none that holds."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_FIND, (prefix,))).fetchone()
        return None if row is None else KnownKey(_key(row), bytes(row["key_hmac"]), row["use_is_due"])

    async def note_use(self, prefix: str) -> None:
        """Note that a key was used, once a minute at most."""
        async with self._database.autocommit() as connection:
            await connection.execute(_NOTE_USE, (prefix,))

    async def all(self) -> list[ApiKey]:
        """Every key, the oldest first, revoked ones too."""
        async with self._database.autocommit() as connection:
            rows = await (await connection.execute(_ALL)).fetchall()
        return [_key(row) for row in rows]

    async def revoke(self, prefix: str) -> ApiKey:
        """Let a key hold no longer, from the next call on. Raises BadInputError where there is none."""
        async with self._database.autocommit() as connection:
            row = await (await connection.execute(_REVOKE, (prefix,))).fetchone()
        if row is None:
            raise BadInputError(f"there is no API key {prefix!r}; `walltrack keys list` has them")
        return _key(row)


def _key(row: Row) -> ApiKey:
    return ApiKey(
        prefix=row["prefix"],
        name=row["name"],
        scope=row["scope"],
        created_at=utc(row["created_at"]),
        last_used_at=utc_or_none(row["last_used_at"]),
        revoked_at=utc_or_none(row["revoked_at"]),
    )
