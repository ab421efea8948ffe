"""Settings of the dashboard: where it listens, and which API it shows."""

from __future__ import annotations

from pydantic import Field, field_validator
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
    api_url: str | None = Field(
        None,
        alias="WALLTRACK_API_URL",
        description="address of the API that the dashboard shows, like https://walltrack.example; left out, "
        "WALLTRACK_API_PORT on this machine",
    )

    @field_validator("api_url")
    @classmethod
    def _an_api_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        scheme, _, rest = value.partition("://")
        if scheme not in ("http", "https") or not rest.split("/")[0] or "@" in rest:
            raise ValueError("must be an address like https://walltrack.example, without a user or key")
        return value.rstrip("/")
