"""Pictures of every view for the docs, of a sandbox with a few runs: `make screenshots`."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.ui.conftest import CHROMIUM, FLAGS, PHONE, WIDE
from tests.e2e.ui.parts import card, number, press
from tests.e2e.ui.stage import DEFAULTS, Stage, staged

FOLDER: Final = Path(__file__).resolve().parents[3] / "docs" / "screenshots"
DAYS: Final = 24


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="walltrack-pictures-") as folder:
        Path(folder).chmod(0o755)
        with (
            staged(Path(folder), WALLTRACK_PROFILE_MAX_WALLETS="100") as stage,
            sync_playwright() as playwright,
        ):
            _fill(stage)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            _take_all(stage, browser)
            browser.close()


def _fill(stage: Stage) -> None:
    """Some weeks of runs as a schedule would have made them, and two real ones."""
    stage.send("PUT", "/api/discovery/config", DEFAULTS | {"enabled": True, "schedule_hours": 12})
    now = datetime.now(UTC)
    with stage.sql() as connection:
        for back in range(2 * DAYS, 1, -1):
            at = now - timedelta(hours=12 * back)
            status = "failed" if back % 17 == 5 else "cancelled" if back % 29 == 7 else "completed"
            new = 0 if status == "failed" else 11 + back * 7919 % 34
            connection.execute(
                "INSERT INTO discovery_runs (id, started_at, completed_at, status, trigger_type, triggered_by, stage,"
                " min_price_change_pct, min_volume_usd, max_token_age_hours, early_window_minutes, min_profit_pct,"
                " max_tokens, tokens_analyzed, new_wallets, updated_wallets, duration_seconds, demo)"
                " VALUES (%s, %s, %s, %s, 'scheduled', 'scheduler', 'ended', 100, 50000, 72, 30, 50, 20, %s, %s, %s,"
                " %s, true)",
                (
                    uuid4(),
                    at,
                    at + timedelta(seconds=70),
                    status,
                    9 + back % 8,
                    new,
                    back % 13,
                    50 + back % 40,
                ),
            )
    stage.run(max_tokens=8)
    stage.run()


def _take_all(stage: Stage, browser: Browser) -> None:
    run = stage.get("/api/discovery/runs")["runs"][0]["id"]
    wallet = stage.get("/api/wallets", page_size=1)["wallets"][0]["address"]
    wide, phone, dark = _page(browser, WIDE), _page(browser, PHONE), _page(browser, WIDE, scheme="dark")
    for page, name in ((wide, "discovery"), (phone, "discovery-phone"), (dark, "discovery-dark")):
        _open(page, stage, "/", "pumps")
        _take(page, name)
    _open(wide, stage, "/", "pumps")
    card(wide, "statistics").scroll_into_view_if_needed()
    wide.evaluate("document.querySelector('[data-card=statistics]').scrollIntoView()")
    wide.evaluate("window.scrollBy(0, -64)")
    expect(wide.locator("[data-card=statistics] canvas")).to_have_count(4)
    _take(wide, "statistics")
    wide.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    _take(wide, "pumps")
    for path, name, part in (
        ("/wallets", "wallets", "wallets"),
        (f"/wallets/{wallet}", "wallet", "findings"),
        (f"/runs/{run}", "run", "run-wallets"),
        ("/health", "health", "parts"),
    ):
        _open(wide, stage, path, part)
        _take(wide, name)
    _open(wide, stage, f"/runs/{run}", "run-wallets")
    wide.evaluate("document.querySelector('[data-card=run-wallets]').scrollIntoView()")
    wide.evaluate("window.scrollBy(0, -64)")
    _take(wide, "run-wallets")
    _open(phone, stage, "/wallets", "wallets")
    _take(phone, "wallets-phone")
    _open(wide, stage, "/", "pumps")
    number(wide, "Tokens of a run").fill("1000")
    expect(wide.locator("[data-field=max_tokens]").get_by_role("alert")).to_contain_text("100")
    _take(wide, "refused")
    press(wide, "Discard")
    press(wide, "Run now")
    expect(wide.locator("[data-figure=forecast-credits]")).to_be_visible()
    _take(wide, "forecast")
    press(wide, "Start run")
    expect(card(wide, "run").locator("[data-at=now]")).to_have_text("Measure tokens")
    wide.evaluate("window.scrollTo(0, 0)")
    _take(wide, "progress")


def _page(browser: Browser, size: dict[str, int], *, scheme: str = "light") -> Page:
    context = browser.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
    )
    context.set_default_timeout(300_000)
    return context.new_page()


def _open(page: Page, stage: Stage, path: str, part: str) -> None:
    page.goto(f"{stage.url}{path}")
    expect(card(page, part)).to_be_visible(timeout=300_000)
    if part not in ("parts",):
        expect(card(page, part).locator("tbody tr").nth(1)).to_be_visible(timeout=300_000)


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(700)  # until charts are drawn
    page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
