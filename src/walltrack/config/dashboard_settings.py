"""Settings of the dashboard: where it listens."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class DashboardSettings(BaseSettings):
    """Settings of the dashboard."""

    dashboard_host: str = Field(
        "127.0.0.1",
        alias="WALLTRACK_DASHBOARD_HOST",
        description="address that the dashboard listens on; 0.0.0.0 is every one of the machine",
    )
    dashboard_port: int = Field(
        7860,
        ge=1,
        le=65_535,
        alias="WALLTRACK_DASHBOARD_PORT",
        description="port of the dashboard",
    )
