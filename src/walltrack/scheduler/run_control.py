"""What people do with runs: start one, repeat one, let one go on, end one. The same for every way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from walltrack.data.supabase.client import Database
from walltrack.data.supabase.errors import RunNotFoundError
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.data.supabase.repositories.job_queue_repo import JobQueueRepository
from walltrack.data.supabase.repositories.run_listing_repo import RunListingRepository
from walltrack.data.supabase.repositories.run_request_repo import RunRequestKey
from walltrack.data.supabase.repositories.run_resume_repo import ResumedRun, RunResumeRepository
from walltrack.data.supabase.repositories.run_token_repo import RunTokenRepository
from walltrack.discovery.clock import Clock
from walltrack.discovery.errors import BadInputError
from walltrack.discovery.models import DiscoveryRun, DiscoveryRunParams, RunToken, TokenStatus, TriggerType
from walltrack.discovery.run_diff import RunDiff, RunResult, diff_runs
from walltrack.discovery.schedule import FieldProblem, InvalidConfigError
from walltrack.scheduler.trigger import MarketName, Trigger


class NothingToRepeatError(BadInputError):
    """The run listed no token, or retention removed what it had, so nothing of it can be done again."""


class TokensRemovedError(BadInputError):
    """Retention removed the rows by token of a run that is to be compared."""


def params_with(params: DiscoveryRunParams, changed: Mapping[str, Any]) -> DiscoveryRunParams:
    """The parameters with some of them `changed`. Raises InvalidConfigError for values that are out of bounds, also for
    stored ones that were within the bounds of an earlier version.
    """
    try:
        return DiscoveryRunParams.model_validate(params.model_dump() | dict(changed))
    except ValidationError as error:
        raise InvalidConfigError(
            tuple(
                FieldProblem(".".join(map(str, each["loc"])), repr(each["input"]), each["msg"].lower())
                for each in error.errors(include_url=False)
            )
        ) from None


class RunControl:
    """Starts, repeats, resumes, cancels and compares runs. `at_most` runs run at once.

    Raises the errors of `walltrack.data.supabase.errors`, RunNotFoundError among them.
    """

    def __init__(self, database: Database, market: MarketName, *, at_most: int, clock: Clock) -> None:
        self._database = database
        self._trigger = Trigger(database, market, at_most=at_most, clock=clock)
        self._at_most = at_most
        self._clock = clock
        self._runs = DiscoveryRepository(database)

    async def start(
        self,
        params: DiscoveryRunParams,
        *,
        trigger_type: TriggerType,
        triggered_by: str,
        mints: Sequence[str] = (),
        once: RunRequestKey | None = None,
    ) -> DiscoveryRun:
        """Start a run on what the market lists, or on the named tokens. Raises RunsBusyError, KeyReusedError."""
        return await self._trigger.start(
            params, trigger_type=trigger_type, triggered_by=triggered_by, mints=mints, once=once
        )

    async def again(
        self,
        run_id: UUID,
        changed: Mapping[str, Any],
        *,
        fresh: bool,
        trigger_type: TriggerType,
        triggered_by: str,
        once: RunRequestKey | None = None,
    ) -> DiscoveryRun:
        """Start a run on the tokens of an earlier one, with its parameters but those that are `changed`.

        On the tapes as that run had them, unless `fresh`. Raises NothingToRepeatError where it listed no token or
        retention removed what is needed, InvalidConfigError for a parameter out of bounds, RunsBusyError,
        KeyReusedError.
        """
        old = await self.read(run_id)
        params = params_with(old.params, changed)
        tokens = await RunTokenRepository(self._database).get_run_tokens(run_id)
        _require_repeatable(old, tokens, fresh=fresh)
        return await self._trigger.start(
            params,
            trigger_type=trigger_type,
            triggered_by=triggered_by,
            mints=[token.mint for token in tokens],
            again_of=run_id,
            from_stored=not fresh,
            market=None if fresh else MarketName(f"stored tapes of run {run_id}", demo=old.demo),
            once=once,
        )

    async def resume(self, run_id: UUID) -> ResumedRun:
        """Let an ended run go on with what failed or was cancelled of it. Raises RunsBusyError, NotResumableError."""
        resumed = await RunResumeRepository(self._database).resume_run(run_id, at_most=self._at_most)
        queue = JobQueueRepository(self._database)
        if resumed.mints:
            await queue.defer_tokens(run_id, resumed.mints)
        else:
            await queue.defer_run(run_id)
        return resumed

    async def cancel(self, run_id: UUID, reason: str | None = None) -> DiscoveryRun:
        """End a running run, with what it has found. Raises RunEndedError."""
        return await self._runs.cancel_run(run_id, completed_at=self._clock.now(), reason=reason)

    async def read(self, run_id: UUID) -> DiscoveryRun:
        """A run as it is stored. Raises RunNotFoundError."""
        run = await self._runs.get_run(run_id)
        if run is None:
            raise RunNotFoundError(run_id)
        return run

    async def diff(self, a: UUID, b: UUID) -> RunDiff:
        """What run `b` has otherwise than run `a`, and why. Raises TokensRemovedError."""
        return diff_runs(await self._result(a), await self._result(b))

    async def _result(self, run_id: UUID) -> RunResult:
        run = await self.read(run_id)
        if run.removed is not None:
            raise TokensRemovedError(
                f"run {run_id}: retention removed its tokens on {run.removed.at:%Y-%m-%d} "
                "(WALLTRACK_RETAIN_RUN_TOKENS_DAYS), so it cannot be compared any more"
            )
        refusals = await RunListingRepository(self._database).get_refusals(run_id)
        return RunResult(
            run,
            await RunTokenRepository(self._database).get_run_tokens(run_id),
            await self._runs.get_run_wallets(run_id),
            {refusal.mint: refusal.reason for refusal in refusals},
        )


def _require_repeatable(old: DiscoveryRun, tokens: Sequence[RunToken], *, fresh: bool) -> None:
    if not tokens and old.removed is not None and old.removed.listed:
        raise NothingToRepeatError(
            f"run {old.id}: retention removed its {old.removed.listed} token(s) on {old.removed.at:%Y-%m-%d} "
            "(WALLTRACK_RETAIN_RUN_TOKENS_DAYS), so it cannot be done again; start a run on tokens that you name, such "
            "as those of the wallets it found"
        )
    if not tokens:
        raise NothingToRepeatError(f"run {old.id} listed no token, so nothing of it can be done again")
    measured = [token for token in tokens if token.status is TokenStatus.DONE]
    gone = [token.tape_removed_at for token in measured if token.tape_removed_at is not None]
    if not fresh and gone and len(gone) == len(measured):
        raise NothingToRepeatError(
            f"run {old.id}: retention removed the tapes of all {len(gone)} token(s) that it measured, the last on "
            f"{max(gone):%Y-%m-%d} (WALLTRACK_RETAIN_TAPES_DAYS, WALLTRACK_TAPES_MAX_GB); repeat it fresh (--fresh), "
            "and they are read anew"
        )
