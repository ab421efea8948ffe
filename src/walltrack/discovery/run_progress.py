"""How far a run is, what it has used of the providers, and what happened to it, for those who watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from walltrack.discovery.models import ReadingCost, RunStatus, TokenStatus


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a run stands at `read_at`, by the database's clock.

    `tokens` has every state that a token of the run is in; `wallets` are those found so far, each once; `used` is what
    the providers were asked. `estimated_end` is that of measuring the tokens, None while it is not known.
    """

    run_id: UUID
    status: RunStatus
    stage: str | None
    tokens: Mapping[TokenStatus, int]
    wallets: int
    profiled: int
    used: ReadingCost
    forecast: ReadingCost | None
    started_at: datetime
    read_at: datetime
    completed_at: datetime | None = None
    estimated_end: datetime | None = None
    errors: tuple[str, ...] = ()

    @property
    def open_tokens(self) -> int:
        """Tokens that have not come to their end."""
        return self.tokens.get(TokenStatus.PENDING, 0) + self.tokens.get(TokenStatus.RUNNING, 0)

    @property
    def standing(self) -> tuple[object, ...]:
        """What of it is not the passing of time: who was told this need not be told it again."""
        return (
            self.status,
            self.stage,
            tuple(sorted(self.tokens.items())),
            self.wallets,
            self.profiled,
            self.used,
            self.forecast,
        )


@dataclass(frozen=True, slots=True)
class RunEvent:
    """A change of the state of a run (`kind` "run") or of one of its tokens ("token").

    `cursor` is where a reader who has seen it goes on. `details` are values of JSON: of a run its `status`, `stage` and
    `profiled_wallets`; of a token its `mint`, `status`, `reason`, `wallets_found`, `requests` and `credits`.
    """

    cursor: str
    at: datetime
    kind: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """What was used of one provider. `requests` counts every try that went out, `errors` those without a result.

    `stopped_reason` says why a run left the provider alone from some moment on.
    """

    provider: str
    requests: int
    credits: int
    errors: int
    stopped_reason: str | None = None


def estimated_end(
    now: datetime, working_since: datetime | None, *, finished: int, still_open: int
) -> datetime | None:
    """When the open tokens will have been measured, at the pace since `working_since`; None while that is not known."""
    if working_since is None or finished == 0 or still_open == 0:
        return None
    return now + max(timedelta(), now - working_since) / finished * still_open
