"""The short form of the API's fuzzing; `make test-api` runs the long one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.api_fuzz.fuzzing import CALLERS, fuzz, staged
from tests.integration.api import ApiServer
from tests.integration.databases import Server, settings_for

SEED = 2026


@pytest.fixture(scope="module")
def stage(embedded_server: Server) -> Iterator[ApiServer]:
    with embedded_server.migrated_database() as name, staged(settings_for(embedded_server.url(name))) as api:
        yield api


@pytest.mark.parametrize("caller", CALLERS)
def test_generated_requests_are_answered_as_the_document_says(stage: ApiServer, caller: str) -> None:
    document = httpx.get(f"{stage.url}/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())
    report = fuzz(stage, caller, examples=8, seed=SEED, phases=("fuzzing",))
    assert report.failures == []
    assert report.requests >= 100
    assert len(report.operations) == operations
