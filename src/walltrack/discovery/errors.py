"""What can go wrong, said to the person who can act."""

from __future__ import annotations


class WallTrackError(Exception):
    """A fault with a message for its reader: what, where, which bound, what to do.

    `passes`: it may be gone at the next try, and says nothing of what was being done. Whoever works on durably stored
    work tries again then; others take it for a failure.
    """

    passes: bool = False


class BadInputError(WallTrackError):
    """What was given cannot be used: a file, a parameter, a setting, a database. Nothing was stored."""


class TapeFileError(BadInputError):
    """A file of trades cannot be read as a whole.

    Its message names the file and, where they are known, row and field.
    """

    def __init__(self, file: str, problem: str, *, row: int | None = None, field: str | None = None) -> None:
        where = file
        if row is not None:
            where += f", row {row}"
        if field is not None:
            where += f", field {field}"
        super().__init__(f"{where}: {problem}")
        self.file = file
        self.row = row
        self.field = field


class RunStoppedError(WallTrackError):
    """A run cannot go on, or has nothing to show for itself."""
