"""The dashboard's container, in a real browser through its published port."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.docker.stack import Stack
from tests.e2e.ui.conftest import CHROMIUM, FLAGS
from tests.e2e.ui.parts import card, figure, number, press, save


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_whoever_has_a_key_sees_the_discovery_page_and_sets_a_parameter_on_it(stack: Stack) -> None:
    stack.wait_ready()
    stack.wait_healthy("walltrack-dashboard")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{stack.dashboard_port}/")
        page.get_by_label("API key").fill(stack.key)
        press(page, "Log in")
        for name in ("scheduler", "parameters", "statistics", "history"):
            expect(card(page, name)).to_be_visible()
        press(card(page, "statistics"), "All")
        oldest = card(page, "history").locator("tbody tr").last
        expect(oldest).to_contain_text("2 Jan 2025")  # of the version before
        press(page, "Run now")
        expect(figure(page, "forecast-credits")).to_have_text(re.compile(r"^[\d,]+$"))
        press(page, "Not now")
        number(page, "Tokens of a run").fill("9")
        save(page)
        assert stack.get("/api/discovery/config")["params"]["max_tokens"] == 9
        browser.close()
