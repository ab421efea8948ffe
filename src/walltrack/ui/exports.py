"""Files to download: what a run found, as CSV."""

from __future__ import annotations

from fastapi import APIRouter


def export_routes() -> APIRouter:
    """The routes of downloads."""
    return APIRouter()
