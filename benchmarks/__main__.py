"""Runs every benchmark in a process of its own, so that memory figures do not mix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in names
    ]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
