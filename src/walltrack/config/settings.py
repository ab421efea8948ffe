"""Every setting of WallTrack: its environment variable, default and bounds."""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import platformdirs
from dotenv import dotenv_values
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from walltrack.config.api_settings import ApiSettings
from walltrack.config.client_settings import ClientSettings
from walltrack.config.dashboard_settings import DashboardSettings
from walltrack.config.provider_settings import ProviderSettings, shown_secret
from walltrack.config.secret_files import SecretFiles, names_in_secret_files, secrets_folder
from walltrack.discovery.errors import BadInputError

_OWN_PREFIX: Final = "WALLTRACK_"
_ENV_FILE: Final = ".env"
_MASK: Final = "****"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


def default_data_dir() -> Path:
    """`<checkout>/data` when this code runs from a source checkout, else the user's data folder."""
    checkout = Path(__file__).resolve().parents[3]
    if Path(__file__).resolve() == checkout / "src" / "walltrack" / "config" / "settings.py":
        try:
            project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            project = {}
        if project.get("project", {}).get("name") == "walltrack":
            return checkout / "data"
    return platformdirs.user_data_path("walltrack")


class Settings(DashboardSettings, ClientSettings, ApiSettings, ProviderSettings):
    """Settings, from the environment first, then from `.env` in the current folder, then from secret files, then the
    defaults.

    Build it with `load_settings`, which turns what is wrong into a message for the operator.
    """

    model_config = SettingsConfigDict(
        env_file=_ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    database_password: SecretStr | None = Field(
        None,
        alias="DATABASE_PASSWORD",
        description="password of DATABASE_URL's user, where that has none: best as a file",
    )
    database_url: SecretStr | None = Field(
        None,
        alias="DATABASE_URL",
        description="PostgreSQL 15 or newer, as postgresql://user:password@host:port/database; "
        "left out, WallTrack runs a PostgreSQL of its own in the data folder",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        alias="WALLTRACK_DATA_DIR",
        description="folder of what WallTrack keeps: the embedded database and the example tapes",
    )
    database_pool_max_size: int = Field(
        4,
        ge=1,
        le=6,
        alias="WALLTRACK_DATABASE_POOL_MAX_SIZE",
        description="most connections that one process holds to the database",
    )
    database_connect_timeout_seconds: int = Field(
        10,
        ge=2,
        le=120,
        alias="WALLTRACK_DATABASE_CONNECT_TIMEOUT_SECONDS",
        description="seconds to wait for a connection to the database",
    )
    database_statement_timeout_seconds: int = Field(
        60,
        ge=1,
        le=3600,
        alias="WALLTRACK_DATABASE_STATEMENT_TIMEOUT_SECONDS",
        description="seconds after which the database gives up one statement; migrations have no such bound",
    )
    discovery_scheduler_enabled: bool = Field(
        True,
        alias="DISCOVERY_SCHEDULER_ENABLED",
        description="whether runs start by themselves; holds until somebody saves the schedule",
    )
    discovery_schedule_hours: int = Field(
        6,
        ge=1,
        le=168,
        alias="DISCOVERY_SCHEDULE_HOURS",
        description="hours from one run to the next; holds until somebody saves the schedule",
    )
    max_concurrent_runs: int = Field(
        1,
        ge=1,
        le=10,
        alias="WALLTRACK_MAX_CONCURRENT_RUNS",
        description="most runs at the same time, on all machines together; the schedule never overlaps itself",
    )
    lease_seconds: float = Field(
        20.0,
        ge=1,
        le=300,
        alias="WALLTRACK_LEASE_SECONDS",
        description="seconds after which work of a process that gives no sign of life is done by another",
    )
    alive_file: Path | None = Field(
        None,
        alias="WALLTRACK_ALIVE_FILE",
        description="file that `walltrack serve` touches every few seconds, for a health check to see",
    )
    retain_tapes_days: int = Field(
        30,
        ge=1,
        le=3650,
        alias="WALLTRACK_RETAIN_TAPES_DAYS",
        description="days for which tapes and wallets' histories are kept after their last use",
    )
    retain_run_tokens_days: int = Field(
        365,
        ge=1,
        le=36500,
        alias="WALLTRACK_RETAIN_RUN_TOKENS_DAYS",
        description="days for which a run's rows by token, refusals and events are kept after its end; the run itself, "
        "what it found and statistics always are",
    )
    tapes_max_gb: int = Field(
        20,
        ge=1,
        le=100_000,
        alias="WALLTRACK_TAPES_MAX_GB",
        description="most GB of stored tapes and wallets' histories; the longest unused go first",
    )
    log_level: LogLevel = Field(
        LogLevel.INFO, alias="WALLTRACK_LOG_LEVEL", description="least level of the messages that are logged"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, SecretFiles(settings_cls, secrets_folder())

    @field_validator("database_url")
    @classmethod
    def _a_postgresql_url(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            return None
        url = value.get_secret_value()
        _check_database_url(url)
        password: SecretStr | None = info.data.get("database_password")
        if password is None or conninfo_to_dict(url).get("password"):
            return value
        option = f"password={quote(password.get_secret_value(), safe='')}"
        return SecretStr(f"{url}{'&' if '?' in url else '?'}{option}")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @classmethod
    def env_name(cls, field: str) -> str:
        """The environment variable of a field."""
        return cls.model_fields[field].alias or field

    def with_data_dir(self, data_dir: Path) -> Self:
        """The same settings over another data folder."""
        return self.model_copy(update={"data_dir": data_dir.expanduser().absolute()})


@dataclass(frozen=True, slots=True)
class SettingView:
    """One setting as it may be shown. `source` is "environment", ".env", "file" or "default"; secrets are masked."""

    name: str
    env_name: str
    value: str
    default: str
    source: str
    description: str


def load_settings() -> Settings:
    """The settings of this process.

    Raises BadInputError, naming the environment variable and its bound, never a secret.
    """
    _refuse_misspelt_names()
    names_in_secret_files(_env_names())
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            _problem(detail) for detail in error.errors(include_input=False, include_url=False)
        )
    raise BadInputError(problems)


def show_settings(settings: Settings) -> list[SettingView]:
    """What `walltrack config show` shows: every setting, where it comes from, secrets masked."""
    in_file = _names_in_env_file()
    in_secret_files = names_in_secret_files(_env_names())
    in_environment = {name.upper() for name, value in os.environ.items() if value}
    views = []
    for name, info in Settings.model_fields.items():
        env_name = Settings.env_name(name)
        default = info.get_default(call_default_factory=True, validated_data={})
        if env_name in in_environment:
            source = "environment"
        elif env_name in in_file:
            source = _ENV_FILE
        elif env_name in in_secret_files:
            source = "file"
        else:
            source = "default"
        views.append(
            SettingView(
                name=name,
                env_name=env_name,
                value=_shown(getattr(settings, name)),
                default=_shown(default),
                source=source,
                description=info.description or "",
            )
        )
    return views


def mask_database_url(url: str) -> str:
    """The URL as it may be shown: user, host, port and database, the password masked, options left out."""
    parts = conninfo_to_dict(url)
    user = parts.get("user") or ""
    password = f":{_MASK}" if parts.get("password") else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    login = f"{user}{password}@" if user or password else ""
    return f"postgresql://{login}{parts.get('host') or ''}{port}/{parts.get('dbname') or ''}"


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return mask_database_url(text) if text.startswith("postgres") else shown_secret(text)
    return str(value)


def _check_database_url(url: str) -> None:
    """Refuse what libpq would misread. A password with a bare `/` or `@` would otherwise be shown as a host."""
    advice = (
        "must be postgresql://user:password@host:port/database, with the special characters of the "
        "password written as %XX (@ is %40, / is %2F, : is %3A)"
    )
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError(advice)
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:
        raise ValueError(advice) from None
    ports = [port for port in parts.get("port", "").split(",") if port]
    misread = any("@" in parts.get(name, "") for name in ("host", "dbname")) or "/" in parts.get("dbname", "")
    if misread or not all(port.isascii() and port.isdigit() and 0 < int(port) < 65536 for port in ports):
        raise ValueError(advice)


def _problem(detail: ErrorDetails) -> str:
    env_name = str(detail["loc"][0]) if detail["loc"] else "settings"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{env_name}: {message[:1].lower()}{message[1:]}"


def _env_names() -> set[str]:
    return {Settings.env_name(name) for name in Settings.model_fields}


def _names_in_env_file() -> set[str]:
    """Names that `.env` gives a value. Raises BadInputError where the file cannot be read."""
    path = Path(_ENV_FILE)
    if not path.is_file():
        return set()
    try:
        return {name.upper() for name, value in dotenv_values(path, encoding="utf-8").items() if value}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInputError(f"{path.absolute()}: cannot be read: {reason}") from None


def _refuse_misspelt_names() -> None:
    """Refuse a name of our prefix that is nearly a setting's. Others of the prefix belong to tools around us."""
    known = _env_names()
    endings = {name.removeprefix(_OWN_PREFIX): name for name in known if name.startswith(_OWN_PREFIX)}
    given = {name.upper() for name in os.environ} | _names_in_env_file()
    for name in sorted(given - known):
        if name.startswith(_OWN_PREFIX):
            near = difflib.get_close_matches(name.removeprefix(_OWN_PREFIX), endings, n=1, cutoff=0.75)
            if near:
                raise BadInputError(f"{name}: no such setting; did you mean {endings[near[0]]}?")
