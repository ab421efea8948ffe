"""Tapes from and into files on disk, in the format of docs/tape-files.md."""

from walltrack.services.files.example import write_example_tapes
from walltrack.services.files.reader import TapeFolder, read_tapes
from walltrack.services.files.refusals import RefusedRow
from walltrack.services.files.writer import write_tape

__all__ = ["RefusedRow", "TapeFolder", "read_tapes", "write_example_tapes", "write_tape"]
