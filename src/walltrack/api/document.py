"""The OpenAPI document: each operation with exactly what it answers, refusals as problem documents."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from walltrack.api.problems import MEDIA_TYPE, TITLES
from walltrack.contract import Problem

_OF_ALL: Final = (400, 413, 500, 504)
_OF_KEYS: Final = (401, 403, 429, 503)
"""What routes answer that may ask for a key. Keys are in the database."""

_PROBLEM: Final = {"schema": {"$ref": "#/components/schemas/Problem"}}

NO_RUN: Final = "There is no such run."

Answers = dict[int | str, dict[str, Any]]


def refusals(**reasons: str) -> Answers:
    """What a route refuses beside what all of them do, like `_409="Another run is running."`."""
    return {int(status.removeprefix("_")): {"description": reason} for status, reason in reasons.items()}


def describe(app: FastAPI) -> None:
    """Let the application describe itself so. What routes name themselves is `responses` of their own."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas |= problem.pop("$defs", {}) | {"Problem": problem}
    for operations in found["paths"].values():
        for operation in operations.values():
            _complete(operation)
    return found


def _complete(operation: dict[str, Any]) -> None:
    """Add to an operation what its kind refuses."""
    answers: dict[str, Any] = operation["responses"]
    # What FastAPI takes for granted of whatever has a parameter.
    checks_values = answers.pop("422", None) is not None or "requestBody" in operation
    statuses = [*_OF_ALL, *([422] if checks_values else []), *(_OF_KEYS if "security" in operation else ())]
    for status in statuses:
        answers.setdefault(str(status), {"description": TITLES[status] + "."})
    for status, answer in answers.items():
        if int(status) >= 400:
            answer.setdefault("content", {})[MEDIA_TYPE] = _PROBLEM
    operation["responses"] = dict(sorted(answers.items()))
