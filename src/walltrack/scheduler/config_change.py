"""Changing the configuration: only what is given, and never over a change that somebody else made meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import stamina

from walltrack.data.supabase.errors import ConfigChangedError
from walltrack.discovery.schedule import SchedulerConfig
from walltrack.scheduler.discovery_scheduler import DiscoveryScheduler

_TRIES: Final = 50
"""Each time, somebody else's change was saved."""


async def change_config(
    scheduler: DiscoveryScheduler,
    changes: Mapping[str, Any],
    *,
    params: Mapping[str, Any],
    updated_by: str,
    version: int | None = None,
) -> SchedulerConfig:
    """Change what is given of the configuration: `changes` by `save_config`'s names, and some parameters of runs.

    With a version, raises ConfigChangedError where somebody changed it since; without, the change is made to whatever
    there is. Raises InvalidConfigError with every field that is out of bounds; nothing is changed then.
    """
    async for attempt in stamina.retry_context(
        on=lambda error: isinstance(error, ConfigChangedError) and version is None,
        attempts=_TRIES,
        wait_initial=0.01,
        wait_max=0.2,
        wait_jitter=0.05,
    ):
        with attempt:
            old = await scheduler.load_config()
            return await scheduler.save_config(
                **changes,
                # Checked with all the rest, so that everything that is wrong is said at once.
                params=old.params.model_copy(update=dict(params)) if params else None,
                updated_by=updated_by,
                expected_version=old.version if version is None else version,
            )
    raise AssertionError("stamina ends with a result or an error")
