"""The API's long fuzzing: `python -m tests.api_fuzz [--examples N] [--seed N]`.

Ends with the number of requests, what they were answered, and everything that does not conform to the OpenAPI document.
The exit code is 1 where anything does not, or fewer requests were made than promised.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
from pathlib import Path
from typing import Final

import structlog
from psycopg.conninfo import conninfo_to_dict

from tests.api_fuzz.fuzzing import CALLERS, Report, fuzz, staged
from tests.integration.databases import Server, settings_for
from walltrack.data.supabase import embedded
from walltrack.data.supabase.migrate import migrate

PROMISED: Final = 20_000


def main() -> int:
    """Ask as each caller."""
    parser = argparse.ArgumentParser(prog="python -m tests.api_fuzz", description=__doc__)
    parser.add_argument(
        "--examples", type=int, default=250, help="of each operation, phase and caller, at most"
    )
    parser.add_argument("--seed", type=int, default=None, help="left out, a new one")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    total = Report()
    with tempfile.TemporaryDirectory(prefix="walltrack-fuzz-") as folder:
        Path(folder).chmod(0o755)  # the database's user must reach it where this runs as root
        with embedded.serving(Path(folder) / "data") as server:
            sockets = Path(str(conninfo_to_dict(server.conninfo)["host"]))
            settings = settings_for(Server("embedded", sockets).url())
            migrate(settings, lambda _line: None)
            with staged(settings) as api:
                for caller in CALLERS:
                    report = fuzz(api, caller, examples=given.examples, seed=seed)
                    say(f"{caller}: {report.requests:,} requests in {report.seconds:.0f} s")
                    total.add(report)
    for failure in dict.fromkeys(total.failures):
        say(failure)
    answered = ", ".join(f"{status}: {count:,}" for status, count in sorted(total.statuses.items()))
    say(f"answered {answered}")
    say(
        f"{total.requests:,} requests ({PROMISED:,} promised) to {len(total.operations)} operations in"
        f" {total.seconds:.0f} s, {len(total.failures)} that do not conform (seed {seed})"
    )
    return int(bool(total.failures) or total.requests < PROMISED)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
