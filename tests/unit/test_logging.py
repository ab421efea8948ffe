"""What is logged is what the operator asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import structlog

from walltrack.cli_running import log_from, log_to
from walltrack.config.settings import LogLevel


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    before = structlog.get_config()
    text = io.StringIO()
    log_to(text)
    yield text
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        (None, ["told", "warned", "failed"]),
        (LogLevel.DEBUG, ["noted", "told", "warned", "failed"]),
        (LogLevel.WARNING, ["warned", "failed"]),
        (LogLevel.CRITICAL, []),
    ],
)
def test_only_messages_of_the_level_asked_for_and_above_are_logged(
    logged: io.StringIO, level: LogLevel | None, heard: list[str]
) -> None:
    if level is not None:
        log_from(level)
    log = structlog.get_logger()
    log.debug("noted")
    log.info("told")
    log.warning("warned")
    log.error("failed")
    lines = logged.getvalue().splitlines()
    assert [
        next(word for word in ("noted", "told", "warned", "failed") if word in line) for line in lines
    ] == heard
