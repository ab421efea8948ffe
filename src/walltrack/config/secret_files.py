"""Secrets as files: one for each, named like its setting in any case, as containers and systemd hand them over."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import SecretsSettingsSource

from walltrack.discovery.errors import BadInputError

CONTAINERS: Final = Path("/run/secrets")
SYSTEMD: Final = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd names the folder of a service's credentials."""


class SecretFiles(SecretsSettingsSource):
    """Values of settings from secret files. An empty file gives none, so that an optional secret can be left out."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


def secrets_folder() -> Path | None:
    """The folder of secret files; None where there is none."""
    folder = Path(os.environ.get(SYSTEMD) or CONTAINERS)
    return folder if folder.is_dir() else None


def names_in_secret_files(known: Iterable[str]) -> set[str]:
    """Which of these settings have a file that is not empty.

    Raises BadInputError for one that cannot be read.
    """
    folder = secrets_folder()
    if folder is None:
        return set()
    wanted = set(known)
    return {name for path in folder.iterdir() if (name := path.name.upper()) in wanted and _text(path, name)}


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except IsADirectoryError:
        # What Docker makes of a file that was missing when the container was started.
        reason = "it is a folder, since the file was missing: remove it and run `make secrets`"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except OSError as error:
        reason = f"{error.strerror}; `make secrets` writes files that containers can read"
    raise BadInputError(f"{name}: {path} cannot be read: {reason}")
