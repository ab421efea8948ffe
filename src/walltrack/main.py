"""`python -m walltrack.main`: `walltrack serve`, as run books have it. Takes the same options."""

from __future__ import annotations

import sys

from walltrack.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["serve"]
    main()
