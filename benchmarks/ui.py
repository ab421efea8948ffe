"""How fast the dashboard answers over a long history, and what sessions that were closed leave in its memory.

Loads a history, serves it with `walltrack serve` and `walltrack dashboard`, and clicks in Debian's Chromium: from the
click until what was asked for stands on the page.

Usage: python -m benchmarks.ui [--runs 100000] [--rounds 25] [--sessions 300]
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright
from tests.e2e.ui.stage import Stage, staged

from benchmarks.api_load import load
from walltrack.data.supabase import embedded

INTERACTION_MS: Final = 200.0
FIRST_VIEW_MS: Final = 2000.0
MEMORY_RATIO: Final = 1.2
FEW_SESSIONS: Final = 50
AT_ONCE: Final = 5
SETTLES_SECONDS: Final = 20
"""A closed page is forgotten after ten seconds without its browser."""

_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
)

# From a click to what it asked for, by the browser's own clock.
_MEASURE: Final = """async ([click, ready]) => {
  const isReady = new Function(`return ${ready}`);
  const clicked = new Function(`return ${click}`)();
  const before = performance.now();
  clicked.click();
  while (!isReady()) {
    if (performance.now() - before > 20000) throw new Error(`not ready: ${ready}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return performance.now() - before;
}"""

_ROWS: Final = "document.querySelectorAll('[data-card={card}] tbody tr').length > 1"


def _button(card: str, name: str) -> str:
    return (
        f"[...document.querySelectorAll('[data-card={card}] button')]"
        f".find((one) => one.innerText.trim() === '{name}' || one.ariaLabel === '{name}')"
    )


def _pager(card: str) -> str:
    return f"document.querySelector('[data-card={card}] .wt-pager').innerText"


def interactions(page: Page, url: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds from click to answer, by what was clicked."""
    taken: dict[str, list[float]] = {}

    def measure(name: str, click: str, ready: str) -> None:
        taken.setdefault(name, []).append(page.evaluate(_MEASURE, [click, ready]))

    def tab(name: str) -> str:
        return f"[...document.querySelectorAll('.wt-tab')].find((one) => one.innerText === '{name}')"

    def open_discovery() -> None:
        page.goto(url)
        page.wait_for_selector("[data-card=history] tbody tr >> nth=1")
        page.wait_for_selector("[data-figure=total-runs]")
        page.get_by_role("button", name="All", exact=True).first.click()
        page.wait_for_selector("text=1 to 20 of")

    for _ in range(rounds):
        open_discovery()
        measure(
            "next page of the history",
            _button("history", "Next page"),
            f"{_pager('history')}.includes('21 to 40')",
        )
        measure(
            "failed runs",
            _button("history", "Failed"),
            "[...document.querySelectorAll('[data-card=history] tbody .wt-chip')].every("
            "(one) => one.innerText === 'failed')",
        )
        figure = "document.querySelector('[data-figure=total-runs] .wt-figure__value')?.innerText"
        old = page.evaluate(figure)
        measure(
            "statistics of 90 days", _button("statistics", "90 days"), f"{figure} && {figure} !== '{old}'"
        )
        measure("the wallets tab", tab("Wallets"), _ROWS.format(card="wallets"))
        measure(
            "next page of wallets",
            _button("wallets", "Next page"),
            f"{_pager('wallets')}.includes('26 to 50')",
        )
        measure(
            "a wallet",
            "document.querySelector('[data-card=wallets] tbody td a')",
            "document.querySelector('[data-card=findings] tbody tr')",
        )
        measure("the health tab", tab("Health"), "document.querySelector('[data-card=parts]')")
        measure("the discovery tab", tab("Discovery"), _ROWS.format(card="history"))
        measure(
            "a run",
            "document.querySelector('[data-card=history] tbody td a')",
            "document.querySelector('[data-card=run-wallets] tbody tr')",
        )
    return taken


def first_views(browser: Browser, url: str, rounds: int) -> list[float]:
    """Milliseconds until a browser that never was here shows the history and the figures."""
    taken = []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        before = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("[data-card=history] tbody tr")
        page.wait_for_selector("[data-figure=total-runs]")
        taken.append(1000 * (time.perf_counter() - before))
        context.close()
    return taken


def open_and_close(browser: Browser, url: str, count: int) -> None:
    """Open so many sessions, a few at once, and close them."""
    for begun in range(0, count, AT_ONCE):
        contexts = [browser.new_context() for _ in range(min(AT_ONCE, count - begun))]
        pages = [context.new_page() for context in contexts]
        for page in pages:
            page.goto(url, wait_until="commit")
        for page in pages:
            page.wait_for_selector("[data-card=history] tbody tr")
        for context in contexts:
            context.close()


def resident_mib(stage: Stage) -> float:
    """What the dashboard's process holds, once it has forgotten what was closed."""
    time.sleep(SETTLES_SECONDS)
    assert stage.dashboard.running is not None
    status = Path(f"/proc/{stage.dashboard.running.pid}/status").read_text(encoding="utf-8")
    line = next(one for one in status.splitlines() if one.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


@contextmanager
def _history(runs: int) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="walltrack-bench-") as folder:
        Path(folder).chmod(0o755)
        with staged(Path(folder)) as stage:
            stage.stop()
            with embedded.serving(stage.data_dir) as server:
                load(server.conninfo, runs=runs)
            stage.start()
            yield stage


def main() -> int:
    """Print the figures; whether all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--sessions", type=int, default=300)
    asked = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no chromium here: apt-get install chromium", file=sys.stderr)
        return 2
    met = []
    with _history(asked.runs) as stage, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        print(f"{asked.runs:,} runs, {2 * asked.runs:,} wallets", flush=True)
        views = first_views(browser, stage.url, max(5, asked.rounds // 2))
        met.append(_told("first view", views, FIRST_VIEW_MS))
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        taken = interactions(page, stage.url, asked.rounds)
        for name, times in taken.items():
            _told(name, times, INTERACTION_MS)
        met.append(
            _told("all interactions", [one for times in taken.values() for one in times], INTERACTION_MS)
        )
        page.context.close()
        open_and_close(browser, stage.url, FEW_SESSIONS)
        few = resident_mib(stage)
        open_and_close(browser, stage.url, max(0, asked.sessions - FEW_SESSIONS))
        many = resident_mib(stage)
        met.append(many <= MEMORY_RATIO * few)
        print(
            f"memory after {FEW_SESSIONS} sessions {few:.0f} MiB, after {asked.sessions} {many:.0f} MiB: "
            f"{many / few:.2f} times (target {MEMORY_RATIO})"
        )
        browser.close()
    return 0 if all(met) else 1


def _told(name: str, times: list[float], target_ms: float) -> bool:
    p95 = sorted(times)[math.ceil(0.95 * len(times)) - 1]
    is_met = p95 <= target_ms
    print(
        f"{name:<26} p50 {statistics.median(times):6.0f} ms   p95 {p95:6.0f} ms   "
        f"(target {target_ms:.0f} ms{'' if is_met else ', MISSED'})",
        flush=True,
    )
    return is_met


if __name__ == "__main__":
    sys.exit(main())
