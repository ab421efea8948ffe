"""Settings: from where they come, what is refused, and that no secret is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from walltrack.config.settings import Settings, load_settings, show_settings
from walltrack.discovery.errors import BadInputError

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from outside, and an empty current folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(Settings.env_name(name), raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_example_file_names_exactly_the_settings() -> None:
    text = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"^([A-Z_]+)=", text, flags=re.MULTILINE)
    assert named == [Settings.env_name(name) for name in Settings.model_fields]


def test_the_example_file_as_it_is_gives_the_defaults() -> None:
    Path(".env").write_text((CHECKOUT / ".env.example").read_text(encoding="utf-8"), encoding="utf-8")
    assert load_settings() == Settings()
    assert {view.source for view in show_settings(load_settings())} == {"default"}


def test_a_checkout_keeps_its_data_within_itself() -> None:
    assert load_settings().data_dir == CHECKOUT / "data"


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path(".env").write_text("WALLTRACK_LOG_LEVEL=debug\nWALLTRACK_DATA_DIR=from-file\nOTHER=1\n")
    monkeypatch.setenv("WALLTRACK_DATA_DIR", "from-environment")
    settings = load_settings()
    assert settings.data_dir == tmp_path / "from-environment"
    assert settings.log_level == "DEBUG"
    sources = {view.env_name: view.source for view in show_settings(settings)}
    assert sources["WALLTRACK_DATA_DIR"] == "environment"
    assert sources["WALLTRACK_LOG_LEVEL"] == ".env"
    assert sources["DATABASE_URL"] == "default"


def test_the_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:s3cr%40t@db.example:5433/walltrack?sslmode=require")
    settings = load_settings()
    (view,) = [view for view in show_settings(settings) if view.name == "database_url"]
    assert view.value == "postgresql://ada:****@db.example:5433/walltrack"
    assert "s3cr" not in f"{settings!r}{settings}{show_settings(settings)}"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:s3cret@host/db",
        "s3cret",
        "postgresql://ada:s3cret/pa@host/db",
        "postgresql://ada:12/s3cret@host/db",
        "postgresql://ada:s3cret@pa@host/db",
        "postgresql://ada:s3cret%zz@host/db",
        "postgresql://ada:pw@host:s3cret/db",
        "postgresql://ada:pw@host:99999/db?application_name=s3cret",
        "postgresql://ada:pw@host/db?s3cret=1",
    ],
)
def test_a_malformed_url_is_refused_without_quoting_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(BadInputError, match=r"^DATABASE_URL: must be postgresql://") as raised:
        load_settings()
    assert "s3cret" not in repr(raised.value)
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WALLTRACK_DATABASE_POOL_MAX_SIZE", "7", "less than or equal to 6"),
        ("WALLTRACK_DATABASE_POOL_MAX_SIZE", "0", "greater than or equal to 1"),
        ("WALLTRACK_DATABASE_POOL_MAX_SIZE", "many", "valid integer"),
        ("WALLTRACK_DATABASE_CONNECT_TIMEOUT_SECONDS", "1", "greater than or equal to 2"),
        ("WALLTRACK_DATABASE_STATEMENT_TIMEOUT_SECONDS", "3601", "less than or equal to 3600"),
        ("WALLTRACK_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO'"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_name_and_bound(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInputError, match=said) as raised:
        load_settings()
    assert str(raised.value).startswith(f"{name}: ")


def test_a_misspelt_setting_is_refused_and_a_foreign_variable_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLTRACK_SHARED", "/somewhere")
    load_settings()
    monkeypatch.setenv("WALLTRACK_LOGLEVEL", "DEBUG")
    with pytest.raises(
        BadInputError, match="WALLTRACK_LOGLEVEL: no such setting; did you mean WALLTRACK_LOG_LEVEL"
    ):
        load_settings()


def test_a_file_that_is_no_text_is_refused() -> None:
    Path(".env").write_bytes(b"WALLTRACK_LOG_LEVEL=\xff\xfe\n")
    with pytest.raises(BadInputError, match=r"\.env: cannot be read: it is not UTF-8 text"):
        load_settings()
