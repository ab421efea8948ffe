"""Metrics for Prometheus: of the requests that this process answers, and of the system as the database has it."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walltrack.api.context import ApiContext
from walltrack.api.health import detailed
from walltrack.api.paths import route_of
from walltrack.contract import PartState
from walltrack.data.supabase.repositories.discovery_repo import DiscoveryRepository
from walltrack.scheduler.trigger import CODE_VERSION

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Others are counted as one, since there is no end of them."""

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "walltrack_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "walltrack_http_request_seconds",
            "Seconds until a request was answered, by route.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        gauge = self._gauge
        self._up = gauge("walltrack_part_up", "1 where the part is well or off, 0 where it failed.", "part")
        self._runs = gauge("walltrack_runs", "Runs by status, over all history.", "status")
        self._wallets = gauge("walltrack_wallets_discovered", "Wallets that runs found for the first time.")
        self._last = gauge("walltrack_last_run_started_seconds", "When the last run started, Unix time.")
        self._next = gauge("walltrack_next_run_seconds", "When the next run is due, Unix time; 0: none.")
        self._workers = gauge("walltrack_workers_serving", "Workers that gave a sign of life lately.")
        self._jobs = gauge("walltrack_jobs", "Jobs that wait, or are being done.", "state")
        self._credits = gauge(
            "walltrack_provider_month_credits", "Credits used this month (UTC).", "provider"
        )
        self._errors = gauge(
            "walltrack_provider_month_errors", "Failed calls of this month (UTC).", "provider"
        )
        gauge("walltrack_build", "The version that runs.", "version").labels(CODE_VERSION).set(1)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(name, says, labels, registry=self._registry)

    async def text(self, context: ApiContext) -> bytes:
        """All metrics, those of the system as they are now. Raises the errors of the database."""
        health = await detailed(context, to_known=True)
        for part in ("database", "workers", "schedule"):
            self._up.labels(part).set(0 if part in health.failed else 1)
        if health.status is PartState.OK or "database" not in health.failed:
            await self._look(context)
        self._workers.set(health.serving_workers or 0)
        self._jobs.labels("waiting").set(health.waiting_jobs or 0)
        self._jobs.labels("running").set(health.running_jobs or 0)
        next_run = health.scheduler.next_run
        self._next.set(0 if next_run is None else next_run.timestamp())
        # With the month, providers go that were not used in the new one.
        self._credits.clear()
        self._errors.clear()
        for used in health.providers or ():
            self._credits.labels(used.provider).set(used.credits)
            self._errors.labels(used.provider).set(used.errors)
        return generate_latest(self._registry)

    async def _look(self, context: ApiContext) -> None:
        stats = await DiscoveryRepository(context.database).get_stats(now=context.clock.now(), weeks=1)
        self._runs.labels("completed").set(stats.successful_runs)
        self._runs.labels("failed").set(stats.failed_runs)
        self._runs.labels("other").set(stats.total_runs - stats.successful_runs - stats.failed_runs)
        self._wallets.set(stats.total_wallets_discovered)
        if stats.last_run_at is not None:
            self._last.set(stats.last_run_at.timestamp())


class Counted:
    """Counts and times requests by their route, never by the path, which has no end of values."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, seconds = time.perf_counter(), 500, None

        async def noted(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                # What a stream takes until its end says nothing.
                status, seconds = message["status"], time.perf_counter() - began
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = route_of(scope) or "none"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(method, route).observe(
                time.perf_counter() - began if seconds is None else seconds
            )
