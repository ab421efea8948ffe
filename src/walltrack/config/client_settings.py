"""Settings of the command line where it works on a server: its address, and the key to call it with."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from walltrack.config.provider_settings import check_address


class ClientSettings(BaseSettings):
    """Where commands work, if not on this machine's database."""

    server: str | None = Field(
        None,
        alias="WALLTRACK_SERVER",
        description="address of a WallTrack API on which commands work, like https://walltrack.example; left out, they "
        "work on the database",
    )
    api_key: SecretStr | None = Field(
        None, alias="WALLTRACK_API_KEY", description="API key with which commands call that server"
    )

    @field_validator("server")
    @classmethod
    def _a_servers_address(cls, value: str | None) -> str | None:
        return None if value is None else check_address(value)

    @field_validator("api_key")
    @classmethod
    def _fits_in_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_api_key(value.get_secret_value())
        return value


def check_api_key(key: str) -> None:
    """Raises ValueError for what cannot be sent as a key, without quoting it."""
    if not key or not all("!" <= character <= "~" for character in key):
        raise ValueError("must be visible ASCII characters without spaces")
