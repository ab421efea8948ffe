"""Secrets as files, as containers and systemd hand them over."""

from __future__ import annotations

from pathlib import Path

import pytest

from walltrack.config.settings import Settings, load_settings, show_settings
from walltrack.data.supabase import embedded
from walltrack.discovery.errors import BadInputError

KEY = "k" * 64


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of secret files, with no setting from elsewhere."""
    for name in Settings.model_fields:
        monkeypatch.delenv(Settings.env_name(name), raising=False)
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "credentials"
    made.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(made))
    return made


def test_a_file_gives_its_setting_an_empty_one_gives_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "secret_key").write_text(f"{KEY}\n")
    (folder / "helius_api_key").write_text("")
    (folder / "unknown").write_text("left alone")
    settings = load_settings()
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == KEY
    assert settings.helius_api_key is None
    shown = {view.env_name: (view.value, view.source) for view in show_settings(settings)}
    assert shown["SECRET_KEY"] == ("****", "file")
    assert shown["HELIUS_API_KEY"] == ("", "default")
    monkeypatch.setenv("SECRET_KEY", "e" * 64)
    assert load_settings().secret_key != settings.secret_key


@pytest.mark.parametrize(
    ("url", "joined"),
    [
        ("postgresql://ada@db:5432/walltrack", "postgresql://ada@db:5432/walltrack?password=p%2F%40%20w"),
        (
            "postgresql://ada@db/w?sslmode=require",
            "postgresql://ada@db/w?sslmode=require&password=p%2F%40%20w",
        ),
        ("postgresql://ada:own@db/w", "postgresql://ada:own@db/w"),
    ],
)
def test_a_password_file_completes_the_url_that_has_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, joined: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    (folder / "DATABASE_PASSWORD").write_text("p/@ w\n")
    settings = load_settings()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == joined
    assert not any("w?" in view.value or "p/@" in view.value for view in show_settings(settings))


def test_a_file_that_was_missing_when_the_container_started_is_named_with_the_remedy(folder: Path) -> None:
    (folder / "secret_key").mkdir()
    with pytest.raises(BadInputError, match=r"^SECRET_KEY: .*secret_key cannot be read: .*`make secrets`"):
        load_settings()


def test_without_the_embedded_server_s_package_the_setting_to_give_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(BadInputError, match=r"^DATABASE_URL: is not set, .*`walltrack\[embedded\]`"):
        embedded.acquire(tmp_path / "data")
    assert not (tmp_path / "data").exists()
