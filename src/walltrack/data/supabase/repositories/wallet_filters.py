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
_FLAGS: Final = sql.SQL("wallets.flags @> %(with_flags)s::text[]")
_HAS_FLAGS: Final = sql.SQL("""
    array_append(wallets.flags, wallets.status::text) @> %(with_flags)s::text[] AND wallets.flags <> '{}'
""")
_STATUS_WITH_FLAGS: Final = sql.SQL(
    "array_append(wallets.flags, wallets.status::text) && %(statuses)s::text[]"
)
_STATUS: Final = sql.SQL("wallets.status = ANY (%(statuses)s::text[])")
_WATCHED: Final = sql.SQL("""EXISTS (
    SELECT FROM address_lists watched WHERE watched.list = 'watch' AND watched.address = wallets.address
)""")


def matching(filters: WalletFilters, now: datetime | None) -> tuple[sql.Composable, dict[str, Any]]:
    """The condition on `wallets`, joined with KEPT_BACK, for what the filters let through, and its values.

    Raises BadInputError for a bound that cannot be, ValueError where `active_within_days` comes without `now`.
    """
    others, values = _others(filters, now, _FLAGS)
    return sql.SQL(" AND ").join([_any_standing(filters), *others]), values


def matching_along(filters: WalletFilters, now: datetime | None) -> sql.Composable:
    """The condition of `matching`, for finding the first of many along the index of an order. Within CASE the server
    takes half of the wallets to match; where it took few to match, it would find them all in another way, and sort.
    """
    others, _ = _others(filters, now, _FLAGS)
    if not others:
        return _any_standing(filters)
    return sql.SQL("{} AND CASE WHEN {} THEN TRUE ELSE FALSE END").format(
        _any_standing(filters), sql.SQL(" AND ").join(others)
    )


def matching_apart(
    filters: WalletFilters, now: datetime | None
) -> tuple[list[sql.Composable], dict[str, Any]]:
    """As `matching`: conditions of which no two hold for one wallet, for finding all of a few wallets by an index.

    Where a wallet stands is stored with it, but for those that the operator keeps back. One index has flags and status
    together; by it, those with the flags that stand elsewhere are not looked at.
    """
    others, values = _others(filters, now, _HAS_FLAGS)
    apart = list(_standing(filters.statuses))
    if filters.with_flags and filters.statuses:
        apart[0] = sql.SQL("{} AND {}").format(apart[0], _STATUS_WITH_FLAGS)
    return [sql.SQL("({})").format(sql.SQL(" AND ").join([one, *others])) for one in apart], values


def _others(
    filters: WalletFilters, now: datetime | None, has_flags: sql.Composable
) -> tuple[list[sql.Composable], dict[str, Any]]:
    """The conditions beside those on where a wallet stands, and the values of all."""
    conditions = [has_flags] if filters.with_flags else []
    values: dict[str, Any] = {"statuses": [*filters.statuses], "with_flags": [*filters.with_flags]}
    for condition, given in _conditions(filters, now):
        conditions.append(condition)
        values.update(given)
    return conditions, values


def _conditions(
    filters: WalletFilters, now: datetime | None
) -> Iterator[tuple[sql.Composable, dict[str, Any]]]:
    yield from _profile_conditions(filters, now)
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


def _any_standing(filters: WalletFilters) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" OR ").join(_standing(filters.statuses)))


def _standing(statuses: tuple[WalletStatus, ...]) -> Iterator[sql.Composable]:
    if not statuses:
        yield _NOT_EXCLUDED
    elif WalletStatus.EXCLUDED in statuses:
        yield _STATUS
        yield sql.SQL("({} IS NOT TRUE AND kept_back.address IS NOT NULL)").format(_STATUS)
    else:
        yield sql.SQL("({} AND kept_back.address IS NULL)").format(_STATUS)
