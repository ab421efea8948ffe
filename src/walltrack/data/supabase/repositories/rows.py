"""Rows to models and back, and the cursors of pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from psycopg.types.json import Jsonb

from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import (
    DiscoveryRun,
    DiscoveryRunParams,
    DiscoveryRunWallet,
    ListedToken,
    QualifiedWallet,
    ReadingCost,
    RemovedTokens,
    RunStatus,
    RunToken,
    TokenMarket,
    TokenStatus,
    TokenSummary,
    TriggerType,
)
from walltrack.discovery.wallet_models import Flag, FlagEvidence

Row = Mapping[str, Any]
K = TypeVar("K")

PARAMETERS: Final = tuple(DiscoveryRunParams.model_fields)
"""Columns of discovery_runs that hold the parameters: one for each field, of the same name."""

LARGEST_PAGE: Final = 500

_LONGEST_ID: Final = 18
"""Digits of the largest id that a BIGINT surely holds."""

_LARGEST_EXPONENT: Final = 100
"""Of numbers in cursors; scores have a few digits."""


def params_from_row(row: Row) -> DiscoveryRunParams:
    """A run's parameters. What an earlier version left null has the model's default."""
    # Not validated: history stays readable when bounds change.
    return DiscoveryRunParams.model_construct(
        **{name: row[name] for name in PARAMETERS if row[name] is not None}
    )


def run_from_row(row: Row) -> DiscoveryRun:
    """A run as it is stored. What an earlier version left null has the model's default.

    What it used is in `used_requests` and `used_credits`, where the query looked it up.
    """
    return DiscoveryRun(
        id=row["id"],
        started_at=utc(row["started_at"]),
        completed_at=utc_or_none(row["completed_at"]),
        status=RunStatus(row["status"]),
        trigger_type=TriggerType(row["trigger_type"]),
        triggered_by=row["triggered_by"],
        token_source=row["token_source"],
        demo=row["demo"],
        code_version=row["code_version"],
        stage=row["stage"],
        mints=tuple(row["mints"] or ()),
        again_of=row["again_of"],
        from_stored=row["from_stored"],
        params=params_from_row(row),
        tokens_analyzed=row["tokens_analyzed"] or 0,
        new_wallets=row["new_wallets"] or 0,
        updated_wallets=row["updated_wallets"] or 0,
        profiled_wallets=row["profiled_wallets"] or 0,
        duration_seconds=row["duration_seconds"] or 0.0,
        errors=_texts(row["errors"]),
        warnings=_texts(row["warnings"]),
        forecast=_cost(row["forecast_requests"], row["forecast_credits"]),
        used=_cost(row.get("used_requests"), row.get("used_credits")),
        removed=_removed(row),
    )


def listed_from_row(row: Row) -> ListedToken:
    """A token as a run listed it."""
    listing = row["listing"] or {}
    market = None
    if "pools" in listing:
        market = TokenMarket(
            tuple((dex, address) for dex, address in listing["pools"]),
            listing["transactions_24h"],
            datetime.fromisoformat(listing["launched_at"]),
        )
    forecast = _cost(row["forecast_requests"], row["forecast_credits"])
    return ListedToken(row["mint"], forecast, market, listing.get("left_unread"))


def listing_json(token: ListedToken) -> Jsonb:
    """What `listed_from_row` needs beside the columns."""
    listing: dict[str, object] = {}
    if token.market is not None:
        listing |= {
            "pools": [[storable(dex), storable(address)] for dex, address in token.market.pools],
            "transactions_24h": token.market.transactions_24h,
            "launched_at": aware(token.market.launched_at).isoformat(),
        }
    if token.left_unread is not None:
        listing["left_unread"] = storable(token.left_unread)
    return Jsonb(listing)


def token_from_row(row: Row) -> RunToken:
    """One token's part of a run. It has a summary once it was measured."""
    summary = None
    if row["launch_at"] is not None:
        summary = TokenSummary(
            launch_at=utc(row["launch_at"]),
            launch_slot=row["launch_slot"],
            first_event_at=utc(row["first_event_at"]),
            last_event_at=utc(row["last_event_at"]),
            events=row["events"],
            wallets_seen=row["wallets_seen"],
            wallets_early=row["wallets_early"],
            tape_cut=row["tape_cut"],
        )
    return RunToken(
        run_id=row["run_id"],
        mint=row["mint"],
        status=TokenStatus(row["status"]),
        reason=row["reason"],
        wallets_found=row["wallets_found"],
        summary=summary,
        started_at=utc_or_none(row["started_at"]),
        completed_at=utc_or_none(row["completed_at"]),
        forecast=_cost(row["forecast_requests"], row["forecast_credits"]),
        cost=_cost(row["requests"], row["credits"]),
        plan=row["plan"],
        segments=row["tape_segments"],
        tape_removed_at=utc_or_none(row["tape_removed_at"]),
    )


def _removed(row: Row) -> RemovedTokens | None:
    if row["tokens_removed_at"] is None:
        return None
    known = row["removed_tokens"]
    return RemovedTokens(
        at=utc(row["tokens_removed_at"]),
        listed=known["listed"],
        measured=known["measured"],
        buyers=known["buyers"],
        early=known["early"],
        refused=known["refused"],
        statuses={TokenStatus(status): count for status, count in known["statuses"].items()},
        cost=_cost(known["requests"], known["credits"]),
    )


def _cost(requests: int | None, credits: int | None) -> ReadingCost | None:
    return None if requests is None or credits is None else ReadingCost(requests, credits)


def finding_from_row(row: Row) -> DiscoveryRunWallet:
    """A wallet as one run stored it."""
    found = None
    if row["entry_rank"] is not None:
        found = QualifiedWallet(
            wallet_address=row["wallet_address"],
            source_token=row["source_token"],
            entry_rank=row["entry_rank"],
            seconds_after_launch=row["seconds_after_launch"],
            first_buy_at=utc(row["first_buy_at"]),
            first_buy_slot=row["first_buy_slot"],
            buys=row["buys"],
            sells=row["sells"],
            cost_sol=row["cost_sol"],
            proceeds_sol=row["proceeds_sol"],
            cost_of_sold_sol=row["cost_of_sold_sol"],
            realized_pnl_sol=row["realized_pnl_sol"],
            realized_pct=row["realized_pct"],
            held_tokens=row["held_tokens"],
            held_cost_sol=row["held_cost_sol"],
            completeness=row["completeness"],
            flags=tuple(row["flags"]),
            signatures=tuple(row["signatures"]),
            evidence=evidence_from_json(row["evidence"]),
        )
    return DiscoveryRunWallet(
        id=row["id"],
        run_id=row["run_id"],
        wallet_address=row["wallet_address"],
        source_token=row["source_token"],
        is_new=bool(row["is_new"]),
        initial_score=row["initial_score"],
        found=found,
    )


def evidence_json(evidence: Sequence[FlagEvidence]) -> list[dict[str, object]]:
    """Evidence of flags as a JSONB column keeps it: a list of objects with the fields of `FlagEvidence`."""
    return [asdict(one) | {"detail": storable(one.detail)} for one in evidence]


def evidence_from_json(items: Sequence[Mapping[str, Any]]) -> tuple[FlagEvidence, ...]:
    """What `evidence_json` made."""
    return tuple(
        FlagEvidence(
            flag=Flag(item["flag"]),
            mint=item["mint"],
            count=item["count"],
            detail=item["detail"],
            of=item["of"],
            signatures=tuple(item["signatures"]),
            wallets=tuple(item["wallets"]),
        )
        for item in items
    )


def storable(text: str | None) -> str | None:
    """The text with what PostgreSQL cannot hold (NUL, half surrogates) written as an escape."""
    if text is None:
        return None
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def storable_list(texts: Iterable[str]) -> Jsonb:
    """Texts as a JSON array for a JSONB column."""
    return Jsonb([storable(text) for text in texts])


def aware(value: datetime) -> datetime:
    """The same time. Raises ValueError for one without a time zone, which the server would guess."""
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()}: a time must carry its time zone")
    return value


def aware_or_none(value: datetime | None) -> datetime | None:
    """As `aware`; None stays None."""
    return None if value is None else aware(value)


def page_size(limit: int) -> int:
    """The limit. Raises BadInputError for one that is no page."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise BadInputError(f"limit: {limit} is out of bounds, 1 to {LARGEST_PAGE}")
    return limit


def cursor_after(time: datetime, key: str) -> str:
    """The opaque cursor of the page after the row with this time and key."""
    return _cursor(time.astimezone(UTC).isoformat(), key)


def read_cursor(cursor: str | None, key_type: Callable[[str], K]) -> tuple[datetime | None, K | None]:
    """What `cursor_after` was given; (None, None) for the first page. Raises BadInputError for anything else.

    `key_type` makes the key of its text, and raises ValueError where it is none.
    """
    if cursor is None:
        return None, None
    try:
        time, key = _cursor_parts(cursor)
        return aware(datetime.fromisoformat(time)), key_type(key)
    except (ValueError, TypeError, RecursionError):
        raise _bad_cursor() from None


def row_id(text: str) -> int:
    """The id of a row, from a cursor's text. Raises ValueError for what is none."""
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_ID:
        raise ValueError(text)
    return int(text)


def score_cursor_after(score: Decimal | None, key: str) -> str:
    """The opaque cursor of the page after the row with this score (None: it is not ranked) and key."""
    return _cursor(None if score is None else str(score), key)


def read_score_cursor(cursor: str) -> tuple[Decimal | None, str]:
    """What `score_cursor_after` was given. Raises BadInputError for anything else."""
    try:
        score, key = _cursor_parts(cursor)
        return (None if score is None else _finite(score)), key
    except (ValueError, TypeError, RecursionError, InvalidOperation):
        raise _bad_cursor() from None


def _cursor(*parts: str | None) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _cursor_parts(cursor: str) -> tuple[Any, str]:
    text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    place, key = json.loads(text)
    if not isinstance(key, str) or "\x00" in key:
        raise ValueError(key)
    key.encode()  # raises ValueError for half a surrogate, which PostgreSQL cannot hold
    return place, key


def _finite(text: object) -> Decimal:
    if not isinstance(text, str):
        raise TypeError(text)
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(text)
    return number


def _bad_cursor() -> BadInputError:
    return BadInputError(
        "cursor: is none that WallTrack gave for this list; take next_cursor of the page before, or leave it out"
    )


def utc(value: datetime) -> datetime:
    """The same time in UTC."""
    return value.astimezone(UTC)


def utc_or_none(value: datetime | None) -> datetime | None:
    """As `utc`; None stays None."""
    return None if value is None else utc(value)


def _texts(value: object) -> list[str]:
    """A JSONB list of texts. An earlier version may have stored something else than a list of them."""
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]
