"""Generated requests over the whole OpenAPI document, with a key that may operate, with one that may read, without."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import schemathesis
from schemathesis.config import ChecksConfig, SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.integration.api import ApiServer, api_settings, serving
from tests.integration.api_runs import a_found_run
from walltrack.cli_market import sandbox_settings
from walltrack.config.settings import Settings
from walltrack.contract import Scope
from walltrack.sandbox.market import generate
from walltrack.sandbox.server import serve

SMALLEST_MARKET: Final = 3_200
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
CALLERS: Final = ("operate", "read", "nobody")

# What valid data may be answered with beside success: keys, runs that are not there or in the way; a cursor or an
# event's id is a string that only the server makes (400); If-Match (412); values that contradict each other, or a key
# that came with another request (422); and where no market answers (502).
_ACCEPTED: Final = ["2xx", "400", "401", "403", "404", "409", "412", "422", "429"]
_REJECTED: Final = ["400", "401", "403", "404", "405", "409", "412", "422", "429"]
_NO_DEFECT: Final = ["2xx", "4xx", "502", "503"]


@dataclass
class Report:
    """What was asked and what came of it."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Report) -> None:
        """Add another report to this one."""
        self.requests += other.requests
        self.statuses += other.statuses
        self.operations += other.operations
        self.failures += other.failures
        self.seconds += other.seconds


@contextmanager
def staged(settings: Settings) -> Iterator[ApiServer]:
    """The API over an open, migrated database, with a sandbox for its market, one run that has ended and one that runs.

    Nobody works, so a run that is started goes on until it is cancelled, and keeps others from starting (409).
    """
    market = generate(7, now=int(time.time()), size=SMALLEST_MARKET)
    with (
        serve(market, rate_factor=10_000.0) as sandbox,
        serving(sandbox_settings(api_settings(settings), sandbox.urls)) as api,
    ):
        api.do(a_found_run(api.context.database))
        api.rows(
            "INSERT INTO walltrack_jobs.procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 day')"
        )
        yield api


def fuzz(api: ApiServer, caller: str, *, examples: int, seed: int, phases: Sequence[str] = PHASES) -> Report:
    """Ask so many generated examples of each operation and phase as a caller does. Raises nothing for what it finds."""
    began = time.perf_counter()
    report = Report()
    engine = from_schema(_schema(api, caller, examples=examples, seed=seed, phases=phases))
    for event in engine.execute():
        if isinstance(event, events.ScenarioFinished):
            _note(report, event, caller)
        elif isinstance(event, events.NonFatalError):
            report.failures.append(f"{caller}: {event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    report.seconds = time.perf_counter() - began
    return report


def _schema(api: ApiServer, caller: str, *, examples: int, seed: int, phases: Sequence[str]) -> Any:
    document = httpx.get(f"{api.url}/openapi.json", timeout=60).json()
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig(seed=seed))
    project = schema.config
    headers = {} if caller == "nobody" else {"Authorization": f"Bearer {api.key(Scope(caller))}"}
    project.update(headers=headers, base_url=api.url, request_timeout=60, workers=1, continue_on_failure=True)
    project.max_stream_events = 1  # a run that nobody works on has no more for now
    project.generation.update(max_examples=examples, no_shrink=True, database="none")
    project.phases.update(phases=list(phases))
    project.checks = ChecksConfig.from_dict(
        {
            # What a key may do is asked of every route by test_api_auth; here, guesses are slowed (429).
            "ignored_auth": {"enabled": False},
            "not_a_server_error": {"expected-statuses": _NO_DEFECT},
            "positive_data_acceptance": {"expected-statuses": _ACCEPTED},
            "negative_data_rejection": {"expected-statuses": _REJECTED},
        }
    )
    return schema


def _note(report: Report, event: events.ScenarioFinished, caller: str) -> None:
    recorder = event.recorder
    for interaction in recorder.interactions.values():
        report.requests += 1
        if interaction.response is not None:
            report.statuses[interaction.response.status_code] += 1
    report.operations[recorder.label] += len(recorder.interactions)
    for case_id, checks in recorder.checks.items():
        for check in checks:
            asked = recorder.interactions[case_id].request
            # A run that has just started has no outcome yet.
            has_none_yet = check.name == "ensure_resource_availability" and asked.uri.endswith("/outcome")
            if check.failure_info is not None and not has_none_yet:
                failure = check.failure_info.failure
                body = asked.body[:300] if asked.body else b""
                report.failures.append(
                    f"{caller}: {recorder.label}: {check.name}: {failure.title}: {failure.message}"
                    f"\n    {asked.method} {asked.uri} {body!r}"
                )
