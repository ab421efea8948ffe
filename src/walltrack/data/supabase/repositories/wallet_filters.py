"""Filters of lists of wallets, as conditions on the table `wallets`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

from psycopg import sql

from walltrack.data.supabase.repositories.rows import aware
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import WalletFilters
from walltrack.discovery.wallet_models import WalletStatus

N = TypeVar("N", int, Decimal)

_LONGEST_ADDRESS: Final = 44
_MOST_DAYS: Final = 36_500
_MOST_POSITIONS: Final = 1_000_000_000

KEPT_BACK: Final = sql.SQL("""
    LEFT JOIN address_lists kept_back ON kept_back.list = 'exclude' AND kept_back.address = wallets.address
""")
"""What a query over `wallets` joins for the conditions: the operator's exclude list. A join, since the server looks
up a subquery for each wallet again."""

_NOT_EXCLUDED: Final = sql.SQL(
    "(wallets.status IS NULL OR wallets.status <> 'excluded') AND kept_back.address IS NULL"
)
_WATCHED: Final = sql.SQL("""EXISTS (
    SELECT FROM address_lists watched WHERE watched.list = 'watch' AND watched.address = wallets.address
)""")


def matching(filters: WalletFilters, now: datetime | None) -> tuple[sql.Composable, dict[str, Any]]:
    """The condition on `wallets`, joined with KEPT_BACK, for what the filters let through, and its values.

    Raises BadInputError for a bound that cannot be, ValueError where `active_within_days` comes without `now`.
    """
    conditions, values = [], {}
    for condition, given in _conditions(filters, now):
        conditions.append(condition)
        values.update(given)
    return sql.SQL(" AND ").join(conditions), values


def _conditions(
    filters: WalletFilters, now: datetime | None
) -> Iterator[tuple[sql.Composable, dict[str, Any]]]:
    yield _standing(filters.statuses), {"statuses": [status.value for status in filters.statuses]}
    yield from _profile_conditions(filters, now)
    if filters.with_flags:
        yield sql.SQL("wallets.flags @> %(with_flags)s::text[]"), {"with_flags": list(filters.with_flags)}
    if filters.without_flags:
        condition = sql.SQL("NOT wallets.flags && %(without_flags)s::text[]")
        yield condition, {"without_flags": list(filters.without_flags)}
    if filters.watched:
        yield _WATCHED, {}
    if filters.address_prefix:
        prefix = filters.address_prefix
        if len(prefix) > _LONGEST_ADDRESS or not (prefix.isascii() and prefix.isalnum()):
            raise BadInputError(
                f"address_prefix: {prefix[:60]!r} begins no address; give 1 to {_LONGEST_ADDRESS} letters and digits"
            )
        yield sql.SQL("wallets.address LIKE %(address_prefix)s"), {"address_prefix": f"{prefix}%"}
    if filters.demo is not None:
        yield sql.SQL("wallets.demo = %(demo)s"), {"demo": filters.demo}


def _profile_conditions(
    filters: WalletFilters, now: datetime | None
) -> Iterator[tuple[sql.Composable, dict[str, Any]]]:
    if filters.min_score is not None:
        least = _within("min_score", filters.min_score, 1)
        yield sql.SQL("wallets.score >= %(min_score)s"), {"min_score": least}
    if filters.active_within_days is not None:
        days = _within("active_within_days", filters.active_within_days, _MOST_DAYS)
        if now is None:
            raise ValueError("active_within_days is counted back from `now`, which was not given")
        since = aware(now) - timedelta(days=days)
        yield sql.SQL("wallets.last_active_at >= %(active_since)s"), {"active_since": since}
    if filters.min_closed_positions is not None:
        least_closed = _within("min_closed_positions", filters.min_closed_positions, _MOST_POSITIONS)
        condition = sql.SQL("wallets.closed_positions >= %(min_closed_positions)s")
        yield condition, {"min_closed_positions": least_closed}


def _within(name: str, value: N, most: int) -> N:
    if (isinstance(value, Decimal) and value.is_nan()) or not 0 <= value <= most:
        raise BadInputError(f"{name}: {value} is out of bounds, 0 to {most}")
    return value


def _standing(statuses: tuple[WalletStatus, ...]) -> sql.Composable:
    if not statuses:
        return _NOT_EXCLUDED
    known = "wallets.status = ANY (%(statuses)s::text[])"
    if WalletStatus.EXCLUDED in statuses:
        return sql.SQL(f"({known} OR kept_back.address IS NOT NULL)")
    return sql.SQL(f"({known} AND kept_back.address IS NULL)")
