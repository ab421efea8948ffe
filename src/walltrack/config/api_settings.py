"""Settings of the HTTP API: where it listens, and whom it answers."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

SHORTEST_SECRET_KEY: Final = 32


class ApiSettings(BaseSettings):
    """Settings of the HTTP API."""

    api_host: str = Field(
        "127.0.0.1",
        alias="WALLTRACK_API_HOST",
        description="address that the API listens on; 0.0.0.0 is every one of the machine",
    )
    api_port: int = Field(
        8000, ge=0, le=65_535, alias="WALLTRACK_API_PORT", description="port of the API; 0 takes a free one"
    )
    api_authentication: bool | None = Field(
        None,
        alias="WALLTRACK_API_AUTHENTICATION",
        description="whether the API asks for a key; left out, it does unless it listens on a loopback address",
    )
    secret_key: SecretStr | None = Field(
        None,
        alias="SECRET_KEY",
        description=f"secret under which API keys are stored, {SHORTEST_SECRET_KEY} characters or more; "
        "needed where the API asks for keys",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="WALLTRACK_CORS_ORIGINS",
        description="origins of web pages that may call the API, like https://desk.example, joined by commas",
    )

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET_KEY:
            raise ValueError(
                f"must have {SHORTEST_SECRET_KEY} characters or more; `openssl rand -hex 32` makes one"
            )
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(one.strip().rstrip("/") for one in value.split(",") if one.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _named_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if "*" in origin:
                raise ValueError(
                    "must name each origin: with credentials, which every call to the API has, * is not allowed"
                )
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or not host or "/" in host:
                raise ValueError(f"{origin!r} is no origin like https://desk.example")
        return value

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine reaches the API."""
        if self.api_host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.api_host).is_loopback
        except ValueError:
            return False

    @property
    def asks_for_keys(self) -> bool:
        """Whether the API asks for a key."""
        if self.api_authentication is not None:
            return self.api_authentication
        return not self.listens_on_loopback
